//! What a memory says of where it goes on: slices, and pieces of a sparse image.

use proptest::collection::vec;
use proptest::prelude::*;
use pt_core::{Memory, Segment, Segments, Unreadable};

/// The first address from `address` on of which a byte can be read, by trying.
fn tried(memory: &(impl Memory + ?Sized), address: u64, end: u64) -> Option<u64> {
    (address..end).find(|&at| memory.read(at, &mut [0]).is_ok())
}

#[test]
fn a_slice_goes_on_to_its_end() {
    let memory = vec![0; 5];
    for address in [0, 4, 5, u64::MAX] {
        assert_eq!(memory.next_readable(address), (address < 5).then_some(address));
        assert_eq!(memory[..].next_readable(address), memory.next_readable(address));
    }
}

#[test]
fn who_does_not_know_says_so() {
    struct Unknown;
    impl Memory for Unknown {
        type Buffer = [u8; 4096];
        fn read(&self, _: u64, _: &mut [u8]) -> Result<(), Unreadable> {
            Err(Unreadable::Outside)
        }
    }
    assert_eq!(Unknown.next_readable(7), Some(7));
}

proptest! {
    #[test]
    fn pieces_go_on_where_bytes_are(pieces in vec((0..9_u64, 1..9_u64, 0..9_usize), 0..12)) {
        let bytes = [0; 9];
        let (mut segments, mut at) = (Vec::new(), 0);
        for (gap, len, held) in pieces {
            segments.push(Segment { start: at + gap, len, bytes: &bytes[..held.min(len as usize)] });
            at += gap + len;
        }
        let memory = Segments::new(segments).expect("they ascend");
        for address in 0..at + 2 {
            prop_assert_eq!(memory.next_readable(address), tried(&memory, address, at), "{:#x}", address);
        }
        prop_assert_eq!(memory.next_readable(u64::MAX), None);
    }
}
