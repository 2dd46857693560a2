//! `redial logs`: what a job has written.

use redial_client::{AttachOptions, Bytes, Client, Job, JobEvent, JobInfo, Output, Place};

use super::{Failure, block_on, connect};
use crate::exit_code::{self, FAILED};
use crate::interrupt::Interrupts;
use crate::json::{Event, OutcomeLine};
use crate::report;
use crate::settings::JobName;
use crate::sinks::{Form, Replaced, Sinks};

/// Of the end, read at first to find the last lines; doubled until there are enough.
const FIRST_GUESS: u64 = 64 * 1024;

/// What is to be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) follow: bool,
    /// Stdout, stderr.
    pub(crate) streams: [bool; 2],
    pub(crate) tail: Option<u64>,
    pub(crate) from: Place,
    pub(crate) json: bool,
}

/// Shows it; the result is our exit code.
pub(crate) fn logs(name: &JobName, wanted: Wanted) -> u8 {
    block_on(async {
        let mut interrupts =
            Interrupts::listen().map_err(|error| Failure::Here("cannot hear signals", error))?;
        tokio::select! {
            code = show(name, wanted) => code,
            (_, signal) = interrupts.next() => Err(Failure::Interrupted(signal)),
        }
    })
}

async fn show(name: &JobName, wanted: Wanted) -> Result<u8, Failure> {
    let client = connect(&name.way).await?;
    let info = super::find::find_info(&client, name).await?;
    let mut shown = Shown::new(name, wanted, &info);
    let (job, held) = match wanted.tail {
        Some(lines) => shown.last_lines(&client, lines).await?,
        None => {
            let from = super::find::within(wanted.from, &info);
            (shown.attach(&client, from).await?, Vec::new())
        }
    };
    let code = shown.print(job, held).await?;
    client.close().await;
    Ok(code)
}

/// A part of an output.
type Part = (Output, u64, Bytes);

struct Shown<'n> {
    name: &'n JobName,
    wanted: Wanted,
    info: &'n JobInfo,
    /// Has come up to here.
    at: [u64; 2],
    ended: bool,
    code: u8,
    /// To be said before what comes next; only in JSON.
    events: Vec<Event>,
}

impl<'n> Shown<'n> {
    fn new(name: &'n JobName, wanted: Wanted, info: &'n JobInfo) -> Self {
        Shown {
            name,
            wanted,
            info,
            at: [0; 2],
            ended: false,
            code: 0,
            events: Vec::new(),
        }
    }

    async fn attach(&self, client: &Client, from: Place) -> Result<Job, Failure> {
        let options = AttachOptions::default().from(from).manual_acknowledge(true);
        let attached = client.attach(self.info.id, &options).await;
        attached.map_err(|error| Failure::Start(self.name.way.target.clone(), error))
    }

    fn wants(&self, stream: Output) -> bool {
        self.wanted.streams[stream.index()]
    }

    /// Whether all that had been written when we came has been here.
    fn is_there(&self) -> bool {
        let here = |stream: Output| {
            !self.wants(stream) || self.at[stream.index()] >= self.info.bytes[stream.index()]
        };
        self.ended || Output::BOTH.into_iter().all(here)
    }

    /// The next part that is wanted; none when there is nothing more.
    async fn next(&mut self, job: &mut Job) -> Result<Option<Part>, Failure> {
        loop {
            let event = match job.next().await {
                Some(Ok(event)) => event,
                Some(Err(error)) => return Err(Failure::Job(self.name.way.target.clone(), error)),
                None => return Ok(None),
            };
            match event {
                JobEvent::Data {
                    stream,
                    offset,
                    bytes,
                } => {
                    let end = offset + bytes.len() as u64;
                    self.at[stream.index()] = end;
                    if self.wants(stream) {
                        return Ok(Some((stream, end, bytes)));
                    }
                    job.handle().acknowledge(stream, end);
                    if self.is_there() && !self.wanted.follow {
                        return Ok(None);
                    }
                }
                JobEvent::Eof { stream, length } => self.at[stream.index()] = length,
                JobEvent::Missed { stream, from, to } => {
                    self.at[stream.index()] = to;
                    if self.wants(stream) {
                        report::note(format_args!("bytes {from} to {to} of {stream} are gone"));
                        self.events.push(Event::missed(stream, from, to));
                        // Whoever named a place wanted what is there.
                        if matches!(self.wanted.from, Place::At(_)) {
                            self.code = FAILED;
                        }
                    }
                }
                JobEvent::Ended(outcome) => {
                    self.ended = true;
                    if self.wanted.follow && self.wanted.json {
                        let verdict = exit_code::verdict(&outcome, None, None);
                        let host = self.name.way.target.to_string();
                        let line = OutcomeLine::of(host, job.id(), &outcome, &verdict);
                        self.events.push(line.event());
                    }
                    return Ok(None);
                }
                _ => {}
            }
            if self.is_there() && !self.wanted.follow {
                return Ok(None);
            }
        }
    }

    /// Finds the last lines, however long they are; with the job, to go on from there.
    async fn last_lines(
        &mut self,
        client: &Client,
        lines: u64,
    ) -> Result<(Job, Vec<Part>), Failure> {
        let mut guess = FIRST_GUESS;
        let all = self.info.bytes[0].saturating_add(self.info.bytes[1]);
        loop {
            let mut job = self.attach(client, Place::Last(guess)).await?;
            (self.at, self.ended) = ([0; 2], false);
            self.events.clear();
            let mut parts = Vec::new();
            while !self.is_there()
                && let Some((stream, end, bytes)) = self.next(&mut job).await?
            {
                job.handle().acknowledge(stream, end);
                parts.push((stream, end, bytes));
            }
            if guess >= all || count_lines(&parts) > lines {
                return Ok((job, cut_to_lines(parts, lines)));
            }
            guess = guess.saturating_mul(4);
        }
    }

    async fn print(&mut self, mut job: Job, held: Vec<Part>) -> Result<u8, Failure> {
        let form = match self.wanted.json {
            true => Form::Json(None),
            false => Form::Raw,
        };
        let handle = job.handle();
        let mut sinks = Sinks::new(&handle, form, &Replaced::default());
        let say = |events: &mut Vec<Event>, sinks: &mut Sinks| {
            events.drain(..).for_each(|event| sinks.say(event));
        };
        say(&mut self.events, &mut sinks);
        for (stream, end, bytes) in held {
            sinks.write_up_to(stream, end, bytes);
        }
        let mut done = self.is_there() && !self.wanted.follow;
        let (mut failure, mut end) = (None, Ok(()));
        loop {
            if done {
                sinks.finish();
            }
            tokio::select! {
                part = self.next(&mut job), if !done => {
                    say(&mut self.events, &mut sinks);
                    match part {
                        Ok(Some((stream, end, bytes))) => {
                            sinks.write_up_to(stream, end, bytes);
                            done = self.is_there() && !self.wanted.follow;
                        }
                        Ok(None) => done = true,
                        // What came before it is still written.
                        Err(failed) => (end, done) = (Err(failed), true),
                    }
                },
                failed = sinks.next_failure() => match failed {
                    // Whoever reads us has seen enough.
                    Some((_, error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                        end = Ok(());
                        break;
                    }
                    Some((_, error)) => {
                        failure = Some(error);
                        break;
                    }
                    None => break,
                },
            }
        }
        match failure {
            Some(error) => Err(Failure::Here("cannot write", error)),
            None => end.map(|()| self.code),
        }
    }
}

fn count_lines(parts: &[Part]) -> u64 {
    let newlines = parts.iter().flat_map(|(_, _, bytes)| bytes.iter());
    newlines.filter(|byte| **byte == b'\n').count() as u64
}

/// The last lines of what came, in its order; one without an end is one too.
fn cut_to_lines(parts: Vec<Part>, lines: u64) -> Vec<Part> {
    let open = parts
        .last()
        .is_some_and(|(_, _, bytes)| !bytes.ends_with(b"\n"));
    let mut skip = (count_lines(&parts) + u64::from(open)).saturating_sub(lines);
    let mut kept = Vec::new();
    for (stream, end, mut bytes) in parts {
        while skip > 0
            && let Some(at) = bytes.iter().position(|byte| *byte == b'\n')
        {
            bytes = bytes.slice(at + 1..);
            skip -= 1;
        }
        if skip == 0 && !bytes.is_empty() {
            kept.push((stream, end, bytes));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(texts: &[(Output, &'static str)]) -> Vec<Part> {
        let part = |&(stream, text): &(Output, &'static str)| (stream, 0, Bytes::from(text));
        texts.iter().map(part).collect()
    }

    fn last(lines: u64, texts: &[(Output, &'static str)]) -> String {
        let kept = cut_to_lines(parts(texts), lines);
        let bytes: Vec<u8> = kept
            .iter()
            .flat_map(|(_, _, bytes)| bytes.to_vec())
            .collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_last_lines_are_counted_in_the_order_in_which_they_came() {
        use Output::{Stderr, Stdout};
        let texts = [(Stdout, "a\nb\n"), (Stderr, "x\n"), (Stdout, "c\nd")];
        assert_eq!(last(1, &texts), "d");
        assert_eq!(last(3, &texts), "x\nc\nd");
        assert_eq!(last(4, &texts), "b\nx\nc\nd");
        assert_eq!(last(9, &texts), "a\nb\nx\nc\nd");
        assert_eq!(last(0, &texts), "");
    }
}
