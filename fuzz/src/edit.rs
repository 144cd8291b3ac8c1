//! Edits: of a space of their own, against a map from pages to what they map; and of any tables at all, where whatever
//! fails must leave memory as it was, byte for byte.

use std::collections::BTreeMap;

use pt_core::{
    BumpTables, EditError, Editor, Encode, Format, Geometry, Leaves, Level, Limits, MapOptions, OnShared,
    Options, Protection, Sharing, TableAllocator, TableRequest, Walk, translate,
};
use pt_i686::TwoLevel;
use pt_testkit::naive::Mode;
use pt_testkit::toy::Toy;

use crate::choices::Choices;
use crate::scene::{Question, Scene, WHOLE, ask};

/// The first byte says what is edited: nothing but a root in the toy format or in 2-level paging, a toy graph, or a scene.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    match choices.byte() & 7 {
        0 => model(&Toy, &mut choices, 0x800, &[0, 1, 2, 3, 4, 5, 6, 7]),
        1 => model(
            &TwoLevel::default(),
            &mut choices,
            0x6000,
            &[0, 1, 2, 1022, 1023, 1024, 1025, 2047, 2048, 0xfffff],
        ),
        2..=5 => graph(&mut choices),
        _ => ask(choices.rest(), &Edits),
    }
}

/// Tables from a stretch of memory, as many as there may be.
#[derive(Clone, Debug)]
struct Counted {
    tables: BumpTables,
    left: usize,
    held: i64,
}

impl TableAllocator for Counted {
    fn allocate(&mut self, request: &TableRequest) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        let table = self.tables.allocate(request)?;
        self.held += 1;
        Some(table)
    }
    fn release(&mut self, _: u64, _: &TableRequest) {
        self.held -= 1;
    }
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Map { to: u64, attributes: u64, options: MapOptions },
    Unmap,
    Protect(Protection),
    Collapse,
}

const WRITABLE: u64 = 2;

/// What to do; attributes are R/W alone, which is at the same place in all formats.
fn operation(choices: &mut Choices<'_>) -> Operation {
    let bits = choices.byte();
    let flag = |bit: u8| bits >> bit & 1 != 0;
    let right = |bit| if flag(bit) { WRITABLE } else { 0 };
    match bits & 7 {
        0..=3 => {
            let to = choices.one_of(&[0, 1, 2, 4, 8, 1024, 0xf_fff0, 0xf_ffff, u64::MAX >> 12]);
            let largest = Level::new(1 + choices.byte() % 5).expect("a level");
            let options = MapOptions { largest, replace: flag(4), widen: flag(5) };
            Operation::Map { to, attributes: right(3), options }
        }
        4 | 5 => Operation::Unmap,
        6 => Operation::Protect(Protection {
            clear: right(3),
            set: right(4),
            widen: flag(5),
            skip_holes: flag(6),
        }),
        _ => Operation::Collapse,
    }
}

/// What changes in an edit apart from the operation.
struct Terms<'a> {
    free_empty: bool,
    sharing: Option<(&'a Sharing, OnShared)>,
    /// Whether an edit can meet what it wrote in another way.
    tangled: bool,
}

impl Terms<'_> {
    /// What was not done has changed nothing, but where the tables were not what they seemed.
    fn judge(&self, done: &Result<(), EditError>, is_as_before: bool) {
        let excused = self.tangled && matches!(done, Err(EditError::Changed { .. }));
        assert!(done.is_ok() || is_as_before || excused, "{done:?}");
    }
}

fn apply<F: Encode>(
    format: &F,
    memory: &mut [u8],
    tables: &mut Counted,
    root: u64,
    terms: &Terms<'_>,
    operation: Operation,
    (first, last): (u64, u64),
) -> Result<(), EditError> {
    let mut editor = Editor::new(format.clone(), memory, tables, root).free_empty(terms.free_empty);
    if let Some((sharing, policy)) = terms.sharing {
        editor = editor.shared(sharing, policy);
    }
    let range = first..=last;
    let flush = match operation {
        Operation::Map { to, attributes, options } => editor.map(range, to << 12, attributes, options),
        Operation::Unmap => editor.unmap(range),
        Operation::Protect(protection) => editor.protect(range, protection),
        Operation::Collapse => editor.collapse(range),
    }?;
    flush.done(tables);
    Ok(())
}

/// An edit with the tables that it needs, and with one less, which must change nothing. Whether it was done.
fn edit<F: Encode>(
    format: &F,
    memory: &mut [u8],
    tables: &mut Counted,
    root: u64,
    terms: &Terms<'_>,
    operation: Operation,
    range: (u64, u64),
) -> Result<(), EditError> {
    let (before, held) = (memory.to_vec(), tables.held);
    let mut few = Counted { left: 0, ..tables.clone() };
    match apply(format, memory, &mut few, root, terms, operation, range) {
        Err(EditError::OutOfTables { needed, got: 0 }) => {
            assert!(memory == before && few.held == held && needed > 0);
            let mut few = Counted { left: needed - 1, ..tables.clone() };
            let done = apply(format, memory, &mut few, root, terms, operation, range);
            match done {
                Err(EditError::OutOfTables { needed: again, .. }) => assert_eq!(again, needed),
                // An address with a bit that the machine ignores.
                Err(EditError::Unlinkable { table }) => assert!(table & 1 << 14 != 0),
                done => panic!("{done:?}"),
            }
            assert!(memory == before && few.held == held);
            let done = apply(format, memory, tables, root, terms, operation, range);
            terms.judge(&done, memory == before && tables.held == held);
            done
        }
        done => {
            terms.judge(&done, memory == before && few.held == held);
            tables.held = few.held;
            done
        }
    }
}

/// A space that nothing but edits makes, against a model of its pages.
fn model<F: Encode>(format: &F, choices: &mut Choices<'_>, len: usize, pages: &[u64]) {
    let mut memory = vec![0; len];
    let free_empty = choices.byte() & 1 == 0;
    let step = F::table_bytes(F::ROOT).max(32) as u64;
    let mut tables = Counted { tables: BumpTables::new(step..=len as u64 - 1), left: usize::MAX, held: 0 };
    let mut model = BTreeMap::new();
    let terms = Terms { free_empty, sharing: None, tangled: false };
    for _ in 0..6 {
        if choices.is_empty() {
            break;
        }
        let operation = operation(choices);
        let (first, count) = (choices.one_of(pages), 1 + u64::from(choices.byte() & 7));
        let range = (
            F::canonical((first << 12) & F::VA_MASK),
            F::canonical((((first + count) << 12) - 1) & F::VA_MASK),
        );
        let done = edit(format, &mut memory, &mut tables, 0, &terms, operation, range);
        let expected = expect(&model, operation, first, count);
        match (done, expected) {
            (Ok(()), Ok(after)) => model = after,
            (Err(EditError::Mapped { .. }), Err("mapped"))
            | (Err(EditError::NotMapped { .. }), Err("hole")) => {}
            (Err(EditError::Range { .. }), _) => assert!(range.0 > range.1 || (range.0 ^ range.1) >> 63 != 0),
            // Memory ends, and so do the addresses that an entry can hold.
            (Err(EditError::OutOfTables { .. }), Ok(_)) => {}
            (Err(EditError::Unencodable { .. }), _) => {
                let Operation::Map { to, .. } = operation else {
                    panic!("only what is mapped has an address")
                };
                assert!(to + count > 0xf_ffff);
            }
            (done, expected) => {
                panic!("{operation:?} of {count} pages from {first:#x}: {done:?}, {expected:?}")
            }
        }
        for &page in pages {
            let va = F::canonical(page << 12);
            let found = translate(format, &memory[..], 0, va).ok();
            let found = found.map(|found| (found.pa >> 12, format.attributes(found.level, found.raw)));
            assert_eq!(found, model.get(&page).copied(), "{va:#x} after {operation:?}");
        }
    }
}

type Pages = BTreeMap<u64, (u64, u64)>;

/// What the model says of an operation: how it ends, and what is mapped then.
fn expect(model: &Pages, operation: Operation, page: u64, pages: u64) -> Result<Pages, &'static str> {
    let mut after = model.clone();
    match operation {
        Operation::Map { to, attributes, options } => {
            for at in 0..pages {
                if after.insert(page + at, (to.wrapping_add(at), attributes)).is_some() && !options.replace {
                    return Err("mapped");
                }
            }
        }
        Operation::Unmap => after.retain(|at, _| !(page..page + pages).contains(at)),
        Operation::Protect(protection) => {
            for at in page..page + pages {
                match after.get_mut(&at) {
                    Some((_, attributes)) => *attributes = *attributes & !protection.clear | protection.set,
                    None if protection.skip_holes => {}
                    None => return Err("hole"),
                }
            }
        }
        Operation::Collapse => {}
    }
    Ok(after)
}

/// Any graph of the toy format, edited with and without knowing what is shared. Where no table is reached twice, pages out of
/// range stay as they were.
fn graph(choices: &mut Choices<'_>) {
    let case = crate::scene::toy(choices);
    let mut memory = vec![0; 0x600];
    let frame = case.memory.iter().next().and_then(|(_, bytes)| bytes).expect("the tables' frame");
    memory[..0x200].copy_from_slice(&frame[..0x200]);
    let tables = BumpTables::new(0x200..=memory.len() as u64 - 1);
    let pages: Vec<u64> = (0..8).map(|page| Mode::Toy.canonical(page << 12)).collect();
    any(&Toy, &mut memory, tables, &case.roots, choices, &pages);
}

struct Edits;

impl Question for Edits {
    fn ask<F: Format<Rights = pt_x86::Rights> + Encode>(&self, format: &F, _: &Mode, scene: &Scene<'_>) {
        let mut choices = Choices::new(scene.rest);
        let mut memory = scene.memory.clone();
        let (own, more) = (memory.len() as u64, 0x3000);
        memory.resize(memory.len() + more, 0);
        let tables = BumpTables::new(own..=own + more as u64 - 1);
        let span = F::table_span_last(Level::LEAF) + 1;
        let places =
            [0, span - 0x1000, span, (F::VA_MASK / 2) & !0xfff, F::VA_MASK / 2 + 1, F::VA_MASK & !0xfff];
        let pages = places.map(F::canonical);
        any(format, &mut memory, tables, &scene.roots, &mut choices, &pages);
    }
}

/// Edits of tables that are what they are.
fn any<F: Encode>(
    format: &F,
    memory: &mut [u8],
    tables: BumpTables,
    roots: &[u64],
    choices: &mut Choices<'_>,
    pages: &[u64],
) {
    let mut tables = Counted { tables, left: usize::MAX, held: 0 };
    for _ in 0..3 {
        // Tables that are in use cannot be given out as new ones; a page that was mapped can have become a link to one.
        if choices.is_empty() || in_use(format, memory, roots, &tables) {
            break;
        }
        let operation = operation(choices);
        let bits = choices.byte();
        let sharing = (bits & 3 != 0).then(|| sharing_of(format, memory, roots));
        let policy = [OnShared::Refuse, OnShared::Refuse, OnShared::EditForAll, OnShared::Unshare]
            [usize::from(bits & 3)];
        let first = choices.one_of(pages);
        let range = (first, first.wrapping_add(u64::from(choices.byte() & 7) << 12 | 0xfff));
        let sharing = sharing.as_ref().map(|sharing| (sharing, policy));
        let root = roots[usize::from(bits >> 3) % roots.len()];
        let single = Walk::new(format.clone(), &*memory, roots, everything()).all(|event| !is_shared(&event));
        let kept_apart = matches!(policy, OnShared::Refuse | OnShared::Unshare) && sharing.is_some();
        let tangled = !single && !kept_apart || overlap(format, memory, roots);
        let terms = Terms { free_empty: bits & 4 != 0, sharing, tangled };
        let before: Vec<_> = pages.iter().map(|&va| translate(format, &*memory, root, va).ok()).collect();
        let done = edit(format, memory, &mut tables, root, &terms, operation, range);
        if let (Ok(()), true) = (done, single) {
            for (&va, before) in pages.iter().zip(before).filter(|(va, _)| !(range.0..=range.1).contains(va))
            {
                let after = translate(format, &*memory, root, va).ok();
                let what = |found: Option<pt_core::Translation<F::Rights>>| {
                    found.map(|found| (found.pa, format.attributes(found.level, found.raw)))
                };
                assert_eq!(what(after), what(before), "{va:#x}, {operation:?} of {range:x?}");
            }
        }
    }
}

/// Whether a table lies in what is still to be given out.
fn in_use<F: Encode>(format: &F, memory: &[u8], roots: &[u64], tables: &Counted) -> bool {
    let byte = TableRequest { bytes: 1, alignment: 1, highest: u64::MAX };
    let next = tables.tables.clone().allocate(&byte).unwrap_or(u64::MAX);
    Walk::new(format.clone(), memory, roots, everything()).any(|event| match event {
        Ok(pt_core::Event::Table(table)) => {
            table.address.saturating_add(F::table_bytes(table.level) as u64) > next
        }
        _ => false,
    })
}

fn sharing_of<F: Encode>(format: &F, memory: &[u8], roots: &[u64]) -> Sharing {
    Sharing::of_walk::<F>(Walk::new(format.clone(), memory, roots, everything())).expect("there is no limit")
}

fn everything() -> Options {
    Options { range: WHOLE, leaves: Leaves::Each, limits: Limits::NONE, ..Options::default() }
}

/// Whether tables that are different lie in the same bytes.
fn overlap<F: Encode>(format: &F, memory: &[u8], roots: &[u64]) -> bool {
    let tables = Walk::new(format.clone(), memory, roots, everything()).filter_map(|event| match event {
        Ok(pt_core::Event::Table(table)) => Some((table.address, F::table_bytes(table.level) as u64)),
        _ => None,
    });
    let tables: BTreeMap<u64, u64> = tables.collect();
    tables.iter().zip(tables.keys().skip(1)).any(|((table, bytes), next)| table + bytes > *next)
}

/// Whether a table is met again, or a page could be one.
fn is_shared<R, E>(event: &Result<pt_core::Event<R>, E>) -> bool {
    match event {
        Ok(pt_core::Event::Table(table)) => table.first_met.is_some(),
        Ok(pt_core::Event::Alias(_)) | Err(_) => true,
        Ok(_) => false,
    }
}
