//! Guest-virtual memory: bytes, strings and integers, over as many pages as they span.
//!
//! ```text
//!  va          │◀─ page ─▶│◀─ page ─▶│◀─ not present
//!  read   ├────┼──────────┼──────────┤- - - - -
//!         ▲ va            done       ▲ AccessError::va
//! ```
//!
//! Each page is translated when the access gets there and never read beyond what was asked for. An access goes on until
//! the first byte that cannot be had and says which one that is, even where physical memory ends inside a page.

mod piece;

use core::ffi::CStr;
use core::ops::RangeInclusive;

use pt_core::{Marking, Memory, MemoryExchange, MemoryMut, Step, TranslateError};
use pt_x86::{Access, AccessKind, Privilege};

use crate::space::in_space;
use crate::{AccessCause, AccessError, Extents, Integer, Translation, Vcpu};
use piece::{Check, Piece};

/// The virtual memory of a [`Vcpu`] as a debugger sees it: everything that is present can be read and written, whatever
/// its rights, and no accessed or dirty bit is set. [`with_access`](Self::with_access) makes it what an instruction sees.
///
/// Addresses count as the CPU counts them: past the last one comes address 0, at 4 GiB outside long mode (where only the
/// low 32 bits of an address count), at 2<sup>64</sup> in it.
///
/// ```
/// use pt_vcpu::{Machine, Registers, Vcpu};
///
/// // A page directory at 0x1000: pages of 4 MiB at 0 and at 4 MiB, both leading to physical 0.
/// let mut memory = vec![0; 0x2000];
/// memory[0x1000..0x1004].copy_from_slice(&0x83_u32.to_le_bytes());
/// memory[0x1004..0x1008].copy_from_slice(&0x83_u32.to_le_bytes());
/// let registers = Registers { cr0: 0x8000_0001, cr3: 0x1000, cr4: 0x10, ..Registers::default() };
///
/// let mut view = Vcpu::new(registers, &Machine::default()).view(&mut memory);
/// view.write(0x40_0010, b"guest\0")?;
/// view.write_integer(0x20, 0x1122_3344_u32)?;
/// assert_eq!(view.read_c_string(0x10, &mut [0; 16])?, c"guest");
/// assert_eq!(view.read_integer::<u16>(0x40_0020)?, 0x3344);
///
/// // Physical memory ends before the page does.
/// let stopped = view.read(0x1ff0, &mut [0; 64]).unwrap_err();
/// assert_eq!((stopped.va, stopped.done), (0x2000, 16));
/// # Ok::<(), pt_vcpu::AccessError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct View<M> {
    vcpu: Vcpu,
    memory: M,
    /// On whose behalf accesses are judged; none: they are not.
    privilege: Option<Privilege>,
}

/// Where strings are cut into reads: the smallest page.
const STRING_PIECE: u64 = 4096;

/// Integers are read and written this many bytes at a time.
const INTEGERS_AT_ONCE: usize = 256;

impl<M: Memory> View<M> {
    pub(crate) const fn new(vcpu: &Vcpu, memory: M) -> Self {
        Self { vcpu: *vcpu, memory, privilege: None }
    }

    /// The same memory as code or the processor itself sees it: an access that the vCPU would refuse ends with
    /// [`AccessCause::Fault`], the exception that it would raise. Accessed and dirty bits stay as they are: see
    /// [`mark`](Self::mark).
    ///
    /// ```
    /// use pt_vcpu::{AccessCause, Machine, Privilege, Registers, Vcpu};
    ///
    /// // A page directory at 0x1000: a page of 4 MiB for the user, the next one for the supervisor.
    /// let mut memory = vec![0; 0x2000];
    /// memory[0x1000..0x1004].copy_from_slice(&0x87_u32.to_le_bytes());
    /// memory[0x1004..0x1008].copy_from_slice(&0x83_u32.to_le_bytes());
    /// let registers = Registers { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0x10, cpl: 3, ..Registers::default() };
    /// let vcpu = Vcpu::new(registers, &Machine::default());
    ///
    /// let view = vcpu.view(&memory).with_access(vcpu.privilege());
    /// assert_eq!(view.read_integer::<u8>(0x1000)?, 0x87);
    /// let stopped = view.read_integer::<u8>(0x40_1000).unwrap_err();
    /// let AccessCause::Fault(fault) = stopped.cause else { panic!("{stopped}") };
    /// assert_eq!(fault.to_string(), "#PF error 0x5: read, user, present: PDE at 0x1004: U/S = 0");
    /// # Ok::<(), pt_vcpu::AccessError>(())
    /// ```
    pub const fn with_access(mut self, privilege: Privilege) -> Self {
        self.privilege = Some(privilege);
        self
    }

    /// The vCPU.
    pub const fn vcpu(&self) -> &Vcpu {
        &self.vcpu
    }

    /// The physical memory.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// As [`Vcpu::translate`].
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn translate(&self, va: u64) -> Result<Translation, TranslateError> {
        self.vcpu.translate(&self.memory, va)
    }

    /// As [`Vcpu::trace`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn trace(&self, va: u64, read: impl FnMut(Step)) -> Result<Translation, TranslateError> {
        self.vcpu.trace(&self.memory, va, read)
    }

    /// As [`Vcpu::extents`].
    pub fn extents(&self, range: RangeInclusive<u64>) -> Extents<&M> {
        self.vcpu.extents(&self.memory, range)
    }

    /// Fills `into` with the bytes from `va` on.
    ///
    /// # Errors
    ///
    /// - [`AccessCause::Translate`]: the address that was reached is not mapped;
    /// - [`AccessCause::Fault`]: in a view [`with_access`](Self::with_access) instead of that, what the vCPU raises;
    /// - [`AccessCause::Physical`]: it is mapped, but its frame cannot be read there.
    ///
    /// The first [`done`](AccessError::done) bytes of `into` have been read; the others are unspecified.
    pub fn read(&self, va: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.read_as(AccessKind::Read, va, into)
    }

    /// As [`read`](Self::read), for instructions: in a view [`with_access`](Self::with_access) it is an instruction fetch that
    /// has to be permitted.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn fetch(&self, va: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.read_as(AccessKind::Fetch, va, into)
    }

    fn read_as(&self, kind: AccessKind, va: u64, into: &mut [u8]) -> Result<(), AccessError> {
        let check = self.check(kind);
        in_space!(self.vcpu, |space| {
            let mut done = 0;
            while done < into.len() {
                let piece = Piece::of(space, &self.memory, check.as_ref(), va, done..into.len())?;
                let into = &mut into[done..done + piece.len];
                piece.access(|pa, part| self.memory.read(pa, &mut into[part]))?;
                done += piece.len;
            }
            Ok(())
        })
    }

    /// Reads bytes from `va` on up to the first zero. `into` limits how many, that one included.
    ///
    /// Pages that lie behind the zero byte are not touched.
    ///
    /// # Errors
    ///
    /// - [`AccessCause::Translate`], [`AccessCause::Fault`], [`AccessCause::Physical`]: as [`read`](Self::read), before a zero
    ///   byte;
    /// - [`AccessCause::Unterminated`]: there is no zero byte in as many bytes as `into` has.
    ///
    /// The first [`done`](AccessError::done) bytes of `into` have been read, none of them zero.
    pub fn read_c_string<'a>(&self, va: u64, into: &'a mut [u8]) -> Result<&'a CStr, AccessError> {
        self.read_to_zero(va, into)?;
        let len = into.len() as u64;
        let unterminated = |_| AccessError {
            va: self.linear(va.wrapping_add(len)),
            done: into.len(),
            cause: AccessCause::Unterminated,
        };
        CStr::from_bytes_until_nul(into).map_err(unterminated)
    }

    /// Fills `into` up to and with the first zero byte, or whole.
    fn read_to_zero(&self, va: u64, into: &mut [u8]) -> Result<(), AccessError> {
        let check = self.check(AccessKind::Read);
        in_space!(self.vcpu, |space| {
            let mut done = 0;
            while done < into.len() {
                let piece = Piece::of(space, &self.memory, check.as_ref(), va, done..into.len())?;
                let piece = piece.cut(STRING_PIECE);
                let into = &mut into[done..done + piece.len];
                let read = piece.access(|pa, part| self.memory.read(pa, &mut into[part]));
                let had = read.map_or_else(|error| error.done - done, |()| piece.len);
                if into[..had].contains(&0) {
                    break;
                }
                read?;
                done += piece.len;
            }
            Ok(())
        })
    }

    /// Reads a little-endian integer. Where all of it is in one page, it is one read of the physical memory.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    #[inline]
    pub fn read_integer<T: Integer>(&self, va: u64) -> Result<T, AccessError> {
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..T::BYTES];
        self.read(va, bytes)?;
        Ok(T::from_little_endian(bytes))
    }

    /// Fills `into` with an array of little-endian integers.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read): [`done`](AccessError::done) counts bytes, and the integers that are wholly among them
    /// have been read.
    pub fn read_integers<T: Integer>(&self, va: u64, into: &mut [T]) -> Result<(), AccessError> {
        let mut buffer = [0; INTEGERS_AT_ONCE];
        let mut done = 0;
        for integers in into.chunks_mut(INTEGERS_AT_ONCE / T::BYTES) {
            let bytes = &mut buffer[..integers.len() * T::BYTES];
            let read = self.read(va.wrapping_add(done as u64), bytes);
            let had = read.map_or_else(|error| error.done, |()| bytes.len());
            for (integer, bytes) in integers.iter_mut().zip(bytes[..had].chunks_exact(T::BYTES)) {
                *integer = T::from_little_endian(bytes);
            }
            read.map_err(|error| error.after(done))?;
            done += had;
        }
        Ok(())
    }

    fn linear(&self, va: u64) -> u64 {
        self.vcpu.paging().linear(va)
    }

    /// What an access has to pass, if it is judged.
    fn check(&self, kind: AccessKind) -> Option<Check> {
        let access = Access { kind, privilege: self.privilege? };
        Some(Check { cpu: self.vcpu.state(), access })
    }
}

impl<M: MemoryExchange> View<M> {
    /// Sets the accessed and dirty bits that an access to `len` bytes from `va` on sets, once all its pages are known to be
    /// permitted: what comes before the access itself where tables are to end up as the vCPU would leave them.
    ///
    /// Says the first entry that could not be written, if any.
    ///
    /// ```
    /// # use pt_vcpu::{Machine, Marking, Privilege, Registers, Vcpu};
    /// # let mut memory = vec![0; 0x2000];
    /// # memory[0x1000..0x1004].copy_from_slice(&0x87_u32.to_le_bytes());
    /// # let registers = Registers { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0x10, ..Registers::default() };
    /// # let vcpu = Vcpu::new(registers, &Machine::default());
    /// let mut view = vcpu.view(&mut memory).with_access(Privilege::User);
    /// assert_eq!(view.mark(0x400, 8, Privilege::User.writes())?, Marking::Complete);
    /// view.write_integer(0x400, 0x1122_3344_5566_7788_u64)?;
    /// assert_eq!(memory[0x1000], 0xe7, "accessed and dirty");
    /// # Ok::<(), pt_vcpu::AccessError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AccessCause::Fault`]. Up to [`done`](AccessError::done) bytes, all pages are permitted. No bit was set, unless the tables
    /// changed meanwhile.
    pub fn mark(&mut self, va: u64, len: usize, access: Access) -> Result<Marking, AccessError> {
        let check = Check { cpu: self.vcpu.state(), access };
        in_space!(self.vcpu, |space| {
            let mut done = 0;
            while done < len {
                done += Piece::of(space, &self.memory, Some(&check), va, done..len)?.len;
            }
            let (mut done, mut marking) = (0, Marking::Complete);
            while done < len {
                let (piece, of_piece) = Piece::marked(space, &mut self.memory, &check, va, done..len)?;
                done += piece.len;
                marking = marking.and(of_piece);
            }
            Ok(marking)
        })
    }
}

impl<M: MemoryMut> View<M> {
    /// The physical memory.
    pub const fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    /// Stores `bytes` from `va` on. Pages are stored in order, each after it was translated: what was stored before an
    /// error stays. To know beforehand, ask [`extents`](Self::extents).
    ///
    /// # Errors
    ///
    /// - [`AccessCause::Translate`]: the address that was reached is not mapped;
    /// - [`AccessCause::Fault`]: in a view [`with_access`](Self::with_access) instead of that, what the vCPU raises;
    /// - [`AccessCause::Physical`]: it is mapped, but its frame cannot be written there.
    ///
    /// The first [`done`](AccessError::done) bytes have been stored.
    pub fn write(&mut self, va: u64, bytes: &[u8]) -> Result<(), AccessError> {
        let check = self.check(AccessKind::Write);
        in_space!(self.vcpu, |space| {
            let mut done = 0;
            while done < bytes.len() {
                let piece = Piece::of(space, &self.memory, check.as_ref(), va, done..bytes.len())?;
                let bytes = &bytes[done..done + piece.len];
                piece.access(|pa, part| self.memory.write(pa, &bytes[part]))?;
                done += piece.len;
            }
            Ok(())
        })
    }

    /// Stores a little-endian integer. Where all of it is in one page, it is one write of the physical memory.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    #[inline]
    pub fn write_integer<T: Integer>(&mut self, va: u64, value: T) -> Result<(), AccessError> {
        self.write(va, &value.to_little_endian()[..T::BYTES])
    }

    /// Stores an array of little-endian integers.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); [`done`](AccessError::done) counts bytes.
    pub fn write_integers<T: Integer>(&mut self, va: u64, values: &[T]) -> Result<(), AccessError> {
        let mut buffer = [0; INTEGERS_AT_ONCE];
        let mut done = 0;
        for integers in values.chunks(INTEGERS_AT_ONCE / T::BYTES) {
            let bytes = &mut buffer[..integers.len() * T::BYTES];
            for (value, bytes) in integers.iter().zip(bytes.chunks_exact_mut(T::BYTES)) {
                bytes.copy_from_slice(&value.to_little_endian()[..T::BYTES]);
            }
            self.write(va.wrapping_add(done as u64), bytes).map_err(|error| error.after(done))?;
            done += bytes.len();
        }
        Ok(())
    }
}
