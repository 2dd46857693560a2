//! A file sent with its length before it.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use redial_classic::address::{Address, Reach};
use redial_classic::connect::Stream;
use redial_classic::listen::Listener;
use redial_classic::remote::{Answer, Overwrite, Parcel, ReceiveSettings, RemoteError, receive};
use redial_frame::HeaderFormat;

use crate::support::{PATIENCE, exchange, headed};

fn settings() -> ReceiveSettings {
    ReceiveSettings {
        header: HeaderFormat::NATIVE_INT,
        max_size: 1 << 30,
        overwrite: Overwrite::Refuse,
        patience: PATIENCE,
    }
}

/// Receives in a thread: where, what came of it, and the failures on the way.
struct Receiving {
    address: Address,
    done: Receiver<Result<u64, RemoteError>>,
    failed: Receiver<String>,
    _stop: std::io::PipeWriter,
}

fn receiving(target: &Path, settings: ReceiveSettings) -> Receiving {
    let place: Address = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(&place, 5, Reach::ThisMachine).unwrap();
    let (hear, stop) = std::io::pipe().unwrap();
    let (tell, failed) = channel();
    let (end, done) = channel();
    let (address, target) = (listener.address().clone(), target.to_owned());
    thread::spawn(move || {
        let mut tell = |_: &_, error: &RemoteError| tell.send(error.to_string()).unwrap();
        let stop = hear.as_fd();
        end.send(receive(&listener, &target, &settings, stop, &mut tell))
    });
    Receiving {
        address,
        done,
        failed,
        _stop: stop,
    }
}

fn send(to: &Address, file: &Path, header: HeaderFormat) -> Result<u64, RemoteError> {
    let parcel = Parcel::open(file, header)?;
    parcel.send(Stream::connect(to).unwrap(), Answer::Wanted, PATIENCE, None)
}

#[test]
fn a_file_arrives_whole_and_is_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    for length in [0, 1, 1_000_000] {
        let (from, to) = (dir.path().join("from"), dir.path().join(length.to_string()));
        let bytes: Vec<u8> = (0..length).map(|at| (at * 7) as u8).collect();
        fs::write(&from, &bytes).unwrap();
        let receiving = receiving(&to, settings());
        let sent = send(&receiving.address, &from, HeaderFormat::NATIVE_INT).unwrap();
        assert_eq!(sent, length);
        assert_eq!(receiving.done.recv().unwrap().unwrap(), length);
        assert!(fs::read(&to).unwrap() == bytes);
    }
}

#[test]
fn on_the_wire_it_is_the_length_then_the_bytes_and_an_empty_reply_confirms() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("to");
    let receiving = receiving(&to, settings());
    let stream = Stream::connect(&receiving.address).unwrap();
    assert_eq!(exchange(&stream, b"\x03\0\0\0abc"), headed(b""));
    assert_eq!(fs::read(&to).unwrap(), b"abc");
}

#[test]
fn a_transfer_that_is_cut_off_leaves_nothing_and_the_next_one_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("to");
    let receiving = receiving(&to, settings());
    let stream = Stream::connect(&receiving.address).unwrap();
    let answer = exchange(&stream, b"\x03\0\0\0ab");
    let words = "the input ended inside a frame; bytes missing from its payload: 1";
    assert_eq!(answer, headed(format!("redial: {words}\n").as_bytes()));
    assert_eq!(receiving.failed.recv().unwrap(), words);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let stream = Stream::connect(&receiving.address).unwrap();
    assert_eq!(exchange(&stream, b"\x01\0\0\0x"), headed(b""));
    assert_eq!(receiving.done.recv().unwrap().unwrap(), 1);
}

#[test]
fn nobody_ever_sees_half_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("to");
    fs::write(&to, "old").unwrap();
    let mut settings = settings();
    settings.overwrite = Overwrite::Replace;
    let receiving = receiving(&to, settings);
    let mut stream = Stream::connect(&receiving.address).unwrap();
    stream.write_all(b"\x06\0\0\0new").unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"old");
    assert_eq!(exchange(&stream, b"est"), headed(b""));
    assert_eq!(fs::read(&to).unwrap(), b"newest");
}

#[test]
fn a_file_that_is_there_is_not_replaced_unasked_even_if_it_came_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::write(&from, "new").unwrap();
    let receiving_ = receiving(&to, settings());
    // It listens once the first check is over: a caller is answered.
    let stream = Stream::connect(&receiving_.address).unwrap();
    exchange(&stream, b"");
    fs::write(&to, "old").unwrap();
    let error = send(&receiving_.address, &from, HeaderFormat::NATIVE_INT).unwrap_err();
    assert!(error.to_string().contains("--force"), "{error}");
    assert_eq!(fs::read(&to).unwrap(), b"old");
    let again = receiving(&to, settings());
    let error = again.done.recv().unwrap().unwrap_err();
    assert!(error.to_string().contains("is there already"), "{error}");
}

#[test]
fn only_a_regular_file_is_replaced_or_sent() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    let mut settings = settings();
    settings.overwrite = Overwrite::Replace;
    for target in [
        link.as_path(),
        dir.path(),
        Path::new("/dev/null"),
        Path::new("/"),
    ] {
        let error = receiving(target, settings)
            .done
            .recv()
            .unwrap()
            .unwrap_err();
        assert!(matches!(error, RemoteError::File { .. }), "{error}");
    }
    let receiving = receiving(&dir.path().join("to"), settings);
    for file in [link.as_path(), dir.path()] {
        let error = send(&receiving.address, file, HeaderFormat::NATIVE_INT).unwrap_err();
        assert!(error.to_string().contains("no regular file"), "{error}");
    }
}

#[test]
fn a_file_over_the_limit_is_refused_before_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    fs::File::create(&from).unwrap().set_len(1 << 30).unwrap();
    let mut settings = settings();
    settings.max_size = 100;
    let receiving = receiving(&dir.path().join("to"), settings);
    let error = send(&receiving.address, &from, HeaderFormat::NATIVE_INT).unwrap_err();
    let words = "the other side says: the frame's payload of 1073741824 bytes is over the limit";
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn a_file_over_the_headers_range_is_an_error_not_a_wrong_number() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    fs::File::create(&from).unwrap().set_len(128).unwrap();
    let receiving = receiving(&dir.path().join("to"), settings());
    let error = send(&receiving.address, &from, "b".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("--header q"), "{error}");
}

#[test]
fn a_receiver_that_hangs_up_without_a_word_has_not_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    fs::write(&from, "abc").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    for answer in [Answer::Wanted, Answer::None] {
        let taken = thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = listener.accept().unwrap().0;
                std::io::Read::read_exact(&mut stream, &mut [0; 7]).unwrap();
            });
            let stream = Stream::connect(&address).unwrap();
            let parcel = Parcel::open(&from, HeaderFormat::NATIVE_INT).unwrap();
            parcel.send(stream, answer, PATIENCE, None)
        });
        match answer {
            Answer::Wanted => assert!(matches!(taken, Err(RemoteError::NoAnswer)), "{taken:?}"),
            Answer::None => assert_eq!(taken.unwrap(), 3),
        }
    }
}
