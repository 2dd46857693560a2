//! Memory follows the bytes that arrive, never the length that a header claims.
//!
//! One test alone in its process, since it reads the process's address space.
#![cfg(target_os = "linux")]

use std::fs;

use redial_frame::{Decoder, FrameReader, Framing, HeaderFormat};

/// A header that claims 4 GiB less one byte, and the first bytes of that.
const BOMB: &[u8] = b"\xff\xff\xff\xffabc";

const TIMES: usize = 10_000;

const ALLOWED_BYTES: usize = 10 * 1024 * 1024;

#[test]
fn ten_thousand_claims_of_4_gib_cost_less_than_10_mib() {
    let believing = Framing::new(HeaderFormat::U32_BE).with_max_payload(usize::MAX);
    let refusing = Framing::new(HeaderFormat::U32_BE);
    let before = address_space_bytes();

    let mut decoders = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let mut decoder = Decoder::new(believing);
        assert_eq!(decoder.decode(&mut &BOMB[..]), Ok(None));
        assert!(decoder.finish().is_err());
        decoders.push(decoder);

        assert!(Decoder::new(refusing).decode(&mut &BOMB[..]).is_err());
        assert!(FrameReader::new(BOMB, believing).read_frame().is_err());
        assert!(FrameReader::new(BOMB, refusing).read_frame().is_err());
    }
    #[cfg(feature = "codec")]
    let _buffers = decode_by_codec(believing);

    let grown = address_space_bytes().saturating_sub(before);
    assert!(grown < ALLOWED_BYTES, "{grown} bytes more than before");
    drop(decoders);
}

/// The codec's buffers keep what it reserved ahead, so these are few: one a connection.
#[cfg(feature = "codec")]
fn decode_by_codec(framing: Framing) -> Vec<bytes::BytesMut> {
    use tokio_util::codec::Decoder as _;

    let buffers = (0..64).map(|_| {
        let mut buffer = bytes::BytesMut::from(BOMB);
        let decoded = redial_frame::FrameCodec::new(framing).decode(&mut buffer);
        assert!(matches!(decoded, Ok(None)));
        assert!(buffer.capacity() <= 128 * 1024);
        buffer
    });
    buffers.collect()
}

fn address_space_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").expect("procfs is mounted");
    let pages = statm
        .split(' ')
        .next()
        .and_then(|pages| pages.parse::<usize>().ok());
    // Pages are at least this large; larger ones only make the test milder.
    pages.expect("the first number is the size in pages") * 4096
}
