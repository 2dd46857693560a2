//! Frames: redial-frame beside tokio-util's `LengthDelimitedCodec`.

use std::time::Instant;

use crate::framing::{Framer, SEGMENT, Task, Work};
use crate::instructions;
use crate::order::Order;
use crate::report::{Goal, Section};
use crate::stats::Samples;
use crate::table::Table;

const SEED: u64 = 4;
const PAYLOADS: [(usize, &str); 3] = [(64, "64 B"), (1_024, "1 KiB"), (65_536, "64 KiB")];
const TASKS: [(Task, &str); 3] = [
    (Task::Whole, "decode, whole"),
    (Task::Pieces, "decode, in pieces"),
    (Task::Encode, "encode"),
];
/// What is judged: the way that copies no payload; and the dearest of the three that redial-frame has.
const WHAT_OWN: &str = "instructions per frame, in every case, payloads borrowed";
const WHAT_ALL: &str = "instructions per frame, in every case, whatever way";
const WHAT_SMALL: &str = "instructions per frame of 64 B, whatever way";

/// One line of the table.
struct Case {
    name: String,
    task: Task,
    payload: usize,
    rates: [Samples; 4],
    /// Per frame; none where there is no valgrind.
    instructions: Option<[f64; 4]>,
}

/// # Errors
/// A contestant does not give what it was given.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let (runs, rounds) = if quick { (2, 5) } else { (11, 40) };
    let mut cases: Vec<Case> = PAYLOADS
        .iter()
        .flat_map(|size| TASKS.iter().map(move |task| Case::new(*task, *size)))
        .collect();
    let mut order = Order::new(SEED);
    // The first run warms up.
    for run in 0..=runs {
        for index in order.round(cases.len()) {
            let case = &mut cases[index];
            for framer in order.round(Framer::ALL.len()) {
                let rate = rate(&case.work(Framer::ALL[framer]), rounds)?;
                if run > 0 {
                    case.rates[framer].push(rate);
                }
            }
        }
    }
    let valgrind = instructions::valgrind();
    if valgrind.is_some() {
        for case in &mut cases {
            let mut counts = [0.0; 4];
            for (count, framer) in counts.iter_mut().zip(Framer::ALL) {
                *count = per_frame(&case.work(framer))?;
            }
            case.instructions = Some(counts);
        }
    }
    Ok(Section {
        plots: Vec::new(),
        title: "Frames",
        how: how(runs, rounds),
        figures: figures(&cases),
        goals: goals(&cases),
    })
}

impl Case {
    fn new((task, doing): (Task, &str), (payload, size): (usize, &str)) -> Self {
        Case {
            name: format!("{size}, {doing}"),
            task,
            payload,
            rates: Default::default(),
            instructions: None,
        }
    }

    fn work(&self, framer: Framer) -> Work {
        Work {
            framer,
            task: self.task,
            payload: self.payload,
        }
    }

    /// The instructions of redial-frame, as a part of tokio-util's: of the way that copies no payload, and of
    /// the dearest of the three.
    fn parts(&self) -> Option<[f64; 2]> {
        let [peer, codec, plain, borrowed] = self.instructions?;
        Some([borrowed, codec.max(plain).max(borrowed)].map(|it| it / peer))
    }
}

/// Frames per second.
fn rate(work: &Work, rounds: usize) -> anyhow::Result<f64> {
    let began = Instant::now();
    work.run(rounds)?;
    Ok((work.frames() * rounds) as f64 / began.elapsed().as_secs_f64())
}

/// Instructions per frame: what three rounds more cost, so that what is done once falls out.
fn per_frame(work: &Work) -> anyhow::Result<f64> {
    let count = |rounds: u64| {
        let mut arguments = vec!["framing".to_owned(), rounds.to_string()];
        arguments.extend(work.words());
        instructions::of_this_program(&arguments)
    };
    let more = count(4)?.saturating_sub(count(1)?);
    Ok(more as f64 / (3 * work.frames()) as f64)
}

fn how(runs: usize, rounds: usize) -> String {
    format!(
        "Length-prefixed frames, four bytes of length, big-endian, in memory: redial-frame beside \
         tokio-util's `LengthDelimitedCodec`, each with its defaults, codecs and buffers kept as \
         for one long connection. All take the same slices: whole frames, as many as fit in \
         {SEGMENT} bytes or one; or pieces of {SEGMENT} bytes, wherever that cuts. The codecs \
         copy them into the buffer that their trait asks for; `Decoder` borrows what is whole; `Pieces` borrows all, as \
         it comes, and `header` is for a vectored write, so that no payload is copied. \
         Instructions are callgrind's, per frame, that copy included; each byte of a large copy \
         (`rep movsb`) counts as one. frames/s are medians of {runs} runs of {rounds} MiB, \
         interleaved, order from seed {SEED}."
    )
}

fn figures(cases: &[Case]) -> String {
    let mut counts = Table::new([
        "instructions per frame",
        "tokio-util",
        "`FrameCodec`",
        "÷",
        "`Decoder`, `encode`",
        "÷",
        "`Pieces`, `header`",
        "÷",
    ]);
    let mut rates = Table::new([
        "million frames/s",
        "tokio-util",
        "`FrameCodec`",
        "×",
        "`Decoder`, `encode`",
        "×",
        "`Pieces`, `header`",
        "×",
    ]);
    for case in cases {
        let show = |values: [f64; 4], digits: usize| {
            let [peer, codec, plain, borrowed] = values;
            let mut row = vec![case.name.clone(), format!("{peer:.digits$}")];
            for ours in [codec, plain, borrowed] {
                row.extend([format!("{ours:.digits$}"), format!("{:.2}", ours / peer)]);
            }
            row
        };
        if let Some(instructions) = case.instructions {
            counts.add(show(instructions, 0));
        }
        let medians = [0, 1, 2, 3].map(|i| case.rates[i].median() / 1e6);
        rates.add(show(medians, 3));
    }
    format!("{counts}\n{rates}")
}

fn goals(cases: &[Case]) -> Vec<Goal> {
    let goal = |what, wanted, limit, which: usize, all: Vec<&Case>| {
        let worst = all.iter().filter_map(|case| Some(case.parts()?[which]));
        match worst.reduce(f64::max) {
            Some(worst) => {
                let measured = format!("{worst:.3} at worst");
                Goal::measured(what, wanted, measured, worst <= limit)
            }
            None => Goal::skipped(what, wanted, "no valgrind"),
        }
    };
    let all = || cases.iter().collect();
    let small = cases.iter().filter(|case| case.payload == 64).collect();
    vec![
        goal(WHAT_OWN, "≤ 0.50 × tokio-util", 0.5, 0, all()),
        goal(WHAT_ALL, "≤ 1.00 × tokio-util", 1.0, 1, all()),
        goal(WHAT_SMALL, "≤ 0.50 × tokio-util", 0.5, 1, small),
    ]
}
