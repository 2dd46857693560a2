//! `redial-floor serve DIR`: listens on DIR/socket and on a port of the loopback, which it prints.
//! `redial-floor dial PORT`: asks for one `true` there, as a whole process.
//! `redial-floor receive WHERE FORM BYTES`: has so many bytes sent, and writes them to stdout.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use anyhow::Context;
use redial_floor::carry::{self, Form};
use redial_floor::lane;

/// What a client says first: what it wants. A lane asks with any other byte.
const CARRY: u8 = b'c';
const SEAL: u8 = b's';

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["serve", dir] => serve(Path::new(dir)),
        ["dial", port] => dial(port),
        ["receive", place, form, bytes] => receive(place, form, bytes),
        _ => Err(anyhow::anyhow!(
            "redial-floor serve DIR | dial PORT | receive WHERE FORM BYTES"
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redial-floor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(dir: &Path) -> anyhow::Result<()> {
    let unix = UnixListener::bind(dir.join("socket")).context("socket")?;
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port")?;
    println!("{}", tcp.local_addr()?.port());
    thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            let _ = stream.set_nodelay(true);
            thread::spawn(move || report(one(stream)));
        }
    });
    for stream in unix.incoming() {
        let stream = stream.context("accept")?;
        thread::spawn(move || report(one(stream)));
    }
    Ok(())
}

fn report(done: anyhow::Result<()>) {
    if let Err(error) = done {
        // Who waits for an answer gets none, and that ends the measurement.
        eprintln!("redial-floor: {error:#}");
    }
}

/// A connection: its first byte says what is wanted.
fn one<S>(stream: S) -> anyhow::Result<()>
where
    S: AsFd,
    for<'s> &'s S: Read + Write,
{
    let mut first = [0];
    // It stays there for a lane, which counts it.
    let (_, _) = rustix::net::recv(&stream, &mut first, rustix::net::RecvFlags::PEEK)?;
    let form = match first[0] {
        CARRY => Form::Plain,
        SEAL => Form::Aes,
        _ => return lane::serve(stream),
    };
    let mut bytes = [0; 9];
    (&stream).read_exact(&mut bytes)?;
    let bytes = u64::from_be_bytes(bytes[1..].try_into()?);
    let mut child = carry::producer(bytes)?;
    let output = child.stdout.take().context("no output")?;
    // As large as redial makes that of a busy command.
    let _ = rustix::pipe::fcntl_setpipe_size(&output, 1 << 20);
    carry::send(output, &stream, form)?;
    anyhow::ensure!(child.wait()?.success(), "head failed");
    Ok(())
}

fn dial(port: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port.parse()?))?;
    stream.write_all(b".")?;
    let mut answer = [0];
    stream.read_exact(&mut answer).context("true failed there")
}

fn receive(place: &str, form: &str, bytes: &str) -> anyhow::Result<()> {
    let (word, form) = match form {
        "plain" => (CARRY, Form::Plain),
        "aes" => (SEAL, Form::Aes),
        other => anyhow::bail!("no form {other:?}"),
    };
    let wanted: u64 = bytes.parse()?;
    let ask = [&[word][..], &wanted.to_be_bytes()].concat();
    let output = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let all = match place.parse::<u16>() {
        Ok(port) => {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.write_all(&ask)?;
            carry::receive(stream, output, form)?
        }
        Err(_) => {
            let mut stream = UnixStream::connect(place)?;
            stream.write_all(&ask)?;
            carry::receive(stream, output, form)?
        }
    };
    anyhow::ensure!(all == wanted, "{all} bytes of {wanted}");
    Ok(())
}
