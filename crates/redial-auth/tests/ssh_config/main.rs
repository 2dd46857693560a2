//! ssh's settings are read as ssh reads them: each case is a file of its own, asked of `ssh -G`.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "../support/mod.rs"]
mod support;

mod cases;
mod chance;

use std::fs;
use std::path::Path;

use redial_auth::ssh_config::{
    HostSettings, IdentityAgent, Included, Query, Tokens, expand_path, settings_with,
};

use cases::Case;

/// What one side makes of a case; no settings: it refuses the file.
type Verdict = Option<Settings>;

/// What is compared.
#[derive(Debug, PartialEq, Eq)]
struct Settings {
    host_name: String,
    user: String,
    port: u16,
    /// Nothing: the defaults.
    identity_files: Option<Vec<String>>,
    identity_agent: Option<String>,
    identities_only: bool,
    proxy_jump: Option<String>,
    proxy_command: Option<String>,
}

/// Who runs the test.
struct Person {
    name: String,
    home: String,
}

#[test]
fn settings_are_read_as_ssh_reads_them() {
    if !support::has_ssh("settings_are_read_as_ssh_reads_them") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let person = person();
    let defaults = default_files(dir.path());
    let mut all = cases::listed();
    all.extend(chance::generated());
    let numbered: Vec<(usize, Case)> = all.into_iter().enumerate().collect();
    let both = support::each(&numbered, |(number, case)| {
        let dir = dir.path().join(number.to_string());
        let text = write(&dir, case);
        (ours(&text, case, &person), theirs(&dir, case, &defaults))
    });
    compare(&numbered, &both);
}

/// Compares both, and prints the counts.
fn compare(numbered: &[(usize, Case)], both: &[(Verdict, Verdict)]) {
    let mut wrong = Vec::new();
    let (mut taken, mut refused, mut different) = (0, 0, 0);
    // The differences are those to this one.
    let known = support::sshd::version() == (9, 2);
    for ((_, case), (ours, theirs)) in numbered.iter().zip(both) {
        match ours {
            Some(_) => taken += 1,
            None => refused += 1,
        }
        let text = String::from_utf8_lossy(&case.text);
        match case.difference {
            None if ours == theirs => {}
            None => wrong.push(format!("{text:?}:\n  ours {ours:?}\n  ssh's {theirs:?}")),
            Some(why) => {
                different += 1;
                eprintln!("a deliberate difference: {text:?}: {why}");
                // One that is none any more should leave the list.
                if known && ours == theirs {
                    wrong.push(format!("{text:?}: no difference: {ours:?}"));
                }
            }
        }
    }
    println!(
        "{} ssh_config cases: {taken} taken, {refused} refused; {different} deliberately other than \
         in ssh",
        numbered.len()
    );
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(numbered.len() - different >= 60 && taken >= 30 && refused >= 20);
}

/// Writes the files of a case; gives the text of the first. `{dir}` in them is where they are.
fn write(dir: &Path, case: &Case) -> Vec<u8> {
    fs::create_dir(dir).unwrap();
    let fill = |text: &[u8]| match std::str::from_utf8(text) {
        Ok(text) => text.replace("{dir}", dir.to_str().unwrap()).into_bytes(),
        Err(_) => text.to_vec(),
    };
    for (name, text) in case.files {
        support::write_private(&dir.join(name), &fill(text.as_bytes()));
    }
    let text = fill(&case.text);
    support::write_private(&dir.join("config"), &text);
    text
}

fn ours(text: &[u8], case: &Case, person: &Person) -> Verdict {
    let query = Query {
        host: case.host,
        user: case.user,
        local_user: &person.name,
    };
    let settings = settings_with(text, &query, &mut included).ok()?;
    let host_name = settings.host_name.clone();
    let host_name = host_name.unwrap_or_else(|| case.host.to_ascii_lowercase());
    let user = case.user.or(settings.user.as_deref());
    let user = user.unwrap_or(&person.name).to_owned();
    let port = settings.port.unwrap_or(22);
    let tokens = Tokens {
        host: &host_name,
        host_typed: case.host,
        port,
        user: &user,
        local_user: &person.name,
        home: &person.home,
        uid: None,
        local_host: None,
    };
    let identity_agent = match agent(&settings, &tokens) {
        Ok(agent) => agent,
        Err(()) => return None,
    };
    Some(Settings {
        host_name: host_name.clone(),
        user: user.clone(),
        port,
        identity_files: settings
            .identity_files_given
            .then(|| settings.identity_files.clone()),
        identity_agent,
        identities_only: settings.identities_only.unwrap_or(false),
        proxy_jump: settings.proxy_jump().map(plain_jump),
        proxy_command: settings.proxy_command().map(str::to_owned),
    })
}

/// The agent as `ssh -G` names it.
fn agent(settings: &HostSettings, tokens: &Tokens<'_>) -> Result<Option<String>, ()> {
    Ok(match &settings.identity_agent {
        None => None,
        Some(IdentityAgent::None) => Some("none".to_owned()),
        Some(IdentityAgent::Variable(name)) if name == "SSH_AUTH_SOCK" => Some(name.clone()),
        Some(IdentityAgent::Variable(name)) => Some(format!("${name}")),
        Some(IdentityAgent::Socket(path)) => {
            let variables = &|name: &str| std::env::var(name).ok();
            Some(expand_path(path, tokens, variables).map_err(drop)?)
        }
    })
}

/// The files that an `Include` names: one, or all whose names begin so.
fn included(pattern: &str) -> Vec<Included> {
    let path = Path::new(pattern);
    let mut found: Vec<_> = match pattern.strip_suffix('*') {
        None => vec![path.to_owned()],
        Some(begin) => fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_str().unwrap().starts_with(begin))
            .collect(),
    };
    found.sort();
    let read = |path: std::path::PathBuf| {
        let name = path.display().to_string();
        let text = fs::read(path).ok()?;
        Some(Included { name, text })
    };
    found.into_iter().filter_map(read).collect()
}

fn theirs(dir: &Path, case: &Case, defaults: &[String]) -> Verdict {
    let mut ssh = support::program("ssh");
    ssh.arg("-G").arg("-F").arg(dir.join("config"));
    if let Some(user) = case.user {
        ssh.args(["-l", user]);
    }
    let output = ssh.arg(case.host).output().unwrap();
    if !output.status.success() {
        return None;
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = |key: &str| -> Vec<String> {
        let lines = said.split('\n').filter_map(|line| line.split_once(' '));
        let values = lines.filter(|(name, _)| *name == key);
        values.map(|(_, value)| value.to_owned()).collect()
    };
    let one = |key: &str| all(key).pop();
    let mut files = all("identityfile");
    let given = files != defaults;
    files.retain(|file| !file.eq_ignore_ascii_case("none"));
    Some(Settings {
        host_name: one("hostname").unwrap(),
        user: one("user").unwrap(),
        port: one("port").unwrap().parse().unwrap(),
        identity_files: given.then_some(files),
        identity_agent: one("identityagent"),
        identities_only: one("identitiesonly").unwrap() == "yes",
        proxy_jump: one("proxyjump").map(|hosts| plain_jump(&hosts)),
        proxy_command: one("proxycommand"),
    })
}

/// The last host without what `ssh -G` may leave out of it or put into it.
fn plain_jump(hosts: &str) -> String {
    let (before, last) = match hosts.rsplit_once(',') {
        Some((before, last)) => (format!("{before},"), last),
        None => (String::new(), hosts),
    };
    let last = last.strip_prefix("ssh://").unwrap_or(last);
    format!("{before}{}", last.replace(['[', ']', '/'], ""))
        .trim_end_matches(':')
        .to_owned()
}

/// What `ssh -G` names when nothing is said of identity files.
fn default_files(dir: &Path) -> Vec<String> {
    support::write_private(&dir.join("empty"), b"");
    let mut ssh = support::program("ssh");
    let output = ssh
        .arg("-G")
        .arg("-F")
        .arg(dir.join("empty"))
        .arg("web")
        .output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    let lines = said
        .lines()
        .filter_map(|line| line.strip_prefix("identityfile "));
    lines.map(str::to_owned).collect()
}

/// As passwd has them: ssh does not go by `HOME`.
fn person() -> Person {
    let said = |program: &str, arguments: &[&str]| {
        let output = support::program(program).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let name = said("id", &["-un"]);
    let home = said("getent", &["passwd", &name]);
    Person {
        home: home.split(':').nth(5).unwrap().to_owned(),
        name,
    }
}
