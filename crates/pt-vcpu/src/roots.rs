//! The roots of all address spaces in a memory, without symbols of the operating system.
//!
//! Spaces of one kernel have the same kernel part, so a page that has it is a root: [`find_roots`]. Without any root to
//! begin with, [`rank_roots`] says which pages would make sense as one.

mod kernel;
mod pages;
mod pair;
mod pdpt;
mod rank;
mod sense;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use pt_core::{Encode, Geometry, Memory};

use self::kernel::{Likeness, kernel_slots};
use self::pages::{PAGE, Reader, entry, pages};
use self::pdpt::Fourth;

pub use self::rank::{RankLimits, RankedRoot, rank_roots};

/// A root, and what makes it one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundRoot {
    /// The physical address of the table.
    pub root: u64,
    /// Why it is one.
    pub reason: Reason,
}

/// Why something is a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It was given as one.
    Given,
    /// It was given as one, but its kernel part is empty: no other root can be told by it.
    GivenEmpty,
    /// It was given as one, but it cannot be read.
    GivenUnreadable,
    /// Its kernel part is that of a root that was given.
    KernelPart {
        /// The given root.
        like: u64,
    },
    /// PAE: its fourth entry links the directory that a given root's does.
    SharedDirectory {
        /// The given root.
        like: u64,
        /// The directory.
        directory: u64,
    },
    /// PAE: the directory that its fourth entry links has the content of a given root's.
    CopiedDirectory {
        /// The given root.
        like: u64,
        /// Its own directory.
        directory: u64,
    },
    /// KPTI: it is the kernel half of a pair whose user half was given.
    KernelHalf {
        /// The given user half.
        user: u64,
    },
    /// KPTI: it is the user half of a pair whose kernel half was found.
    UserHalf {
        /// The kernel half.
        kernel: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => write!(f, "given"),
            Self::GivenEmpty => write!(f, "given; its kernel part is empty, others cannot be told by it"),
            Self::GivenUnreadable => write!(f, "given; it cannot be read"),
            Self::KernelPart { like } => write!(f, "kernel part as {like:#x}"),
            Self::SharedDirectory { like, directory } => {
                write!(f, "fourth directory {directory:#x} as {like:#x}")
            }
            Self::CopiedDirectory { like, directory } => {
                write!(f, "fourth directory {directory:#x} has the content of that of {like:#x}")
            }
            Self::KernelHalf { user } => write!(f, "kernel half of the pair with {user:#x}"),
            Self::UserHalf { kernel } => write!(f, "user half of the pair with {kernel:#x}"),
        }
    }
}

/// How far a search may go. Literals end in `..RootsLimits::default()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootsLimits {
    /// How many roots may be found.
    pub roots: usize,
    /// PAE: how many directories that begin like the given root's may be compared whole.
    pub directories: usize,
}

/// A million of either: more than any guest has processes, and less than 100 MiB to remember.
impl Default for RootsLimits {
    fn default() -> Self {
        Self { roots: 1 << 20, directories: 1 << 20 }
    }
}

/// A search that stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct RootsError {
    /// What was found until then, in the order of a whole result.
    pub found: Vec<FoundRoot>,
    /// Why it stopped.
    pub cause: RootsLimit,
}

/// Why a search stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootsLimit {
    /// There are more roots than the limit allows.
    #[error("more than {limit} roots: the next is at {at:#x}, memory from there on was not searched")]
    TooManyRoots {
        /// The limit.
        limit: usize,
        /// Where the first one beyond it is.
        at: u64,
    },
    /// There are more directories to compare than the limit allows.
    #[error("more than {limit} directories to compare: memory from {at:#x} on was not searched")]
    TooManyDirectories {
        /// The limit.
        limit: usize,
        /// Where the root is whose directory would have been the first beyond it.
        at: u64,
    },
}

/// Finds the roots whose kernel part is that of a `given` one (as CR3 holds it), in the pages of `ranges` (the memory
/// that exists).
///
/// The kernel part is the upper half of a 4-level or 5-level root, the top quarter of a 2-level one, and in a PAE root the
/// fourth entry or the content of the directory that it links. Accessed and dirty bits do not count; a slot through which a root
/// maps itself has to map the other one itself. Where the kernel isolates its tables (KPTI), the other half of each pair is
/// found too.
///
/// What has another kernel part is not found: under Xen the roots of the given root's view (the PV kernel's, or the PV
/// processes'), under Linux a space with an LDT of its own under KPTI, and of course other kernels. A copy of a root in a
/// page that is none cannot be told from a root.
///
/// The result is in ascending order, user halves after all others. It has every given root once, found or not. It depends on which
/// root was given only in the reasons, as long as that is one of the same kernel.
///
/// Every page is read once and rejected by a few entries; the rest of the work is bounded by [`RootsLimits`].
///
/// ```
/// use pt_amd64::FourLevel;
/// use pt_vcpu::{Reason, RootsLimits, find_roots};
///
/// // Roots at 0x1000 and 0x4000 share the upper half. They map themselves through slot 0x100, each its own table.
/// let mut memory = vec![0; 0x6000];
/// for root in [0x1000, 0x4000] {
///     memory[root + 0xff8..root + 0x1000].copy_from_slice(&0x3003_u64.to_le_bytes());
///     memory[root + 0x800..root + 0x808].copy_from_slice(&(root as u64 | 3).to_le_bytes());
/// }
/// memory[0x4000..0x4008].copy_from_slice(&0x5007_u64.to_le_bytes());
///
/// let ranges = [0..=0x5fff];
/// let found = find_roots(&FourLevel::default(), &memory, ranges, &[0x1000], &RootsLimits::default())?;
/// assert_eq!(found.len(), 2);
/// assert_eq!((found[0].root, found[0].reason), (0x1000, Reason::Given));
/// assert_eq!((found[1].root, found[1].reason), (0x4000, Reason::KernelPart { like: 0x1000 }));
/// # Ok::<(), pt_vcpu::RootsError>(())
/// ```
///
/// # Errors
///
/// [`RootsError`], with what was found until then, because of:
///
/// - [`RootsLimit::TooManyRoots`]: there are more than the limit allows;
/// - [`RootsLimit::TooManyDirectories`]: to tell PAE roots, more directories would have to be compared than the limit allows.
pub fn find_roots<F: Encode, M: Memory + ?Sized>(
    format: &F,
    memory: &M,
    ranges: impl IntoIterator<Item = RangeInclusive<u64>>,
    given: &[u64],
    limits: &RootsLimits,
) -> Result<Vec<FoundRoot>, RootsError> {
    let mut search = Search::new(format, memory, given, limits);
    let searched = ranges.into_iter().try_for_each(|range| search.range(&range));
    search.finish(searched)
}

/// A search on its way.
struct Search<'a, F, M: Memory + ?Sized> {
    format: &'a F,
    limits: &'a RootsLimits,
    given: BTreeSet<u64>,
    kinds: Vec<Kind>,
    /// The given roots, the kernel halves of those that are user halves instead of them.
    known: Vec<FoundRoot>,
    found: Vec<FoundRoot>,
    reader: Reader<'a, M>,
    another: Reader<'a, M>,
}

/// What roots of one kernel have in common.
enum Kind {
    Page { like: u64, part: Likeness },
    Fourth(Fourth),
}

impl Kind {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Page { part, .. }, Self::Page { part: other, .. }) => part == other,
            (Self::Fourth(fourth), Self::Fourth(other)) => fourth == other,
            _ => false,
        }
    }
}

impl<'a, F: Encode, M: Memory + ?Sized> Search<'a, F, M> {
    fn new(format: &'a F, memory: &'a M, given: &[u64], limits: &'a RootsLimits) -> Self {
        let roots = given.iter().map(|&register| format.root(register));
        let mut search = Self {
            format,
            limits,
            given: roots.clone().collect(),
            kinds: Vec::new(),
            known: Vec::new(),
            found: Vec::new(),
            reader: Reader::new(memory),
            another: Reader::new(memory),
        };
        let mut seen = BTreeSet::new();
        for root in roots.filter(|&root| seen.insert(root)) {
            search.give(root);
        }
        search
    }

    /// Learns what a given root has that others may have too.
    fn give(&mut self, root: u64) {
        // The kernel half is what the others are like.
        let kernel = pair::kernel_half_of(root).filter(|&kernel| self.is_pair(kernel, root));
        let like = kernel.unwrap_or(root);
        let mut reason = match self.kind_of(like) {
            Ok(kind) => {
                if !self.kinds.iter().any(|other| other.is(&kind)) {
                    self.kinds.push(kind);
                }
                Reason::Given
            }
            Err(reason) => reason,
        };
        if kernel.is_some() && !self.given.contains(&like) {
            reason = Reason::KernelHalf { user: root };
        }
        self.known.push(FoundRoot { root: like, reason });
    }

    /// What roots that are like this one have in common with it, or why there are none.
    fn kind_of(&mut self, like: u64) -> Result<Kind, Reason> {
        let Self { format, reader, another, .. } = self;
        let bytes = F::table_bytes(F::ROOT);
        let root = reader.bytes(like, bytes).ok_or(Reason::GivenUnreadable)?;
        let kind = if F::entries(F::ROOT) == 4 {
            Fourth::of(*format, another, like, root).map(Kind::Fourth)
        } else {
            let part = Likeness::of(*format, F::ROOT, kernel_slots::<F>(), root, &[like]);
            part.map(|part| Kind::Page { like, part })
        };
        kind.ok_or(Reason::GivenEmpty)
    }

    fn is_pair(&mut self, kernel: u64, user: u64) -> bool {
        pair::is_pair(self.format, &mut self.reader, &mut self.another, (kernel, user))
    }

    fn range(&mut self, range: &RangeInclusive<u64>) -> Result<(), RootsLimit> {
        let Self { format, limits, kinds, found, reader, another, .. } = self;
        if kinds.is_empty() {
            return Ok(());
        }
        let mut add = |root: u64, reason: Reason| {
            // Several kinds may have the same: copies of one fourth directory.
            let mut of_page = found.iter().rev().take_while(|found| found.root / PAGE == root / PAGE);
            if of_page.any(|found| found.root == root) {
                return Ok(());
            }
            if found.len() >= limits.roots {
                return Err(RootsLimit::TooManyRoots { limit: limits.roots, at: root });
            }
            found.push(FoundRoot { root, reason });
            Ok(())
        };
        for at in pages(range) {
            let Some(page) = reader.page(at) else { continue };
            for kind in &mut *kinds {
                match kind {
                    Kind::Page { like, part } => {
                        if part.probe::<F>(page)
                            && part.matches_elsewhere::<F>(page)
                            && part.matches_own(*format, &[at], |slot| Some(entry::<F>(page, slot)))
                        {
                            add(at, Reason::KernelPart { like: *like })?;
                            break;
                        }
                    }
                    Kind::Fourth(fourth) => fourth.search(*format, another, (at, page), limits, &mut add)?,
                }
            }
        }
        Ok(())
    }

    /// The user halves, and everything in order.
    fn finish(mut self, searched: Result<(), RootsLimit>) -> Result<Vec<FoundRoot>, RootsError> {
        // Given roots come first, so that of equal ones theirs is the reason that stays.
        let mut roots = core::mem::take(&mut self.known);
        roots.append(&mut self.found);
        roots.sort_by_key(|found| found.root);
        roots.dedup_by_key(|found| found.root);
        let mut halves = Vec::new();
        let searched = searched.and_then(|()| self.user_halves(&roots, &mut halves));
        roots.append(&mut halves);
        // In memory that changes meanwhile, a pair may have ceased to be one.
        let mut lost = self.given;
        for found in &roots {
            lost.remove(&found.root);
        }
        roots.extend(lost.into_iter().map(|root| FoundRoot { root, reason: Reason::Given }));
        match searched {
            Ok(()) => Ok(roots),
            Err(cause) => Err(RootsError { found: roots, cause }),
        }
    }

    /// Adds the user half of each pair whose kernel half is among `roots`, which ascend.
    fn user_halves(&mut self, roots: &[FoundRoot], halves: &mut Vec<FoundRoot>) -> Result<(), RootsLimit> {
        for kernel in roots.iter().map(|found| found.root) {
            let Some(user) = pair::user_half_of(kernel) else { continue };
            if roots.binary_search_by_key(&user, |found| found.root).is_ok() || !self.is_pair(kernel, user) {
                continue;
            }
            if roots.len() + halves.len() >= self.limits.roots {
                return Err(RootsLimit::TooManyRoots { limit: self.limits.roots, at: user });
            }
            let given = self.given.contains(&user);
            let reason = if given { Reason::Given } else { Reason::UserHalf { kernel } };
            halves.push(FoundRoot { root: user, reason });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    use pt_amd64::FourLevel;
    use pt_i686::Pae;

    fn kinds<F: Encode>(format: &F, entries: &[(usize, u64)], given: &[u64]) -> usize {
        let mut memory = vec![0; 0x6000];
        for &(at, raw) in entries {
            memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
        }
        Search::new(format, &memory, given, &RootsLimits::default()).kinds.len()
    }

    /// Every kind is work for every page.
    #[test]
    fn given_roots_of_one_kernel_are_of_one_kind() {
        // The kernel part of the third is another one, and the fourth has none.
        let large = [(0x1ff8, 0x5063), (0x2000, 0x5067), (0x2ff8, 0x5003), (0x3ff8, 0x5001)];
        // Fourth directories of the same content are nevertheless two.
        let pae = [(0x1018, 0x2001), (0x1038, 0x2021), (0x1058, 0x3001), (0x2000, 0xe3), (0x3000, 0xe3)];
        let cases: [(usize, &[usize]); _] =
            [(0, &[]), (1, &[0]), (1, &[0, 0]), (1, &[0, 1]), (2, &[0, 2]), (2, &[2, 1, 0]), (1, &[3, 1])];
        for (count, given) in cases {
            let roots = |all: [u64; 4]| given.iter().map(|&which| all[which]).collect::<Vec<_>>();
            let of_large = kinds(&FourLevel::default(), &large, &roots([0x1000, 0x2000, 0x3000, 0x4000]));
            let of_pae = kinds(&Pae::default(), &pae, &roots([0x1000, 0x1020, 0x1040, 0x4000]));
            assert_eq!((of_large, of_pae), (count, count), "{given:?}");
        }
    }
}
