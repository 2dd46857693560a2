//! What the tokio-util codec adds to the rest: refusals, and no copy.
#![cfg(feature = "codec")]

use bytes::{Bytes, BytesMut};
use redial_frame::{FrameCodec, FrameError, Framing, HeaderFormat, StreamError};
use tokio_util::codec::{Decoder, Encoder};

#[test]
fn a_payload_that_is_too_long_leaves_the_output_as_it_was() {
    let mut codec = FrameCodec::new(Framing::new(HeaderFormat::U32_BE).with_max_payload(3));
    let mut wire = BytesMut::new();
    codec.encode(Bytes::from_static(b"abc"), &mut wire).unwrap();
    let refused = codec.encode("abcd", &mut wire);
    assert!(matches!(
        refused,
        Err(StreamError::Frame(FrameError::OverLimit {
            length: 4,
            limit: 3
        }))
    ));
    assert_eq!(wire, b"\0\0\0\x03abc"[..]);
}

#[test]
fn a_payload_is_a_part_of_the_input_and_not_a_copy() {
    let mut codec = FrameCodec::new(Framing::new(HeaderFormat::U32_BE));
    let mut wire = BytesMut::from(&b"\0\0\0\x03abc\0\0\0\x01d"[..]);
    let start = wire.as_ptr() as usize;
    let payload = codec.decode(&mut wire).unwrap().unwrap();
    assert_eq!(payload, b"abc"[..]);
    assert_eq!(payload.as_ptr() as usize, start + 4);
    let payload = codec.decode(&mut wire).unwrap().unwrap();
    assert_eq!(payload.as_ptr() as usize, start + 11);
    assert!(codec.decode_eof(&mut wire).unwrap().is_none());
}
