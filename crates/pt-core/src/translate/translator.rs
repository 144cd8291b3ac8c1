//! Many addresses of one space.

use core::fmt;

use super::path::{Followed, Path};
use crate::{Format, Geometry, Level, Memory, TranslateError, Translation};

/// Translates many addresses of one space, in any order: a batch.
///
/// It keeps the path of the last address, and begins at the lowest table of it that maps the next one too. Of addresses in
/// ascending order each then costs little more than reading its own entry; where they have no
/// order, [`translate`](crate::translate) is quicker.
///
/// What it answers is what [`translate`](crate::translate) answers, as long as nobody writes the tables meanwhile. Links
/// that it has followed are not read again, so that it is made for a batch and not kept: as a processor's caches of
/// upper tables would be, it is out of date once they change.
///
/// ```
/// use pt_amd64::FourLevel;
/// use pt_core::{TranslateError, Translator};
///
/// // A page directory at 0x3000 maps the second 2 MiB.
/// let mut memory = vec![0; 0x4000];
/// for (at, raw) in [(0x1000, 0x2003_u64), (0x2000, 0x3003), (0x3008, 0x4000_0083)] {
///     memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
/// }
///
/// let mut space = Translator::new(FourLevel::default(), &memory, 0x1000);
/// let found = [0x20_0000, 0x3f_ffff, 0x20_1234].map(|va| space.translate(va).map(|found| found.pa));
/// assert_eq!(found, [Ok(0x4000_0000), Ok(0x401f_ffff), Ok(0x4000_1234)]);
/// assert!(matches!(space.translate(0x40_0000), Err(TranslateError::NotPresent { entry: 0x3010, .. })));
/// ```
pub struct Translator<F: Format, M> {
    format: F,
    memory: M,
    path: Path<F::Rights>,
    /// An address in the span of the lowest table of the path.
    va: u64,
}

impl<F: Format, M> fmt::Debug for Translator<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translator").field("va", &self.va).finish_non_exhaustive()
    }
}

impl<F: Format, M: Memory> Translator<F, M> {
    /// For the space under `root` (as the register holds it).
    #[inline]
    pub fn new(format: F, memory: M, root: u64) -> Self {
        let path = Path::new(&format, root);
        Self { format, memory, path, va: 0 }
    }

    /// Translates `va`. Rights are reported, not judged.
    ///
    /// # Errors
    ///
    /// As [`translate`](crate::translate).
    #[inline(always)]
    pub fn translate(&mut self, va: u64) -> Result<Translation<F::Rights>, TranslateError> {
        if !F::is_canonical(va) {
            return Err(TranslateError::NonCanonical { va });
        }
        let differing = (va ^ self.va) & F::VA_MASK;
        self.va = va;
        if self.path.lowest() == Level::LEAF
            && differing <= F::table_span_last(Level::LEAF)
            && let Ok(Followed::Leaf(found)) =
                self.path.at(Level::LEAF).follow(&self.format, &self.memory, Level::LEAF, va, &mut |_| ())
        {
            return Ok(found);
        }
        let mut found = Err(TranslateError::NonCanonical { va });
        self.descend(differing, &mut found);
        found
    }

    /// Translates the address that differs from the last in these bits, from the lowest table on that both have.
    #[inline(never)]
    fn descend(&mut self, differing: u64, into: &mut Result<Translation<F::Rights>, TranslateError>) {
        while differing > F::table_span_last(self.path.lowest()) {
            self.path.climb::<F>();
        }
        *into = self.path.descend(&self.format, &self.memory, self.va);
    }
}
