//! See `redial_fuzz::proto::proto_client`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redial_fuzz::proto::proto_client(data));
