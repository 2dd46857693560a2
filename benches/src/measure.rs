//! The measurements, one file each, and the run of all of them.

mod bulk;
mod carried;
mod cold;
mod dropped;
mod far;
mod fleet;
mod frame;
mod handshake;
mod idle;
mod kept;
mod latency;
mod nats;
mod rate;
mod spawn;
mod stalled;
mod start;
mod timed;
mod tls;

use std::path::Path;

use crate::framing;
use crate::instructions;
use crate::machine;
use crate::peer::{server, version};
use crate::report::{self, Section};
use crate::settings::BenchSettings;

/// One thing that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Latency,
    Cold,
    Far,
    Rate,
    Handshake,
    Bulk,
    Tls,
    Idle,
    Stalled,
    Spawn,
    Start,
    Dropped,
    Kept,
    Fleet,
    Nats,
    Frame,
}

impl Measure {
    pub(crate) const ALL: [Measure; 16] = [
        Measure::Latency,
        Measure::Cold,
        Measure::Far,
        Measure::Rate,
        Measure::Handshake,
        Measure::Bulk,
        Measure::Tls,
        Measure::Idle,
        Measure::Stalled,
        Measure::Spawn,
        Measure::Start,
        Measure::Dropped,
        Measure::Kept,
        Measure::Fleet,
        Measure::Nats,
        Measure::Frame,
    ];

    /// By its name on the command line.
    ///
    /// # Errors
    /// Says which names there are.
    pub(crate) fn named(name: &str) -> Result<Measure, String> {
        let found = Measure::ALL
            .into_iter()
            .find(|measure| measure.name() == name);
        let names = Measure::ALL.map(Measure::name).join(", ");
        found.ok_or_else(|| format!("nothing to measure is called `{name}`, but {names}"))
    }

    fn name(self) -> &'static str {
        match self {
            Measure::Latency => "latency",
            Measure::Cold => "cold",
            Measure::Far => "far",
            Measure::Rate => "rate",
            Measure::Handshake => "handshake",
            Measure::Bulk => "bulk",
            Measure::Tls => "tls",
            Measure::Idle => "idle",
            Measure::Stalled => "stalled",
            Measure::Spawn => "spawn",
            Measure::Start => "start",
            Measure::Dropped => "dropped",
            Measure::Kept => "kept",
            Measure::Fleet => "fleet",
            Measure::Nats => "nats",
            Measure::Frame => "frame",
        }
    }

    fn run(self, quick: bool) -> anyhow::Result<Section> {
        match self {
            Measure::Latency => latency::measure(quick),
            Measure::Cold => cold::measure(quick),
            Measure::Far => far::measure(quick),
            Measure::Rate => rate::measure(quick),
            Measure::Handshake => handshake::measure(quick),
            Measure::Bulk => bulk::measure(quick),
            Measure::Tls => tls::measure(quick),
            Measure::Idle => idle::measure(quick),
            Measure::Stalled => stalled::measure(quick),
            Measure::Spawn => spawn::measure(quick),
            Measure::Start => start::measure(quick),
            Measure::Dropped => dropped::measure(quick),
            Measure::Kept => kept::measure(quick),
            Measure::Fleet => fleet::measure(quick),
            Measure::Nats => nats::measure(quick),
            Measure::Frame => frame::measure(quick),
        }
    }
}

/// Measures what was asked for, prints it, and keeps it if that was asked for too.
///
/// # Errors
/// Something measured did not do what it should: a figure would be worthless.
pub(crate) fn all(settings: &BenchSettings) -> anyhow::Result<()> {
    let (frame, commands): (Vec<Measure>, Vec<Measure>) = settings
        .measures
        .iter()
        .partition(|measure| **measure == Measure::Frame);
    if !commands.is_empty() {
        let versions = versions()?;
        // Each on a page of its own, for they take long.
        let own = [
            (Measure::Fleet, (PAGE, "bench-fleet")),
            (Measure::Nats, ("docs/scale.md", "bench-nats")),
        ];
        let has_own = |measure: &Measure| own.iter().any(|(it, _)| it == measure);
        let (alone, commands): (Vec<Measure>, Vec<Measure>) =
            commands.into_iter().partition(has_own);
        if !commands.is_empty() {
            page((PAGE, "bench"), &versions, &commands, settings)?;
        }
        for (measure, place) in own {
            if alone.contains(&measure) {
                page(place, &versions, &[measure], settings)?;
            }
        }
    }
    if !frame.is_empty() {
        let versions = [
            framing::peer_version(),
            instructions::valgrind().unwrap_or_else(|| "no valgrind".to_owned()),
        ];
        page((PAGE, "bench-frame"), &versions, &frame, settings)?;
    }
    Ok(())
}

/// Of us and of all peers.
fn versions() -> anyhow::Result<Vec<String>> {
    let python = "import asyncssh; print(asyncssh.__version__)";
    let others = [
        ("openssh", "ssh", &["-V"][..]),
        ("dropbear", "dbclient", &["-V"]),
        (
            "asyncssh",
            "/usr/bin/python3",
            &["-W", "ignore", "-c", python],
        ),
        ("socat", "socat", &["-V"]),
        ("pdsh", "pdsh", &["-V"]),
        ("clush", "clush", &["--version"]),
        ("parallel-ssh", "parallel-ssh", &["--version"]),
        ("ansible", "ansible", &["--version"]),
        ("nats-server", "nats-server", &["--version"]),
    ];
    let others = others.map(|(name, program, arguments)| version(name, program, arguments));
    Ok([vec![server::version()?], others.to_vec()].concat())
}

/// Where figures are kept.
const PAGE: &str = "docs/performance.md";

/// Measures, prints, and keeps it on this page, between the markers of this name.
fn page(
    (path, marker): (&str, &str),
    versions: &[String],
    measures: &[Measure],
    settings: &BenchSettings,
) -> anyhow::Result<()> {
    let mut circumstances = machine::circumstances(versions);
    if settings.quick {
        let note = "a quick run, with few rounds: not to be quoted";
        circumstances.push(("Note", note.to_owned()));
    }
    let mut sections = Vec::new();
    for measure in measures {
        eprintln!("measuring: {}", measure.name());
        sections.push(measure.run(settings.quick)?);
    }
    let text = report::markdown(&circumstances, &sections);
    println!("{text}");
    if settings.write {
        report::keep(Path::new(path), marker, &text)?;
        let figures = report::json(&circumstances, &sections);
        report::keep_figures(Path::new(path), marker, &figures, &sections)?;
    }
    Ok(())
}
