//! See `redial_fuzz::frame::frame_decoder`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redial_fuzz::frame::frame_decoder(data));
