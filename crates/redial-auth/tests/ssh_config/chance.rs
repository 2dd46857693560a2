//! Cases made by chance, from a seed.

use crate::cases::Case;

/// Cases made.
const CASES: usize = 80;

/// What begins a block.
const BLOCKS: [&str; 20] = [
    "Host web",
    "Host *",
    "Host w* !web",
    "Host other w?b",
    "Host !other",
    "Host *.example other",
    "host=\"web\"",
    "Match all",
    "Match host web",
    "Match host real,web.example",
    "Match originalhost web",
    "Match user ada",
    "Match !user ada,bob",
    "Match user *,!bob host w*",
    "Match localuser nobody-here",
    "Match !localuser nobody-here",
    "Match canonical",
    "Match !canonical !host real",
    "Include {dir}/one",
    "Include {dir}/one {dir}/two",
];

/// Settings, the good ones first.
const SETTINGS: [&str; 36] = [
    "User ada",
    "User bob",
    "user=\"carl\"",
    "HostName real",
    "HostName %h.example",
    "HOSTNAME Real # x",
    "Port 2222",
    "Port = 3",
    "IdentityFile ~/.ssh/one",
    "IdentityFile ~/.ssh/two",
    "IdentityFile '%d/with blank'",
    "IdentityFile none",
    "IdentityAgent none",
    "IdentityAgent SSH_AUTH_SOCK",
    "IdentityAgent ~/agent-%r-%n",
    "IdentitiesOnly yes",
    "IdentitiesOnly no",
    "ProxyJump jump",
    "ProxyJump ada@one:3,two",
    "ProxyJump none",
    "ProxyCommand nc %h %p",
    "ProxyCommand none",
    "# a comment",
    "",
    "ForwardAgent yes",
    "ServerAliveInterval 5",
    // From here on they are refused.
    "User",
    "User a b",
    "Port x",
    "IdentitiesOnly x",
    "HostName a%x",
    "ProxyJump a:b",
    "IdentityAgent $-",
    "IdentityFile \"x",
    "Match",
    "Host \"\"",
];
const GOOD: usize = 26;

const FILES: &[(&str, &str)] = &[
    ("one", "IdentityFile ~/.ssh/three\nHost other\nUser dave\n"),
    ("two", "Match user ada\nPort 7\nInclude {dir}/one\n"),
];

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
        let mut text = String::new();
        for _ in 0..2 + below(12) {
            let line = match below(40) {
                0 => SETTINGS[GOOD + below(SETTINGS.len() - GOOD)],
                1..13 => BLOCKS[below(BLOCKS.len())],
                _ => SETTINGS[below(GOOD)],
            };
            let blank = ["", "    ", "\t", " "][below(4)];
            let end = ["\n", "\n", "\r\n", "  \n"][below(4)];
            text.push_str(&format!("{blank}{line}{end}"));
        }
        cases.push(Case {
            files: FILES,
            host: ["web", "WEB", "a.example"][below(3)],
            user: [None, Some("ada")][below(2)],
            ..Case::new(&text)
        });
    }
    cases
}
