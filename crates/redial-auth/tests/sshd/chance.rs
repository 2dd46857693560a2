//! Cases made by chance, from a seed.

use crate::cases::Case;

/// Cases made.
const CASES: usize = 40;

/// Options that are good, and ones that are odd.
const OPTIONS: [&str; 44] = [
    "pty",
    "no-pty",
    "restrict",
    "no-port-forwarding",
    "port-forwarding",
    "No-Agent-Forwarding",
    "x11-forwarding",
    "no-user-rc",
    "user-rc",
    "no-touch-required",
    "verify-required",
    "command=\"echo one two\"",
    "command=\"echo \\\"$A\\\"\"",
    "command=\"echo a,b=\\\"c d\\\" # e\"",
    "environment=\"A=1\"",
    "environment=\"A=x y,z\"",
    "environment=\"B=\\\"\"",
    "from=\"127.0.0.1\"",
    "from=\"127.0.0.0/8,!127.0.0.9\"",
    "from=\"10.*,127.?.0.1\"",
    "from=\"!10.0.0.1,*\"",
    "expiry-time=\"{soon}\"",
    "expiry-time=\"{soonZ}\"",
    "expiry-time=\"29991231\"",
    "permitopen=\"web:80\"",
    "permitopen=\"[2001:db8::1]:*\"",
    "permitlisten=\"8080\"",
    "",
    // From here on they refuse.
    "from=\"10.0.0.0/8\"",
    "from=\"!127.0.0.1,*\"",
    "from=\"127.0.0.1/8\"",
    "expiry-time=\"{past}\"",
    "expiry-time=\"{pastZ}\"",
    "expiry-time=\"2999\"",
    "environment=\"A\"",
    "permitopen=\"web\"",
    "cert-authority",
    "principals=\"x\"",
    "no-such-thing",
    "command",
    "pty=\"yes\"",
    "command=\"x\"y",
    "pty\"",
    "\\",
];
const GOOD: usize = 28;

pub(crate) fn generated() -> Vec<Case> {
    let seed = std::env::var("REDIAL_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.unwrap().as_nanos() as u64
    });
    println!("seed {seed} (REDIAL_SEED sets it)");
    let mut state = seed | 1;
    let mut below = |end: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    };
    let mut cases = Vec::new();
    for _ in 0..CASES {
        let mut lines = String::new();
        for _ in 0..1 + below(2) {
            // Mostly good ones, or nearly every line would be refused.
            let options: Vec<&str> = (0..1 + below(4))
                .map(|_| match below(8) {
                    0 => OPTIONS[GOOD + below(OPTIONS.len() - GOOD)],
                    _ => OPTIONS[below(GOOD)],
                })
                .collect();
            let blank = ["\t", " ", "  "][below(3)];
            let key = ["{key}", "{key} comment", "{key}", "{other}"][below(4)];
            lines.push_str(&format!("{}{blank}{key}\n", options.join(",")));
        }
        cases.push(Case::new(&lines));
    }
    cases
}
