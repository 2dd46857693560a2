//! What a key's line makes of a command.

mod variables;

use minicbor::bytes::ByteVec;
use redial_auth::authorized_keys::{KeyLine, Policy};

use super::command::Refusal;
use super::grant::{Client, Grant};
use crate::outcome::RefusedCode;
use crate::wire::{Command, Program};

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
    limit_time(&options.policy, command)?;
    check_variables(&grant.line, &command.env)?;
    if let Some(forced) = &options.command {
        let asked = original(&command.program);
        command.program = Program::Shell(forced.clone().into());
        // Where it runs, and so what its words mean, is its author's affair.
        command.cwd = None;
        command.env.push((ORIGINAL.to_vec().into(), asked));
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

/// What was asked for as one text: arguments are quoted as a shell would need it.
fn original(program: &Program) -> ByteVec {
    match program {
        Program::Shell(text) => text.clone(),
        Program::Argv(argv) => {
            let quoted: Vec<Vec<u8>> = argv.iter().map(|argument| quote(argument)).collect();
            quoted.join(&b' ').into()
        }
    }
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
mod tests {
    use super::super::grant::tests::client;
    use super::*;
    use crate::wire::DropPolicy;

    fn command(argv: &[&str], env: &[&str]) -> Command {
        let bytes = |text: &str| ByteVec::from(text.as_bytes().to_vec());
        Command {
            job: [0; 16].into(),
            program: Program::Argv(argv.iter().map(|it| bytes(it)).collect()),
            cwd: Some(bytes("/tmp")),
            env: env.iter().map(|name| (bytes(name), bytes("v"))).collect(),
            stdin: false,
            pty: None,
            deadline_ms: None,
            drain_ms: 0,
            on_drop: DropPolicy::Kill,
            reap: false,
            detach: false,
            resent: None,
            keep: None,
        }
    }

    fn value<'a>(command: &'a Command, name: &str) -> Option<&'a [u8]> {
        let mut found = command.env.iter().rev();
        let found = found.find(|(known, _)| &known[..] == name.as_bytes());
        found.map(|(_, value)| &value[..])
    }

    #[test]
    fn a_forced_command_takes_the_place_of_what_was_asked_which_it_is_told() {
        let mut asked = command(&["ls", "-l", "two words", "it's", ""], &[]);
        apply(&client(1, "command=\"echo hi\""), &mut asked).unwrap();
        assert_eq!(asked.program, Program::Shell(b"echo hi".to_vec().into()));
        assert_eq!(asked.cwd, None);
        let original = value(&asked, "REDIAL_ORIGINAL_COMMAND").unwrap();
        assert_eq!(original, br"ls -l 'two words' 'it'\''s' ''");
    }

    #[test]
    fn variables_of_the_line_are_set_and_win() {
        let mut asked = command(&["x"], &["LANG"]);
        let client = client(1, "restrict,environment=\"LANG=C\",environment=\"A=b c\"");
        apply(&client, &mut asked).unwrap();
        assert_eq!(value(&asked, "LANG"), Some(&b"C"[..]));
        assert_eq!(value(&asked, "A"), Some(&b"b c"[..]));
    }

    #[test]
    fn a_restricted_key_sets_nothing_but_how_output_looks() {
        for options in ["restrict", "command=\"x\""] {
            for name in ["PATH", "HOME", "X", "REDIAL_ORIGINAL_COMMAND"] {
                let mut asked = command(&["x"], &[name]);
                let refused = apply(&client(1, options), &mut asked).unwrap_err();
                assert_eq!(refused.code, RefusedCode::NotAllowed);
                assert!(refused.text.contains(name), "{}", refused.text);
            }
            apply(&client(1, options), &mut command(&["x"], &["LC_ALL", "TZ"])).unwrap();
        }
    }

    #[test]
    fn a_key_with_allow_argv_runs_those_and_no_shell() {
        let client = client(1, "allow-argv=\"git-* ?*,uptime\"");
        let command = |argv: &[&str], env: &[&str]| Command {
            cwd: None,
            ..command(argv, env)
        };
        for argv in [&["uptime"][..], &["git-upload-pack", "x; sh"]] {
            apply(&client, &mut command(argv, &[])).unwrap();
        }
        for argv in [
            &["uptime", "-p"][..],
            &["sh", "-c", "uptime"],
            &["/bin/uptime"],
        ] {
            let refused = apply(&client, &mut command(argv, &[])).unwrap_err();
            assert!(refused.text.contains(argv[0]), "{}", refused.text);
        }
        let mut shell = command(&["x"], &[]);
        shell.program = Program::Shell(b"uptime".to_vec().into());
        let refused = apply(&client, &mut shell).unwrap_err();
        assert!(refused.text.contains("shell"), "{}", refused.text);
        assert!(apply(&client, &mut command(&["uptime"], &["PATH"])).is_err());
    }

    #[test]
    fn a_line_that_names_variables_lets_these_be_set_and_no_others() {
        for options in [
            "env=\"CI_*,PATH,LD_*,LANG\"",
            "restrict,env=\"CI_*,PATH,LD_*,LANG\"",
        ] {
            let client = client(1, options);
            apply(&client, &mut command(&["x"], &["CI_JOB", "PATH", "LANG"])).unwrap();
            for name in [
                "HOME",
                "LC_ALL",
                "LD_PRELOAD",
                "CI",
                "REDIAL_ORIGINAL_COMMAND",
            ] {
                let refused = apply(&client, &mut command(&["x"], &[name]));
                assert!(refused.is_err(), "{name}");
            }
        }
        let mut file = command(&["x"], &[]);
        file.env = vec![(b"LANG".to_vec().into(), b"/tmp/x".to_vec().into())];
        assert!(apply(&client(1, "restrict,env=\"LANG\""), &mut file).is_err());
    }

    #[test]
    fn what_guides_a_program_is_named_in_full_or_not_at_all() {
        let set =
            |options: &str, name: &str| apply(&client(1, options), &mut command(&["x"], &[name]));
        for name in [
            "PATH",
            "HOME",
            "SSH_CLIENT",
            "XDG_CONFIG_HOME",
            "MAKEFILES",
            "PAGER",
        ] {
            assert!(set("env=\"*\"", name).is_err(), "{name}");
            assert!(set(&format!("env=\"{name}\""), name).is_ok(), "{name}");
            let forced = format!("command=\"x\",env=\"{name}\"");
            assert!(set(&forced, name).is_err(), "{name}");
        }
        assert!(set("env=\"*\"", "ANYTHING").is_ok());
        let only = |names: &str| format!("allow-argv=\"x\",env=\"{names}\"");
        let argv = |names: &str, name: &str| {
            let mut asked = command(&["x"], &[name]);
            asked.cwd = None;
            apply(&client(1, &only(names)), &mut asked)
        };
        assert!(argv("*", "ANYTHING").is_err() && argv("ANY*", "ANYTHING").is_err());
        assert!(argv("ANYTHING", "ANYTHING").is_ok());
        assert!(set("command=\"x\",env=\"CI_*\"", "CI_JOB").is_ok());
    }

    #[test]
    fn a_key_with_allow_argv_runs_them_at_home() {
        let client = client(1, "allow-argv=\"make\"");
        let mut elsewhere = command(&["make"], &[]);
        elsewhere.cwd = Some(b"/tmp".to_vec().into());
        let refused = apply(&client, &mut elsewhere).unwrap_err();
        assert!(refused.text.contains("directory"), "{}", refused.text);
    }

    #[test]
    fn a_key_with_a_time_limits_each_job_and_leaves_nothing_running() {
        let client = client(1, "max-time=\"1m\"");
        for (asked, expected) in [(None, Some(60_000)), (Some(5), Some(5))] {
            let mut job = command(&["x"], &[]);
            job.deadline_ms = asked;
            apply(&client, &mut job).unwrap();
            assert_eq!((job.deadline_ms, job.reap), (expected, true));
        }
        let mut long = command(&["x"], &[]);
        long.deadline_ms = Some(60_001);
        let refused = apply(&client, &mut long).unwrap_err();
        assert!(refused.text.contains("60 s"), "{}", refused.text);
    }

    #[test]
    fn who_may_only_look_starts_nothing() {
        let refused = apply(&client(1, "read-only"), &mut command(&["x"], &[]));
        assert_eq!(refused.unwrap_err().code, RefusedCode::NotAllowed);
    }

    #[test]
    fn no_key_sets_what_loaders_shells_and_interpreters_obey() {
        let more = [
            "LD_PRELOAD",
            "BASH_FUNC_ls%%",
            "x()",
            "PYTHONPATH",
            "PERL5OPT",
            "NODE_OPTIONS",
        ];
        let listed = variables::DANGEROUS
            .iter()
            .map(|name| std::str::from_utf8(name).unwrap());
        for name in listed.chain(more) {
            let refused = apply(&client(1, ""), &mut command(&["x"], &[name]));
            assert!(refused.is_err(), "{name}");
        }
        for name in ["PATH", "FOO", "CI", "HTTP_PROXY", "MYLD_PRELOAD"] {
            apply(&client(1, ""), &mut command(&["x"], &[name])).unwrap();
        }
        // On a socket of one's own it is one's own affair.
        apply(&Client::local(0), &mut command(&["x"], &["LD_PRELOAD"])).unwrap();
    }
}
