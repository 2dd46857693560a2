//! What was gone through, counted.

use std::fmt;

macro_rules! tally {
    ($($(#[$doc:meta])* $name:ident: $label:literal,)+) => {
        /// Sums over one run, or many.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Tally {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl std::ops::AddAssign for Tally {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)+
            }
        }

        impl fmt::Display for Tally {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:>12}  {}", self.$name, $label)?;)+
                Ok(())
            }
        }
    };
}

tally! {
    /// Runs.
    seeds: "seeds",
    /// Asked for.
    jobs: "jobs asked for",
    /// Ended as they did, every byte and signal in its place.
    exact: "jobs exact",
    /// Ended by their policy, as their line had dropped.
    struck: "jobs ended by their drop policy",
    /// Of those, with output that went with them.
    incomplete: "of them with output that went, and it was said",
    /// Left by their readers.
    left: "jobs left by their readers",
    /// Ended, but the keeper was not told that this was seen.
    kept: "jobs kept for ever, as the word that their end was seen was lost",
    /// Refused, and not run.
    refused: "jobs refused for want of room, none of them run",
    /// Not known any more, where records are few.
    unknown: "jobs unknown, where the keeper remembers only one",
    /// Bytes of output that readers took.
    output_bytes: "bytes of output",
    /// Bytes of stdin that children took.
    stdin_bytes: "bytes of stdin",
    /// Bytes handed to lines.
    carried_bytes: "bytes handed to lines",
    /// Signals that came.
    signals: "signals",
    /// Lines that were dialled.
    dials: "lines dialled",
    /// Refused.
    dials_refused: "dials refused",
    /// Lines cut at both ends at once.
    cuts: "lines cut",
    /// Lines whose last bytes came to the server after that.
    late_up: "lines dropped whose last words came late to the server",
    /// Bytes of those.
    late_up_bytes: "bytes of those",
    /// Lines whose last bytes came to the client after that.
    late_down: "lines dropped whose last words came late to the client",
    /// Lines that fell silent.
    silences: "lines fallen silent",
    /// Directions held up.
    stalls: "directions held up",
    /// Lines cut in their first words.
    stillborn: "of all these, in a line's first words",
    /// Never answered.
    hung: "dials never answered",
    /// Fronts that vanished.
    fronts: "fronts vanished",
    /// Jobs that learned of a drop.
    drops: "times a job's line dropped",
    /// Jobs that were reached again.
    backs: "times it came back",
    /// A start or attach found its job.
    attached: "starts and attaches that found their job there",
    /// Ended.
    attached_ended: "of them, that found it ended",
    /// Mostly a line that had dropped, or one whose job the same client's late words took.
    taken: "connections told that another has taken their job",
    /// Refused.
    not_attached: "starts and attaches refused",
    /// On the clock that jumps.
    virtual_ms: "milliseconds of virtual time",
    /// Rounds of the world.
    rounds: "rounds",
}
