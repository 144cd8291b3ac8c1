//! What memory lends, also through references to it.

use pt_core::{Memory, MemoryMut, NoBuffer, TableBuffer};

fn lends(memory: &impl Memory) {
    assert_eq!(memory.lend(2, 3), Some(&[2, 3, 4][..]));
    assert_eq!((memory.lend(6, 3), memory.lend(u64::MAX, 2)), (None, None));
    assert_eq!((memory.next_readable(5), memory.next_readable(8)), (Some(5), None));
}

fn lends_to_change(memory: &mut impl MemoryMut) {
    assert_eq!(memory.lend_mut(2, 3), Some(&mut [2, 3, 4][..]));
    assert_eq!(memory.lend_mut(6, 3), None);
    assert_eq!(memory.lend_mut(u64::MAX, 2), None);
    memory.write(7, &[7]).expect("is there");
    memory.write(7, &[7, 8]).expect_err("ends before");
}

#[test]
fn a_reference_lends_what_is_behind_it() {
    let mut memory: Vec<u8> = (0..8).collect();
    lends(&memory);
    lends(&&memory);
    lends(&&mut memory);
    lends(&&memory[..]);
    lends_to_change(&mut memory);
    lends_to_change(&mut &mut memory);
    lends_to_change(&mut &mut memory[..]);
}

#[test]
fn who_lends_all_needs_no_room() {
    let mut buffer = NoBuffer::empty();
    assert_eq!(buffer.room(0), None);
    assert_eq!(buffer.filled(0), [0; 0]);
}
