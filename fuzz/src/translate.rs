//! Translation: the loop, its trace, extents, and the oracle agree about any address of any tables.

use pt_core::{Cause, Encode, Extents, Format, Geometry, TranslateError, trace, translate};
use pt_testkit::naive::{self, Event, Lost, Mode};

use crate::choices::Choices;
use crate::scene::{Question, Scene, ask};

/// The input is a scene, and what is left of it addresses.
pub fn run(input: &[u8]) {
    ask(input, &Addresses);
}

struct Addresses;

impl Question for Addresses {
    fn ask<F: Format<Rights = pt_x86::Rights> + Encode>(&self, format: &F, mode: &Mode, scene: &Scene<'_>) {
        let mut choices = Choices::new(scene.rest);
        for _ in 0..6 {
            let root = scene.roots[choices.below(3)];
            let va = address::<F>(&mut choices);
            one(format, mode, scene, root, va);
        }
        extents(format, scene);
    }
}

/// An address whose index at each level is one that entries are likely at.
fn address<F: Format>(choices: &mut Choices<'_>) -> u64 {
    if choices.byte() == 0xff {
        return choices.number(8);
    }
    let mut va = choices.number(2) & 0xfff;
    for level in 0..usize::from(F::LEVELS) {
        let bits = F::INDEX_BITS[level];
        let span = 12 + F::INDEX_BITS[..level].iter().sum::<u8>();
        let (index, end) = (u64::from(choices.byte()), 1_u64 << bits);
        let index = if index & 0x80 == 0 { index } else { end - 1 - (index & 0x7f) % end };
        va |= (index & (end - 1)) << span;
    }
    F::canonical(va)
}

fn one<F: Format<Rights = pt_x86::Rights>>(format: &F, mode: &Mode, scene: &Scene<'_>, root: u64, va: u64) {
    let memory = &scene.memory[..];
    let found = translate(format, memory, root, va);
    let mut path = Vec::new();
    assert_eq!(trace(format, memory, root, va, |step| path.push(step)), found);
    assert!(path.len() <= usize::from(F::LEVELS));
    let first = F::clip(&(va..=va)).map(|_| Extents::new(format.clone(), memory, root, va..=va).next());
    if let Some(Some(extent)) = first {
        assert_eq!((extent.va, extent.len), (va, 1));
        assert_eq!(extent.to, found);
    }
    let oracle = naive::translate(mode, &scene.physical(), root, va);
    match (found, oracle) {
        (Ok(found), Ok(known)) => {
            let engine = (found.pa, found.level.number(), found.raw, found.entry);
            assert_eq!(engine, (known.pa, known.level, known.raw, known.entry));
            let rights = [pt_x86::Rights::WRITE, pt_x86::Rights::USER, pt_x86::Rights::EXECUTE];
            let known = [known.rights.write, known.rights.user, known.rights.execute];
            assert_eq!(rights.map(|right| found.rights.contains(right)), known);
            assert_eq!(path.last().map(|step| (step.level, step.raw)), Some((found.level, found.raw)));
        }
        (Err(TranslateError::NonCanonical { va: of }), Err(Lost::NoSuchAddress)) => assert_eq!(of, va),
        (Err(TranslateError::NotPresent { level, entry, raw }), Err(known)) => {
            assert_eq!(known, Lost::Absent { level: level.number(), raw, entry });
        }
        (
            Err(TranslateError::Fault(Cause::Malformed { level, entry, raw, reserved })),
            Err(Lost::Fault(Event::Malformed { level: at, raw: known, entry: of, reserved: bits, .. })),
        ) => assert_eq!((level.number(), entry, raw, reserved), (at, of, known, bits)),
        (
            Err(TranslateError::Fault(Cause::Unreadable { level, table, link, .. })),
            Err(Lost::Fault(Event::Unreadable { level: at, table: known, link: of, .. })),
        ) => assert_eq!((level.number(), table, link.raw, link.entry), (at, known, of.raw, of.entry)),
        other => panic!("{va:#x}: {other:x?}"),
    }
}

/// Extents follow each other without a gap, and each is what its first and last address translate to.
fn extents<F: Format<Rights = pt_x86::Rights>>(format: &F, scene: &Scene<'_>) {
    let (memory, root, range) = (&scene.memory[..], scene.roots[0], &scene.options.range);
    let Some((first, last)) = F::clip(range) else {
        assert!(Extents::new(format.clone(), memory, root, range.clone()).next().is_none());
        return;
    };
    let mut next = first;
    for extent in Extents::new(format.clone(), memory, root, range.clone()).take(24) {
        assert_eq!(extent.va, F::canonical(next));
        assert!(extent.len > 0 && extent.len - 1 <= last - next);
        next += extent.len - 1;
        let found = translate(format, memory, root, F::canonical(next));
        match (extent.to, found) {
            (Ok(one), Ok(other)) => {
                assert_eq!((one.pa + (extent.len - 1), one.raw), (other.pa, other.raw));
            }
            (Err(one), Err(other)) => {
                assert_eq!(std::mem::discriminant(&one), std::mem::discriminant(&other));
            }
            other => panic!("{other:x?}"),
        }
        if next == last {
            return;
        }
        next += 1;
    }
}
