//! What a key's line makes of a command.

mod variables;

use minicbor::bytes::ByteVec;
use redial_auth::authorized_keys::{Grant as Permission, KeyLine, Policy};

use super::command::Refusal;
use super::grant::{Client, Grant};
use crate::outcome::RefusedCode;
use crate::wire::{Command, Program, Resources};

/// Tells a forced command what was asked for, as SSH_ORIGINAL_COMMAND does (sshd(8)).
const ORIGINAL: &[u8] = b"REDIAL_ORIGINAL_COMMAND";

/// Applies what the client's key says; nothing for who has none.
///
/// # Errors
/// The key is good no more, or may not do what was asked for. Nothing is left out silently.
pub(super) fn apply(client: &Client, command: &mut Command) -> Result<(), Refusal> {
    client.check()?;
    client.check_may_change()?;
    let Some(grant) = &client.grant else {
        return Ok(());
    };
    let options = &grant.line.options;
    check_program(&options.policy, &command.program)?;
    check_directory(&options.policy, command)?;
    check_terminal(&grant.line, command)?;
    limit_time(&options.policy, command)?;
    limit_resources(&options.policy, command)?;
    check_variables(&grant.line, &command.env)?;
    if let Some(forced) = &options.command {
        let asked = original(&command.program);
        command.program = Program::Shell(forced.clone().into());
        // Where it runs, and so what its words mean, is its author's affair.
        command.cwd = None;
        let asked = asked.map(|asked| (ORIGINAL.to_vec().into(), asked));
        command.env.extend(asked);
    }
    for variable in &options.environment {
        let name = variable.name.clone().into_bytes();
        command
            .env
            .push((name.into(), variable.value.clone().into()));
    }
    Ok(())
}

/// Asked again when a command was permitted a while ago: its line may have changed.
///
/// # Errors
/// By the line as it is now, it may not run.
pub(super) fn still(grant: &Grant, command: &Command) -> Result<(), Refusal> {
    let options = &grant.line.options;
    if options.policy.read_only {
        return Err(not_allowed("this key may only look (read-only)"));
    }
    check_terminal(&grant.line, command)?;
    // What a line has run in another's place is that line's own.
    match options.command {
        Some(_) => Ok(()),
        None => check_program(&options.policy, &command.program),
    }
}

fn not_allowed(text: impl Into<String>) -> Refusal {
    Refusal::new(RefusedCode::NotAllowed, text)
}

/// By the arguments themselves: a shell would make others of a text.
fn check_program(policy: &Policy, program: &Program) -> Result<(), Refusal> {
    let Some(patterns) = &policy.argv else {
        return Ok(());
    };
    let Program::Argv(argv) = program else {
        let text = "this key may not use a shell (allow-argv); give a program and its arguments";
        return Err(not_allowed(text));
    };
    let arguments: Vec<&[u8]> = argv.iter().map(|argument| &argument[..]).collect();
    if patterns.iter().any(|pattern| pattern.allows(&arguments)) {
        return Ok(());
    }
    let program = shown(argv.first().map_or(&[], |program| program));
    let text = format!("this key may not run {program} with these arguments (allow-argv)");
    Err(not_allowed(text))
}

/// Where a command runs is a part of what it does: what it reads, and whose settings it obeys.
fn check_directory(policy: &Policy, command: &Command) -> Result<(), Refusal> {
    match &command.cwd {
        Some(_) if policy.argv.is_some() => Err(not_allowed(
            "this key may not choose the directory (allow-argv)",
        )),
        _ => Ok(()),
    }
}

/// A terminal is more than a pipe: it can be typed on by who may write to it, and programs offer
/// more on one.
fn check_terminal(line: &KeyLine, command: &Command) -> Result<(), Refusal> {
    match (&command.pty, line.options.pty) {
        (Some(_), Permission::Refused) => Err(not_allowed(
            "this key may not have a terminal (no-pty, or restrict without pty)",
        )),
        _ => Ok(()),
    }
}

/// A job ends when the key's time is over, and with it what it has left running: else neither a
/// time nor a number of jobs would limit anything.
fn limit_time(policy: &Policy, command: &mut Command) -> Result<(), Refusal> {
    command.reap |= policy.max_jobs.is_some() || policy.max_time_ms.is_some();
    let Some(most) = policy.max_time_ms else {
        return Ok(());
    };
    if command.deadline_ms.is_some_and(|asked| asked > most) {
        let text = format!(
            "this key's jobs may take {} s at most (max-time)",
            most / 1_000
        );
        return Err(not_allowed(text));
    }
    command.deadline_ms.get_or_insert(most);
    Ok(())
}

/// Each job gets what the line allows, or less if it asks for that.
fn limit_resources(policy: &Policy, command: &mut Command) -> Result<(), Refusal> {
    let mut limits = command.resources.unwrap_or_default();
    limit(&mut limits.memory, policy.memory, "memory")?;
    limit(&mut limits.cpu_milli, policy.cpu_milli, "cpu")?;
    limit(&mut limits.pids, policy.pids, "pids")?;
    if limits != Resources::default() {
        command.resources = Some(limits);
    }
    Ok(())
}

fn limit<T: PartialOrd + Copy>(
    asked: &mut Option<T>,
    most: Option<T>,
    option: &str,
) -> Result<(), Refusal> {
    if let (Some(asked), Some(most)) = (*asked, most)
        && asked > most
    {
        let text = format!("this key's jobs may not have that much ({option})");
        return Err(not_allowed(text));
    }
    *asked = asked.or(most);
    Ok(())
}

fn check_variables(line: &KeyLine, env: &[(ByteVec, ByteVec)]) -> Result<(), Refusal> {
    let restricted = line.is_restricted();
    let named = line.options.policy.variables.as_ref();
    let may_set = |name: &[u8], value: &[u8]| match named {
        Some(names) => variables::may_by(names, name, value, &line.options, restricted),
        None => variables::may_set(name, value, restricted),
    };
    let Some((name, _)) = env.iter().find(|(name, value)| !may_set(name, value)) else {
        return Ok(());
    };
    let name = shown(name);
    Err(not_allowed(match restricted || named.is_some() {
        true => format!("this key may not set the variable {name}"),
        false => {
            format!("the variable {name} may not be set from afar; run `env {name}=… PROGRAM`")
        }
    }))
}

/// What a refusal shows of what was asked for.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]);
    text.escape_debug().to_string()
}

/// What was asked for as one text: arguments are quoted as a shell would need it. Nothing of who
/// asked for a login shell.
fn original(program: &Program) -> Option<ByteVec> {
    Some(match program {
        Program::Login => return None,
        Program::Shell(text) => text.clone(),
        Program::Argv(argv) => {
            let quoted: Vec<Vec<u8>> = argv.iter().map(|argument| quote(argument)).collect();
            quoted.join(&b' ').into()
        }
    })
}

fn quote(argument: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(byte);
    if !argument.is_empty() && argument.iter().all(plain) {
        return argument.to_vec();
    }
    let mut quoted = vec![b'\''];
    for &byte in argument {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            other => quoted.push(other),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests;
