//! Translation equals the oracle's, at addresses where something is and next to them.

use pt_core::{Extents, Format, Memory, TranslateError, Translation, Translator};

use super::check;
use super::compare::{OnMemory, cause, on_each_memory, rights};
use crate::generate::{Case, Kind};
use crate::naive::{Event, Found, Lost, Mode, flat, translate};

/// How many extents of a range are looked at.
const EXTENTS: usize = 400;

/// `translate` at many addresses, and `Extents` over the range, are what the oracle says.
pub fn translations<F: Format>(kind: Kind, format: impl Fn(&Mode) -> F) {
    check(kind, 64, |case| on_each_memory(case, &Compare { case, format: format(&case.mode) }));
}

struct Compare<'a, F> {
    case: &'a Case,
    format: F,
}

impl<F: Format> OnMemory for Compare<'_, F> {
    fn run<M: Memory + ?Sized>(&self, memory: &M) {
        let Case { mode, roots, range, .. } = self.case;
        for &root in roots {
            // Ascending and descending: what a batch keeps of the last address serves the next one, or does not.
            let mut batch = Translator::new(self.format.clone(), memory, root);
            let addresses = addresses(self.case, root);
            for &va in addresses.iter().chain(addresses.iter().rev()) {
                let engine = pt_core::translate(&self.format, memory, root, va);
                assert_eq!(batch.translate(va), engine, "in a batch");
                self.compare(root, va, engine);
            }
            let mut next = mode.places(range.0, range.1).map(|places| places.0);
            let last = mode.places(range.0, range.1).map(|places| places.1);
            let extents = || Extents::new(self.format.clone(), memory, root, range.0..=range.1);
            let listed: Vec<_> = extents().take(EXTENTS).collect();
            if listed.len() < EXTENTS {
                // Begun by `next` and ended by `fold`, too.
                for begun in [0, 1, listed.len() / 2] {
                    let mut rest = extents();
                    assert!(rest.by_ref().take(begun).eq(listed[..begun.min(listed.len())].iter().copied()));
                    let mut folded = Vec::new();
                    rest.for_each(|extent| folded.push(extent));
                    assert_eq!(folded, listed[begun.min(listed.len())..]);
                }
            }
            let mut seen = 0;
            for extent in listed {
                let place = mode.place(extent.va).expect("addresses are canonical");
                assert_eq!(Some(place), next, "extents follow one another");
                let end = place + (extent.len - 1);
                next = (Some(end) < last).then_some(end + 1);
                let most = place | (self.decided(root, extent.va) - 1);
                assert_eq!(
                    Some(end),
                    last.map(|last| last.min(most)),
                    "an extent goes as far as its entry decides"
                );
                self.compare(root, extent.va, extent.to);
                if seen % 16 == 0 {
                    self.compare_end(root, mode.canonical(end), &extent.to);
                }
                seen += 1;
            }
            assert!(seen == EXTENTS || next.is_none(), "extents end at {next:#x?}, before {last:#x?}");
        }
    }
}

impl<F: Format> Compare<'_, F> {
    fn compare(&self, root: u64, va: u64, engine: Result<Translation<F::Rights>, TranslateError>) {
        let Case { mode, memory, .. } = self.case;
        let oracle = translate(mode, memory, root, va);
        // The engine's errors do not say from where on everything is lost, so that is taken over.
        let from = if let Err(Lost::Fault(fault)) = oracle { fault.va() } else { 0 };
        let engine = match engine {
            Ok(found) => {
                assert_eq!(found.va, va);
                let Translation { pa, level, raw, entry, .. } = found;
                Ok(Found { pa, level: level.number(), raw, entry, rights: rights(found.rights) })
            }
            Err(TranslateError::NonCanonical { va: same }) => {
                assert_eq!(same, va);
                Err(Lost::NoSuchAddress)
            }
            Err(TranslateError::NotPresent { level, entry, raw }) => {
                Err(Lost::Absent { level: level.number(), raw, entry })
            }
            Err(TranslateError::Fault(fault)) => Err(Lost::Fault(cause(0, from, fault))),
            Err(other) => panic!("{other:?} is not known to the oracle"),
        };
        assert_eq!(engine, oracle, "at {va:#x} of {root:#x}");
    }

    /// How many bytes around `va` one entry decides about: its span, or that of a table that cannot be read. Of a root
    /// that cannot be read each entry speaks for itself.
    fn decided(&self, root: u64, va: u64) -> u64 {
        let Case { mode, memory, .. } = self.case;
        match translate(mode, memory, root, va) {
            Ok(Found { level, .. })
            | Err(Lost::Absent { level, .. } | Lost::Fault(Event::Malformed { level, .. })) => {
                mode.entry_span(level)
            }
            Err(Lost::Fault(Event::Unreadable { level, .. })) if level < mode.levels() => {
                mode.table_span(level)
            }
            Err(Lost::Fault(_)) => mode.entry_span(mode.levels()),
            Err(Lost::NoSuchAddress) => unreachable!("extents are in the space"),
        }
    }

    /// The last byte of an extent is decided by the same entry as the first.
    fn compare_end(&self, root: u64, va: u64, engine: &Result<Translation<F::Rights>, TranslateError>) {
        let Case { mode, memory, .. } = self.case;
        match (translate(mode, memory, root, va), engine) {
            (Ok(oracle), Ok(engine)) => assert_eq!(oracle.entry, engine.entry, "at {va:#x} of {root:#x}"),
            (Err(Lost::Absent { entry, .. }), Err(TranslateError::NotPresent { entry: engine, .. })) => {
                assert_eq!(entry, *engine, "at {va:#x} of {root:#x}");
            }
            (Err(Lost::Fault(oracle)), Err(TranslateError::Fault(engine))) => {
                assert_eq!(oracle, cause(0, oracle.va(), *engine), "at {va:#x} of {root:#x}");
            }
            (oracle, engine) => panic!("at {va:#x} of {root:#x}: {oracle:x?}, {engine:x?}"),
        }
    }
}

/// Where the root's tables have something, and next to it; the ends of the space and of the hole.
fn addresses(case: &Case, root: u64) -> Vec<u64> {
    let Case { mode, memory, range, .. } = case;
    let half = mode.space() / 2;
    let (first, last) = (mode.canonical(half), mode.canonical(mode.space() - 1));
    let mut addresses = vec![
        0,
        half - 1,
        half,
        first,
        first.wrapping_sub(1),
        last,
        last.wrapping_add(1),
        u64::MAX,
        range.0,
        range.1,
    ];
    let events = flat(mode, memory, root, (0, u64::MAX));
    let step = events.len() / 40 + 1;
    for event in events.iter().step_by(step) {
        let size = match *event {
            Event::Table { level, .. } | Event::Unreadable { level, .. } => mode.table_span(level),
            Event::Leaf { level, .. } | Event::Absent { level, .. } | Event::Malformed { level, .. } => {
                mode.entry_span(level)
            }
            Event::Alias { .. } => unreachable!("a flat walk has none"),
        };
        let va = event.va();
        addresses.extend([
            va,
            va.wrapping_add(size - 1),
            va.wrapping_add(0x123 + size / 3),
            va.wrapping_sub(1),
        ]);
    }
    addresses
}
