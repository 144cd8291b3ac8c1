//! One address of one space, with the paging mode known: what every access is made of.
//!
//! [`Space`] has two implementations, tables of any format and no paging at all; [`in_space!`] picks one, once per
//! access.

use pt_core::{Format, Geometry, Marking, Memory, MemoryExchange, Step, TranslateError};
use pt_x86::{Access, CpuState, Fault, Rights, memory_type_index, protection_key};

/// Where a linear address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The linear address: outside long mode the low 32 bits of what was asked for.
    pub va: u64,
    /// The physical address of the same byte.
    pub pa: u64,
    /// The size in bytes of the page that both are in. Without paging all 4 GiB are one page.
    pub page_size: u64,
    /// The rights of the whole path; all without paging.
    pub rights: Rights,
    /// The leaf entry; none without paging.
    pub leaf: Option<Step>,
}

impl Translation {
    /// How many bytes from `pa` on the same page holds: at least 1.
    pub const fn left_in_page(&self) -> u64 {
        self.page_size - (self.va & (self.page_size - 1))
    }

    /// The index of the page's memory type in the PAT: PAT, PCD and PWT, 0 to 7. Without paging it is 0.
    pub fn memory_type_index(&self) -> u8 {
        self.leaf.map_or(0, |leaf| memory_type_index(leaf.level, leaf.raw))
    }

    /// The page's protection key. Outside long mode there is none, and it is 0.
    pub fn protection_key(&self) -> u8 {
        self.leaf.map_or(0, |leaf| protection_key(leaf.raw))
    }
}

/// The linear addresses outside long mode.
pub(crate) const LINEAR_32: u64 = u32::MAX as u64;

/// Without paging, all linear addresses together are one page.
pub(crate) const UNPAGED: Translation =
    Translation { va: 0, pa: 0, page_size: LINEAR_32 + 1, rights: Rights::all(), leaf: None };

pub(crate) trait Space {
    fn linear(&self, va: u64) -> u64;

    /// Translates a linear address.
    fn trace<M: Memory + ?Sized>(
        &self,
        memory: &M,
        linear: u64,
        read: impl FnMut(Step),
    ) -> Result<Translation, TranslateError>;

    /// Translates a linear address for an access.
    fn access<M: Memory + ?Sized>(
        &self,
        cpu: &CpuState,
        memory: &M,
        linear: u64,
        access: Access,
    ) -> Result<Translation, Fault>;

    /// The same, with accessed and dirty bits.
    fn mark<M: MemoryExchange + ?Sized>(
        &self,
        cpu: &CpuState,
        memory: &mut M,
        linear: u64,
        access: Access,
    ) -> Result<(Translation, Marking), Fault>;
}

pub(crate) struct Tables<'a, F> {
    pub(crate) format: &'a F,
    pub(crate) cr3: u64,
}

impl<F: Format<Rights = Rights>> Space for Tables<'_, F> {
    #[inline(always)]
    fn linear(&self, va: u64) -> u64 {
        if F::VA_BITS > 32 { va } else { va & LINEAR_32 }
    }

    #[inline(always)]
    fn trace<M: Memory + ?Sized>(
        &self,
        memory: &M,
        linear: u64,
        read: impl FnMut(Step),
    ) -> Result<Translation, TranslateError> {
        pt_core::trace(self.format, memory, self.cr3, linear, read).map(of_format::<F>)
    }

    fn access<M: Memory + ?Sized>(
        &self,
        cpu: &CpuState,
        memory: &M,
        linear: u64,
        access: Access,
    ) -> Result<Translation, Fault> {
        cpu.translate(self.format, memory, linear, access).map(of_format::<F>)
    }

    fn mark<M: MemoryExchange + ?Sized>(
        &self,
        cpu: &CpuState,
        memory: &mut M,
        linear: u64,
        access: Access,
    ) -> Result<(Translation, Marking), Fault> {
        let (found, marking) = cpu.translate_marking(self.format, memory, linear, access)?;
        Ok((of_format::<F>(found), marking))
    }
}

pub(crate) struct NoTables;

impl Space for NoTables {
    #[inline(always)]
    fn linear(&self, va: u64) -> u64 {
        va & LINEAR_32
    }

    #[inline(always)]
    fn trace<M: Memory + ?Sized>(
        &self,
        _: &M,
        linear: u64,
        _: impl FnMut(Step),
    ) -> Result<Translation, TranslateError> {
        Ok(unpaged(linear))
    }

    fn access<M: Memory + ?Sized>(
        &self,
        _: &CpuState,
        _: &M,
        linear: u64,
        _: Access,
    ) -> Result<Translation, Fault> {
        Ok(unpaged(linear))
    }

    fn mark<M: MemoryExchange + ?Sized>(
        &self,
        _: &CpuState,
        _: &mut M,
        linear: u64,
        _: Access,
    ) -> Result<(Translation, Marking), Fault> {
        Ok((unpaged(linear), Marking::Complete))
    }
}

const fn unpaged(linear: u64) -> Translation {
    Translation { va: linear, pa: linear, ..UNPAGED }
}

#[inline(always)]
pub(crate) fn of_format<F: Format<Rights = Rights>>(found: pt_core::Translation<Rights>) -> Translation {
    let pt_core::Translation { va, pa, level, raw, entry, rights } = found;
    Translation { va, pa, page_size: F::entry_span(level), rights, leaf: Some(Step { level, entry, raw }) }
}

/// Evaluates an expression with the space of a vCPU bound to a name.
macro_rules! in_space {
    ($vcpu:expr, |$space:ident| $body:expr) => {
        $crate::with_format!(
            $vcpu.paging(),
            |format| {
                let $space = &$crate::space::Tables { format, cr3: $vcpu.registers().cr3 };
                $body
            },
            unpaged => {
                let $space = &$crate::space::NoTables;
                $body
            }
        )
    };
}
pub(crate) use in_space;
