//! Single addresses of 4 GiB in 4 KiB pages: one again and again, many without order, and the same in order.
//!
//! Ours gives address, level, raw entry, its place and the rights of the path. `x86_64` gives the address (by
//! `translate_addr`), or frame, offset and the leaf's flags (by `translate`); upstream's iterator gives a mapping; the others
//! address, entry or flags, and size. memflow takes all addresses as one batch.

use std::hint::black_box;

use ::x86_64::VirtAddr;
use ::x86_64::structures::paging::Translate;
use ::x86_64::structures::paging::mapper::TranslateResult;
use criterion::{Criterion, Throughput};
use pt_amd64::FourLevel;
use pt_benches::calls;
use pt_benches::peers::{generic, memflow, multiarch, x86_64};
use pt_benches::{Fields, KERNEL, Pattern, Scene, scrambled};
use pt_core::Translator;

use crate::cpu_time::CpuTime;

/// How many addresses are looked up per iteration: enough to touch most cache lines of the leaf tables.
const ADDRESSES: u64 = 1 << 16;

pub(crate) fn bench(criterion: &mut Criterion<CpuTime>) {
    let scene = Scene::one(Pattern::Scattered, KERNEL);
    let random: Vec<u64> = (0..ADDRESSES).map(|number| scrambled(number) & ((4 << 30) - 1)).collect();
    addresses(criterion, "hot", &scene, &vec![random[0]; ADDRESSES as usize]);
    addresses(criterion, "random", &scene, &random);
    let mut sorted = random;
    sorted.sort_unstable();
    addresses(criterion, "sorted", &scene, &sorted);
}

fn addresses(criterion: &mut Criterion<CpuTime>, name: &str, scene: &Scene, addresses: &[u64]) {
    let (bytes, root) = (scene.memory.bytes(), scene.roots[0]);
    let (format, tables) = (FourLevel::default(), scene.memory.amd64(root));
    let mut mapped = scene.memory.clone();
    let (mapped, _) = x86_64::space(&mut mapped, root);
    let (mut memory, mut flow) = (scene.memory.clone(), memflow::Space::new(bytes, root));
    let translate = |va| pt_core::translate(&format, bytes, root, va);
    let multiarch = multiarch::Space::new(&mut memory, root);
    let mut batch = Translator::new(format, bytes, root);
    for &va in addresses {
        assert_eq!(batch.translate(va), translate(va));
        let pa = translate(va).expect("mapped").pa;
        let page = calls::upstream_pages(tables, (va, 1)).next().expect("mapped");
        assert_eq!(page.phys_base | (va & 0xfff), pa);
        assert_eq!(mapped.translate_addr(VirtAddr::new(va)).expect("mapped").as_u64(), pa);
        assert_eq!(multiarch.translate(va).expect("mapped").0, pa);
    }
    let mut found = 0;
    flow.pieces(pieces(addresses), |pa, va, _| {
        found += 1;
        assert_eq!(pa.address().to_umem(), translate(va).expect("mapped").pa);
    });
    assert_eq!(found, addresses.len());

    let mut group = criterion.benchmark_group(format!("translate-{name}"));
    group.throughput(Throughput::Elements(ADDRESSES));
    let mut time = |name: &str, translate: &mut dyn FnMut(&[u64]) -> u64| {
        group.bench_function(name, |b| b.iter(|| translate(black_box(addresses))));
    };
    time("all-fields", &mut |all| sum(all, |va| translate(va).fields()));
    time("address", &mut |all| sum(all, |va| translate(va).map_or(0, |found| found.pa)));
    time("batch", &mut |all| {
        let mut space = Translator::new(format, bytes, root);
        sum(all, |va| space.translate(va).map_or(0, |found| found.pa))
    });
    time("x86_64-translate", &mut |all| {
        sum(all, |va| flags_and_address(mapped.translate(VirtAddr::new(va))))
    });
    time("x86_64-translate_addr", &mut |all| {
        sum(all, |va| mapped.translate_addr(VirtAddr::new(va)).map_or(0, ::x86_64::PhysAddr::as_u64))
    });
    time("hyperlight", &mut |all| {
        sum(all, |va| calls::upstream_pages(tables, (va, 1)).next().map_or(0, |page| page.fields()))
    });
    time("raw-pages", &mut |all| {
        sum(all, |va| calls::our_pages(tables, (va, 1)).next().map_or(0, |page| page.fields()))
    });
    time("page_table_multiarch", &mut |all| {
        sum(all, |va| multiarch.translate(va).map_or(0, |(pa, more)| pa ^ more))
    });
    time("memflow", &mut |all| flow.fields(pieces(all)));
    drop(multiarch);
    let generic = generic::Space::new(&mut memory, root);
    for &va in addresses {
        assert_eq!(generic.translate(va).map(|(pa, _)| pa), translate(va).ok().map(|found| found.pa));
    }
    time("page-table-generic", &mut |all| {
        sum(all, |va| generic.translate(va).map_or(0, |(pa, more)| pa ^ more))
    });
    group.finish();
}

/// As a batch for memflow: one byte each.
fn pieces(addresses: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    addresses.iter().map(|&va| (va, 1))
}

fn flags_and_address(result: TranslateResult) -> u64 {
    match result {
        TranslateResult::Mapped { frame, offset, flags } => {
            frame.start_address().as_u64() ^ frame.size() ^ offset ^ flags.bits()
        }
        TranslateResult::NotMapped | TranslateResult::InvalidFrameAddress(_) => 0,
    }
}

/// Each address is hidden from the optimiser, or a hot one would be looked up once.
#[inline(always)]
fn sum(addresses: &[u64], mut translate: impl FnMut(u64) -> u64) -> u64 {
    addresses.iter().fold(0, |sum, &va| sum.wrapping_add(translate(black_box(va))))
}
