//! Translation on behalf of an access: judged by its path, and with the bits set that the hardware sets.
//!
//! What an access may do is the architecture's to say, so it is a function of the caller's: it sees the [`Translation`]
//! and the entries of its path, once all of them were read, and refuses with an error of its own. The accessed and dirty
//! bits follow from the format.
//!
//! ```text
//!        ┌──────────────── an entry has changed since it was read ◀──┐
//!        ▼                                                           │
//!  trace the path ──▶ judge ──▶ entry by entry: mark, compare, exchange ──▶ done
//! ```

use crate::{
    Format, Level, MAX_LEVELS, Memory, MemoryExchange, Step, TranslateError, Translation, Unreadable, trace,
};

/// How often a path that keeps changing is walked before it is given up. A table that reaches itself costs a second
/// time; more come only from somebody who writes meanwhile.
const ATTEMPTS: usize = 64;

/// What became of the accessed and dirty bits of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Marking {
    /// All are set.
    Complete,
    /// Some are not, because their entries cannot be written.
    Skipped {
        /// The first of these entries, from the root down.
        step: Step,
        /// Why it cannot be written.
        why: Unreadable,
    },
}

impl Marking {
    /// What became of these bits and of those that were marked after them.
    pub const fn and(self, later: Self) -> Self {
        if matches!(self, Self::Complete) { later } else { self }
    }
}

/// As [`translate`](crate::translate), if `judge` does not object: it is given what was found and the entries of the
/// path, from the root down.
///
/// ```
/// use pt_amd64::FourLevel;
/// use pt_core::{Permissions, Step, TranslateError, translate_judged};
///
/// #[derive(Debug, PartialEq)]
/// enum Refused {
///     Lost(TranslateError),
///     ReadOnly { by: Option<Step> },
/// }
///
/// impl From<TranslateError> for Refused {
///     fn from(error: TranslateError) -> Self {
///         Self::Lost(error)
///     }
/// }
///
/// let mut memory = vec![0; 0x3000];
/// memory[0x1000..0x1008].copy_from_slice(&0x2001_u64.to_le_bytes());
/// memory[0x2000..0x2008].copy_from_slice(&0x83_u64.to_le_bytes());
/// let written = translate_judged(&FourLevel::default(), &memory, 0x1000, 0x1234, |found, path| {
///     let by = path.iter().find(|step| step.raw & 2 == 0).copied();
///     if found.rights.writable() { Ok(()) } else { Err(Refused::ReadOnly { by }) }
/// });
/// let Err(Refused::ReadOnly { by: Some(step) }) = written else { panic!("{written:?}") };
/// assert_eq!((step.level.number(), step.entry), (4, 0x1000));
/// ```
///
/// # Errors
///
/// Those of [`translate`](crate::translate), as `E`; and what `judge` says.
#[inline]
pub fn translate_judged<F: Format, M: Memory + ?Sized, E: From<TranslateError>>(
    format: &F,
    memory: &M,
    root: u64,
    va: u64,
    judge: impl FnOnce(&Translation<F::Rights>, &[Step]) -> Result<(), E>,
) -> Result<Translation<F::Rights>, E> {
    let mut path = Path::new();
    let found = trace(format, memory, root, va, |step| path.push(step))?;
    judge(&found, path.steps())?;
    Ok(found)
}

/// As [`translate_judged`], and then as the hardware leaves the tables: every entry of the path accessed, and the page
/// dirty if it is `written`.
///
/// Each entry is stored only if it still is what was read of it; one that has changed meanwhile begins the whole
/// translation anew, `judge` included. Nothing is marked for an access that is refused. An entry that cannot be written is passed
/// over and said.
///
/// ```
/// # use pt_core::TranslateError;
/// use pt_amd64::FourLevel;
/// use pt_core::{Marking, translate_marking};
///
/// let mut memory = vec![0; 0x3000];
/// memory[0x1000..0x1008].copy_from_slice(&0x2003_u64.to_le_bytes());
/// memory[0x2000..0x2008].copy_from_slice(&0x83_u64.to_le_bytes());
/// let judge = |_: &_, _: &[_]| Ok::<(), TranslateError>(());
/// let (found, marking) = translate_marking(&FourLevel::default(), &mut memory, 0x1000, 0x1234, true, judge)?;
/// assert_eq!((found.pa, marking), (0x1234, Marking::Complete));
/// assert_eq!((memory[0x1000], memory[0x2000]), (0x23, 0xe3));
/// # Ok::<(), TranslateError>(())
/// ```
///
/// # Errors
///
/// As [`translate_judged`], and [`TranslateError::Contended`] where entries kept changing between being read and being
/// marked.
pub fn translate_marking<F: Format, M: MemoryExchange + ?Sized, E: From<TranslateError>>(
    format: &F,
    memory: &mut M,
    root: u64,
    va: u64,
    written: bool,
    mut judge: impl FnMut(&Translation<F::Rights>, &[Step]) -> Result<(), E>,
) -> Result<(Translation<F::Rights>, Marking), E> {
    for _ in 0..ATTEMPTS {
        let mut path = Path::new();
        let found = trace(format, memory, root, va, |step| path.push(step))?;
        judge(&found, path.steps())?;
        if let Some(marking) = mark(format, memory, path.steps(), written) {
            return Ok((found, marking));
        }
    }
    Err(TranslateError::Contended { va }.into())
}

/// None where an entry is no longer what was read.
fn mark<F: Format, M: MemoryExchange + ?Sized>(
    format: &F,
    memory: &mut M,
    path: &[Step],
    written: bool,
) -> Option<Marking> {
    let mut marking = Marking::Complete;
    for &step in path {
        let marked = format.mark(step.level, step.raw, written);
        if marked == step.raw {
            continue;
        }
        match memory.compare_exchange(step.entry, F::ENTRY_BYTES, step.raw, marked) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(why) => marking = marking.and(Marking::Skipped { step, why }),
        }
    }
    Some(marking)
}

/// The entries of one translation.
struct Path {
    steps: [Step; MAX_LEVELS],
    len: usize,
}

impl Path {
    const fn new() -> Self {
        Self { steps: [Step { level: Level::LEAF, entry: 0, raw: 0 }; MAX_LEVELS], len: 0 }
    }

    #[inline(always)]
    fn push(&mut self, step: Step) {
        if let Some(place) = self.steps.get_mut(self.len) {
            *place = step;
            self.len += 1;
        }
    }

    fn steps(&self) -> &[Step] {
        &self.steps[..self.len]
    }
}
