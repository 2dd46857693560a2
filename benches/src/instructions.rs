//! Instructions, counted by valgrind's callgrind: the same on a busy machine as on an idle one.

use std::process::Command;

use anyhow::{Context, ensure};

/// What `valgrind --version` says.
pub(crate) fn valgrind() -> Option<String> {
    let output = Command::new("valgrind").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// How many instructions this program executes with these arguments, in user space.
///
/// # Errors
/// It fails, or callgrind says no count.
pub(crate) fn of_this_program(arguments: &[String]) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(arguments)
        .output()
        .context("valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{arguments:?}: {said}");
    counted(&said).with_context(|| format!("no count in: {said}"))
}

fn counted(said: &str) -> Option<u64> {
    let mut counts = said.lines().filter_map(|line| {
        let (_, count) = line.split_once("Collected :")?;
        count.trim().parse().ok()
    });
    counts.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_among_what_callgrind_says() {
        let said = "==7== Events    : Ir\n==7== Collected : 1234567\n==7== \n";
        assert_eq!(counted(said), Some(1_234_567));
        assert_eq!(counted("==7== valgrind: no such tool"), None);
    }
}
