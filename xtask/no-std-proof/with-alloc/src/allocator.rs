//! An allocator that only ever goes forward.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

const BYTES: usize = 1 << 20;

#[global_allocator]
static ALLOCATOR: Forward = Forward { room: UnsafeCell::new([0; BYTES]), used: AtomicUsize::new(0) };

struct Forward {
    room: UnsafeCell<[u8; BYTES]>,
    used: AtomicUsize,
}

// SAFETY: `room` is only touched through pointers that `alloc` gave out, and no two of them overlap.
unsafe impl Sync for Forward {}

// SAFETY: what is given out lies inside `room`, is aligned as asked, and is never given out again.
unsafe impl GlobalAlloc for Forward {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.room.get().cast::<u8>();
        // Room for the worst alignment is taken too, so that one addition decides.
        let wanted = layout.size().saturating_add(layout.align());
        let take = |used: usize| used.checked_add(wanted).filter(|&end| end <= BYTES);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(used) => {
                let offset = used + (start.addr() + used).wrapping_neg() % layout.align();
                // SAFETY: `offset + size < used + wanted <= BYTES`.
                unsafe { start.add(offset) }
            }
            Err(_) => null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
