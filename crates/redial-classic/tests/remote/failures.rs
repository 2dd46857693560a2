//! Where the lesson's programs fail: a test for each failure, named after it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use redial_classic::connect::Stream;
use redial_classic::remote::Framed;

use crate::support::{
    Server, call, client, ends, eventually, exchange, framed, headed, mark, running, runs, settings,
};

#[test]
fn deadlock_when_a_command_fills_stdout_while_stderr_is_read() {
    let server = Server::start(settings());
    let reply = server.reply("head -c 200000 /dev/zero; echo end >&2");
    assert_eq!(reply.len(), 200_000 + 4);
    assert!(reply.ends_with(b"end\n"));
}

#[test]
fn one_client_blocks_all_others() {
    let server = Server::start(settings());
    let mark = mark();
    let _idle = server.dial();
    let mut busy = server.dial();
    write!(busy, "sleep {mark}").unwrap();
    runs(&format!("sleep {mark}"));
    assert_eq!(server.reply("echo free"), b"free\n");
}

#[test]
fn more_clients_than_the_server_takes_wait_until_one_hangs_up() {
    let mut settings = settings();
    settings.max_clients = 2;
    let server = Server::start(settings);
    let first = server.dial();
    let _second = server.dial();
    server.tells("Full(2)");
    let mut third = server.client();
    let waiting = thread::spawn(move || call(&mut third, "echo here").unwrap().0);
    drop(first);
    assert_eq!(waiting.join().unwrap(), b"here\n");
}

#[test]
fn stdout_thrown_away_when_there_is_stderr() {
    let server = Server::start(settings());
    assert_eq!(server.reply("echo o; echo e >&2"), b"o\ne\n");
}

#[test]
fn reply_cut_at_1024_bytes() {
    for how in [Framed::Reply, Framed::Both] {
        let server = Server::start(framed(how));
        let reply = server.reply("seq 1000000");
        let expected: String = (1..=1_000_000).map(|it| format!("{it}\n")).collect();
        assert!(reply == expected.as_bytes(), "{how:?}");
    }
    // Without a header, the whole comes while the line is not quiet for long.
    let mut settings = framed(Framed::Neither);
    settings.wire.quiet = Duration::from_millis(500);
    assert_eq!(
        Server::start(settings).reply("head -c 5000 /dev/zero"),
        [0; 5000]
    );
}

#[test]
fn command_cut_at_1024_bytes() {
    for how in [Framed::Neither, Framed::Reply, Framed::Both] {
        let server = Server::start(framed(how));
        let text = "x".repeat(5_000);
        let reply = server.reply(format!("printf %s {text} | wc -c"));
        assert_eq!(String::from_utf8(reply).unwrap().trim(), "5000", "{how:?}");
    }
}

#[test]
fn a_command_sent_in_pieces_is_one_command_while_the_line_is_not_quiet() {
    let mut settings = settings();
    settings.wire.quiet = Duration::from_secs(1);
    let server = Server::start(settings);
    let mut stream = server.dial();
    for piece in ["echo one; ", "echo ", "two"] {
        stream.write_all(piece.as_bytes()).unwrap();
    }
    assert_eq!(exchange(&stream, b""), headed(b"one\ntwo\n"));
}

#[test]
fn short_read_of_the_header() {
    // A server whose header arrives byte by byte, as TCP may deliver it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        for byte in headed(b"hello") {
            stream.write_all(&[byte]).unwrap();
            thread::yield_now();
        }
    });
    let mut client = client(&address, settings().wire);
    assert_eq!(call(&mut client, "what").unwrap().0, b"hello");
    server.join().unwrap();
}

#[test]
fn a_reply_that_is_cut_off_is_an_error() {
    for (sent, words) in [
        (&b"\x05\0\0\0hel"[..], "missing from its payload: 2"),
        (b"\x05\0", "missing from its header: 2"),
        (b"", "hung up without an answer"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
            stream.write_all(sent).unwrap();
        });
        let mut client = client(&address, settings().wire);
        let error = call(&mut client, "what").unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        server.join().unwrap();
    }
}

#[test]
fn a_reply_over_the_headers_range_is_an_error_not_a_wrong_number() {
    let mut settings = settings();
    settings.wire.header = "b".parse().unwrap();
    let server = Server::start(settings);
    let mut client = server.client();
    let (reply, _) = call(&mut client, "printf %127s x").unwrap();
    assert_eq!(reply.len(), 127);
    let (reply, _) = call(&mut client, "printf %128s x").unwrap();
    let words = String::from_utf8(reply).unwrap();
    assert!(words.starts_with("redial: the reply cannot be sent: a payload of 128 bytes"));
    // The connection is as good as before.
    assert_eq!(call(&mut client, "echo on").unwrap().0, b"on\n");
}

#[test]
fn empty_output_leaves_the_unframed_client_waiting() {
    let server = Server::start(framed(Framed::Neither));
    let mut client = server.client();
    assert_eq!(call(&mut client, "true").unwrap().0, b"\n");
    assert_eq!(call(&mut client, "echo on").unwrap().0, b"on\n");
}

#[test]
fn the_child_inherits_the_servers_stdin_so_cat_hangs() {
    let server = Server::start(settings());
    assert_eq!(server.reply("cat"), b"");
    assert_eq!(server.reply("readlink /proc/self/fd/0"), b"/dev/null\n");
}

#[test]
fn a_command_that_is_not_utf8_ends_the_connection() {
    let server = Server::start(settings());
    let mut client = server.client();
    assert_eq!(
        call(&mut client, b"printf %s \xff\xd6\xd0").unwrap().0,
        b"\xff\xd6\xd0"
    );
    assert_eq!(call(&mut client, "echo on").unwrap().0, b"on\n");
}

#[test]
fn output_that_is_not_utf8_ends_the_connection() {
    let server = Server::start(settings());
    let mut client = server.client();
    let (reply, _) = call(&mut client, "printf '\\377\\000\\326'").unwrap();
    assert_eq!(reply, b"\xff\0\xd6");
    assert_eq!(call(&mut client, "echo on").unwrap().0, b"on\n");
}

#[test]
fn a_command_that_never_ends() {
    let mut settings = settings();
    settings.deadline = Duration::from_millis(300);
    let server = Server::start(settings);
    let mark = mark();
    let mut client = server.client();
    let (reply, _) = call(&mut client, format!("echo so far; sleep {mark}")).unwrap();
    let words = "so far\nredial: the command was ended after 0.3 s, its deadline\n";
    assert_eq!(String::from_utf8(reply).unwrap(), words);
    ends(&mark);
    assert_eq!(call(&mut client, "echo on").unwrap().0, b"on\n");
}

#[test]
fn a_command_that_never_ends_and_does_not_listen_to_sigterm() {
    let mut settings = settings();
    settings.deadline = Duration::from_millis(300);
    let server = Server::start(settings);
    let mark = mark();
    let command = format!("trap '' TERM; (sleep {mark} >/dev/null 2>&1); sleep {mark}; echo not");
    let reply = String::from_utf8(server.reply(command)).unwrap();
    assert!(
        !reply.contains("not") && reply.contains("deadline"),
        "{reply}"
    );
    ends(&mark);
}

#[test]
fn a_background_process_that_holds_the_output_open_delays_the_reply_by_2_s_only() {
    let server = Server::start(settings());
    let (mark, began) = (mark(), Instant::now());
    let reply = server.reply(format!("echo $$; exec sleep {mark} &"));
    let reply = String::from_utf8(reply).unwrap();
    assert!(reply.contains("keeps its output open"), "{reply}");
    assert!(began.elapsed() >= Duration::from_secs(2));
    // It goes on, as it would with ssh; so we end it here.
    let group: i32 = reply.lines().next().unwrap().parse().unwrap();
    let group = rustix::process::Pid::from_raw(group).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    ends(&mark);
}

#[test]
fn reset_by_the_client() {
    for command in ["sleep", "exec sleep"] {
        let server = Server::start(settings());
        let mark = mark();
        let mut stream = server.dial();
        write!(stream, "{command} {mark}").unwrap();
        runs(&mark);
        // Closing with no time to linger is a reset (socket(7), SO_LINGER).
        let linger = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&stream, linger).unwrap();
        drop(stream);
        ends(&mark);
        server.tells("Gone");
        assert_eq!(server.reply("echo on"), b"on\n");
    }
}

#[test]
fn reset_by_the_client_while_its_reply_is_sent() {
    let server = Server::start(settings());
    let mut stream = server.dial();
    stream.write_all(b"head -c 50000000 /dev/zero").unwrap();
    stream.read_exact(&mut [0; 10]).unwrap();
    drop(stream);
    server.tells("error: Some");
    assert_eq!(server.reply("echo on"), b"on\n");
}

#[test]
fn a_client_that_hangs_up_ends_its_command() {
    let dir = tempfile::tempdir().unwrap();
    for place in [
        "127.0.0.1:0",
        &format!("unix:{}", dir.path().join("s").display()),
    ] {
        let server = Server::at(place, settings());
        let mark = mark();
        let mut stream = server.dial();
        write!(stream, "sleep {mark}; echo").unwrap();
        runs(&mark);
        drop(stream);
        ends(&mark);
        server.tells("Gone");
    }
}

#[test]
fn zombies() {
    let server = Server::start(settings());
    let shells: Vec<u32> = (0..20)
        .map(|_| {
            String::from_utf8(server.reply("echo $$"))
                .unwrap()
                .trim()
                .parse()
                .unwrap()
        })
        .collect();
    // The reply comes after the shell was reaped, so its entry is gone, or another's.
    let me = std::process::id().to_string();
    for shell in shells {
        let stat = std::fs::read_to_string(format!("/proc/{shell}/stat")).unwrap_or_default();
        let after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        assert!(!after.starts_with(&format!("Z {me} ")), "{stat}");
    }
}

#[test]
fn port_not_reusable() {
    let mut server = Server::start(settings());
    let address = server.address.to_string();
    // The server's end hangs up first, so that the port is held in TIME_WAIT.
    let mut stream = server.dial();
    stream.write_all(b"echo on").unwrap();
    stream.read_exact(&mut [0; 7]).unwrap();
    server.stop();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    drop(stream);
    let again = Server::at(&address, settings());
    assert_eq!(again.reply("echo on"), b"on\n");
}

#[test]
fn a_server_that_ends_takes_its_running_commands_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let mut server = Server::at(&format!("unix:{}", socket.display()), settings());
    let mark = mark();
    let mut streams: Vec<Stream> = (0..3).map(|_| server.dial()).collect();
    for stream in &mut streams {
        write!(stream, "(sleep {mark} & sleep {mark}) | cat").unwrap();
    }
    let all = eventually(|| (running(&format!("sleep {mark}")) >= 6).then_some(()));
    assert!(all.is_some());
    server.stop();
    ends(&mark);
    assert!(!socket.exists());
    for stream in &mut streams {
        let ended = stream.read(&mut [0; 1]);
        assert!(matches!(ended, Ok(0)) || ended.is_err());
    }
}
