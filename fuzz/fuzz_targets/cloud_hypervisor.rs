//! Snapshots of Cloud Hypervisor: `src/cloud_hypervisor.rs` says what is done with an input.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pt_fuzz::cloud_hypervisor::run(input));
