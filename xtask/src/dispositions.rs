//! Signals that we were started to ignore.
//!
//! A shell without job control starts what stands before `&` with SIGINT and SIGQUIT ignored,
//! nohup(1) with SIGHUP, and every process passes that on (signal(7)). Tests that interrupt
//! programs would wait for ever, so the chores begin anew with the signals as they should be.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// By number and by name.
const TAKEN_BACK: [(u32, &str); 4] = [(1, "HUP"), (2, "INT"), (3, "QUIT"), (15, "TERM")];

/// Replaces this process by itself, with the default for each of these signals, if one of
/// them is ignored. Where that cannot be done it says so and goes on.
pub(crate) fn take_back() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let names = ignored(&status);
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    if names.is_empty() {
        return;
    }
    let names = names.join(",");
    // coreutils 8.31 and later.
    let error = Command::new("env")
        .arg(format!("--default-signal={names}"))
        .arg(program)
        .args(std::env::args_os().skip(1))
        .exec();
    eprintln!("xtask: {names} are ignored and stay so, which fails some tests: {error}");
}

/// Those of [`TAKEN_BACK`] that a process with this `/proc/PID/status` ignores (proc(5)).
fn ignored(status: &str) -> Vec<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let mask = mask.unwrap_or_default();
    TAKEN_BACK
        .iter()
        .filter(|(number, _)| mask >> (number - 1) & 1 == 1)
        .map(|(_, name)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_proc_names_what_is_ignored() {
        assert_eq!(ignored("SigIgn:\t0000000000001000\n"), [""; 0]);
        let of_a_shell = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000006\n";
        assert_eq!(ignored(of_a_shell), ["INT", "QUIT"]);
        assert_eq!(ignored("SigIgn:\t0000000000004001\n"), ["HUP", "TERM"]);
        assert_eq!(ignored(""), [""; 0]);
    }
}
