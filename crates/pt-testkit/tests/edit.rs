//! Edits against a model: a map from pages to what they map, for all four formats.
//!
//! After every operation the space is read back page by page. Whatever fails must leave memory as it was, byte for
//! byte; so must an allocator that runs out at any point. Memory that lends nothing ends up the same; where it stops taking
//! writes in the middle, every page is as it was or as it was to be.

use std::collections::BTreeMap;

use proptest::prelude::*;
use pt_amd64::{Features, FiveLevel, FourLevel};
use pt_core::{
    BumpTables, EditError, Editor, Encode, Extents, Geometry, Level, MapOptions, Memory, MemoryMut,
    Permissions, Protection, TableAllocator, TableRequest, Unreadable,
};
use pt_i686::{Pae, PaeFeatures, TwoLevel};
use pt_x86::EntryFlags;

const MEMORY: usize = 0x40_0000;
const ROOT: u64 = 0x1000;
const WRITABLE: u64 = EntryFlags::WRITABLE.bits();
const USER: u64 = EntryFlags::USER.bits();

/// What a page maps: its address, and its attributes.
type Model = BTreeMap<u64, (u64, u64)>;

#[derive(Clone, Debug)]
enum Operation {
    Map { page: u64, pages: u64, to: u64, attributes: u64, options: MapOptions },
    Unmap { page: u64, pages: u64 },
    Protect { page: u64, pages: u64, protection: Protection },
    Collapse { page: u64, pages: u64 },
}

/// Pages near each other and near the borders of tables, in units of 4 KiB; lengths from one page to several tables.
fn stretch() -> impl Strategy<Value = (u64, u64)> {
    let start =
        prop_oneof![0_u64..8, 500_u64..530, 1_000_u64..1_050, 0x3fe00_u64..0x40010, Just(512), Just(1024)];
    let pages = prop_oneof![1_u64..8, 500_u64..530, Just(512), Just(1024), Just(2048), Just(3 * 1024)];
    (start, pages)
}

fn operation() -> impl Strategy<Value = Operation> {
    let attributes =
        prop::sample::select(vec![0, WRITABLE, USER, WRITABLE | USER, EntryFlags::PAT.bits() | WRITABLE]);
    let options = (1_u8..=5, any::<bool>(), any::<bool>());
    let map = (stretch(), prop_oneof![0_u64..4, Just(512), Just(1024), Just(0x4_0000)], attributes, options)
        .prop_map(|((page, pages), to, attributes, (largest, replace, widen))| {
            let largest = Level::new(largest).expect("a level");
            Operation::Map { page, pages, to, attributes, options: MapOptions { largest, replace, widen } }
        });
    let bits = prop::sample::select(vec![0, WRITABLE, USER]);
    let protect = (stretch(), bits.clone(), bits, any::<bool>(), any::<bool>()).prop_map(
        |((page, pages), clear, set, widen, skip_holes)| Operation::Protect {
            page,
            pages,
            protection: Protection { clear, set, widen, skip_holes },
        },
    );
    prop_oneof![
        4 => map,
        2 => stretch().prop_map(|(page, pages)| Operation::Unmap { page, pages }),
        2 => protect,
        1 => stretch().prop_map(|(page, pages)| Operation::Collapse { page, pages }),
    ]
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
        self.held += 1;
        self.tables.allocate(request)
    }
    fn release(&mut self, _: u64, _: &TableRequest) {
        self.held -= 1;
    }
}

/// Memory that lends nothing, and takes so many writes.
struct Copied {
    bytes: Vec<u8>,
    left: usize,
}

impl Memory for Copied {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.bytes.read(address, into)
    }
}

impl MemoryMut for Copied {
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        self.left = self.left.checked_sub(1).ok_or(Unreadable::ReadOnly)?;
        self.bytes.write(address, bytes)
    }
}

/// What the model says of an operation: how it ends, and what is mapped then.
fn expect(model: &Model, operation: &Operation) -> Result<Model, &'static str> {
    let mut after = model.clone();
    match *operation {
        Operation::Map { page, pages, to, attributes, options } => {
            for at in 0..pages {
                if after.insert(page + at, (to + at, attributes)).is_some() && !options.replace {
                    return Err("mapped");
                }
            }
        }
        Operation::Unmap { page, pages } => after.retain(|at, _| !(page..page + pages).contains(at)),
        Operation::Protect { page, pages, protection } => {
            for at in page..page + pages {
                match after.get_mut(&at) {
                    Some((_, attributes)) => *attributes = *attributes & !protection.clear | protection.set,
                    None if protection.skip_holes => {}
                    None => return Err("hole"),
                }
            }
        }
        Operation::Collapse { .. } => {}
    }
    Ok(after)
}

/// What the tables map, by walking every extent of them.
fn mapped<F: Encode>(format: &F, memory: &[u8]) -> Model {
    let mut model = Model::new();
    for extent in Extents::new(format.clone(), memory, ROOT, 0..=u64::MAX) {
        let Ok(found) = extent.to else { continue };
        let attributes = format.attributes(found.level, found.raw);
        assert_eq!(found.rights.writable(), attributes & WRITABLE != 0, "a link caps {:#x}", extent.va);
        assert_eq!(found.rights.user(), attributes & USER != 0, "a link caps {:#x}", extent.va);
        for at in 0..extent.len >> 12 {
            model.insert((extent.va >> 12) + at, ((found.pa >> 12) + at, attributes));
        }
    }
    model
}

fn apply<F: Encode>(
    format: &F,
    memory: &mut (impl MemoryMut + ?Sized),
    tables: &mut Counted,
    operation: &Operation,
    free_empty: bool,
) -> Result<(), EditError> {
    let mut editor = Editor::new(format.clone(), memory, tables, ROOT).free_empty(free_empty);
    let bytes = |page: u64, pages: u64| page << 12..=((page + pages) << 12) - 1;
    let flush = match *operation {
        Operation::Map { page, pages, to, attributes, options } => {
            editor.map(bytes(page, pages), to << 12, attributes, options)
        }
        Operation::Unmap { page, pages } => editor.unmap(bytes(page, pages)),
        Operation::Protect { page, pages, protection } => editor.protect(bytes(page, pages), protection),
        Operation::Collapse { page, pages } => editor.collapse(bytes(page, pages)),
    }?;
    flush.done(tables);
    Ok(())
}

fn check<F: Encode>(format: &F, operations: &[Operation], free_empty: bool) {
    let mut memory = vec![0; MEMORY];
    let mut tables =
        Counted { tables: BumpTables::new(0x2000..=MEMORY as u64 - 1), left: usize::MAX, held: 0 };
    let mut model = Model::new();
    for operation in operations {
        let before = memory.clone();
        let held = tables.held;
        let expected = expect(&model, operation);
        let (old, taken) = (model.clone(), tables.clone());
        // With one table less than it takes, nothing may happen: found by trying.
        for left in 0.. {
            let mut few = Counted { left, ..tables.clone() };
            match apply(format, &mut memory, &mut few, operation, free_empty) {
                Err(EditError::OutOfTables { needed, got }) => {
                    assert!(got == left && needed > left, "{needed} needed, {got} of {left} got");
                    assert_eq!(memory, before, "out of tables, and something was written: {operation:?}");
                    assert_eq!(few.held, held, "tables were kept: {operation:?}");
                }
                _ => break,
            }
        }
        memory.clone_from(&before);
        match (apply(format, &mut memory, &mut tables, operation, free_empty), expected) {
            (Ok(()), Ok(after)) => model = after,
            (Err(error), expected) => {
                assert_eq!(memory, before, "{error}, and something was written: {operation:?}");
                assert_eq!(tables.held, held, "tables were kept: {operation:?}");
                let known = match error {
                    EditError::Mapped { .. } => expected == Err("mapped"),
                    EditError::NotMapped { .. } => expected == Err("hole"),
                    _ => false,
                };
                assert!(known, "{error}: {operation:?}, expected {expected:?}");
            }
            (Ok(()), Err(expected)) => panic!("no error, but {expected}: {operation:?}"),
        }
        assert_eq!(mapped(format, &memory), model, "after {operation:?}");
        let mut copied = Copied { bytes: before.clone(), left: usize::MAX };
        let done = apply(format, &mut copied, &mut taken.clone(), operation, free_empty);
        assert!(copied.bytes == memory, "copied, {done:?}: {operation:?}");
        if let writes @ 1.. = usize::MAX - copied.left {
            let copied = Copied { bytes: before, left: writes / 2 };
            fail_midway(format, copied, (&old, &model), |copied| {
                apply(format, copied, &mut taken.clone(), operation, free_empty)
            });
        }
    }
    if free_empty {
        let everything = Operation::Unmap { page: 0, pages: (F::VA_MASK >> 12).min(0xf_ffff) + 1 };
        apply(format, &mut memory, &mut tables, &everything, true).expect("unmaps");
        assert!(memory[ROOT as usize..][..4096].iter().all(|&byte| byte == 0), "a link is left");
        assert_eq!(tables.held, 0, "tables are left");
    }
}

/// Has an edit fail after half of its `writes`.
fn fail_midway<F: Encode>(
    format: &F,
    mut copied: Copied,
    (before, after): (&Model, &Model),
    edit: impl FnOnce(&mut Copied) -> Result<(), EditError>,
) {
    let failed = edit(&mut copied);
    assert!(matches!(failed, Err(EditError::Unwritable { .. })), "{failed:?} for want of a write");
    let found = mapped(format, &copied.bytes);
    for page in before.keys().chain(after.keys()).chain(found.keys()) {
        let has = found.get(page);
        assert!(has == before.get(page) || has == after.get(page), "{page:#x} is neither old nor new");
    }
}

/// Bits 39:32 of a 4 MiB page's address stand apart from the others, so that entries do not simply count up.
#[test]
fn a_run_goes_on_where_the_address_field_ends() {
    let (mut memory, mut tables) = (vec![0; 0x1_0000], BumpTables::new(0x2000..=0xffff));
    let format = TwoLevel::default();
    let mut editor = Editor::new(format, &mut memory, &mut tables, ROOT);
    editor.map(0..=0x1ff_ffff, 0xff00_0000, WRITABLE, MapOptions::default()).expect("maps").done(&mut tables);
    let read_only = Protection { clear: WRITABLE, ..Protection::default() };
    let mut editor = Editor::new(format, &mut memory, &mut tables, ROOT);
    editor.protect(0..=0x17f_ffff, read_only).expect("protects").done(&mut tables);
    for page in 0..8_u64 {
        let found = pt_core::translate(&format, &memory, ROOT, page << 22).expect("is mapped");
        let (to, writable) = (0xff00_0000 + (page << 22), page > 5);
        assert_eq!((found.pa, found.rights.writable()), (to, writable), "page {page}");
    }
}

#[test]
fn a_run_ends_where_addresses_do() {
    let (mut memory, mut tables) = (vec![0; 0x1_0000], BumpTables::new(0x2000..=0xffff));
    let before = memory.clone();
    let format = FourLevel::new(Features { phys_bits: 36, ..Features::default() });
    let mut editor = Editor::new(format, &mut memory, &mut tables, ROOT);
    let refused =
        editor.map(0..=0x3fff, (1 << 36) - 0x2000, 0, MapOptions::default()).expect_err("is too high");
    assert_eq!(refused, EditError::Unencodable { va: 0x2000, pa: 1 << 36, attributes: 0 });
    assert_eq!(memory, before);
}

macro_rules! model {
    ($($name:ident: $format:expr;)*) => {$(
        mod $name {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

                #[test]
                fn edits_equal_the_model(
                    operations in prop::collection::vec(operation(), 1..12),
                    free_empty in any::<bool>(),
                ) {
                    check(&$format, &operations, free_empty);
                }
            }
        }
    )*};
}

model! {
    two_level: TwoLevel::default();
    pae: Pae::new(PaeFeatures::default());
    four_level: FourLevel::default();
    five_level: FiveLevel::default();
}
