//! The laws of [`Encode`], judged by what the oracle reads in the entries that it writes.

use std::fmt;

use pt_core::raw::LinkRights;
use pt_core::{Encode, Entry};

use super::compare::{level, rights};
use super::decode::{combinations, try_entries};
use crate::generate::{Kind, compose, feature_sets, page_mask};
use crate::naive::{Meaning, Mode, Rights, decode, restrict, right_bits, small_attributes};

/// Random entries in random modes.
pub fn encoding<F: Encode>(kind: Kind, format: impl Fn(&Mode) -> F) {
    try_entries(kind, |mode, raw, other| encode_laws(mode, &format(mode), raw, other));
}

/// All combinations of the interesting bits, in modes with every combination of features.
pub fn interesting_encoding<F: Encode>(kind: Kind, format: impl Fn(&Mode) -> F) {
    for mode in feature_sets(kind) {
        let format = format(&mode);
        for (number, raw) in combinations(&mode).into_iter().enumerate() {
            // A prime, so that those that are left have every bit with every other.
            if number % 101 == 0 {
                encode_laws(&mode, &format, raw, raw.rotate_left(number as u32 % 64) ^ 0x5_5555_5000);
            }
        }
    }
}

/// The laws at every level: of `raw` as an entry, of its bits as attributes, of `other` as an address.
pub fn encode_laws<F: Encode>(mode: &Mode, format: &F, raw: u64, other: u64) {
    for number in 1..=mode.levels() {
        let what = What { mode, number, raw, other };
        pages(format, &what);
        links(format, &what);
        existing(format, &what);
        places(format, &what);
    }
    roots(mode, format, raw, other);
}

/// What is judged, to be told if it does not hold.
struct What<'a> {
    mode: &'a Mode,
    number: u8,
    raw: u64,
    other: u64,
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, number, raw, other } = self;
        write!(f, "{mode:x?}, level {number}, {raw:#x}, {other:#x}")
    }
}

/// A page with `raw` as attributes, in the layout of level 1: the entry that has the bits, if it is one.
fn pages<F: Encode>(format: &F, what: &What<'_>) {
    let &What { mode, number, raw, other } = what;
    let at = level::<F>(number);
    let size = mode.entry_span(number);
    for page in [other & page_mask(mode, size), 0, page_mask(mode, size), other] {
        let fits = page & !page_mask(mode, size) == 0;
        let expected = compose(mode, number, page, raw).filter(|_| fits);
        let made = format.leaf(at, page, raw);
        assert_eq!(made, expected, "{what}: a page at {page:#x}");
        let Some(made) = made else { continue };
        assert_eq!(format.decode(at, made), Entry::Leaf(page), "{what}");
        let got = format.attributes(at, made);
        assert_eq!(got, small_attributes(mode, number, made), "{what}: {made:#x}");
        assert_eq!(format.leaf(at, page, got), Some(made), "{what}: nothing is lost");
        let lost = raw & !got;
        assert_eq!(got & !raw, 0, "{what}: nothing comes by itself");
        let without = format.leaf(at, page, lost).map(|raw| format.attributes(at, raw));
        assert_eq!(without, Some(0), "{what}: {lost:#x} are no attributes");
        let most = format.contiguous(at, made);
        for further in [most / 2, most - 1] {
            let offset = further * size;
            assert_eq!(format.leaf(at, page + offset, raw), Some(made + offset), "{what}: {further} further");
        }
    }
}

fn links<F: Encode>(format: &F, what: &What<'_>) {
    let &What { mode, number, raw, other } = what;
    let at = level::<F>(number);
    for table in [other & table_mask(mode), raw & table_mask(mode), 0, table_mask(mode), other] {
        let fits = number > 1 && table & !table_mask(mode) == 0;
        let link = format.link(at, table);
        assert_eq!(link.is_some(), fits, "{what}: a link to {table:#x}");
        if let Some(link) = link {
            assert_eq!(decode(mode, number, link), Meaning::Table(table), "{what}: {link:#x}");
            assert_eq!(restrict(mode, Rights::ALL, number, link), Rights::ALL, "{what}: {link:#x}");
        }
    }
}

/// Where tables can be that entries link.
fn table_mask(mode: &Mode) -> u64 {
    if matches!(mode, Mode::Toy) { 0xffff_ffe0 } else { page_mask(mode, 4096) }
}

/// What is done to an entry that exists: rights given and taken, and nothing else.
fn existing<F: Encode>(format: &F, what: &What<'_>) {
    let &What { mode, number, raw, other } = what;
    let at = level::<F>(number);
    let meaning = decode(mode, number, raw);
    let free = match meaning {
        Meaning::Table(table) => Some(table).filter(|_| format.widen(at, raw, other) == raw),
        _ => None,
    };
    assert_eq!(format.passes(at, raw, other), free, "{what}: on the way to {other:#x}");
    if !matches!(meaning, Meaning::Table(_) | Meaning::Leaf(_)) {
        return;
    }
    let had = restrict(mode, Rights::ALL, number, raw);
    for most in 0..8 {
        let most = Rights { write: most & 1 != 0, user: most & 2 != 0, execute: most & 4 != 0 };
        let asked = LinkRights { writable: most.write, executable: most.execute, user_accessible: most.user };
        let left = both(had, most);
        let Some(narrowed) = format.narrow(at, raw, asked) else {
            let can = |without: Rights| had == both(had, without) || withholds(mode, number, raw, without);
            let all = Rights::ALL;
            let each = [
                most.write || can(Rights { write: false, ..all }),
                most.user || can(Rights { user: false, ..all }),
                most.execute || can(Rights { execute: false, ..all }),
            ];
            assert!(each.contains(&false), "{what}: {most:?} could be said");
            continue;
        };
        assert_eq!(decode(mode, number, narrowed), meaning, "{what} narrowed to {most:?}");
        assert_eq!(restrict(mode, Rights::ALL, number, narrowed), left, "{what} narrowed to {most:?}");
        assert_eq!((raw ^ narrowed) & !right_bits(mode), 0, "{what} narrowed to {most:?}");
        assert!(left != had || narrowed == raw, "{what} has no more than {most:?}");
    }
    if matches!(meaning, Meaning::Table(_)) {
        let widened = format.widen(at, raw, other);
        let pages = restrict(mode, Rights::ALL, 1, other);
        let given = restrict(mode, Rights::ALL, number, widened);
        assert_eq!(decode(mode, number, widened), meaning, "{what} widened for {other:#x}");
        let either = Rights {
            write: had.write || pages.write,
            user: had.user || pages.user,
            execute: had.execute || pages.execute,
        };
        assert_eq!(given, either, "{what} widened for {other:#x}");
        assert_eq!((raw ^ widened) & !right_bits(mode), 0, "{what} widened for {other:#x}");
        assert!(either != had || widened == raw, "{what} does not cap {other:#x}");
    }
}

fn both(one: Rights, other: Rights) -> Rights {
    Rights {
        write: one.write && other.write,
        user: one.user && other.user,
        execute: one.execute && other.execute,
    }
}

/// Whether one bit of the entry takes those rights and changes nothing else.
fn withholds(mode: &Mode, number: u8, raw: u64, without: Rights) -> bool {
    let had = restrict(mode, Rights::ALL, number, raw);
    (0..64).map(|bit| raw ^ 1 << bit).any(|changed| {
        decode(mode, number, changed) == decode(mode, number, raw)
            && restrict(mode, Rights::ALL, number, changed) == both(had, without)
    })
}

/// The highest place of a table can be linked, and what is above it cannot.
fn places<F: Encode>(format: &F, what: &What<'_>) {
    let &What { mode, number, .. } = what;
    let highest = format.highest_table_address(level::<F>(number));
    let hold = |table| {
        if number == mode.levels() {
            format.with_root(0, table).is_some()
        } else {
            format.link(level::<F>(number + 1), table).is_some()
        }
    };
    let mask = if number == mode.levels() { mode.root(u64::MAX) } else { table_mask(mode) };
    assert!(hold(highest & mask), "{what}: {highest:#x}");
    assert_eq!(highest & !mask & !0xfff, 0, "{what}: {highest:#x}");
    assert!(!hold(highest + 1), "{what}: {highest:#x}");
}

fn roots<F: Encode>(mode: &Mode, format: &F, register: u64, other: u64) {
    let what = What { mode, number: mode.levels() + 1, raw: register, other };
    let mask = mode.root(u64::MAX);
    for root in [other & mask, register & mask, 0, mask, other] {
        let moved = format.with_root(register, root);
        assert_eq!(moved.is_some(), root & !mask == 0, "{what} with {root:#x}");
        if let Some(moved) = moved {
            assert_eq!((mode.root(moved), format.root(moved)), (root, root), "{what}");
            assert_eq!(moved & !mask, register & !mask, "{what} with {root:#x}");
        }
    }
    assert_eq!(format.with_root(register, format.root(register)), Some(register), "{what}");
    // What is said to be least is, as far as entries can say it.
    let least = F::RESTRICTED;
    if let Some(page) = format.leaf(level::<F>(1), 0, least) {
        let left = rights(format.restrict(format.unrestricted(), level::<F>(1), page));
        for without in [
            Rights { write: false, ..Rights::ALL },
            Rights { user: false, ..Rights::ALL },
            Rights { execute: false, ..Rights::ALL },
        ] {
            assert!(left == both(left, without) || !withholds(mode, 1, page, without), "{what}: {left:?}");
        }
    }
}
