//! Outputs in memory and on disk, and what a client finds that takes them up.

use super::*;

const OUT: Output = Output::Stdout;
const ERR: Output = Output::Stderr;

fn read(outputs: &Outputs<u64>, content: &Content) -> Vec<u8> {
    let mut bytes = Vec::new();
    let each = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    outputs.stored(content).read(each).unwrap();
    bytes
}

/// As a server would say it.
fn digest(bytes: &[u8]) -> Option<(u64, [u8; 16])> {
    let sum: u128 = bytes.iter().fold(7, |sum: u128, &byte| {
        sum.wrapping_mul(31) + u128::from(byte)
    });
    Some((bytes.len() as u64, sum.to_be_bytes()))
}

/// Takes all of it in pieces; the last offset a receipt was given back for.
fn take(outputs: &mut Outputs<u64>, place: Place, bytes: &[u8], piece: usize) -> u64 {
    let (mut offset, mut given) = (0, 0);
    for part in bytes.chunks(piece) {
        let end = offset + part.len() as u64;
        given = outputs
            .take(place, offset, part, end)
            .unwrap()
            .unwrap_or(given);
        offset = end;
    }
    given
}

fn end(outputs: &mut Outputs<u64>, host: usize, out: &[u8], err: &[u8]) {
    outputs.end(host, [digest(out), digest(err)]).unwrap();
}

#[test]
fn same_outputs_are_kept_once_with_all_their_hosts() {
    let mut outputs = Outputs::new(None, true);
    for host in 0..5 {
        let out: &[u8] = if host == 3 { b"other" } else { b"same" };
        take(&mut outputs, (host, OUT), out, 2);
        end(&mut outputs, host, out, b"");
    }
    let contents = outputs.contents(OUT);
    assert_eq!(contents[0].hosts, [0, 1, 2, 4]);
    assert_eq!(read(&outputs, contents[0]), b"same");
    assert_eq!(
        (&contents[1].hosts[..], &*read(&outputs, contents[1])),
        (&[3][..], &b"other"[..])
    );
    // Empty ones are nothing to show.
    assert!(outputs.contents(ERR).is_empty());
}

#[test]
fn a_receipt_is_given_back_only_for_what_is_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("outputs");
    let mut outputs = Outputs::new(Some(path.clone()), true);
    let long: Vec<u8> = (0..PIECE_BYTES * 3 + 100)
        .map(|at| (at % 251) as u8)
        .collect();
    let given = take(&mut outputs, (0, OUT), &long, 1000);
    assert!(
        given >= (PIECE_BYTES * 2) as u64 && given < long.len() as u64,
        "{given}"
    );
    take(&mut outputs, (1, ERR), b"small", 5);
    // The client dies: what it has given a receipt for is there.
    let mut again = Outputs::<u64>::new(Some(path), true);
    again.take_up(&[], |_| false).unwrap();
    assert_eq!(again.reached(0), Some([given, 0]));
    assert_eq!(again.reached(1), None);
    // And the rest follows on it.
    let rest = &long[usize::try_from(given).unwrap()..];
    again.take((0, OUT), given, rest, 0).unwrap();
    end(&mut again, 0, &long, b"");
    assert!(read(&again, again.contents(OUT)[0]) == long);
}

#[test]
fn ended_hosts_are_found_again_and_shown_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("outputs");
    let mut outputs = Outputs::new(Some(path.clone()), true);
    let texts: [&[u8]; 3] = [b"a", b"a", b"b"];
    for (host, text) in texts.iter().enumerate() {
        take(&mut outputs, (host, OUT), text, 1);
        end(&mut outputs, host, text, b"");
    }
    let ended: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(host, text)| (host, [digest(text), digest(b"")]))
        .collect();
    let mut again = Outputs::<u64>::new(Some(path), true);
    again.take_up(&ended, |host| host == 2).unwrap();
    let contents = again.contents(OUT);
    assert_eq!(contents.len(), 1);
    assert_eq!(
        (&contents[0].hosts[..], &*read(&again, contents[0])),
        (&[0, 1][..], &b"a"[..])
    );
}

#[test]
fn a_torn_piece_at_the_end_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("outputs");
    let mut outputs = Outputs::new(Some(path.clone()), true);
    take(&mut outputs, (0, OUT), b"first", 5);
    end(&mut outputs, 0, b"first", b"");
    take(&mut outputs, (1, OUT), b"second", 6);
    outputs.end(1, [None, None]).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let mut again = Outputs::<u64>::new(Some(path.clone()), true);
        again.take_up(&[], |_| false).unwrap();
        let reached = again.reached(0).map_or(0, |ends| ends[0]);
        assert_eq!(reached, if cut < 29 { 0 } else { 5 }, "{cut}");
    }
}

#[test]
fn memory_is_bounded_however_many_hosts_write() {
    let mut outputs = Outputs::new(None, true);
    let piece = vec![b'x'; PIECE_BYTES - 1];
    for host in 0..3 * WAITING_BYTES / PIECE_BYTES {
        outputs.take((host, OUT), 0, &piece, 0).unwrap();
        assert!(outputs.waiting < WAITING_BYTES);
    }
}

#[test]
fn what_one_host_has_alone_can_be_taken_out() {
    let mut outputs = Outputs::new(None, true);
    take(&mut outputs, (4, OUT), b"out", 1);
    take(&mut outputs, (4, ERR), b"err", 1);
    outputs.end(4, [None, None]).unwrap();
    let own = outputs.remove(4);
    let texts: Vec<Vec<u8>> = own.iter().map(|content| read(&outputs, content)).collect();
    assert_eq!(texts, [b"out", b"err"]);
    assert!(outputs.remove(4).is_empty());
}

#[test]
fn what_waits_is_not_kept_from_its_server_for_long() {
    let mut outputs = Outputs::new(None, true);
    take(&mut outputs, (0, OUT), b"a little", 8);
    take(&mut outputs, (1, OUT), b"done", 4);
    end(&mut outputs, 1, b"done", b"");
    assert!(outputs.turn().unwrap().is_empty());
    assert_eq!(outputs.turn().unwrap(), [8]);
    assert_eq!(outputs.reached(0), Some([8, 0]));
    assert!(outputs.turn().unwrap().is_empty());
    end(&mut outputs, 0, b"a little", b"");
    assert_eq!(read(&outputs, outputs.contents(OUT)[0]), b"a little");
}

#[test]
fn what_comes_again_is_kept_once_and_what_is_not_shared_by_each() {
    let mut outputs = Outputs::new(None, false);
    for host in 0..2 {
        outputs.take((host, OUT), 0, b"abcdef", 6).unwrap();
        outputs.take((host, OUT), 3, b"defgh", 8).unwrap();
        outputs.take((host, OUT), 2, b"cd", 8).unwrap();
        end(&mut outputs, host, b"abcdefgh", b"");
    }
    for host in 0..2 {
        let own = outputs.remove(host);
        assert_eq!(read(&outputs, &own[0]), b"abcdefgh");
    }
}
