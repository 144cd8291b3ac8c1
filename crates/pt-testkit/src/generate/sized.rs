//! Cases that are about the sizes of pages: large pages, tables full of small ones that follow one another, or nearly.
//!
//! ```text
//! root ─▶ … ─▶ level 2 ─┬▶ large page
//! root ─▶ …  ──▶ (same) ├▶ level 1: a run, whole or with a flaw
//!                       └▶ level 1: the same once more, under other rights
//! ```

use proptest::collection::vec;
use proptest::prelude::*;

use super::Case;
use super::entry::compose;
use super::mode::{Kind, free_bits, modes};
use crate::naive::{Frames, Mode};

/// Where tables are, in bytes; data is below.
const TABLES: u64 = 0x800_0000;

/// What an entry at level 2 is.
#[derive(Clone, Debug)]
enum Plan {
    /// A large page: which one, and its attributes.
    Large(u64, u64),
    /// A table full of the pages that one large page has, and what is wrong with it: from that index on.
    Run(u64, u64, Flaw, u16),
    /// The table of an earlier entry.
    Again(usize),
}

#[derive(Clone, Copy, Debug)]
enum Flaw {
    None,
    /// Accessed and dirty vary.
    Marks,
    Absent,
    Attributes,
    Address,
}

fn plans() -> impl Strategy<Value = (Plan, u64)> {
    // A few pages, so that they overlap; one of them has the tables.
    let page = prop_oneof![6 => 0..6_u64, 1 => Just(u64::MAX)];
    let attributes = prop_oneof![3 => Just(0x7), 1 => Just(0x5), 2 => any::<u64>()];
    let flaw = prop_oneof![
        3 => Just(Flaw::None),
        2 => Just(Flaw::Marks),
        1 => Just(Flaw::Absent),
        1 => Just(Flaw::Attributes),
        1 => Just(Flaw::Address),
    ];
    let plan = prop_oneof![
        4 => (page.clone(), attributes.clone()).prop_map(|(page, attributes)| Plan::Large(page, attributes)),
        3 => (page, attributes.clone(), flaw, any::<u16>())
            .prop_map(|(page, attributes, flaw, at)| Plan::Run(page, attributes, flaw, at)),
        1 => any::<usize>().prop_map(Plan::Again),
    ];
    (plan, attributes)
}

/// Cases of one paging mode with any features, of all addresses.
pub fn sized(kind: Kind) -> impl Strategy<Value = Case> {
    let data = vec((0..0x1000_u64, 0..4_u8), 0..12);
    (modes(kind), vec(plans(), 1..4), any::<[u64; 5]>(), data)
        .prop_map(|(mode, plans, path, data)| lay_out(mode, &plans, path, &data))
}

fn lay_out(mode: Mode, plans: &[(Plan, u64)], path: [u64; 5], data: &[(u64, u8)]) -> Case {
    let mut builder = Builder { mode, memory: Frames::new(), tables: 0 };
    for &(frame, kind) in data {
        let address = frame * Frames::SIZE;
        builder.memory.add(address);
        builder.memory.write(address + 8 * u64::from(kind), 4, u64::from(kind));
    }
    let level_2 = builder.table();
    let mut runs: Vec<u64> = Vec::new();
    for (index, (plan, link)) in (0..).zip(plans) {
        builder.entry(level_2 + index * mode.entry_bytes(), plan, *link, &mut runs);
    }
    // Down from the root to there. The second root joins the path as soon as it can.
    let (mut table, mut roots) = (level_2, vec![level_2]);
    for level in 3..=mode.levels() {
        let [seed, shared] = [path[usize::from(level) - 1], path[0]];
        let above = [builder.table(), builder.table()];
        for (number, above) in (0..2).zip(above) {
            let index = (seed >> number) % mode.entries(level);
            builder.link(above, index, level, table, if number == 0 { 0x7 } else { shared });
        }
        (table, roots) = (above[0], above.to_vec());
    }
    roots.truncate(1 + (path[1] & 1) as usize);
    Case { mode, memory: builder.memory, roots, range: (0, u64::MAX) }
}

struct Builder {
    mode: Mode,
    memory: Frames,
    tables: u64,
}

impl Builder {
    fn table(&mut self) -> u64 {
        let address = TABLES + self.tables * Frames::SIZE;
        self.tables += 1;
        self.memory.add(address);
        address
    }

    fn link(&mut self, table: u64, index: u64, level: u8, to: u64, attributes: u64) {
        let width = self.mode.entry_bytes();
        // PDPTEs of PAE have no rights.
        let free = if width == 8 && self.mode.entries(level) == 4 { 0 } else { free_bits(&self.mode) };
        self.memory.write(table + index * width, width, to | attributes & free | 1);
    }

    fn entry(&mut self, at: u64, plan: &Plan, link: u64, runs: &mut Vec<u64>) {
        let (mode, width) = (self.mode, self.mode.entry_bytes());
        let size = mode.entry_span(2);
        let page = |page: u64| if page == u64::MAX { TABLES / size * size } else { page * size };
        let link = link & free_bits(&mode) | 1;
        match *plan {
            Plan::Large(number, attributes) => {
                let attributes = attributes & free_bits(&mode);
                let raw = compose(&mode, 2, page(number), attributes).unwrap_or_default();
                self.memory.write(at, width, raw);
            }
            Plan::Run(number, attributes, flaw, from) => {
                let table = self.table();
                for index in 0..mode.entries(1) {
                    let mut attributes = attributes & free_bits(&mode);
                    let mut frame = page(number) + index * 4096;
                    if index >= u64::from(from) % mode.entries(1) {
                        match flaw {
                            Flaw::None => {}
                            Flaw::Marks => attributes ^= (index % 3) << 5,
                            Flaw::Absent => continue,
                            Flaw::Attributes => attributes ^= 1 << 9,
                            Flaw::Address => frame += 4096,
                        }
                    }
                    let raw = compose(&mode, 1, frame, attributes).expect("only free bits are set");
                    self.memory.write(table + index * width, width, raw);
                }
                runs.push(table);
                self.memory.write(at, width, table | link);
            }
            Plan::Again(which) => {
                if let Some(table) = runs.get(which % runs.len().max(1)) {
                    self.memory.write(at, width, table | link);
                }
            }
        }
    }
}
