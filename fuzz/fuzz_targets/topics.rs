//! See `topics` in src/lib.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| longweave_fuzz::fuzz(longweave_fuzz::topics, data));
