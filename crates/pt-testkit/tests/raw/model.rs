//! `map` against a model: which tables there are and what their entries map, by plain recursion.
//!
//! After every call the space is walked and compared, and whatever fails must leave memory as it was. So must memory
//! that runs out.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use pt_amd64::FourLevel;
use pt_core::Level;
use pt_core::raw::{BasicMapping, CowMapping, MapError, Mapping, MappingKind, RawFormat, SpaceAwareMapping};
use pt_i686::TwoLevel;
use pt_testkit::raw::{InPlace, Moving, Spaces};

const PAGE: u64 = 4096;

/// What the model needs to know of a format, in its own words: the spans of entries, page tables first, and whether
/// fetches can be forbidden.
struct Shape {
    spans: &'static [u64],
    /// How many levels have pages.
    sizes: u8,
    no_execute: bool,
}

const LONG: Shape = Shape { spans: &[PAGE, 2 << 20, 1 << 30, 1 << 39], sizes: 3, no_execute: true };
const SHORT: Shape = Shape { spans: &[PAGE, 4 << 20], sizes: 2, no_execute: false };

/// A page: its level, its address, and what it permits.
type Page = (u8, u64, MappingKind, bool);

#[derive(Clone, Default)]
struct Model {
    /// Tables below the root: the level, and the first address.
    tables: BTreeSet<(u8, u64)>,
    /// Pages by their first address.
    pages: BTreeMap<u64, Page>,
}

impl Model {
    /// Deals with the entries of the table at `level` and `start` that are in range.
    fn table(&mut self, shape: &Shape, level: u8, start: u64, mapping: &Mapping) -> Result<(), &'static str> {
        let span = shape.spans[usize::from(level) - 1];
        let (first, last) = (mapping.virt_base, mapping.virt_base + mapping.len - 1);
        let end = shape.spans.get(usize::from(level)).map_or(u64::MAX, |span| start + (span - 1));
        let mut va = first.max(start) / span * span;
        while va <= last.min(end) {
            self.entry(shape, level, va, mapping)?;
            va += span;
        }
        Ok(())
    }

    fn entry(&mut self, shape: &Shape, level: u8, va: u64, mapping: &Mapping) -> Result<(), &'static str> {
        if self.tables.contains(&(level - 1, va)) {
            return self.table(shape, level - 1, va, mapping);
        }
        let span = shape.spans[usize::from(level) - 1];
        let covered = mapping.virt_base <= va && va + span <= mapping.virt_base + mapping.len;
        let is_page = self.pages.get(&va).is_some_and(|page| page.0 == level);
        let pa = mapping.phys_base.wrapping_add(va).wrapping_sub(mapping.virt_base);
        if mapping.kind == MappingKind::Unmapped {
            return match (covered, is_page) {
                (true, true) => self.pages.remove(&va).map(|_| ()).ok_or("gone"),
                (false, true) => Err("page"),
                _ => Ok(()),
            };
        }
        if covered && level <= shape.sizes && level <= mapping.level.number() && pa.is_multiple_of(span) {
            self.pages.insert(va, (level, pa, mapping.kind, mapping.user_accessible));
            return Ok(());
        }
        if is_page {
            return Err("page");
        }
        self.tables.insert((level - 1, va));
        self.table(shape, level - 1, va, mapping)
    }
}

/// Pages near each other and near the borders of tables of all levels; from one page to several tables.
fn stretch() -> impl Strategy<Value = (u64, u64)> {
    let start = prop_oneof![
        0_u64..8,
        500_u64..530,
        1_000_u64..1_050,
        0x3_fe00_u64..0x4_0010,
        Just(512),
        Just(1024),
        Just(0x4_0000),
        Just(0x8_0000 - 3),
    ];
    let pages =
        prop_oneof![3 => 1_u64..8, 1 => 500_u64..530, 1 => Just(512), 1 => Just(1024), 1 => Just(3 * 1024)];
    (start, pages)
}

fn mapping() -> impl Strategy<Value = Mapping> {
    let kind = prop_oneof![
        4 => any::<(bool, bool)>().prop_map(|(writable, executable)| {
            MappingKind::Basic(BasicMapping { readable: true, writable, executable })
        }),
        1 => any::<bool>().prop_map(|executable| MappingKind::Cow(CowMapping { readable: true, executable })),
        2 => Just(MappingKind::Unmapped),
    ];
    let to = prop_oneof![0_u64..4, Just(512), Just(1024), Just(0x4_0000)];
    (stretch(), to, kind, any::<bool>(), prop_oneof![2 => Just(1_u8), 1 => 2_u8..=5]).prop_map(
        |((page, pages), to, kind, user_accessible, level)| Mapping {
            user_accessible,
            level: Level::new(level).expect("a level"),
            ..Mapping::new(to * PAGE, page * PAGE, pages * PAGE, kind)
        },
    )
}

/// As the hardware has it: without XD, everything can be executed.
fn permitted(kind: MappingKind, shape: &Shape) -> MappingKind {
    match kind {
        MappingKind::Basic(basic) => {
            MappingKind::Basic(BasicMapping { executable: basic.executable || !shape.no_execute, ..basic })
        }
        MappingKind::Cow(cow) => {
            MappingKind::Cow(CowMapping { executable: cow.executable || !shape.no_execute, ..cow })
        }
        MappingKind::Unmapped => kind,
    }
}

fn pages_of(walked: &[SpaceAwareMapping]) -> BTreeMap<u64, Page> {
    let page = |mapping: &SpaceAwareMapping| match mapping {
        SpaceAwareMapping::ThisSpace(page) => {
            (page.virt_base, (page.level.number(), page.phys_base, page.kind, page.user_accessible))
        }
        other => panic!("{other:x?}"),
    };
    walked.iter().map(page).collect()
}

/// In a half that starts at `base`.
fn check<F: RawFormat + Default>(shape: &Shape, base: u64, mappings: &[Mapping]) {
    let memory = InPlace::new(Spaces::new(F::default(), 0x1000));
    let mut model = Model::default();
    for &mapping in mappings {
        let (before, held) = (memory.frames(), memory.held());
        let mut after = model.clone();
        let expected = after.table(shape, shape.spans.len() as u8, 0, &mapping);
        let needed = after.tables.len() - model.tables.len();
        let mapping =
            Mapping { virt_base: mapping.virt_base + base, kind: permitted(mapping.kind, shape), ..mapping };
        if expected.is_ok() {
            for few in BTreeSet::from([0, 1, needed / 2, needed.saturating_sub(1)]).range(..needed).copied() {
                memory.allow(few);
                assert_eq!(
                    memory.map(mapping),
                    Err(MapError::OutOfTables { needed, got: few }),
                    "{mapping:x?}"
                );
                assert_eq!(memory.held(), held, "tables were kept: {mapping:x?}");
                assert!(memory.frames() == before, "out of tables, and something was written: {mapping:x?}");
            }
        }
        memory.allow(needed);
        match (memory.map(mapping), expected) {
            (Ok(()), Ok(())) => model = after,
            (Err(MapError::PageInTheWay { .. }), Err("page")) => {
                assert!(memory.frames() == before, "an error, and something was written: {mapping:x?}");
            }
            (outcome, expected) => panic!("{outcome:x?}, but expected {expected:?}: {mapping:x?}"),
        }
        assert_eq!(memory.held() - held, if expected.is_ok() { needed } else { 0 }, "{mapping:x?}");
        let walked = memory.walk().remove(0).1;
        let pages = model
            .pages
            .iter()
            .map(|(&va, &(level, pa, kind, user))| (va + base, (level, pa, permitted(kind, shape), user)));
        assert_eq!(pages_of(&walked), pages.collect(), "after {mapping:x?}");
    }
    // Where tables move on first write, the same comes of it.
    let moving = Moving::new(Spaces::new(F::default(), 0x1000), 0x100_0000);
    for &mapping in mappings {
        let outcome = moving.map(Mapping { virt_base: mapping.virt_base + base, ..mapping });
        assert!(matches!(outcome, Ok(()) | Err(MapError::PageInTheWay { .. })), "{outcome:x?}");
    }
    assert_eq!(pages_of(&moving.walk()[0].1), pages_of(&memory.walk()[0].1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn four_levels_equal_the_model(mappings in vec(mapping(), 1..10), upper in any::<bool>()) {
        check::<FourLevel>(&LONG, if upper { 0xffff_8000_0000_0000 } else { 0 }, &mappings);
    }

    #[test]
    fn two_levels_equal_the_model(mappings in vec(mapping(), 1..10)) {
        check::<TwoLevel>(&SHORT, 0, &mappings);
    }
}
