//! Memory made by hand: what the corpus has no guest for.

use std::ops::RangeInclusive;

use pt_amd64::{FiveLevel, FourLevel};
use pt_core::Encode;
use pt_i686::{Pae, PaeFeatures, TwoLevel};
use pt_vcpu::{FoundRoot, Reason, RootsLimits, find_roots};

const PAGE: u64 = 0x1000;

/// Memory from 0 on, made of entries.
pub(crate) struct Made(pub(crate) Vec<u8>);

impl Made {
    pub(crate) fn pages(count: u64) -> Self {
        Self(vec![0; (count * PAGE) as usize])
    }

    pub(crate) fn put8(&mut self, table: u64, index: u64, raw: u64) -> &mut Self {
        let at = (table + index * 8) as usize;
        self.0[at..at + 8].copy_from_slice(&raw.to_le_bytes());
        self
    }

    pub(crate) fn put4(&mut self, table: u64, index: u64, raw: u32) -> &mut Self {
        let at = (table + index * 4) as usize;
        self.0[at..at + 4].copy_from_slice(&raw.to_le_bytes());
        self
    }

    pub(crate) fn all(&self) -> [RangeInclusive<u64>; 1] {
        [0..=self.0.len() as u64 - 1]
    }

    pub(crate) fn find<F: Encode>(&self, format: &F, given: &[u64]) -> Vec<(u64, Reason)> {
        let found = find_roots(format, &self.0, self.all(), given, &RootsLimits::default());
        found
            .expect("within the limits")
            .into_iter()
            .map(|FoundRoot { root, reason, .. }| (root, reason))
            .collect()
    }
}

fn pae() -> Pae {
    Pae::new(PaeFeatures { strict_pdpte: false, ..PaeFeatures::default() })
}

#[test]
fn accessed_and_dirty_bits_do_not_count_others_do() {
    let mut made = Made::pages(8);
    for (root, raw) in [(0x1000, 0x6003), (0x2000, 0x6063), (0x3000, 0x6001), (0x4000, 0x7003)] {
        made.put8(root, 511, raw).put8(root, 300, 0x5003);
    }
    let like = Reason::KernelPart { like: 0x1000 };
    assert_eq!(made.find(&FourLevel::default(), &[0x1000]), [(0x1000, Reason::Given), (0x2000, like)]);
    assert_eq!(made.find(&FiveLevel::default(), &[0x1fff]), [(0x1000, Reason::Given), (0x2000, like)]);
}

#[test]
fn a_slot_that_maps_itself_has_to_map_the_other_itself() {
    let mut made = Made::pages(8);
    for root in [0x1000, 0x2000, 0x3000, 0x4000, 0x5000] {
        made.put8(root, 511, 0x6003).put8(root, 493, root | 3);
    }
    // A stale copy; one without; one with other flags.
    made.put8(0x3000, 493, 0x1003).put8(0x4000, 493, 0).put8(0x5000, 493, 0x5001);
    let like = Reason::KernelPart { like: 0x1000 };
    assert_eq!(made.find(&FourLevel::default(), &[0x1000]), [(0x1000, Reason::Given), (0x2000, like)]);
}

#[test]
fn a_root_can_map_itself_through_several_slots() {
    let mut made = Made::pages(8);
    for root in [0x1000, 0x2000, 0x3000] {
        made.put8(root, 511, 0x6003).put8(root, 300, root | 3).put8(root, 493, root | 1);
    }
    made.put8(0x3000, 300, 0x1003);
    let like = Reason::KernelPart { like: 0x1000 };
    assert_eq!(made.find(&FourLevel::default(), &[0x1000]), [(0x1000, Reason::Given), (0x2000, like)]);
}

#[test]
fn an_empty_kernel_part_tells_nothing() {
    let mut made = Made::pages(4);
    made.put8(0x1000, 0, 0x2003);
    assert_eq!(made.find(&FourLevel::default(), &[0x1000]), [(0x1000, Reason::GivenEmpty)]);
    // Neither does one that has nothing but a self-map.
    made.put8(0x1000, 300, 0x1003).put8(0x2000, 300, 0x2003);
    assert_eq!(made.find(&FourLevel::default(), &[0x1000]), [(0x1000, Reason::GivenEmpty)]);
    assert_eq!(made.find(&FourLevel::default(), &[0x9000]), [(0x9000, Reason::GivenUnreadable)]);
    assert_eq!(made.find(&FourLevel::default(), &[]), []);
}

#[test]
fn two_level_roots_by_their_top_quarter() {
    let mut made = Made::pages(8);
    for root in [0x1000, 0x2000, 0x3000] {
        made.put4(root, 768, 0x83).put4(root, 1023, 0x4003);
    }
    made.put4(0x2000, 767, 0x5007).put4(0x3000, 768, 0x81);
    let like = Reason::KernelPart { like: 0x1000 };
    assert_eq!(made.find(&TwoLevel::default(), &[0x1000]), [(0x1000, Reason::Given), (0x2000, like)]);
}

#[test]
fn pairs_of_isolated_kernels_in_each_mode() {
    // Two pairs, from 0x2000 and 0x4000; 0x6000 is a kernel half whose neighbour is data.
    let mut made = Made::pages(16);
    for kernel in [0x2000, 0x4000, 0x6000] {
        let user = kernel | PAGE;
        made.put8(kernel, 0, 1 << 63 | 0xa067).put8(user, 0, 0xa007);
        made.put8(kernel, 300, 0xb063).put8(kernel, 510, 0xc063).put8(kernel, 511, 0xd063);
        made.put8(kernel, 400, 0x9063);
        made.put8(user, 510, 0xc063).put8(user, 511, 0xe063);
    }
    made.put8(0x7000, 400, 0x1234_5678_9abc);
    let like = |like| Reason::KernelPart { like };
    let half = |kernel| Reason::UserHalf { kernel };
    let found = made.find(&FourLevel::default(), &[0x2000]);
    assert_eq!(
        found,
        [
            (0x2000, Reason::Given),
            (0x4000, like(0x2000)),
            (0x6000, like(0x2000)),
            (0x3000, half(0x2000)),
            (0x5000, half(0x4000))
        ]
    );
    // Of a pair that was given, both are given, in whatever order.
    for given in [[0x2000, 0x3000], [0x3000, 0x2000]] {
        let mut expected = found.clone();
        expected[3] = (0x3000, Reason::Given);
        assert_eq!(made.find(&FourLevel::default(), &given), expected);
    }
    // From a user half, the same.
    let found = made.find(&FourLevel::default(), &[0x5000]);
    assert_eq!(
        found,
        [
            (0x2000, like(0x4000)),
            (0x4000, Reason::KernelHalf { user: 0x5000 }),
            (0x6000, like(0x4000)),
            (0x3000, half(0x2000)),
            (0x5000, Reason::Given)
        ]
    );

    let mut made = Made::pages(16);
    made.put4(0x2000, 0, 0xa067).put4(0x3000, 0, 0xa007);
    made.put4(0x2000, 800, 0xb063).put4(0x2000, 900, 0xc063).put4(0x3000, 900, 0xc063);
    assert_eq!(made.find(&TwoLevel::default(), &[0x2000]), [(0x2000, Reason::Given), (0x3000, half(0x2000))]);
}

#[test]
fn neighbours_that_only_look_like_a_half() {
    let pair = || {
        let mut made = Made::pages(16);
        made.put8(0x2000, 0, 0xa007).put8(0x3000, 0, 0xa007);
        made.put8(0x2000, 510, 0xc063).put8(0x2000, 511, 0xd063).put8(0x3000, 510, 0xc063);
        made
    };
    let count = |made: &Made| made.find(&FourLevel::default(), &[0x2000]).len();
    assert_eq!(count(&pair()), 2);
    // Another user part; a kernel entry that the kernel half lacks; nothing in common; junk that is not present.
    assert_eq!(count(pair().put8(0x3000, 1, 0xb007)), 1);
    assert_eq!(count(pair().put8(0x3000, 300, 0xb063)), 1);
    assert_eq!(count(pair().put8(0x3000, 510, 0xe063)), 1);
    assert_eq!(count(pair().put8(0x3000, 511, 0xd062)), 1);
    // Nearly the whole kernel part: a stale root. The whole: a root by itself.
    assert_eq!(count(pair().put8(0x3000, 511, 0xe063)), 1);
    let found = pair().put8(0x3000, 511, 0xd063).find(&FourLevel::default(), &[0x2000]);
    assert_eq!(found[1], (0x3000, Reason::KernelPart { like: 0x2000 }));
}

#[test]
fn with_five_levels_the_halves_share_one_level_down() {
    let mut made = Made::pages(16);
    made.put8(0x2000, 300, 0x9063).put8(0x2000, 511, 0x4063).put8(0x3000, 511, 0x5063);
    made.put8(0x4000, 510, 0x6063)
        .put8(0x4000, 511, 0x7063)
        .put8(0x5000, 510, 0x6063)
        .put8(0x5000, 511, 0x8063);
    let found = made.find(&FiveLevel::default(), &[0x2000]);
    assert_eq!(found, [(0x2000, Reason::Given), (0x3000, Reason::UserHalf { kernel: 0x2000 })]);
    made.put8(0x5000, 510, 0xa063);
    assert_eq!(made.find(&FiveLevel::default(), &[0x2000]).len(), 1);
}

/// PAE: a root at 0x1000 whose fourth directory at 0x2000 has two entries.
fn pae_memory() -> Made {
    let mut made = Made::pages(16);
    made.put8(0x1000, 3, 0x2001).put8(0x1000, 0, 0x6001);
    made.put8(0x2000, 0, 0xe3).put8(0x2000, 511, 0x9063);
    made
}

#[test]
fn pae_roots_share_the_fourth_directory_or_have_a_copy() {
    let mut made = pae_memory();
    made.put8(0x3020, 3, 0x2021).put8(0x30e0, 3, 0x4001).put8(0x3100, 3, 0x5001);
    // A copy but for the accessed bit, and one with another entry.
    made.put8(0x4000, 0, 0xc3).put8(0x4000, 511, 0x9063);
    made.put8(0x5000, 0, 0xe3).put8(0x5000, 511, 0x9063).put8(0x5000, 7, 0xa063);
    let found = made.find(&pae(), &[0x1000]);
    assert_eq!(
        found,
        [
            (0x1000, Reason::Given),
            (0x3020, Reason::SharedDirectory { like: 0x1000, directory: 0x2000 }),
            (0x30e0, Reason::CopiedDirectory { like: 0x1000, directory: 0x4000 }),
        ]
    );
    // From the copy, the others are the copies.
    let roots: Vec<u64> = made.find(&pae(), &[0x30e0]).iter().map(|found| found.0).collect();
    assert_eq!(roots, [0x1000, 0x3020, 0x30e0]);
}

#[test]
fn what_an_allocator_leaves_in_a_freed_pae_root_is_seen() {
    let mut made = pae_memory();
    for root in [0x3000, 0x3020, 0x3040, 0x3060] {
        made.put8(root, 3, 0x2001);
    }
    // Not present but not 0; reserved bits; outside memory. The fourth is a root.
    made.put8(0x3000, 2, 0xdde1_e96e).put8(0x3020, 0, 0x6007).put8(0x3040, 1, 0x7000_0001);
    let roots: Vec<u64> = made.find(&pae(), &[0x1000]).iter().map(|found| found.0).collect();
    assert_eq!(roots, [0x1000, 0x3060]);
}

#[test]
fn pae_copies_that_map_their_own_directories() {
    let mut made = Made::pages(16);
    for (root, directories) in
        [(0x1000, [0x2000, 0x3000, 0x4000, 0x5000]), (0x1020, [0x6000, 0x7000, 0x8000, 0x9000])]
    {
        for (index, directory) in (0..).zip(directories) {
            made.put8(root, index, directory | 1).put8(directories[3], 0x100 + index, directory | 0x63);
        }
        made.put8(directories[3], 0, 0xa063);
    }
    let copied = Reason::CopiedDirectory { like: 0x1000, directory: 0x9000 };
    assert_eq!(made.find(&pae(), &[0x1000]), [(0x1000, Reason::Given), (0x1020, copied)]);
    // A recursion into another space.
    made.put8(0x9000, 0x102, 0x4063);
    assert_eq!(made.find(&pae(), &[0x1000]), [(0x1000, Reason::Given)]);
}

#[test]
fn pae_pairs_of_isolated_kernels() {
    let mut made = Made::pages(16);
    for (kernel, directory) in [(0x2000, 0x6000), (0x4000, 0x8000)] {
        let (user, excerpt) = (kernel | PAGE, directory | PAGE);
        made.put8(kernel, 0, 0xa001).put8(user, 0, 0xa001);
        made.put8(kernel, 3, directory | 1).put8(user, 3, excerpt | 1);
        made.put8(directory, 0, 0xb063).put8(directory, 9, 0xc063).put8(excerpt, 9, 0xc063);
    }
    let found = made.find(&pae(), &[0x3000]);
    assert_eq!(
        found,
        [
            (0x2000, Reason::KernelHalf { user: 0x3000 }),
            (0x4000, Reason::CopiedDirectory { like: 0x2000, directory: 0x8000 }),
            (0x3000, Reason::Given),
            (0x5000, Reason::UserHalf { kernel: 0x4000 }),
        ]
    );
}

#[test]
fn pae_roots_inside_their_pages_are_no_pair() {
    let mut made = Made::pages(16);
    for (root, directory) in [(0x2020, 0x6000), (0x3020, 0x7000)] {
        made.put8(root, 0, 0xa001).put8(root, 3, directory | 1).put8(directory, 9, 0xc063);
    }
    made.put8(0x6000, 0, 0xb063);
    for given in [0x2020, 0x3020] {
        assert_eq!(made.find(&pae(), &[given]), [(given, Reason::Given)]);
    }
}

#[test]
fn a_reason_names_the_other_root() {
    let cases = [
        (Reason::Given, "given"),
        (Reason::GivenUnreadable, "given; it cannot be read"),
        (Reason::KernelPart { like: 0x1000 }, "kernel part as 0x1000"),
        (Reason::SharedDirectory { like: 0x1020, directory: 0x3000 }, "fourth directory 0x3000 as 0x1020"),
        (Reason::KernelHalf { user: 0x2000 }, "kernel half of the pair with 0x2000"),
        (Reason::UserHalf { kernel: 0x1000 }, "user half of the pair with 0x1000"),
    ];
    for (reason, text) in cases {
        assert_eq!(reason.to_string(), text);
    }
}
