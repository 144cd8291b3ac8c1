//! Pairs of roots under kernel page-table isolation (KPTI).
//!
//! Linux gives such a process two neighbouring roots, the kernel's in the even page, and switches CR3 between them:
//!
//! ```text
//!            even page: in the kernel      odd page: in user mode
//!  user      maps U, without execution     maps U
//!  kernel    maps all of it                maps what entering the kernel needs, in part through the same tables
//! ```

use core::ops::Range;

use pt_core::{Encode, Entry, Format, Geometry, Level, Memory};

use super::kernel::{kernel_slots, settled};
use super::pages::{PAGE, Reader, entry};

/// Both halves, each at the start of its page.
const PAIR: u64 = 2 * PAGE;

/// The kernel half that a root would have if it were a user half.
pub(super) const fn kernel_half_of(root: u64) -> Option<u64> {
    if root % PAIR == PAGE { Some(root - PAGE) } else { None }
}

/// The user half that a root would have if it were a kernel half.
pub(super) const fn user_half_of(root: u64) -> Option<u64> {
    if root.is_multiple_of(PAIR) { Some(root + PAGE) } else { None }
}

/// Whether two neighbouring pages are a pair.
pub(super) fn is_pair<F: Encode, M: Memory + ?Sized>(
    format: &F,
    kernel: &mut Reader<'_, M>,
    user: &mut Reader<'_, M>,
    at: (u64, u64),
) -> bool {
    let (bytes, memory) = (F::table_bytes(F::ROOT), kernel.memory());
    let roots = kernel.bytes(at.0, bytes).zip(user.bytes(at.1, bytes));
    let Some((of_kernel, of_user)) = roots else { return false };
    let slots = kernel_slots::<F>();
    if !(0..slots.start).all(|slot| same_user::<F>(entry::<F>(of_kernel, slot), entry::<F>(of_user, slot))) {
        return false;
    }
    if F::entries(F::ROOT) > 4 {
        return is_excerpt(format, memory, F::ROOT, slots, (of_kernel, of_user));
    }
    // PAE: what the fourth directories say.
    let fourth = |root| match format.decode(F::ROOT, settled::<F>(entry::<F>(root, slots.start))) {
        Entry::Table(directory) => Some(directory),
        _ => None,
    };
    let Some((of_kernel, of_user)) = fourth(of_kernel).zip(fourth(of_user)) else { return false };
    let Some(level) = F::ROOT.below() else { return false };
    let directories = kernel.page(of_kernel).zip(user.page(of_user));
    directories.is_some_and(|tables| is_excerpt(format, memory, level, 0..F::entries(level), tables))
}

/// Whether two entries of the user part are the same, but that the kernel's may forbid execution.
fn same_user<F: Encode>(of_kernel: u64, of_user: u64) -> bool {
    (settled::<F>(of_kernel) ^ settled::<F>(of_user)) & !F::RESTRICTED == 0
}

/// Whether the user half maps at most half of what the kernel half does, nothing where that has nothing, and something in the
/// same way: by an equal entry, or one table further down.
fn is_excerpt<F: Format, M: Memory + ?Sized>(
    format: &F,
    memory: &M,
    level: Level,
    slots: Range<usize>,
    (of_kernel, of_user): (&[u8], &[u8]),
) -> bool {
    let (mut kernel, mut user, mut common) = (0, 0, false);
    let mut differing = None;
    for slot in slots {
        let (theirs, ours) = (entry::<F>(of_kernel, slot), entry::<F>(of_user, slot));
        let (theirs_is, ours_is) = (format.decode(level, theirs), format.decode(level, ours));
        kernel += usize::from(theirs_is != Entry::Absent);
        match (theirs_is, ours_is) {
            (_, Entry::Absent) if ours == 0 || ours == theirs => {}
            (Entry::Table(_) | Entry::Leaf(_), _) if settled::<F>(theirs) == settled::<F>(ours) => {
                (user, common) = (user + 1, true);
            }
            (Entry::Table(theirs), Entry::Table(ours)) => {
                user += 1;
                // With five levels, all that is common may hang below the last slot.
                differing = Some((theirs, ours));
            }
            _ => return false,
        }
    }
    let below = || {
        differing.zip(level.below()).is_some_and(|(tables, level)| have_common(format, memory, level, tables))
    };
    user * 2 <= kernel && (common || below())
}

/// Whether two tables have an equal entry that is present.
fn have_common<F: Format, M: Memory + ?Sized>(
    format: &F,
    memory: &M,
    level: Level,
    tables: (u64, u64),
) -> bool {
    let (mut one, mut other) = (Reader::new(memory), Reader::new(memory));
    let bytes = F::table_bytes(level);
    one.bytes(tables.0, bytes).zip(other.bytes(tables.1, bytes)).is_some_and(|(one, other)| {
        (0..F::entries(level)).any(|slot| {
            let (one, other) = (entry::<F>(one, slot), entry::<F>(other, slot));
            settled::<F>(one) == settled::<F>(other) && format.decode(level, one) != Entry::Absent
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_half_is_the_even_page_and_the_user_half_the_odd_one() {
        let last = u64::MAX - 0xfff;
        for (kernel, user) in [(0, 0x1000), (0x1000_2000, 0x1000_3000), (last - 0x1000, last)] {
            assert_eq!((kernel_half_of(user), user_half_of(kernel)), (Some(kernel), Some(user)));
            assert_eq!((kernel_half_of(kernel), user_half_of(user)), (None, None));
            // A PAE root inside its page is neither.
            for root in [kernel + 0x20, user + 0x20] {
                assert_eq!((kernel_half_of(root), user_half_of(root)), (None, None));
            }
        }
    }
}
