//! Who the kernel ends when memory runs out (proc(5), oom_score_adj): not the keeper, which holds
//! all jobs; and each job as if it had been started by itself.

use std::io;
use std::sync::OnceLock;

/// As little as can be without being exempt, as container shims have it. Only root may go below
/// where it began.
const KEEPERS: i32 = -999;

/// What the keeper had before; set when it was changed.
static ORIGINAL: OnceLock<i32> = OnceLock::new();

/// Protects this process. `original` is what the program before it had, if it has taken one's place.
/// Says what children get.
///
/// # Errors
/// We may not, or /proc is not there: then all is as it was.
pub(crate) fn protect(original: Option<i32>) -> io::Result<i32> {
    let path = "/proc/self/oom_score_adj";
    let original = match original {
        Some(original) => original,
        None => {
            let text = std::fs::read_to_string(path)?;
            text.trim().parse().map_err(io::Error::other)?
        }
    };
    if original <= KEEPERS {
        return Ok(original);
    }
    std::fs::write(path, KEEPERS.to_string())?;
    Ok(*ORIGINAL.get_or_init(|| original))
}

/// What children are to get, if that is not what they have anyway.
pub(crate) fn original() -> Option<i32> {
    ORIGINAL.get().copied()
}

/// The text of that, for a child that cannot make one: padded with line ends.
pub(super) fn text() -> Option<[u8; 8]> {
    let mut text = [b'\n'; 8];
    let original = original()?.to_string();
    text.get_mut(..original.len())?
        .copy_from_slice(original.as_bytes());
    Some(text)
}

/// Gives a child of ours that is no job what it would have had.
pub(crate) fn give_back(pid: u32) {
    if let Some(original) = original() {
        // It may have ended. Otherwise it is only harder to end than it should be.
        let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), original.to_string());
    }
}
