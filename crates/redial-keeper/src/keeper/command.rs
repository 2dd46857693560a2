//! What a command must be like, and when two are the same.

use minicbor::bytes::ByteVec;
use twox_hash::xxhash3_128::Hasher;

use crate::outcome::RefusedCode;
use crate::wire::{Command, DropPolicy, JobId, Program, PtyRequest};

/// Argv and environment together, names, values and a NUL for each, in bytes.
const MAX_TEXT_BYTES: usize = 2 * 1024 * 1024;
/// Of TERM: no known one comes near.
const MAX_TERM_BYTES: usize = 64;

/// Why a start or attach is refused, in words for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: RefusedCode,
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(code: RefusedCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }
}

/// Decodes a command and checks all that does not depend on where we are.
pub(super) fn parse(bytes: &[u8], private: bool) -> Result<Command, Refusal> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let command: Command = decoder
        .decode()
        .map_err(|error| malformed(format!("not a command: {error}")))?;
    if decoder.position() != bytes.len() {
        return Err(malformed("bytes follow the command"));
    }
    check_program(&command.program)?;
    check_environment(&command.env)?;
    check_cwd(command.cwd.as_ref())?;
    check_terminal(command.pty.as_ref())?;
    let total = text_bytes(&command);
    if total > MAX_TEXT_BYTES {
        let text =
            format!("arguments and environment have {total} bytes; at most {MAX_TEXT_BYTES} go");
        return Err(malformed(text));
    }
    check_supported(&command, private)?;
    Ok(command)
}

fn malformed(text: impl Into<String>) -> Refusal {
    Refusal::new(RefusedCode::Malformed, text)
}

fn check_program(program: &Program) -> Result<(), Refusal> {
    match program {
        Program::Argv(argv) => {
            if argv.first().is_none_or(|program| program.is_empty()) {
                return Err(malformed(
                    "no program: the argument list or its first item is empty",
                ));
            }
            if let Some(at) = argv.iter().position(|argument| argument.contains(&0)) {
                return Err(malformed(format!("argument {at} holds a NUL byte")));
            }
        }
        Program::Shell(text) if text.contains(&0) => {
            return Err(malformed("the text for the shell holds a NUL byte"));
        }
        Program::Shell(_) | Program::Login => {}
    }
    Ok(())
}

/// Values are never named: they may be secrets.
fn check_environment(env: &[(ByteVec, ByteVec)]) -> Result<(), Refusal> {
    for (at, (name, value)) in env.iter().enumerate() {
        let bad = if name.is_empty() {
            "has no name"
        } else if name.contains(&b'=') {
            "has a '=' in its name"
        } else if name.contains(&0) || value.contains(&0) {
            "holds a NUL byte"
        } else {
            continue;
        };
        return Err(malformed(format!("environment variable {at} {bad}")));
    }
    Ok(())
}

fn check_cwd(cwd: Option<&ByteVec>) -> Result<(), Refusal> {
    match cwd {
        Some(cwd) if cwd.is_empty() => Err(malformed("the directory is empty")),
        Some(cwd) if cwd.contains(&0) => Err(malformed("the directory holds a NUL byte")),
        _ => Ok(()),
    }
}

/// TERM names a file of the terminals' database, for programs of all ages (term(7)).
fn check_terminal(pty: Option<&PtyRequest>) -> Result<(), Refusal> {
    let Some(pty) = pty else { return Ok(()) };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._@".contains(byte);
    if pty.term.len() > MAX_TERM_BYTES || !pty.term.iter().all(plain) {
        return Err(malformed(
            "the name of the terminal (TERM) is none: letters, digits and +-._@ at most",
        ));
    }
    Ok(())
}

fn text_bytes(command: &Command) -> usize {
    let program: usize = match &command.program {
        Program::Argv(argv) => argv.iter().map(|argument| argument.len() + 1).sum(),
        Program::Shell(text) => text.len() + 1,
        Program::Login => 0,
    };
    let env: usize = command
        .env
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    program + env + command.cwd.as_ref().map_or(0, |cwd| cwd.len() + 1)
}

fn check_supported(command: &Command, private: bool) -> Result<(), Refusal> {
    let unsupported = |text: &str| Err(Refusal::new(RefusedCode::Unsupported, text));
    if private && command.detach {
        return unsupported("a private server ends with its connection: it cannot keep a job");
    }
    if private && command.on_drop != DropPolicy::Kill {
        return unsupported("a private server ends with its connection: only --on-drop kill");
    }
    Ok(())
}

/// Equal for equal commands: keys 1 to 6 of PROTOCOL.md's `start`, that is all but
/// the id and how the job is to be treated.
pub(super) fn hash(command: &Command) -> u128 {
    let Command {
        program,
        cwd,
        env,
        stdin,
        pty,
        ..
    } = command;
    let mut bytes = Vec::new();
    // Writing to a `Vec` cannot fail.
    let _ = minicbor::encode((program, cwd, env, stdin, pty), &mut bytes);
    Hasher::oneshot(&bytes)
}

/// The command for people, of bounded length: as a shell would be given it.
pub(super) fn label(command: &Command) -> String {
    const MAX_CHARS: usize = 256;
    let words: Vec<&[u8]> = match &command.program {
        Program::Argv(argv) => argv.iter().map(|word| &word[..]).collect(),
        Program::Shell(text) => vec![text],
        Program::Login => vec![b"(login shell)"],
    };
    let is_shell = !matches!(command.program, Program::Argv(_));
    let mut label = String::new();
    for word in words {
        if label.len() > MAX_CHARS {
            break;
        }
        let shown = String::from_utf8_lossy(&word[..word.len().min(4 * MAX_CHARS)]);
        let plain = |c: char| c.is_alphanumeric() || "-_./=:,@+%".contains(c);
        if !label.is_empty() {
            label.push(' ');
        }
        if is_shell || (!shown.is_empty() && shown.chars().all(plain)) {
            label.push_str(&shown);
        } else {
            label.push_str(&format!("'{}'", shown.replace('\'', r"'\''")));
        }
    }
    match label.char_indices().nth(MAX_CHARS) {
        Some((at, _)) => format!("{}…", &label[..at]),
        None => label,
    }
}

/// Of the names of jobs: Crockford's base32, in lower case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const NAME_LETTERS: usize = 26;

/// The id as users see it, also in REDIAL_JOB and in logs: 26 characters of Crockford's
/// base32, the first of which holds but three bits (PROTOCOL.md).
pub(super) fn job_name(id: &JobId) -> String {
    let value = u128::from_be_bytes(*id);
    let letters = (0..NAME_LETTERS)
        .rev()
        .map(|place| ALPHABET[(value >> (5 * place)) as usize & 31]);
    letters.map(char::from).collect()
}

/// The first and the last id whose names begin so; none if no name does.
pub(super) fn ids_named(prefix: &str) -> Option<(JobId, JobId)> {
    let [first, last] = [ALPHABET[0], ALPHABET[31]].map(|rest| {
        let letters = prefix.bytes().chain(std::iter::repeat(rest));
        let mut value: u128 = 0;
        for (place, letter) in letters.take(NAME_LETTERS).enumerate() {
            let bits = ALPHABET.iter().position(|known| *known == letter)?;
            if place == 0 && bits > 7 && !prefix.is_empty() {
                return None;
            }
            // Of the first letter, what is too much is shifted out.
            value = value << 5 | bits as u128;
        }
        Some(value.to_be_bytes())
    });
    let fits = prefix.len() <= NAME_LETTERS;
    Some((first?, last?)).filter(|_| fits)
}

/// The name of an instance, as its cgroup has it.
pub(super) fn hex(instance: &[u8; 16]) -> String {
    instance.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector is what redial-proto's JobId writes.
    #[test]
    fn a_job_has_the_name_that_its_user_knows() {
        let id: JobId = std::array::from_fn(|at| at as u8);
        assert_eq!(job_name(&id), "00041061050r3gg28a1c60t3gf");
        assert_eq!(job_name(&[0xff; 16]), "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(hex(&id), "000102030405060708090a0b0c0d0e0f");
    }

    #[test]
    fn names_that_begin_alike_are_ids_in_a_row() {
        assert_eq!(ids_named(""), Some(([0; 16], [0xFF; 16])));
        let id: JobId = std::array::from_fn(|at| 17 * at as u8);
        let name = job_name(&id);
        assert_eq!(ids_named(&name), Some((id, id)));
        for len in 1..name.len() {
            let (first, last) = ids_named(&name[..len]).unwrap();
            assert!(first <= id && id <= last, "{len}");
            for id in [first, last] {
                assert!(job_name(&id).starts_with(&name[..len]), "{len}");
            }
        }
        for wrong in ["8", "u", "A", "000000000000000000000000000"] {
            assert_eq!(ids_named(wrong), None, "{wrong}");
        }
    }
}
