//! See `redial_fuzz::auth::known_hosts`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redial_fuzz::auth::known_hosts(data));
