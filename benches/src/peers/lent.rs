//! Memory in the hands of peers whose handlers are types, not values: it stands in statics while it is lent.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::PhysicalMemory;
use crate::memory::{Frame, PAGE};

static LENT: Mutex<()> = Mutex::new(());
static FRAMES: AtomicPtr<Frame> = AtomicPtr::new(std::ptr::null_mut());
static COUNT: AtomicUsize = AtomicUsize::new(0);
static FREE: AtomicUsize = AtomicUsize::new(0);

/// Memory that peers have to themselves until this is dropped. Only one can be lent at a time; others wait.
#[derive(Debug)]
pub(super) struct Lent<'m> {
    memory: PhantomData<&'m mut PhysicalMemory>,
    free: *mut usize,
    _alone: MutexGuard<'static, ()>,
}

impl<'m> Lent<'m> {
    /// Lends all of `memory`; new tables are pages that it has not given out.
    pub(super) fn new(memory: &'m mut PhysicalMemory) -> Self {
        let alone = LENT.lock().unwrap_or_else(PoisonError::into_inner);
        let (frames, free) = memory.frames_and_free_mut();
        FRAMES.store(frames.as_mut_ptr(), Relaxed);
        COUNT.store(frames.len(), Relaxed);
        FREE.store(*free, Relaxed);
        Self { memory: PhantomData, free, _alone: alone }
    }

    /// The table at `address`, to be made the root of a peer that can only begin with an empty one: `begin` allocates
    /// that one here, and the table's content returns when it is done. Whoever has the memory calls it.
    pub(super) fn as_root<T>(_: &Self, address: u64, begin: impl FnOnce() -> T) -> T {
        let frame = address as usize / PAGE;
        assert!(frame < COUNT.load(Relaxed), "there is no such table");
        let table = FRAMES.load(Relaxed).wrapping_add(frame);
        // SAFETY: in bounds of what is lent, as just checked, and nobody holds a reference.
        let content = unsafe { (*table).clone() };
        let free = FREE.swap(frame, Relaxed);
        let begun = begin();
        FREE.store(free, Relaxed);
        // SAFETY: as above.
        unsafe { table.write(content) };
        begun
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        FRAMES.store(std::ptr::null_mut(), Relaxed);
        COUNT.store(0, Relaxed);
        // SAFETY: it is the memory's own count, which is borrowed exclusively as long as this lives.
        unsafe { *self.free = FREE.load(Relaxed) };
    }
}

/// The address of a page that nothing uses.
#[inline(always)]
pub(super) fn allocate() -> Option<usize> {
    let frame = FREE.load(Relaxed);
    if frame >= COUNT.load(Relaxed) {
        return None;
    }
    FREE.store(frame + 1, Relaxed);
    Some(frame * PAGE)
}

/// Where the table is, if it is in the memory that was lent: one comparison per table.
///
/// # Panics
///
/// If it is not.
#[inline(always)]
pub(super) fn table(address: usize) -> *mut u8 {
    let frame = address / PAGE;
    assert!(frame < COUNT.load(Relaxed), "tables are in memory");
    FRAMES.load(Relaxed).wrapping_add(frame).cast()
}
