//! An access, page by page.

use core::ops::Range;

use pt_core::{Marking, Memory, MemoryExchange, Unreadable};
use pt_x86::{Access, CpuState};

use crate::space::Space;
use crate::{AccessCause, AccessError, Translation};

/// What an access has to pass.
pub(super) struct Check {
    pub(super) cpu: CpuState,
    pub(super) access: Access,
}

/// The part of an access that lies in one page.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    va: u64,
    pa: u64,
    pub(super) len: usize,
    /// How many bytes of the access come before it.
    before: usize,
}

impl Piece {
    /// The first piece of what is left of an access at `va`, which is judged if there is a check to pass.
    #[inline(always)]
    pub(super) fn of<S: Space, M: Memory>(
        space: &S,
        memory: &M,
        check: Option<&Check>,
        va: u64,
        left: Range<usize>,
    ) -> Result<Self, AccessError> {
        let linear = space.linear(va.wrapping_add(left.start as u64));
        let found = match check {
            None => space.trace(memory, linear, |_| ()).map_err(AccessCause::Translate),
            Some(Check { cpu, access }) => {
                space.access(cpu, memory, linear, *access).map_err(AccessCause::Fault)
            }
        };
        match found {
            Ok(found) => Ok(Self::of_page(&found, &left)),
            Err(cause) => Err(AccessError { va: linear, done: left.start, cause }),
        }
    }

    /// The same, with accessed and dirty bits.
    pub(super) fn marked<S: Space, M: MemoryExchange>(
        space: &S,
        memory: &mut M,
        Check { cpu, access }: &Check,
        va: u64,
        left: Range<usize>,
    ) -> Result<(Self, Marking), AccessError> {
        let linear = space.linear(va.wrapping_add(left.start as u64));
        match space.mark(cpu, memory, linear, *access) {
            Ok((found, marking)) => Ok((Self::of_page(&found, &left), marking)),
            Err(fault) => Err(AccessError { va: linear, done: left.start, cause: fault.into() }),
        }
    }

    #[inline(always)]
    fn of_page(found: &Translation, left: &Range<usize>) -> Self {
        let len = found.left_in_page().min(left.len() as u64) as usize;
        Self { va: found.va, pa: found.pa, len, before: left.start }
    }

    /// As much of it as lies before the next multiple of `size`, a power of two.
    pub(super) fn cut(self, size: u64) -> Self {
        let len = (size - (self.va & (size - 1))).min(self.len as u64) as usize;
        Self { len, ..self }
    }

    /// Accesses it at once. Only if that fails, the longest part of it that can be accessed is looked for by halving.
    #[inline(always)]
    pub(super) fn access(
        self,
        mut access: impl FnMut(u64, Range<usize>) -> Result<(), Unreadable>,
    ) -> Result<(), AccessError> {
        access(self.pa, 0..self.len).or_else(|why| self.access_longest(why, access))
    }

    #[cold]
    fn access_longest(
        self,
        mut why: Unreadable,
        mut access: impl FnMut(u64, Range<usize>) -> Result<(), Unreadable>,
    ) -> Result<(), AccessError> {
        // All before `done` was accessed; among the `left` bytes from there on is one that cannot be.
        let (mut done, mut left) = (0, self.len);
        while left > 1 {
            let half = left / 2;
            match access(self.pa + done as u64, done..done + half) {
                Ok(()) => (done, left) = (done + half, left - half),
                Err(of_half) => (why, left) = (of_half, half),
            }
        }
        let (va, pa) = (self.va + done as u64, self.pa + done as u64);
        Err(AccessError { va, done: self.before + done, cause: AccessCause::Physical { pa, why } })
    }
}
