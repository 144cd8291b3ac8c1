//! Rebuilds: toy graphs in every way, as the oracle says of them; and x86 tables, proved or refused; raw results too.

use pt_core::{Encode, Format, Limits};
use pt_rebuild::{
    Arena, Compact, Dedup, Faults, Graph, Keep, Pages, Placement, Plan, Proof, RebuildOptions, TableFrames,
    verify,
};
use pt_testkit::battery::{Flip, Placing, Way, check_commit, check_way, flip};
use pt_testkit::naive::{Faulty, Mode};
use pt_testkit::toy::Toy;

use crate::choices::Choices;
use crate::scene::{PAGES, Question, Scene, ask, toy};

/// The first byte says whether a toy graph or a scene is rebuilt.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    if choices.byte() & 7 == 0 {
        return ask(choices.rest(), &Rebuilds);
    }
    let (bits, more) = (choices.byte(), choices.byte());
    let way = Way {
        live: bits & 1 != 0,
        faults: [Faulty::Refused, Faulty::Cleared, Faulty::Kept, Faulty::Cleared][usize::from(bits >> 1 & 3)],
        pages: pages(bits >> 3),
        placing: [Placing::Keep, Placing::Shift(0x2_0000), Placing::Move, Placing::Compact, Placing::Dedup]
            [usize::from(bits >> 5) % 5],
    };
    let mut case = toy(&mut choices);
    if way.placing == Placing::Dedup {
        // Of a page that the range cuts, the oracle does not see the part that can share a frame with others.
        case.range = (0, u64::MAX);
    }
    if let Some(rebuilt) = check_way(&case, &Toy, &way) {
        match more & 7 {
            0 => check_commit(&case, &Toy, &way, &rebuilt),
            1 => drop(flip(&case, &Toy, &way, &rebuilt, Flip::Table(more.into()))),
            2 => drop(flip(&case, &Toy, &way, &rebuilt, Flip::Root(more.into()))),
            _ => {}
        }
    }
}

fn pages(choice: u8) -> Pages {
    match choice & 3 {
        0 => Pages::Keep,
        1 => Pages::Split,
        2 => Pages::Promote { shared: false },
        _ => Pages::Promote { shared: true },
    }
}

struct Rebuilds;

impl Question for Rebuilds {
    fn ask<F: Format<Rights = pt_x86::Rights> + Encode>(&self, format: &F, _: &Mode, scene: &Scene<'_>) {
        let mut choices = Choices::new(scene.rest);
        let (bits, more) = (choices.byte(), choices.byte());
        let options = RebuildOptions {
            table_frames: if bits & 1 == 0 { TableFrames::Data } else { TableFrames::Live },
            pages: pages(bits >> 1),
            faults: [Faults::Refuse, Faults::Clear, Faults::Keep, Faults::Clear][usize::from(bits >> 3 & 3)],
            limit: 24,
        };
        let limits = Limits { tables: 40, events: 400 };
        let read =
            Graph::read(format.clone(), &scene.memory, &scene.roots, scene.options.range.clone(), limits);
        let Ok(graph) = read else { return };
        let mut arena = Arena::new([0x10_0000..=0x1f_ffff]);
        let held = 0..=(PAGES as u64 * 0x1000) - 1;
        let kind = more & 3;
        let mut frames = Arena::new([0x20_0000..=0x2f_ffff]);
        let mut keep = Keep;
        let mut compact = Compact::new(&mut frames, [held.clone()]);
        let mut dedup_frames = Arena::new([0x20_0000..=0x2f_ffff]);
        let mut dedup = Dedup::new(&mut dedup_frames, [held], &scene.memory, 4096);
        let placement: &mut dyn Placement = match kind {
            0 | 1 => &mut keep,
            2 => &mut compact,
            _ => &mut dedup,
        };
        let Ok(plan) = Plan::new(graph, options, placement) else { return };
        let needed = plan.new_tables();
        let Ok(rebuilt) = plan.reserve(&mut arena) else { return };
        assert_eq!(rebuilt.tables().len(), needed);
        let proof = Proof {
            range: scene.options.range.clone(),
            table_frames: options.table_frames,
            sizes: options.pages != Pages::Keep || kind == 3,
            merged: kind == 3,
            faults: options.faults,
            frames: Some(rebuilt.frames()),
            limit: 2000,
        };
        let view = rebuilt.view(&scene.memory);
        match verify(format, &scene.memory, &view, rebuilt.roots(), &proof) {
            Ok(_) | Err(pt_rebuild::VerifyError::Limit(_)) => {}
            Err(error) => panic!("{error}: {error:x?}"),
        }
        // Any other memory is another matter, but never a panic.
        let _ = verify(format, &view, &scene.memory, rebuilt.roots(), &proof);
    }
}
