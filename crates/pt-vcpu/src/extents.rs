//! A range of linear addresses, extent by extent.

use core::fmt;
use core::iter::FusedIterator;
use core::ops::RangeInclusive;

use pt_amd64::{FiveLevel, FourLevel};
use pt_core::{Format, Memory, TranslateError};
use pt_i686::{Pae, TwoLevel};
use pt_x86::Rights;

use crate::space::{LINEAR_32, UNPAGED, of_format};
use crate::{Paging, Translation, Vcpu};

/// What one entry makes of a part of a range.
/// ```
/// use pt_vcpu::{Machine, Registers, Vcpu};
///
/// // A page directory at 0x1000 that maps its second 4 MiB, and nothing else.
/// let mut memory = vec![0; 0x2000];
/// memory[0x1004..0x1008].copy_from_slice(&0x80_0083_u32.to_le_bytes());
/// let registers = Registers { cr0: 0x8000_0001, cr3: 0x1000, cr4: 0x10, ..Registers::default() };
/// let vcpu = Vcpu::new(registers, &Machine::default());
///
/// let parts: Vec<_> = vcpu.extents(&memory, 0x30_0000..=0x4f_ffff).collect();
/// let [hole, page] = &parts[..] else { panic!() };
/// assert!(hole.to.is_err() && (hole.va, hole.len) == (0x30_0000, 0x10_0000));
/// assert_eq!((page.va, page.len, page.to?.pa), (0x40_0000, 0x10_0000, 0x80_0000));
/// # Ok::<(), pt_vcpu::TranslateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first linear address.
    pub va: u64,
    /// How many bytes from there: never past the entry's span or the range's end.
    pub len: u64,
    /// Where `va` leads, and the bytes after it with it, or why they all lead nowhere.
    pub to: Result<Translation, TranslateError>,
}

/// The extents of a range, lazily, in ascending order: what [`Vcpu::extents`] returns.
pub struct Extents<M>(Of<M>);

enum Of<M> {
    Unpaged(Option<Extent>),
    TwoLevel(pt_core::Extents<TwoLevel, M>),
    Pae(pt_core::Extents<Pae, M>),
    FourLevel(pt_core::Extents<FourLevel, M>),
    FiveLevel(pt_core::Extents<FiveLevel, M>),
}

impl<M: Memory> Extents<M> {
    pub(crate) fn new(vcpu: &Vcpu, memory: M, range: RangeInclusive<u64>) -> Self {
        let cr3 = vcpu.registers().cr3;
        Self(match *vcpu.paging() {
            Paging::Unpaged => Of::Unpaged(unpaged(&range)),
            Paging::TwoLevel(format) => Of::TwoLevel(pt_core::Extents::new(format, memory, cr3, range)),
            Paging::Pae(format) => Of::Pae(pt_core::Extents::new(format, memory, cr3, range)),
            Paging::FourLevel(format) => Of::FourLevel(pt_core::Extents::new(format, memory, cr3, range)),
            Paging::FiveLevel(format) => Of::FiveLevel(pt_core::Extents::new(format, memory, cr3, range)),
        })
    }
}

fn unpaged(range: &RangeInclusive<u64>) -> Option<Extent> {
    let (first, last) = (*range.start(), (*range.end()).min(LINEAR_32));
    let to = Ok(Translation { va: first, pa: first, ..UNPAGED });
    (first <= last).then(|| Extent { va: first, len: last - first + 1, to })
}

fn paged<F: Format<Rights = Rights>, M: Memory>(extents: &mut pt_core::Extents<F, M>) -> Option<Extent> {
    let pt_core::Extent { va, len, to } = extents.next()?;
    Some(Extent { va, len, to: to.map(of_format::<F>) })
}

impl<M: Memory> Iterator for Extents<M> {
    type Item = Extent;

    #[inline]
    fn next(&mut self) -> Option<Extent> {
        match &mut self.0 {
            Of::Unpaged(all) => all.take(),
            Of::TwoLevel(extents) => paged(extents),
            Of::Pae(extents) => paged(extents),
            Of::FourLevel(extents) => paged(extents),
            Of::FiveLevel(extents) => paged(extents),
        }
    }
}

impl<M: Memory> FusedIterator for Extents<M> {}

impl<M> fmt::Debug for Extents<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner: &dyn fmt::Debug = match &self.0 {
            Of::Unpaged(all) => all,
            Of::TwoLevel(extents) => extents,
            Of::Pae(extents) => extents,
            Of::FourLevel(extents) => extents,
            Of::FiveLevel(extents) => extents,
        };
        f.debug_tuple("Extents").field(inner).finish()
    }
}
