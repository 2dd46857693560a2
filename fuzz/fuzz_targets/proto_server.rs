//! See `redial_fuzz::proto::proto_server`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redial_fuzz::proto::proto_server(data));
