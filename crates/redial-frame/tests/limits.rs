//! Every bound at its limit and one past it, and memory that follows bytes, not claims.

use redial_frame::{DEFAULT_MAX_PAYLOAD, Decoder, FrameError, Framing, HeaderFormat, Parsed, Part};

fn format(text: &str) -> HeaderFormat {
    text.parse().expect("a format")
}

/// The header that says `number`, whatever a framing thinks of it.
fn raw(text: &str, number: i128) -> Vec<u8> {
    format(text)
        .pack(number)
        .expect("a number in range")
        .as_ref()
        .to_vec()
}

fn decode_error(framing: Framing, wire: &[u8]) -> FrameError {
    let error = framing.parse(wire).expect_err("a bad header");
    let mut decoder = Decoder::new(framing);
    for byte in wire {
        if let Err(same) = decoder.decode(&mut &[*byte][..]) {
            assert_eq!(same, error, "decoder and parse disagree");
            assert_eq!(decoder.finish(), Err(error));
            return error;
        }
    }
    panic!("the decoder took what parse refused: {error}");
}

#[test]
fn a_payload_may_be_as_long_as_the_limit_and_no_longer() {
    let framing = Framing::new(HeaderFormat::U32_BE).with_max_payload(10);
    let mut wire = Vec::new();
    framing.encode(&[7; 10], &mut wire).unwrap();
    assert_eq!(
        framing.parse(&wire),
        Ok(Parsed::Frame {
            payload: &[7; 10],
            consumed: 14
        })
    );

    let past = FrameError::OverLimit {
        length: 11,
        limit: 10,
    };
    assert_eq!(framing.encode(&[7; 11], &mut wire), Err(past));
    assert_eq!(
        wire.len(),
        14,
        "a refused payload leaves the output as it was"
    );
    assert_eq!(decode_error(framing, &raw(">I", 11)), past);
}

#[test]
fn the_default_limit_is_16_mib() {
    let framing = Framing::new(HeaderFormat::U32_BE);
    assert_eq!(framing.max_payload(), DEFAULT_MAX_PAYLOAD);
    assert_eq!(DEFAULT_MAX_PAYLOAD, 1 << 24);
    assert_eq!(
        framing.parse(&raw(">I", 1 << 24)),
        Ok(Parsed::Incomplete { needed: 1 << 24 })
    );
    let past = FrameError::OverLimit {
        length: (1 << 24) + 1,
        limit: 1 << 24,
    };
    assert_eq!(decode_error(framing, &raw(">I", (1 << 24) + 1)), past);
    assert_eq!(framing.header((1 << 24) + 1), Err(past));
}

#[test]
fn the_limit_is_on_the_payload_also_when_the_length_counts_the_header() {
    let framing = Framing::new(HeaderFormat::U16_LE)
        .with_includes_header(true)
        .with_max_payload(10);
    assert_eq!(framing.header(10).unwrap().as_ref(), raw("<H", 12));
    assert_eq!(
        framing.parse(&raw("<H", 12)),
        Ok(Parsed::Incomplete { needed: 10 })
    );
    let past = FrameError::OverLimit {
        length: 11,
        limit: 10,
    };
    assert_eq!(framing.header(11), Err(past));
    assert_eq!(decode_error(framing, &raw("<H", 13)), past);
}

#[test]
fn a_length_that_counts_the_header_may_be_the_header_and_no_less() {
    for text in [">B", ">h", "<I", ">q", "<Q"] {
        let framing = Framing::new(format(text)).with_includes_header(true);
        let size = format(text).size();
        let empty = raw(text, size as i128);
        assert_eq!(
            framing.parse(&empty),
            Ok(Parsed::Frame {
                payload: b"",
                consumed: size
            })
        );
        for length in 0..size as u64 {
            assert_eq!(
                decode_error(framing, &raw(text, i128::from(length))),
                FrameError::ShorterThanHeader {
                    length,
                    header: size
                }
            );
        }
    }
}

#[test]
fn a_negative_length_is_refused_for_every_signed_format_and_every_limit() {
    for text in [
        "b", "h", "i", "l", "q", "n", "<b", "<h", "<i", "<q", ">h", ">i", ">l", ">q",
    ] {
        let lowest = -i128::from(format(text).max_length()) - 1;
        for number in [-1, lowest, lowest + 1] {
            for limit in [0, 100, usize::MAX] {
                for includes_header in [false, true] {
                    let framing = Framing::new(format(text))
                        .with_max_payload(limit)
                        .with_includes_header(includes_header);
                    assert_eq!(
                        decode_error(framing, &raw(text, number)),
                        FrameError::Negative {
                            length: number as i64
                        },
                        "{text} {limit} {includes_header}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_payload_may_be_as_long_as_the_header_can_say_and_no_longer() {
    for (text, surplus) in [
        ("b", 0),
        ("b", 1),
        ("B", 0),
        ("B", 1),
        (">h", 0),
        (">h", 2),
        ("<H", 0),
    ] {
        let framing = Framing::new(format(text)).with_includes_header(surplus > 0);
        let max = format(text).max_length() - surplus;
        let mut wire = Vec::new();
        framing.encode(&vec![1; max as usize], &mut wire).unwrap();
        assert!(matches!(
            framing.parse(&wire),
            Ok(Parsed::Frame { payload, .. }) if payload.len() as u64 == max
        ));
        let length = max as usize + 1;
        assert_eq!(
            framing.header(length),
            Err(FrameError::TooLongForHeader {
                length,
                max,
                format: format(text)
            })
        );
    }
}

#[test]
fn a_limit_beyond_all_memory_neither_overflows_nor_panics() {
    for text in [">Q", "<q", "@N", ">I"] {
        for includes_header in [false, true] {
            let framing = Framing::new(format(text))
                .with_max_payload(usize::MAX)
                .with_includes_header(includes_header);
            assert!(framing.max_payload() < isize::MAX as usize);
            let longest = raw(text, i128::from(format(text).max_length()));
            match framing.parse(&longest) {
                Ok(Parsed::Incomplete { needed }) => assert!(needed <= isize::MAX as usize),
                Err(FrameError::OverLimit { .. }) => {}
                other => panic!("{other:?}"),
            }
            assert!(framing.header(usize::MAX).is_err());
        }
    }
}

#[test]
fn the_order_of_builder_calls_does_not_matter() {
    let framing = Framing::new(HeaderFormat::U8);
    assert_eq!(
        framing.with_includes_header(true).with_max_payload(300),
        framing.with_max_payload(300).with_includes_header(true)
    );
}

#[test]
fn an_end_inside_a_frame_says_in_which_part_and_how_many_bytes_are_missing() {
    let framing = Framing::new(HeaderFormat::U32_BE);
    let mut wire = Vec::new();
    framing.encode(b"first", &mut wire).unwrap();
    framing.encode(b"payload", &mut wire).unwrap();
    for length in 0..=wire.len() {
        let mut decoder = Decoder::new(framing);
        let mut input = &wire[..length];
        while decoder.decode(&mut input).unwrap().is_some() {}
        let within = if length < 9 { length } else { length - 9 };
        let expected = match within {
            0 => Ok(()),
            1..4 => Err(FrameError::Truncated {
                part: Part::Header,
                missing: 4 - within,
            }),
            _ if length == wire.len() => Ok(()),
            _ => {
                let whole = if length < 9 { 9 } else { 11 };
                Err(FrameError::Truncated {
                    part: Part::Payload,
                    missing: whole - within,
                })
            }
        };
        assert_eq!(decoder.finish(), expected, "after {length} bytes");
    }
}

#[test]
fn an_error_is_final_and_a_decoder_does_not_find_frames_after_it() {
    let framing = Framing::new(HeaderFormat::U8).with_max_payload(3);
    let mut decoder = Decoder::new(framing);
    let mut input: &[u8] = b"\x01a\x04abcd\x01b";
    assert_eq!(decoder.decode(&mut input), Ok(Some(&b"a"[..])));
    let error = Err(FrameError::OverLimit {
        length: 4,
        limit: 3,
    });
    for _ in 0..3 {
        assert_eq!(decoder.decode(&mut input), error);
        assert_eq!(decoder.decode(&mut &b"\x01b"[..]), error);
    }
}

#[test]
fn a_frame_within_one_piece_is_borrowed_from_it_even_if_its_header_came_before() {
    let framing = Framing::new(HeaderFormat::U16_BE);
    let mut decoder = Decoder::new(framing);
    let whole: &[u8] = b"\0\x03abc\0\x02";
    let mut input = whole;
    let payload = decoder.decode(&mut input).unwrap().unwrap();
    assert!(std::ptr::eq(payload, &raw const whole[2..5]));
    assert_eq!(decoder.decode(&mut input), Ok(None));

    let next: &[u8] = b"de\0\x01";
    let mut input = next;
    let payload = decoder.decode(&mut input).unwrap().unwrap();
    assert!(std::ptr::eq(payload, &raw const next[..2]));
    assert_eq!(decoder.decode(&mut input), Ok(None));
    assert_eq!(
        decoder.finish(),
        Err(FrameError::Truncated {
            part: Part::Payload,
            missing: 1
        })
    );
}

#[test]
fn a_decoder_gives_memory_back_when_told_and_loses_no_byte_by_it() {
    let framing = Framing::new(HeaderFormat::U32_BE);
    let long = vec![7; 1_000_000];
    let mut wire = Vec::new();
    framing.encode(&long, &mut wire).unwrap();
    let (first, mut last) = wire.split_at(wire.len() - 1);

    let mut decoder = Decoder::new(framing);
    assert_eq!(decoder.decode(&mut &first[..]), Ok(None));
    decoder.shrink_to(0);
    assert!(decoder.decode(&mut last) == Ok(Some(&long[..])));
    decoder.shrink_to(0);
    assert_eq!(decoder.finish(), Ok(()));
    let mut next: &[u8] = b"\0\0\0\x01a";
    assert_eq!(decoder.decode(&mut next), Ok(Some(&b"a"[..])));
}

#[test]
fn errors_are_sentences_with_the_numbers_in_them() {
    let cases = [
        (
            FrameError::Negative { length: -5 },
            "the frame's length is negative: -5",
        ),
        (
            FrameError::OverLimit {
                length: 11,
                limit: 10,
            },
            "the frame's payload of 11 bytes is over the limit of 10",
        ),
        (
            FrameError::TooLongForHeader {
                length: 256,
                max: 255,
                format: HeaderFormat::U8,
            },
            "a payload of 256 bytes is too long for the header `>B`, which can announce at most 255",
        ),
        (
            FrameError::ShorterThanHeader {
                length: 3,
                header: 4,
            },
            "the frame's length of 3 counts its header, yet is less than that header's 4 bytes",
        ),
        (
            FrameError::Truncated {
                part: Part::Payload,
                missing: 1,
            },
            "the input ended inside a frame; bytes missing from its payload: 1",
        ),
    ];
    for (error, text) in cases {
        assert_eq!(error.to_string(), text);
    }
}
