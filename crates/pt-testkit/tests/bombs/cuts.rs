//! Ranges that cut every table of a bomb, at one end or both.

use pt_core::{Encode, Event, Geometry, Level, Options, Walk};

use crate::every_format;
use crate::made::{Made, ROOT, bomb, link};

every_format! {
    ranges_that_cut_at_every_level = cut_at_every_level;
    cut_tables_at_every_depth = cut_self_maps;
}

/// The address with that index at every level.
fn everywhere<F: Geometry>(index: impl Fn(u64) -> u64) -> u64 {
    let levels = (1..=F::LEVELS).filter_map(Level::new);
    F::canonical(levels.map(|level| index(F::entries(level) as u64) * F::entry_span(level)).sum())
}

fn ranges<F: Geometry>() -> [std::ops::RangeInclusive<u64>; 4] {
    let (first, last) = (everywhere::<F>(|_| 1), everywhere::<F>(|entries| entries - 2) | 0xfff);
    [first..=u64::MAX, 0..=last, first..=last, first..=first]
}

fn cut_at_every_level<F: Encode>(format: &F) {
    let levels = u64::from(F::LEVELS);
    let memory = bomb(format, |_| 0);
    for range in ranges::<F>() {
        let one_end = *range.start() == 0 || *range.end() == u64::MAX;
        let options = Options { range: range.clone(), ..Options::default() };
        let mut visits = std::collections::BTreeMap::<u64, u64>::new();
        for event in Walk::new(format.clone(), &memory, &[ROOT], options) {
            if let Event::Table(table) = event.expect("no limit") {
                *visits.entry(table.address).or_default() += 1;
            }
        }
        // Whole, and cut at each end that cuts.
        let most = if one_end { 2 } else { 3 };
        assert!(visits.values().all(|&visits| visits <= most), "{range:x?}: {visits:?}");
        assert_eq!(memory.reads(), visits.values().sum::<u64>());
        assert!(visits.len() as u64 == levels, "{visits:?}");
    }
}

fn cut_self_maps<F: Encode>(format: &F) {
    const TABLES: u64 = 4;
    let memory = Made::new(format, |table, index| {
        (table < TABLES).then(|| link(format, F::ROOT, (index + table) % TABLES))
    });
    let roots: Vec<u64> = (0..TABLES).map(|table| table << 12).collect();
    for range in ranges::<F>() {
        let options = Options { range, ..Options::default() };
        let tables = Walk::new(format.clone(), &memory, &roots, options)
            .filter(|event| matches!(event, Ok(Event::Table(_))))
            .count() as u64;
        assert_eq!(memory.reads(), tables);
        assert!(tables <= TABLES * 4 * u64::from(F::LEVELS), "{tables}");
    }
}
