//! Writing tables through the raw interface: ours and upstream's, in one run.
//!
//! | module | measures |
//! |---|---|
//! | [`map`] | 4 KiB pages, mapped one call each and as a range |
//!
//! Both sides write the same memory through the same accessor. What they built is compared before the first is timed.
//! With `-- --test` everything runs once.
#![allow(unsafe_code)]

#[path = "../reading/cpu_time.rs"]
mod cpu_time;
mod map;

use std::time::Duration;

use cpu_time::CpuTime;
use criterion::{Criterion, criterion_group, criterion_main};

fn criterion() -> Criterion<CpuTime> {
    Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30)
}

criterion_group! {
    name = writing;
    config = criterion();
    targets = map::bench
}
criterion_main!(writing);
