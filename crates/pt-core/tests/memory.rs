//! What memory lends, also through references to it.

use pt_core::{Memory, MemoryMut, NoBuffer, Segment, Segments, TableBuffer, Unreadable};

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

#[test]
fn an_image_lends_what_lies_in_one_piece() {
    let bytes: Vec<u8> = (0..8).collect();
    let (low, high) = (Segment::new(0x1000, &bytes[..4]), Segment::new(0x1004, &bytes[4..]));
    let memory = Segments::new([low, high]).expect("they ascend");
    assert_eq!(memory.lend(0x1001, 3), Some(&[1, 2, 3][..]));
    assert_eq!(memory.lend(0x1004, 4), Some(&[4, 5, 6, 7][..]));
    for (address, len) in [(0xfff, 1), (0x1001, 4), (0x1008, 1), (0x1004, usize::MAX)] {
        assert_eq!(memory.lend(address, len), None, "{len} at {address:#x}");
    }
    // It can be read over their border all the same.
    let mut both = [0; 4];
    assert_eq!(memory.read(0x1002, &mut both), Ok(()));
    assert_eq!(both, [2, 3, 4, 5]);
}

#[test]
fn an_image_can_be_read_up_to_the_last_address_and_no_further() {
    let memory = Segments::new([Segment::new(u64::MAX - 3, &[1, 2, 3, 4])]).expect("it ends in time");
    let mut bytes = [0; 4];
    assert_eq!(memory.read(u64::MAX - 3, &mut bytes), Ok(()));
    assert_eq!(bytes, [1, 2, 3, 4]);
    assert_eq!(memory.read(u64::MAX, &mut bytes[..1]), Ok(()));
    assert_eq!(bytes[0], 4);
    assert_eq!(memory.read(u64::MAX - 3, &mut [0; 5]), Err(Unreadable::Outside));
    assert_eq!(memory.read(u64::MAX, &mut [0; 2]), Err(Unreadable::Outside));
}
