//! See `redial_fuzz::proto::authenticate::proto_authenticate`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    |data: &[u8]| redial_fuzz::proto::authenticate::proto_authenticate(data)
);
