//! What a walker found, as a count and a hash: by this it is checked before it is timed.

use pt_amd64::FourLevel;
use pt_core::raw::MappingKind;
use pt_core::{Event, Geometry, LimitReached, Permissions};
use pt_x86::Rights;

use crate::Seen;

/// Pages and references in their order: address in both spaces, size and rights of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How many.
    pub count: u64,
    /// A hash in which the order matters.
    pub hash: u64,
}

impl Answer {
    fn take(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            self.hash = (self.hash.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
}

impl FromIterator<Seen> for Answer {
    /// # Panics
    ///
    /// On what no scene holds.
    fn from_iter<I: IntoIterator<Item = Seen>>(seen: I) -> Self {
        let mut answer = Self { count: 0, hash: 0 };
        for seen in seen {
            answer.count += 1;
            match seen {
                Seen::Page { phys_base, virt_base, len, kind, user_accessible } => {
                    let Some(MappingKind::Basic(kind)) = kind else { panic!("no scene has {seen:?}") };
                    let rights = [kind.readable, kind.writable, kind.executable];
                    answer.take([phys_base, virt_base, len]);
                    answer.take(rights.map(u64::from));
                    answer.take([user_accessible.map_or(2, u64::from)]);
                }
                Seen::Reference { depth, space, our_va, their_va } => {
                    answer.take([depth as u64, space, our_va, their_va]);
                }
                Seen::OursAlone(other) => panic!("no scene has {other:?}"),
            }
        }
        answer
    }
}

/// The pages of an amd64 walk's leaves and runs, one by one. Of user mode nothing is said, as by upstream's 0.18.
///
/// # Panics
///
/// On faults and limits: no scene has any.
pub fn pages_of_events(
    events: impl Iterator<Item = Result<Event<Rights>, LimitReached>>,
) -> impl Iterator<Item = Seen> {
    let leaves = events.filter_map(|event| match event {
        Ok(Event::Leaf(leaf)) => Some(leaf),
        Ok(Event::Table(_)) => None,
        other => panic!("no scene has {other:?}"),
    });
    leaves.flat_map(|leaf| {
        let (len, rights) = (FourLevel::entry_span(leaf.level), leaf.rights);
        (0..u64::from(leaf.pages)).map(move |page| {
            let (va, pa) = (leaf.va + page * len, leaf.pa + page * len);
            Seen::page(va, pa, len, rights.writable(), rights.executable())
        })
    })
}
