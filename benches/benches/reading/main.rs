//! Reading tables: ours, its peers and the floor, in one run.
//!
//! | module | measures |
//! |---|---|
//! | [`walk`] | one space of 512 leaf tables: events, the raw interface, upstream |
//! | [`spaces`] | many spaces that share half of their tables |
//! | [`translate`] | single addresses |
//! | [`regions`] | the same through `vm-memory` |
//! | [`bombs`] | tables that are made to never end |
//!
//! Every walker's answer is checked before the first is timed, and all fields of what it reports are consumed. With
//! `-- --test` everything runs once.
#![allow(unsafe_code)]

mod bombs;
mod cpu_time;
mod regions;
mod spaces;
mod translate;
mod walk;

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
    name = reading;
    config = criterion();
    targets = walk::bench, spaces::bench, translate::bench, regions::bench, bombs::bench
}
criterion_main!(reading);
