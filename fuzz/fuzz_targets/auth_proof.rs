//! See `redial_fuzz::auth::proof`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redial_fuzz::auth::proof(data));
