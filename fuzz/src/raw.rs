//! The raw interface, over tables behind pointers.
#![allow(unsafe_code)]

mod tables;

use pt_amd64::FourLevel;
use pt_core::raw::{
    BasicMapping, CowMapping, LinkRights, MapError, Mapping, MappingKind, RawFormat, SpaceAwareMapping,
    SpaceReferenceMapping, TableMovability, map, space_aware_map, virt_to_phys, walk_va_spaces,
};
use pt_core::{Geometry, Level};
use pt_i686::TwoLevel;
use pt_rebuild::{Arena, Faults, Graph, Keep, Plan, RebuildOptions};

use crate::choices::Choices;
use crate::scene::Scene;
use tables::{Embedder, Moving, Still, Tables};

/// The first byte is the format, and whether tables move; then come the tables, and what is to be done with them.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    match choices.byte() & 3 {
        0 => check::<Still<FourLevel>, _>(&FourLevel::default(), &mut choices),
        1 => check::<Moving<FourLevel>, _>(&FourLevel::default(), &mut choices),
        2 => check::<Still<TwoLevel>, _>(&TwoLevel::default(), &mut choices),
        _ => check::<Moving<TwoLevel>, _>(&TwoLevel::default(), &mut choices),
    }
}

fn check<E: Embedder<F>, F: RawFormat + Default>(format: &F, choices: &mut Choices<'_>) {
    let scene = Scene::new(choices, F::ENTRY_BYTES);
    let roots = scene.roots.map(|root| format.root(root));
    let embedder = E::new(Tables::new(format, &scene.memory, roots));
    let mut choices = Choices::new(scene.rest);
    let bits = choices.byte();
    if bits & 1 != 0 {
        walked(format, &embedder, &mut choices, bits);
    }
    for _ in 0..3 {
        if choices.is_empty() {
            break;
        }
        write(format, &embedder, &mut choices);
    }
    if bits & 1 == 0 {
        walked(format, &embedder, &mut choices, bits);
    }
}

/// A length in pages, or nearly so.
fn length(choices: &mut Choices<'_>) -> u64 {
    match choices.byte() {
        255 => choices.edge(),
        byte if byte & 0xc0 == 0xc0 => u64::from(byte & 3) << 21 | u64::from(byte >> 2 & 3) << 12,
        byte => u64::from(byte & 7) << 12 | u64::from(byte >> 3 == 7),
    }
}

/// An address near one of the borders of tables.
fn address<F: Geometry>(choices: &mut Choices<'_>) -> u64 {
    let byte = choices.byte();
    let base = match byte & 7 {
        0 => 0,
        1 => 1 << 21,
        2 => 1 << 22,
        3 => 1 << 30,
        4 => F::canonical(F::VA_MASK / 2 + 1),
        5 => 0_u64.wrapping_sub(1 << 21),
        6 => 1 << 39,
        _ => return choices.edge(),
    };
    base.wrapping_add(u64::from(byte >> 3) << 12)
}

/// What all roots reach, and what a graph makes of that.
fn walked<E: Embedder<F>, F: RawFormat>(format: &F, embedder: &E, choices: &mut Choices<'_>, bits: u8) {
    let (start, len) =
        if bits & 0x82 == 0 { (0, F::VA_MASK + 1) } else { (address::<F>(choices), length(choices)) };
    let roots = *embedder.tables().roots.borrow();
    // SAFETY: every read is looked up, and nothing writes meanwhile.
    let mut walked = unsafe {
        walk_va_spaces(format.clone(), embedder, &roots[..1 + usize::from(bits >> 2 & 1)], start, len)
    };
    for place in 0..walked.len() {
        for mapping in &walked[place].1 {
            match mapping {
                SpaceAwareMapping::AnotherSpace(link) => {
                    assert!(walked[..place].iter().any(|(space, _)| *space == link.space));
                }
                SpaceAwareMapping::SameSpace(link) => {
                    assert!(link.space == walked[place].0 && link.their_va < link.our_va);
                }
                SpaceAwareMapping::ThisSpace(page) => {
                    assert!(page.len > 0 && page.kind != MappingKind::Unmapped)
                }
                SpaceAwareMapping::Fault(_) => {}
            }
        }
    }
    embedder.tables().current.set(0);
    // SAFETY: as above.
    let pages = unsafe { virt_to_phys(format.clone(), embedder, start, len) };
    let mut first_pages = walked[0].1.iter().filter_map(|mapping| match mapping {
        SpaceAwareMapping::ThisSpace(page) => Some(page),
        _ => None,
    });
    if let (Some(page), Some(first)) = ({ pages }.next(), first_pages.next()) {
        assert!(page.virt_base <= first.virt_base || F::is_canonical(page.virt_base));
        if page.virt_base == first.virt_base {
            assert_eq!((page.phys_base, page.kind), (first.phys_base, first.kind));
        }
    }
    // What a walk gives can be a graph. What nobody's walk gives is refused or not.
    for (place, what) in [(choices.byte(), choices.byte())].into_iter().filter(|_| bits & 8 != 0) {
        spoil(&mut walked, usize::from(place), what, choices);
    }
    let graph = Graph::from_raw(format.clone(), &walked);
    assert!(graph.is_ok() || bits & 8 != 0 || start != 0, "{:?}", graph.err());
    let Ok(graph) = graph else { return };
    let mut arena = Arena::new([0x10_0000..=0x1f_ffff]);
    let faults = if bits & 16 == 0 { Faults::Clear } else { Faults::Keep };
    let options = RebuildOptions { faults, limit: 40, ..RebuildOptions::default() };
    if let Ok(plan) = Plan::new(graph, options, Keep) {
        let _ = plan.reserve(&mut arena);
    }
}

/// Changes one mapping of a result.
fn spoil(walked: &mut [(u64, Vec<SpaceAwareMapping>)], place: usize, what: u8, choices: &mut Choices<'_>) {
    let spaces = walked.len();
    let Some((space, mappings)) = walked.get_mut(usize::from(what >> 7) % spaces) else { return };
    if mappings.is_empty() {
        *space = choices.edge();
        return;
    }
    let index = place % mappings.len();
    let value = choices.edge();
    match (&mut mappings[index], what & 7) {
        (_, 0) => drop(mappings.remove(index)),
        (_, 1) => mappings.swap(index, 0),
        (SpaceAwareMapping::ThisSpace(page), 2) => page.virt_base = value,
        (SpaceAwareMapping::ThisSpace(page), 3) => page.len = value,
        (SpaceAwareMapping::ThisSpace(page), 4) => {
            page.level = Level::new((value % 5) as u8 + 1).expect("a level")
        }
        (SpaceAwareMapping::ThisSpace(page), 5) => page.phys_base = value,
        (SpaceAwareMapping::ThisSpace(page), _) => page.entry = value,
        (SpaceAwareMapping::AnotherSpace(link) | SpaceAwareMapping::SameSpace(link), what) => match what {
            2 => link.depth = value as usize,
            3 => link.space = value,
            4 => link.our_va = value,
            5 => link.their_va = value,
            _ => link.entry = value,
        },
        (SpaceAwareMapping::Fault(fault), _) => fault.va = value,
    }
}

/// One `map` or `space_aware_map`. What fails leaves every byte as it was, unless links could not follow a table, or a table
/// hangs at two levels.
fn write<E: Embedder<F>, F: RawFormat>(format: &F, embedder: &E, choices: &mut Choices<'_>) {
    let tables = embedder.tables();
    let (bits, kind) = (choices.byte(), choices.byte());
    tables.current.set(usize::from(bits & 1));
    tables.allowed.set(usize::from(bits >> 1 & 7));
    tables.before.take();
    let flag = |bit: u8| kind >> bit & 1 != 0;
    let done = if bits & 0x10 == 0 {
        let what = match kind & 3 {
            0 => MappingKind::Unmapped,
            1 => MappingKind::Cow(CowMapping { readable: true, executable: flag(2) }),
            _ => MappingKind::Basic(BasicMapping { readable: true, writable: flag(2), executable: flag(3) }),
        };
        let mapping = Mapping {
            user_accessible: flag(4),
            level: Level::new(1 + (bits >> 5) % 5).expect("a level"),
            entry: if flag(5) { choices.edge() } else { 0 },
            ..Mapping::new(choices.edge(), address::<F>(choices), length(choices), what)
        };
        // SAFETY: reads and writes are looked up, and nothing else has the tables.
        unsafe { map(format, embedder, mapping) }
    } else {
        let rights = LinkRights { writable: flag(0), executable: flag(1), user_accessible: flag(2) };
        let reference = SpaceReferenceMapping {
            depth: usize::from(kind >> 3 & 7),
            space: 7,
            our_va: address::<F>(choices),
            their_va: address::<F>(choices),
            entry: if flag(6) { choices.edge() } else { 0 },
            rights,
        };
        let roots = *tables.roots.borrow();
        // SAFETY: as above.
        unsafe { space_aware_map(format, embedder, reference, &[(7, roots[usize::from(bits >> 5 & 1)])]) }
    };
    match done {
        Ok(()) | Err(MapError::Adrift { .. } | MapError::Changed { .. }) => {}
        Err(error) => {
            assert!(!error.to_string().contains('\n'));
            let moves = <E::TableMovability as TableMovability<u64>>::MOVES;
            assert!(moves || tables.is_as_before(), "{error}: something was written");
        }
    }
}
