//! What a key's line makes of a command.

use minicbor::bytes::ByteVec;

use super::command::Refusal;
use super::grant::Client;
use crate::outcome::RefusedCode;
use crate::wire::{Command, Program};

/// Tells a forced command what was asked for, as SSH_ORIGINAL_COMMAND does (sshd(8)).
const ORIGINAL: &[u8] = b"REDIAL_ORIGINAL_COMMAND";

/// All that a restricted key may set: how its output looks, not what is run.
const HARMLESS: [&[u8]; 5] = [b"LANG", b"LANGUAGE", b"TZ", b"NO_COLOR", b"COLORTERM"];

/// Variables through which an environment becomes a program: what loaders, shells and
/// interpreters run or load because of it. Of each of these families, all.
const DANGEROUS_FAMILIES: [&[u8]; 24] = [
    b"LD_",
    b"_RLD",
    b"DYLD_",
    b"MALLOC_",
    b"BASH_",
    b"PYTHON",
    b"PERL",
    b"RUBY",
    b"NODE_",
    b"LUA_",
    b"PHP",
    b"GIT_",
    b"JAVA_",
    b"RESOLV_",
    b"ERL_",
    b"GTK_",
    b"QT_",
    b"GIO_",
    b"DOTNET_",
    b"CORECLR_",
    b"COR_",
    b"CAML_",
    b"npm_config_",
    b"NPM_CONFIG_",
];

/// And these.
const DANGEROUS: [&[u8]; 56] = [
    b"GLIBC_TUNABLES",
    b"GCONV_PATH",
    b"GETCONF_DIR",
    b"HOSTALIASES",
    b"LOCALDOMAIN",
    b"LOCPATH",
    b"NIS_PATH",
    b"NLSPATH",
    b"RES_OPTIONS",
    b"TZDIR",
    b"PATH_LOCALE",
    b"OPENSSL_CONF",
    b"OPENSSL_ENGINES",
    b"OPENSSL_MODULES",
    b"SSLKEYLOGFILE",
    b"ENV",
    b"SHELLOPTS",
    b"BASHOPTS",
    b"PS4",
    b"PROMPT_COMMAND",
    b"IFS",
    b"CDPATH",
    b"GLOBIGNORE",
    b"ZDOTDIR",
    b"FPATH",
    b"NULLCMD",
    b"READNULLCMD",
    b"TMPPREFIX",
    b"TERMINFO",
    b"TERMINFO_DIRS",
    b"TERMPATH",
    b"TERMCAP",
    b"CLASSPATH",
    b"_JAVA_OPTIONS",
    b"JDK_JAVA_OPTIONS",
    b"TCLLIBPATH",
    b"GEM_HOME",
    b"GEM_PATH",
    b"BUNDLE_GEMFILE",
    b"GUILE_LOAD_PATH",
    b"R_PROFILE",
    b"R_PROFILE_USER",
    b"R_ENVIRON",
    b"R_ENVIRON_USER",
    b"AWKPATH",
    b"AWKLIBPATH",
    b"MAKEFLAGS",
    b"GNUMAKEFLAGS",
    b"VIMINIT",
    b"EXINIT",
    b"EMACSLOADPATH",
    b"RSYNC_RSH",
    b"SSH_ASKPASS",
    b"MANPAGER",
    b"LESSOPEN",
    b"LESSCLOSE",
];

/// Applies what the client's key says; nothing for who has none.
///
/// # Errors
/// The key is good no more, or may not set a variable that was asked for. Nothing is left out
/// silently.
pub(super) fn apply(client: &Client, command: &mut Command) -> Result<(), Refusal> {
    client.check()?;
    let Some(grant) = &client.grant else {
        return Ok(());
    };
    let options = &grant.line.options;
    let restricted = grant.line.is_restricted();
    let refused = command
        .env
        .iter()
        .find(|(name, value)| !may_set(name, value, restricted));
    if let Some((name, _)) = refused {
        let name = String::from_utf8_lossy(&name[..name.len().min(64)]).into_owned();
        let name = name.escape_debug();
        let text = if restricted {
            format!("this key may not set the variable {name}")
        } else {
            format!("the variable {name} may not be set from afar; run `env {name}=… PROGRAM`")
        };
        return Err(Refusal::new(RefusedCode::NotAllowed, text));
    }
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

fn may_set(name: &[u8], value: &[u8], restricted: bool) -> bool {
    if restricted {
        let harmless = HARMLESS.contains(&name) || name.starts_with(b"LC_");
        return harmless && names_no_file(name, value);
    }
    // Some shells take functions from variables of any name that ends so (CVE-2014-6271).
    let function = name.ends_with(b"()") || name.ends_with(b"%%");
    !function
        && name != ORIGINAL
        && !DANGEROUS.contains(&name)
        && !DANGEROUS_FAMILIES.iter().any(|it| name.starts_with(it))
}

/// Locales and time zones are files to a C library, and of any path if one is given. `%` begins
/// what printf(3) obeys in a catalogue's place.
fn names_no_file(name: &[u8], value: &[u8]) -> bool {
    let up = value.windows(2).any(|pair| pair == b"..");
    let from_root = matches!(value.first(), Some(b'/' | b':'));
    // Europe/Berlin.
    let slash = name != b"TZ" && value.contains(&b'/');
    !up && !from_root && !slash && !value.contains(&b'%')
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
    fn a_locale_or_time_zone_of_a_restricted_key_is_a_name_and_no_file() {
        for (name, value, may) in [
            ("LC_ALL", "C.UTF-8", true),
            ("LC_ALL", "/tmp/x", false),
            ("LANGUAGE", "de:../../x", false),
            ("TZ", "Europe/Berlin", true),
            ("TZ", ":/etc/shadow", false),
            ("TZ", "/tmp/x", false),
            ("TZ", "x/../../y", false),
            ("LANG", "%n", false),
        ] {
            let may_set = may_set(name.as_bytes(), value.as_bytes(), true);
            assert_eq!(may_set, may, "{name}={value}");
        }
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
        let listed = DANGEROUS
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
