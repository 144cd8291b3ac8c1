//! Writing tables: ours, its peers and the floor, in one run.
//!
//! | module | measures |
//! |---|---|
//! | [`map`] | the raw interface and upstream: 4 KiB pages, mapped one call each and as a range |
//! | [`range`] | the editor, the peers and the least that it takes: ranges mapped, protected and unmapped |
//!
//! What is made is compared before it is timed.
//! With `-- --test` everything runs once.
#![allow(unsafe_code)]

#[path = "../reading/cpu_time.rs"]
mod cpu_time;
mod map;
mod range;

use std::time::Duration;

use cpu_time::CpuTime;
use criterion::{Criterion, criterion_group, criterion_main};

fn criterion() -> Criterion<CpuTime> {
    Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(700))
        .sample_size(15)
}

criterion_group! {
    name = writing;
    config = criterion();
    targets = map::bench, range::bench
}
criterion_main!(writing);
