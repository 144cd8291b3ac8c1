//! Bombs of four tables: the time of a walk whose tree would have 512⁴ leaves, for the whole space and for ranges that cut
//! tables at every level.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use pt_amd64::FourLevel;
use pt_benches::bomb::{Bomb, cuts};
use pt_benches::fields;
use pt_core::{Leaves, Options, Walk};

use crate::cpu_time::CpuTime;

pub(crate) fn bench(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("bombs");
    group.sample_size(10).measurement_time(std::time::Duration::from_millis(200));
    for bomb in Bomb::ALL {
        let scene = bomb.scene();
        for (level, range) in cuts().into_iter().enumerate() {
            group.bench_function(BenchmarkId::new(bomb.name(), level), |b| {
                b.iter(|| {
                    let options =
                        Options { leaves: Leaves::Each, range: range.clone(), ..Options::default() };
                    let bytes = black_box(scene.memory.bytes());
                    fields::all(Walk::new(FourLevel::default(), bytes, &scene.roots, options))
                });
            });
        }
    }
    group.finish();
}
