//! Every message is canonical as written, comes back as it was, and in no other form.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use minicbor::{Decode, Encode};
use proptest::prelude::*;

use super::{Check, decode, encode};
use crate::canonical;
use crate::message::*;

fn bytes() -> impl Strategy<Value = ByteVec> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(ByteVec::from)
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,20}"
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..70_000_u64,
        Just(23),
        Just(24),
        Just(u64::MAX)
    ]
}

fn on_drop() -> impl Strategy<Value = OnDrop> {
    prop_oneof![
        Just(OnDrop::Kill),
        Just(OnDrop::Keep),
        offset().prop_map(OnDrop::KeepFor)
    ]
}

fn pty() -> impl Strategy<Value = Pty> {
    (any::<[u16; 4]>(), bytes()).prop_map(|([rows, columns, x_pixels, y_pixels], term)| Pty {
        rows,
        columns,
        x_pixels,
        y_pixels,
        term,
    })
}

fn keep() -> impl Strategy<Value = Keep> {
    let parts = (
        prop::option::of(offset()),
        any::<bool>(),
        prop::option::of(offset()),
    );
    parts.prop_map(|(bytes, tail, time_ms)| Keep {
        bytes,
        tail,
        time_ms,
    })
}

fn resent() -> impl Strategy<Value = Resent> {
    (offset(), any::<[u8; 16]>(), offset(), offset()).prop_map(
        |(ago_ms, instance, stdout_from, stderr_from)| Resent {
            ago_ms,
            instance: instance.into(),
            stdout_from,
            stderr_from,
        },
    )
}

fn start() -> impl Strategy<Value = Start> {
    let words = prop::collection::vec(bytes(), 0..5);
    let env = prop::collection::vec((bytes(), bytes()), 0..5);
    let what = (
        any::<[u8; 16]>(),
        prop::option::of(words),
        prop::option::of(bytes()),
        prop::option::of(bytes()),
        prop::option::of(env),
        prop::option::of(pty()),
    );
    let how = (
        any::<[bool; 3]>(),
        prop::option::of(offset()),
        any::<u32>(),
        on_drop(),
        offset(),
        offset(),
        prop::option::of(resent()),
        prop::option::of(keep()),
        prop::option::of(resources()),
    );
    (what, how).prop_map(|(what, how)| Start {
        job: what.0.into(),
        argv: what.1,
        shell: what.2,
        cwd: what.3,
        env: what.4,
        stdin: how.0[0],
        pty: what.5,
        deadline_ms: how.1,
        drain_ms: how.2,
        on_drop: how.3,
        reap: how.0[1],
        detach: how.0[2],
        stdout_credit: how.4,
        stderr_credit: how.5,
        resent: how.6,
        keep: how.7,
        resources: how.8,
    })
}

fn resources() -> impl Strategy<Value = Resources> {
    let memory = prop::option::of(1..u64::MAX);
    let cpu = prop::option::of(10..u32::MAX);
    let (pids, nice) = (prop::option::of(1..u32::MAX), prop::option::of(0..=19_u8));
    (memory, cpu, pids, nice).prop_map(|(memory, cpu_milli, pids, nice)| Resources {
        memory,
        cpu_milli,
        pids,
        nice,
    })
}

fn control() -> impl Strategy<Value = Control> {
    let kind = prop_oneof![
        any::<u8>().prop_map(ControlKind::Signal),
        any::<[u16; 4]>().prop_map(|[a, b, c, d]| ControlKind::Resize(a, b, c, d)),
        (1..=2_u8).prop_map(ControlKind::Stop),
        any::<u32>().prop_map(ControlKind::Cancel),
    ];
    (1..u64::MAX, kind).prop_map(|(number, kind)| Control { number, kind })
}

fn digest() -> impl Strategy<Value = DigestMessage> {
    (offset(), any::<[u8; 16]>(), any::<bool>()).prop_map(|(bytes, checksum, complete)| {
        DigestMessage {
            bytes,
            checksum: checksum.into(),
            complete,
        }
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let status = prop_oneof![
        any::<u8>().prop_map(Status::Exited),
        any::<(u8, bool)>().prop_map(|(signal, core)| Status::Signaled(signal, core)),
        (text(), any::<i32>(), bytes())
            .prop_map(|(stage, errno, path)| Status::NotStarted(stage, errno, path)),
        Just(Status::Unknown),
    ];
    let cause = prop_oneof![
        Just(Cause::Itself),
        Just(Cause::Deadline),
        "[a-z]{0,20}".prop_map(Cause::Cancelled),
        Just(Cause::LineDropped),
        Just(Cause::ServerEnded),
        Just(Cause::OutOfMemory),
    ];
    let holders = prop::collection::vec((any::<u32>(), "[a-z]{0,16}"), 0..4);
    let figures = (any::<u32>(), any::<bool>(), offset(), offset());
    (
        status,
        cause,
        [digest(), digest(), digest()],
        holders,
        figures,
    )
        .prop_map(
            |(status, cause, [stdin, stdout, stderr], holders, figures)| Outcome {
                status,
                cause,
                stdin,
                stdout,
                stderr,
                holders,
                lingering: figures.0,
                exact: figures.1,
                duration_ms: figures.2,
                cpu_us: figures.3,
            },
        )
}

fn authenticate() -> impl Strategy<Value = Authenticate> {
    let keys = prop::collection::vec(bytes(), 0..5);
    (text(), keys, prop::option::of(bytes())).prop_map(|(user, keys, signature)| Authenticate {
        user,
        keys,
        signature,
    })
}

/// Canonical, and the same again; and refused in each of the other forms it could have.
fn holds<T>(message: &T) -> Result<(), TestCaseError>
where
    T: Encode<()> + for<'b> Decode<'b, ()> + Check + PartialEq + Debug,
{
    let bytes = encode(message);
    prop_assert_eq!(canonical::check(&bytes), Ok(()));
    prop_assert_eq!(&decode::<T>(&bytes).expect("its own encoding"), message);
    for other in other_forms(&bytes) {
        prop_assert!(decode::<T>(&other).is_err(), "{:02x?}", other);
    }
    Ok(())
}

/// The same map written as the protocol does not allow, and some that are cut.
fn other_forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let pairs = bytes[0] & 31;
    let more = 0xa0 | (pairs + 1);
    let mut forms: Vec<Vec<u8>> = vec![
        [bytes, b"\x00"].concat(),
        // The length of the map in a byte of its own; no length.
        [b"\xb8", &[pairs], &bytes[1..]].concat(),
        [b"\xbf", &bytes[1..], b"\xff"].concat(),
        // Key 0 twice; a key out of order at the end.
        [&[more], &b"\x00\x00"[..], &bytes[1..]].concat(),
        [&[more], &bytes[1..], b"\x00\x00"].concat(),
        // The first key, 0, in a byte of its own.
        [&bytes[..1], b"\x18", &bytes[1..]].concat(),
    ];
    forms.extend((0..bytes.len()).map(|cut| bytes[..cut].to_vec()));
    forms
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn messages_are_canonical_and_come_back(
        start in start(),
        control in control(),
        outcome in outcome(),
        authenticate in authenticate(),
    ) {
        holds(&start)?;
        holds(&control)?;
        holds(&outcome)?;
        holds(&authenticate)?;
    }

    #[test]
    fn an_unknown_key_behind_the_known_ones_is_skipped(start in start(), value in offset()) {
        let mut bytes = encode(&start);
        bytes[0] += 1;
        bytes.extend(b"\x18\x63");
        bytes.extend(encode(&value));
        prop_assert_eq!(decode::<Start>(&bytes).expect("skipped"), start);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if canonical::check(&bytes).is_ok() {
            let _ = decode::<Start>(&bytes);
            let _ = decode::<Outcome>(&bytes);
            let _ = decode::<ClientHello>(&bytes);
        }
    }

    #[test]
    fn a_changed_byte_is_refused_or_taken_for_what_it_says(
        outcome in outcome(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encode(&outcome);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(changed) = decode::<Outcome>(&bytes) {
            holds(&changed)?;
        }
    }
}
