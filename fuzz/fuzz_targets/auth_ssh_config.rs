//! See `redial_fuzz::auth::ssh_config`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redial_fuzz::auth::ssh_config(data));
