//! One vCPU: its registers, and the format that they select.

use core::ops::RangeInclusive;

use pt_core::{Marking, Memory, MemoryExchange, Step, TranslateError};
use pt_x86::{Access, CpuState, Fault, Mode, Privilege, Rflags, Vendor};

use crate::space::{Space, in_space};
use crate::{Extents, Machine, Paging, Registers, Translation, View};

/// A vCPU, as far as its address space goes: plain values, taken at one moment. It knows no memory; every call is given
/// that.
///
/// ```
/// use pt_vcpu::{Machine, Registers, Vcpu};
///
/// // A page directory at 0x1000 whose first entry maps 4 MiB at 0x40_0000.
/// let mut memory = vec![0; 0x2000];
/// memory[0x1000..0x1004].copy_from_slice(&0x40_0083_u32.to_le_bytes());
///
/// let registers = Registers { cr0: 0x8000_0001, cr3: 0x1000, cr4: 0x10, ..Registers::default() };
/// let vcpu = Vcpu::new(registers, &Machine::default());
/// assert_eq!(vcpu.translate(&memory, 0x1234)?.pa, 0x40_1234);
/// # Ok::<(), pt_core::TranslateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vcpu {
    registers: Registers,
    paging: Paging,
    vendor: Vendor,
}

impl Vcpu {
    /// A vCPU with these registers on that machine.
    pub fn new(registers: impl Into<Registers>, machine: &Machine) -> Self {
        let registers = registers.into();
        Self { registers, paging: Paging::new(&registers, machine), vendor: machine.vendor }
    }

    /// A vCPU whose mode or format is known otherwise than by its registers. Of those CR3 counts, and to judge accesses
    /// what does not select a mode.
    pub const fn with_paging(registers: Registers, paging: Paging) -> Self {
        Self { registers, paging, vendor: Vendor::Intel }
    }

    /// The same vCPU with another root in CR3: another process, as that vCPU would see it.
    pub const fn with_cr3(mut self, cr3: u64) -> Self {
        self.registers.cr3 = cr3;
        self
    }

    /// The registers.
    pub const fn registers(&self) -> &Registers {
        &self.registers
    }

    /// The format of its tables.
    pub const fn paging(&self) -> &Paging {
        &self.paging
    }

    /// How it translates.
    pub const fn mode(&self) -> Mode {
        self.paging.mode()
    }

    /// Its state, as far as it decides about accesses.
    pub fn state(&self) -> CpuState {
        let Registers { rflags, pkru, pkrs, .. } = self.registers;
        CpuState {
            control: self.registers.control().in_mode(self.mode()),
            rflags: Rflags::from_bits_retain(rflags),
            pkru,
            pkrs,
            vendor: self.vendor,
        }
    }

    /// On whose behalf the code that it runs accesses memory.
    pub const fn privilege(&self) -> Privilege {
        Privilege::of_level(self.registers.cpl)
    }

    /// The address of its root table; none without paging.
    pub fn root(&self) -> Option<u64> {
        self.paging.root(self.registers.cr3)
    }

    /// Translates an address. Outside long mode only the low 32 bits of it count. Rights are reported, not judged.
    ///
    /// # Errors
    ///
    /// - [`TranslateError::NonCanonical`]: the mode has no such address;
    /// - [`TranslateError::NotPresent`]: an entry of the path is not present;
    /// - [`TranslateError::Fault`]: an entry has reserved bits set, or a table cannot be read.
    ///
    /// Without paging there are none.
    #[inline]
    pub fn translate<M: Memory + ?Sized>(&self, memory: &M, va: u64) -> Result<Translation, TranslateError> {
        self.trace(memory, va, |_| ())
    }

    /// As [`translate`](Self::translate), giving out each entry as it is read, from the root down.
    ///
    /// # Errors
    ///
    /// As [`translate`](Self::translate). The entry that it failed on was given out too, unless it could not be read.
    #[inline]
    pub fn trace<M: Memory + ?Sized>(
        &self,
        memory: &M,
        va: u64,
        read: impl FnMut(Step),
    ) -> Result<Translation, TranslateError> {
        in_space!(self, |space| space.trace(memory, space.linear(va), read))
    }

    /// Translates an address for an access, as the vCPU would. Outside long mode only the low 32 bits of it count. Without
    /// paging every access is permitted.
    ///
    /// ```
    /// use pt_vcpu::{Machine, Privilege, Registers, Vcpu};
    ///
    /// // A page directory at 0x1000 whose first entry maps 4 MiB, read-only, for the user.
    /// let mut memory = vec![0; 0x2000];
    /// memory[0x1000..0x1004].copy_from_slice(&0x40_0085_u32.to_le_bytes());
    ///
    /// // CR0.WP is set.
    /// let registers = Registers { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0x10, ..Registers::default() };
    /// let vcpu = Vcpu::new(registers, &Machine::default());
    /// assert_eq!(vcpu.translate_access(&memory, 0x1234, Privilege::User.reads())?.pa, 0x40_1234);
    ///
    /// let fault = vcpu.translate_access(&memory, 0x1234, vcpu.privilege().writes()).unwrap_err();
    /// assert_eq!(fault.to_string(), "#PF error 0x3: write, supervisor, present: PDE at 0x1000: R/W = 0");
    /// let fault = fault.page_fault().expect("what is to be injected");
    /// assert_eq!((fault.code.bits(), fault.va), (3, 0x1234));
    /// # Ok::<(), pt_vcpu::Fault>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Fault::Page`]: an entry of the path is not present, has reserved bits set, or the access is not permitted;
    /// - [`Fault::NonCanonical`]: the mode has no such address;
    /// - [`Fault::Pdpte`]: a PDPTE that no vCPU would have loaded;
    /// - [`Fault::Unreadable`]: a table of the path is not in memory.
    pub fn translate_access<M: Memory + ?Sized>(
        &self,
        memory: &M,
        va: u64,
        access: Access,
    ) -> Result<Translation, Fault> {
        let cpu = self.state();
        in_space!(self, |space| space.access(&cpu, memory, space.linear(va), access))
    }

    /// As [`translate_access`](Self::translate_access), and sets the accessed and dirty bits that the access sets, once it is known
    /// to be permitted.
    ///
    /// # Errors
    ///
    /// As [`translate_access`](Self::translate_access), and [`Fault::Contended`]: entries kept changing.
    pub fn translate_marking<M: MemoryExchange + ?Sized>(
        &self,
        memory: &mut M,
        va: u64,
        access: Access,
    ) -> Result<(Translation, Marking), Fault> {
        let cpu = self.state();
        in_space!(self, |space| space.mark(&cpu, memory, space.linear(va), access))
    }

    /// Translates a range, both ends included, lazily: one [`Extent`](crate::Extent) per entry that decides about a part
    /// of it. Addresses that the mode does not have are left out.
    ///
    /// ```
    /// # use pt_vcpu::{Machine, Registers, Vcpu};
    /// # let mut memory = vec![0; 0x2000];
    /// # memory[0x1000..0x1004].copy_from_slice(&0x40_0083_u32.to_le_bytes());
    /// # let registers = Registers { cr0: 0x8000_0001, cr3: 0x1000, cr4: 0x10, ..Registers::default() };
    /// # let vcpu = Vcpu::new(registers, &Machine::default());
    /// let mapped = vcpu.extents(&memory, 0..=u64::MAX).filter(|extent| extent.to.is_ok());
    /// assert_eq!(mapped.map(|extent| extent.len).sum::<u64>(), 4 << 20);
    /// ```
    pub fn extents<M: Memory>(&self, memory: M, range: RangeInclusive<u64>) -> Extents<M> {
        Extents::new(self, memory, range)
    }

    /// Its virtual memory, over that physical memory: a reference for reading, `&mut` or a shared handle for writing.
    pub const fn view<M: Memory>(&self, memory: M) -> View<M> {
        View::new(self, memory)
    }
}
