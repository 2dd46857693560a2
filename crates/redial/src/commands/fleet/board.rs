//! The live board: how far a run is, drawn below whatever else is on the terminal.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::stdio::stderr;
use unicode_width::UnicodeWidthStr;

use super::roll::{Counts, Roll};
use crate::report::{self, Harmless};
use crate::settings::{FleetSettings, Verbosity};
use crate::terminal;

/// Drawn so often.
pub(super) const EVERY: Duration = Duration::from_millis(100);
/// A run that is over by then needs none.
const AFTER: Duration = Duration::from_millis(300);
/// Narrower, there are short words.
const WIDE: usize = 72;
/// Of the bar.
const BAR: std::ops::RangeInclusive<usize> = 10..=40;
const SLOWEST: usize = 5;

/// See the module. Ends with it.
pub(super) struct Board {
    bar: ProgressBar,
    began: Instant,
    /// Hosts that had ended before.
    before: usize,
}

impl Board {
    /// On our terminal, if stderr is one and wanted for that.
    pub(super) fn new(settings: &FleetSettings, roll: &Roll) -> Option<Self> {
        let is_wanted = settings.verbosity > Verbosity::Quiet && terminal::kind() != "dumb";
        if !is_wanted || !rustix::termios::isatty(stderr()) {
            return None;
        }
        let target = ProgressDrawTarget::stderr_with_hz(20);
        let all = MultiProgress::with_draw_target(target);
        let bar = all.add(ProgressBar::new_spinner());
        // The text is made here; the library knows how to draw and clear it.
        bar.set_style(ProgressStyle::with_template("{msg}").ok()?);
        report::set_aside(Some(Box::new(move |write| all.suspend(write))));
        Some(Board {
            bar,
            began: Instant::now(),
            before: roll.counts().ended(),
        })
    }

    /// How it stands now.
    pub(super) fn draw(&self, roll: &Roll, names: &[String]) {
        let took = self.began.elapsed();
        if took < AFTER {
            return;
        }
        let slowest = roll.slowest(SLOWEST);
        let slowest: Vec<(&str, Duration)> = slowest
            .iter()
            .filter_map(|(host, since)| Some((names.get(*host)?.as_str(), since.elapsed())))
            .collect();
        let columns = usize::from(terminal::size().columns);
        let view = View {
            counts: roll.counts(),
            down: roll.down(),
            ended_here: roll.counts().ended() - self.before,
            took,
            slowest: &slowest,
        };
        let colour = std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
        self.bar
            .set_message(view.lines(columns.saturating_sub(1), colour).join("\n"));
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        report::set_aside(None);
        self.bar.finish_and_clear();
    }
}

/// What is drawn.
struct View<'v> {
    counts: Counts,
    down: usize,
    ended_here: usize,
    took: Duration,
    slowest: &'v [(&'v str, Duration)],
}

impl View<'_> {
    /// Three lines, each at most so wide.
    fn lines(&self, width: usize, colour: bool) -> Vec<String> {
        let mut lines = vec![self.bar(width), self.states(width, colour)];
        lines.extend(self.slow(width));
        lines
    }

    fn bar(&self, width: usize) -> String {
        let (ended, all) = (self.counts.ended(), self.counts.all());
        let rate = self.ended_here as f64 / self.took.as_secs_f64().max(0.001);
        let left = match self.ended_here {
            0 => String::new(),
            _ => format!(
                "  {} left",
                short(Duration::from_secs_f64((all - ended) as f64 / rate))
            ),
        };
        let percent = (ended * 100).checked_div(all).unwrap_or(100);
        let speed = match rate {
            0.0 => String::new(),
            rate if rate < 10.0 => format!("  {rate:.1}/s"),
            rate => format!("  {rate:.0}/s"),
        };
        let mut text = format!("{ended}/{all}  {percent} %{speed}{left}");
        let room = |text: &str| width.saturating_sub(text.width() + 3);
        if room(&text) < *BAR.start() {
            text = format!("{ended}/{all}  {percent} %");
        }
        let cells = room(&text).min(*BAR.end());
        if cells < *BAR.start() {
            return text.chars().take(width).collect();
        }
        let full = (cells * ended).checked_div(all).unwrap_or(cells);
        format!("[{}{}] {text}", "#".repeat(full), "-".repeat(cells - full))
    }

    fn states(&self, width: usize, colour: bool) -> String {
        let Counts {
            not_begun,
            connecting,
            running,
            done,
            failed,
            unreached,
            unknown,
        } = self.counts;
        /// What goes first where there is no room for all.
        const RANKS: [&str; 8] = ["conn", "wait", "ok", "run", "down", "lost", "gone", "fail"];
        const RED: &str = "\x1b[31m";
        const GREEN: &str = "\x1b[32m";
        let all = [
            ("not begun", "wait", not_begun, ""),
            ("connecting", "conn", connecting, ""),
            ("running", "run", running, ""),
            ("line down", "down", self.down, RED),
            ("done", "ok", done, GREEN),
            ("failed", "fail", failed, RED),
            ("unreached", "gone", unreached, RED),
            ("unknown", "lost", unknown, RED),
        ];
        let parts = all.into_iter().filter(|(_, _, count, _)| *count > 0);
        let mut parts: Vec<(usize, String, &str)> = parts
            .map(|(word, short, count, paint)| {
                let word = if width < WIDE { short } else { word };
                (
                    RANKS.iter().position(|it| *it == short).unwrap_or(0),
                    format!("{count} {word}"),
                    paint,
                )
            })
            .collect();
        let needs = |parts: &[(usize, String, &str)]| {
            parts
                .iter()
                .map(|(_, part, _)| part.width() + 2)
                .sum::<usize>()
        };
        while needs(&parts) > width + 2
            && let Some(least) = parts.iter().map(|(rank, ..)| *rank).min()
        {
            parts.retain(|(rank, ..)| *rank != least);
        }
        let painted = parts
            .into_iter()
            .map(|(_, part, paint)| match colour && !paint.is_empty() {
                true => format!("{paint}{part}\x1b[0m"),
                false => part,
            });
        painted.collect::<Vec<_>>().join("  ")
    }

    /// Those that have run the longest, as many as there is room for.
    fn slow(&self, width: usize) -> Option<String> {
        let mut line = "slowest:".to_owned();
        for (name, since) in self.slowest {
            let part = format!(" {} {}", Harmless(name), short(*since));
            let between = if line.ends_with(':') { "" } else { "," };
            if line.width() + between.len() + part.width() > width {
                break;
            }
            line.push_str(between);
            line.push_str(&part);
        }
        (line.len() > "slowest:".len()).then_some(line)
    }
}

/// `3 s`, `2 min`, `1.5 h`.
fn short(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..10.0 => format!("{seconds:.1} s"),
        ..120.0 => format!("{seconds:.0} s"),
        ..7200.0 => format!("{:.0} min", seconds / 60.0),
        ..360_000.0 => format!("{:.1} h", seconds / 3600.0),
        _ => "days".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view<'v>(slowest: &'v [(&'v str, Duration)]) -> View<'v> {
        View {
            counts: Counts {
                not_begun: 60,
                connecting: 4,
                running: 60,
                done: 120,
                failed: 8,
                unreached: 4,
                unknown: 0,
            },
            down: 2,
            ended_here: 132,
            took: Duration::from_secs(2),
            slowest,
        }
    }

    const SLOW: [(&str, Duration); 2] = [
        ("web17", Duration::from_secs(12)),
        ("db1", Duration::from_secs(150)),
    ];

    #[test]
    fn a_wide_terminal_shows_all_of_it() {
        let lines = view(&SLOW).lines(100, false);
        let bar = format!(
            "[{}{}] 132/256  51 %  66/s  1.9 s left",
            "#".repeat(20),
            "-".repeat(20)
        );
        let states =
            "60 not begun  4 connecting  60 running  2 line down  120 done  8 failed  4 unreached";
        assert_eq!(lines, [&bar, states, "slowest: web17 12 s, db1 2 min"]);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 1..120 {
            for line in view(&SLOW).lines(width, false) {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
        let lines = view(&SLOW).lines(40, false);
        // What is wrong is said before what is not.
        assert_eq!(lines[1], "60 run  2 down  120 ok  8 fail  4 gone");
        assert_eq!(lines[2], "slowest: web17 12 s, db1 2 min");
    }

    #[test]
    fn a_run_without_an_end_yet_promises_nothing() {
        let mut view = view(&[]);
        view.ended_here = 0;
        view.counts.done = 0;
        view.counts.failed = 0;
        view.counts.unreached = 0;
        let lines = view.lines(80, true);
        assert!(lines[0].ends_with("] 0/124  0 %"), "{lines:?}");
        assert_eq!(lines.len(), 2);
    }
}
