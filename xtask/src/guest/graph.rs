//! The tables that guest/build.c builds, as a graph without addresses, and how much a walk of it has to meet.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

pub(super) const SPACES: usize = 3;

/// What a walk counts, by the names that `pt walk --json` gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    spaces: u64,
    tables: u64,
    leaves: u64,
    another_space: u64,
    same_space: u64,
    faults: u64,
}

impl Counts {
    /// From the line with the totals.
    pub(super) fn parse(line: &str) -> Result<Self> {
        let line: Value = serde_json::from_str(line)?;
        let count = |name: &str| line["total"][name].as_u64().unwrap_or(u64::MAX);
        Ok(Self {
            spaces: count("spaces"),
            tables: count("tables"),
            leaves: count("leaves"),
            another_space: count("another_space"),
            same_space: count("same_space"),
            faults: count("faults"),
        })
    }

    /// What a walk of all spaces meets, if every table is met once at every depth.
    pub(super) fn of_guest(levels: usize, kernel_pages: u64) -> Self {
        let graph = Graph::new(levels, kernel_pages);
        let mut counts = Self { spaces: SPACES as u64, ..Self::default() };
        let mut owners = BTreeMap::new();
        for space in 0..SPACES {
            counts.visit(&graph, &mut owners, space, levels, (space, Kind::Own, levels));
        }
        counts
    }

    /// Walks a table that is read as one of `level`, which is not the level that it was built for below a link to the
    /// root itself.
    fn visit(&mut self, graph: &Graph, owners: &mut Owners, space: usize, level: usize, table: Table) {
        owners.insert((table, level), space);
        self.tables += 1;
        let Entries { links, leaves } = graph.entries(table);
        self.leaves += leaves;
        for link in links {
            if level == 1 {
                self.leaves += 1;
                continue;
            }
            match owners.get(&(link, level - 1)) {
                None => self.visit(graph, owners, space, level - 1, link),
                Some(&owner) if owner == space => self.same_space += 1,
                Some(_) => self.another_space += 1,
            }
        }
    }
}

/// A table: its space (0 for those that have none), what it is, and the level that it is built for.
type Table = (usize, Kind, usize);

/// Which space met a table first, at which level.
type Owners = BTreeMap<(Table, usize), usize>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Kernel,
    Shared,
    Window,
    Empty,
    Own,
}

#[derive(Debug, Default)]
struct Entries {
    links: Vec<Table>,
    leaves: u64,
}

#[derive(Debug)]
struct Graph {
    levels: usize,
    kernel_pages: u64,
}

impl Graph {
    fn new(levels: usize, kernel_pages: u64) -> Self {
        Self { levels, kernel_pages }
    }

    fn is_pae(&self) -> bool {
        self.levels == 3
    }

    /// How many tables are pages: all but the roots of PAE.
    fn table_pages(&self) -> u64 {
        let all = 2 * (self.levels - 1) + 2 + SPACES * self.levels;
        (if self.is_pae() { all - SPACES } else { all }) as u64
    }

    /// The present entries of a table.
    fn entries(&self, (space, kind, level): Table) -> Entries {
        let pages = |leaves| Entries { links: Vec::new(), leaves };
        match (kind, level) {
            (Kind::Kernel, 1) => pages(self.kernel_pages),
            (Kind::Shared, 1) => pages(2),
            (Kind::Own, 1) => pages(3),
            (Kind::Window, _) => pages(self.table_pages()),
            (Kind::Empty, _) => pages(0),
            (Kind::Kernel | Kind::Shared, _) => Entries { links: vec![(0, kind, level - 1)], leaves: 0 },
            (Kind::Own, _) => {
                let shared = (0, Kind::Shared, level - 1);
                let mut entries =
                    Entries { links: vec![(space, Kind::Own, level - 1), shared, shared], leaves: 0 };
                if level == 2 {
                    entries.links.extend([(0, Kind::Window, 1), (0, Kind::Empty, 1)]);
                    entries.leaves = 1;
                }
                if level == self.levels {
                    entries.links.push((0, Kind::Kernel, level - 1));
                    if space == 0 && !self.is_pae() {
                        entries.links.push((space, Kind::Own, level));
                    }
                }
                entries
            }
        }
    }
}
