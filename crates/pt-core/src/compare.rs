//! Two spaces in lockstep: where they map different things.
//!
//! What is the same table under the same rights on both sides (two spaces of one image) is equal without being read; an
//! unequal pair of tables that is met again is reported as a repetition of the first time.

use core::hash::Hash;

use crate::lockstep::{CompareLimit, Judge, Mapped, Scope, lockstep};
use crate::{Format, Memory};

/// A stretch of addresses at which two spaces differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference<R> {
    /// The first virtual address.
    pub va: u64,
    /// The last virtual address.
    pub last: u64,
    /// What the first space has there.
    pub before: Mapped<R>,
    /// What the second space has there.
    pub after: Mapped<R>,
}

/// What a comparison finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding<R> {
    /// A difference.
    Difference(Difference<R>),
    /// The addresses from `va` on differ as those from `like` on do: both lead to the same two tables.
    Repetition {
        /// The first virtual address.
        va: u64,
        /// The last virtual address.
        last: u64,
        /// The first virtual address of the stretch whose differences were reported.
        like: u64,
    },
}

/// One of the two spaces of a comparison.
#[derive(Debug)]
pub struct Side<'a, F, M: ?Sized> {
    /// The format, with what its machine makes of the entries.
    pub format: &'a F,
    /// The memory.
    pub memory: &'a M,
    /// The root, as the register holds it.
    pub root: u64,
}

impl<F, M: ?Sized> Clone for Side<'_, F, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F, M: ?Sized> Copy for Side<'_, F, M> {}

/// Compares two spaces and gives each finding to `found`, in ascending order: physical addresses, and effective rights
/// as `F` has them. Attributes that are not rights can be compared by whoever is given a pair of pages with `alike`.
/// ```
/// use pt_amd64::FourLevel;
/// use pt_core::{Difference, Finding, Mapped, Scope, Side, compare};
///
/// // A PML4 at 0x1000 and a PDPT at 0x2000, which maps 1 GiB at 0; later, it maps another GiB there.
/// let mut before = vec![0; 0x3000];
/// before[0x1000..0x1008].copy_from_slice(&0x2003_u64.to_le_bytes());
/// before[0x2000..0x2008].copy_from_slice(&0x4000_0083_u64.to_le_bytes());
/// let mut after = before.clone();
/// after[0x2000..0x2008].copy_from_slice(&0x8000_0083_u64.to_le_bytes());
///
/// let format = FourLevel::default();
/// let (before, after) = (&before[..], &after[..]);
/// let side = |memory| Side { format: &format, memory, root: 0x1000 };
/// let mut moved = Vec::new();
/// compare(side(before), side(after), &Scope::default(), |_, _| true, |finding| {
///     if let Finding::Difference(Difference {
///         va,
///         last,
///         before: Mapped::Page { pa, .. },
///         after: Mapped::Page { pa: to, .. },
///     }) = finding
///     {
///         moved.push((va, last, pa, to));
///     }
/// })?;
/// assert_eq!(moved, [(0, 0x3fff_ffff, 0x4000_0000, 0x8000_0000)]);
/// # Ok::<(), pt_core::CompareLimit>(())
/// ```
///
/// # Errors
///
/// [`CompareLimit`]: more tables than the scope's limit would have been read.
pub fn compare<F: Format<Rights: Hash>, A: Memory + ?Sized, B: Memory + ?Sized>(
    before: Side<'_, F, A>,
    after: Side<'_, F, B>,
    scope: &Scope,
    alike: impl FnMut(&Mapped<F::Rights>, &Mapped<F::Rights>) -> bool,
    found: impl FnMut(Finding<F::Rights>),
) -> Result<(), CompareLimit> {
    let roots = [(before.root, after.root)];
    let (before, after) = ((before.format, before.memory), (after.format, after.memory));
    lockstep(before, after, roots, scope, &mut Report { alike, found })
}

/// Equality, reported.
struct Report<E, G> {
    alike: E,
    found: G,
}

impl<F, E, G> Judge<F> for Report<E, G>
where
    F: Format,
    E: FnMut(&Mapped<F::Rights>, &Mapped<F::Rights>) -> bool,
    G: FnMut(Finding<F::Rights>),
{
    fn ends(&mut self, va: u64, last: u64, before: Mapped<F::Rights>, after: Mapped<F::Rights>) -> bool {
        let equal = match (&before, &after) {
            (Mapped::Absent { .. }, Mapped::Absent { .. }) => true,
            (Mapped::Page { pa, rights, .. }, Mapped::Page { pa: other, rights: others, .. }) => {
                (pa, rights) == (other, others) && (self.alike)(&before, &after)
            }
            (Mapped::Fault(one), Mapped::Fault(other)) => one == other,
            _ => false,
        };
        if !equal {
            (self.found)(Finding::Difference(Difference { va, last, before, after }));
        }
        equal
    }

    fn repetition(&mut self, va: u64, last: u64, like: u64) {
        (self.found)(Finding::Repetition { va, last, like });
    }
}
