//! See `redial_fuzz::frame::frame_format`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redial_fuzz::frame::frame_format(data));
