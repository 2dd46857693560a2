//! Limits as a test writes them.

use redial_keeper::keeper::Limits;

/// From `name=number …`; what is not named is as usual.
pub(crate) fn limits(text: &str) -> Limits {
    let mut limits = Limits::default();
    for item in text.split_whitespace() {
        let (name, number) = item.split_once('=').unwrap();
        let number: u64 = number.parse().unwrap();
        match name {
            "jobs" => limits.jobs = number as u32,
            "output_pool_bytes" => limits.output_pool_bytes = number,
            "stdin_pool_bytes" => limits.stdin_pool_bytes = number,
            "ended_records" => limits.ended_records = number as usize,
            "kill_after_ms" => limits.kill_after_ms = number,
            "front_grace_ms" => limits.front_grace_ms = number,
            "connections" => limits.connections = number as u32,
            "handshake_ms" => limits.handshake_ms = number as u32,
            _ => panic!("no such limit: {name}"),
        }
    }
    limits
}
