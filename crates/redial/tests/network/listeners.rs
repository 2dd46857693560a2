//! There is no listener on the network that would let somebody in without a key.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redial_keeper::account::Account;
use redial_net::proto::Kind;

use crate::stranger::{Stranger, frame, hello, source, start};
use crate::support::network::{Home, write_private};
use crate::support::processes::descendants;
use crate::support::server::terminate;
use crate::support::{Redial, noise, skip, wait};

const SEED: u64 = 0x5eed_0003;
/// Configurations that are tried.
const CONFIGURATIONS: usize = 2_000;

/// Files of keys by what is wrong with them; the last two are good.
struct Files {
    dir: tempfile::TempDir,
    all: Vec<PathBuf>,
}

const GOOD: usize = 2;

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = Home::with_key().public_key();
        let path = |name: &str| dir.path().join(name);
        let write = |name: &str, text: &str| {
            write_private(&path(name), text);
            path(name)
        };
        let mut all = vec![
            path("missing"),
            write("empty", ""),
            write("comments", &format!("# {key}\n\n   \n")),
            write("garbage", "let everybody in\n*\n\0\0\n"),
            write("unknown-option", &format!("no-auth {key}")),
            write("unclosed", &format!("command=\"x {key}")),
            write("cut", &key[..60]),
        ];
        fs::create_dir(path("directory")).unwrap();
        all.push(path("directory"));
        let loose = write("loose", &key);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        fs::set_permissions(&loose, mode).unwrap();
        all.push(loose);
        all.push(write("good", &key));
        all.push(write("restricted", &format!("restrict {key}")));
        Files { dir, all }
    }

    fn bad(&self) -> &[PathBuf] {
        &self.all[..self.all.len() - GOOD]
    }
}

#[test]
fn without_a_single_key_that_could_come_in_it_does_not_start_and_says_what_to_do() {
    let files = Files::new();
    let host_key = files.dir.path().join("host_key");
    let serve = |keys: &[&PathBuf]| {
        let mut redial = Redial::bare(["serve", "--listen", "127.0.0.1:0", "--host-key"]);
        redial = redial.args([&host_key]);
        for file in keys {
            redial = redial.args(["--authorized-keys"]).args([file]);
        }
        redial.ran()
    };
    for file in files.bad() {
        let ran = serve(&[file]);
        assert_eq!(ran.code, 125, "{file:?}: {}", ran.stderr);
        let line = ran.stderr.lines().last().unwrap();
        assert!(line.starts_with("redial: no key is authorised"), "{line}");
        assert!(line.contains("add a public key to"), "{line}");
        assert!(line.contains(file.to_str().unwrap()), "{line}");
    }
    let all: Vec<&PathBuf> = files.bad().iter().collect();
    assert_eq!(serve(&all).code, 125);
    let home = std::ffi::OsString::from(String::from_utf8(Account::own().unwrap().home).unwrap());
    let usual = [".ssh/authorized_keys", ".config/redial/authorized_keys"];
    if usual
        .iter()
        .any(|file| Path::new(&home).join(file).exists())
    {
        return skip("without_a_single_key_…: the usual files: this user has some");
    }
    let ran = serve(&[]);
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    assert!(
        ran.stderr.contains(".ssh/authorized_keys is not there"),
        "{}",
        ran.stderr
    );
}

/// Numbers by a seed.
struct Chance(std::vec::IntoIter<u8>);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        usize::from(self.0.next().unwrap()) % most
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

const ADDRESSES: [&str; 5] = [
    "127.0.0.1:0",
    "0.0.0.0:0",
    "[::1]:0",
    "localhost:0",
    "127.0.0.9:0",
];
/// What somebody might hope to switch authentication off with, and what only looks like it.
const FLAGS: [&[&str]; 14] = [
    &["--no-auth"],
    &["--insecure"],
    &["--auth", "none"],
    &["--allow-all"],
    &["--authorized-keys", ""],
    &["--authorized-keys", "/dev/null"],
    &["--authorized-keys=none"],
    &["--handshake-timeout", "1s"],
    &["--max-connections", "3"],
    &["--log-format", "json"],
    // Not alone: that is the way to the user's own server, which it would start.
    &["--stdio", "--listen", "127.0.0.1:0"],
    &["--stdio", "--private"],
    &["--front"],
    &["-v"],
];
const LINES: [&str; 9] = [
    "auth = false",
    "no-auth = true",
    "insecure = true",
    "authorized-keys = []",
    "authorized-keys = [\"/dev/null\"]",
    "authorized-keys = \"none\"",
    "max-channels = 4",
    "handshake-timeout = \"2s\"",
    "log-format = \"human\"",
];

/// One configuration, by flags, by variables and by a file.
fn configured(files: &Files, chance: &mut Chance, number: usize) -> Command {
    let dir = files.dir.path();
    let mut table = String::from("[serve]\n");
    let mut command = Command::new(crate::support::binary());
    command
        .env_clear()
        .env("HOME", dir)
        .env("XDG_RUNTIME_DIR", dir);
    command.arg("serve");
    let keys = |chance: &mut Chance| match chance.one_in(25) {
        true => chance.of(&files.all).clone(),
        false => chance.of(files.bad()).clone(),
    };
    if chance.one_in(3) {
        table.push_str(&format!("listen = [{:?}]\n", chance.of(&ADDRESSES)));
    }
    if table.len() < 12 || chance.one_in(2) {
        command.args(["--listen", *chance.of(&ADDRESSES)]);
    }
    match chance.below(3) {
        0 => {
            let both = [keys(chance), keys(chance)];
            table.push_str(&format!("authorized-keys = {both:?}\n"));
        }
        1 => {
            command.arg("--authorized-keys").arg(keys(chance));
            command.arg("--authorized-keys").arg(keys(chance));
        }
        _ => {
            command.arg("--authorized-keys").arg(keys(chance));
        }
    }
    if chance.one_in(4) {
        command.args(*chance.of(&FLAGS));
    }
    if chance.one_in(8) {
        table.push_str(chance.of::<&str>(&LINES));
        table.push('\n');
    }
    for variable in ["REDIAL_AUTH", "REDIAL_AUTHORIZED_KEYS", "REDIAL_NO_AUTH"] {
        if chance.one_in(10) {
            command.env(variable, chance.of(&["none", "0", "off", ""]));
        }
    }
    let file = dir.join(format!("settings-{number}"));
    fs::write(&file, table).unwrap();
    command.arg("--config").arg(file);
    command.arg("--host-key").arg(dir.join("host_key"));
    command
}

/// An address as the kernel's tables of sockets have it: words in the machine's order (proc_net(5)).
fn address(field: &str) -> SocketAddr {
    let (words, port) = field.split_once(':').unwrap();
    let starts = (0..words.len()).step_by(8);
    let bytes: Vec<u8> = starts
        .flat_map(|at| {
            let word = u32::from_str_radix(&words[at..at + 8], 16).unwrap();
            word.to_ne_bytes()
        })
        .collect();
    let ip = match <[u8; 4]>::try_from(&bytes[..]) {
        Ok(bytes) => IpAddr::from(bytes),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(&bytes[..]).unwrap()),
    };
    SocketAddr::new(ip, u16::from_str_radix(port, 16).unwrap())
}

/// Where on the network a process or its children listen; nobody else does there.
fn listens_on(pid: u32) -> Vec<SocketAddr> {
    let mut pids: Vec<u32> = descendants(pid).iter().map(|it| it.pid).collect();
    pids.push(pid);
    let links = pids.iter().flat_map(|pid| {
        fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
    });
    let sockets: Vec<String> = links
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            Some(
                link.to_str()?
                    .strip_prefix("socket:[")?
                    .trim_end_matches(']')
                    .to_owned(),
            )
        })
        .collect();
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table)
            .unwrap_or_default()
            .lines()
            .skip(1)
        {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // 0A is LISTEN.
            if fields[3] == "0A" && sockets.iter().any(|socket| socket == fields[9]) {
                found.push(address(fields[1]));
            }
        }
    }
    found
}

/// One that is started, and does not outlive the test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        // If it has ended already, so much the better.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether it ends by itself, or serves: then what listens lets nobody run anything.
fn judge(mut child: Started, canary: &Path) -> bool {
    let log = child.0.stderr.take().unwrap();
    let (send, lines) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let lines = std::io::BufRead::lines(std::io::BufReader::new(log));
        let lines = lines.map_while(Result::ok);
        lines.for_each(|line| drop(send.send(line)));
    });
    let is_up = |line: String| line.contains("listening") && line.contains("host_key");
    let serves = lines.iter().any(is_up);
    if serves {
        for address in listens_on(child.0.id()) {
            plain(address, canary);
            inside_tls(address, canary);
        }
        terminate(child.0.id());
    }
    wait(&mut child.0);
    reader.join().unwrap();
    serves
}

fn request(canary: &Path) -> [Vec<u8>; 2] {
    let start = start(&["touch", canary.to_str().unwrap()]);
    [
        frame(Kind::Hello, &hello("canary")),
        frame(Kind::Start, &start),
    ]
}

/// The whole request, without TLS.
fn plain(address: SocketAddr, canary: &Path) {
    // To connect to "any address" is to connect to this machine.
    let mut line = TcpStream::connect(address).expect("it listens there");
    line.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // It may hang up at the first byte.
    let _ = line.write_all(&request(canary).concat());
    let mut said = Vec::new();
    let _ = line.read_to_end(&mut said);
    assert!(said.is_empty(), "{said:?}");
}

fn inside_tls(address: SocketAddr, canary: &Path) {
    let here = [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED].map(IpAddr::V4);
    if !here.contains(&address.ip()) {
        return;
    }
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(async {
        let mut stranger = Stranger::new(address.port(), source(1)).await;
        stranger.send(&request(canary)).await;
        while let Some(frame) = stranger.next().await {
            let harmless = [Kind::Hello as u8, Kind::Goodbye as u8];
            assert!(harmless.contains(&frame.kind), "{frame:?}");
        }
    });
}

#[test]
fn of_two_thousand_configurations_none_listens_without_authentication() {
    let files = Files::new();
    let canary = files.dir.path().join("canary");
    let mut chance = Chance(noise(SEED, CONFIGURATIONS * 100).into_iter());
    let commands: Vec<Command> = (0..CONFIGURATIONS)
        .map(|number| configured(&files, &mut chance, number))
        .collect();
    let (started, queue) = (AtomicU32::new(0), std::sync::Mutex::new(commands));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(mut command) = queue.lock().unwrap().pop() else {
                        return;
                    };
                    command.stdin(Stdio::null()).stdout(Stdio::null());
                    let child = command.stderr(Stdio::piped()).spawn().unwrap();
                    if judge(Started(child), &canary) {
                        started.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let started = started.into_inner();
    println!("seed {SEED:#x}: {CONFIGURATIONS} configurations, {started} have a key and serve");
    assert!((20..CONFIGURATIONS as u32 / 4).contains(&started));
    assert!(!canary.exists(), "something was run");
}
