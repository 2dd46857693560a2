//! See `redial_fuzz::auth::authorized_keys`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redial_fuzz::auth::authorized_keys(data));
