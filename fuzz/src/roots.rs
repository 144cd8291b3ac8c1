//! The search for roots, in memory that was made to mislead it.

use std::ops::RangeInclusive;

use pt_core::{Encode, Format};
use pt_testkit::naive::Mode;
use pt_vcpu::{Paging, RankLimits, RootsLimits, find_roots, rank_roots};

use crate::choices::Choices;
use crate::scene::{PAGES, Question, Scene, ask};

/// The input is a scene, and what is left of it limits and ranges.
pub fn run(input: &[u8]) {
    ask(input, &Roots);
}

struct Roots;

impl Question for Roots {
    fn ask<F: Format<Rights = pt_x86::Rights> + Encode>(&self, format: &F, mode: &Mode, scene: &Scene<'_>) {
        let mut choices = Choices::new(scene.rest);
        let limits = RootsLimits { roots: choices.below(16), directories: choices.below(4) };
        let pages = |choices: &mut Choices<'_>| -> RangeInclusive<u64> {
            let first = choices.number(1) << 9;
            first..=first + (choices.number(1) << 8) + 0xfff
        };
        let whole = 0..=(PAGES as u64 * 0x1000) - 1;
        let ranges = if choices.byte() & 1 == 0 {
            vec![whole.clone()]
        } else {
            vec![pages(&mut choices), whole.clone()]
        };
        let given = &scene.roots[..1 + choices.below(3)];
        let (found, whole_result) = match find_roots(format, &scene.memory, ranges, given, &limits) {
            Ok(found) => (found, true),
            Err(error) => {
                assert!(!error.to_string().contains('\n'));
                (error.found, false)
            }
        };
        for (index, one) in found.iter().enumerate() {
            assert!(
                found[..index].iter().all(|other| other.root != one.root),
                "{:#x} is there twice",
                one.root
            );
            let _ = one.reason.to_string();
        }
        let is_found = |register: u64| found.iter().any(|one| one.root == format.root(register));
        assert!(!whole_result || given.iter().all(|&root| is_found(root)));

        let paging = match *mode {
            Mode::TwoLevel { .. } => Paging::TwoLevel(Default::default()),
            Mode::Pae { .. } => Paging::Pae(Default::default()),
            Mode::FourLevel(_) => Paging::FourLevel(Default::default()),
            _ => Paging::FiveLevel(Default::default()),
        };
        let limits = RankLimits { candidates: choices.below(8), tables: choices.below(16) };
        let ranked =
            rank_roots(&[paging], &scene.memory, std::slice::from_ref(&whole), [whole.clone()], &limits);
        assert!(ranked.len() <= limits.candidates);
    }
}
