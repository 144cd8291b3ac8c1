//! The ends of the address space: the hole of canonical addresses, 4 GiB, and 2<sup>64</sup>.

use pt_vcpu::{AccessCause, AccessError, Mode, TranslateError, Unreadable};

use crate::guest::{Ends, Guest};

#[test]
fn reads_stop_at_the_hole() {
    for (mode, first) in [(Mode::FourLevel, 1_u64 << 47), (Mode::FiveLevel, 1 << 56)] {
        let mut guest = Guest::new(mode);
        guest.map(first - 0x1000, 0x8_0000);
        guest.map(first.wrapping_neg(), 0x8_1000);
        let mut bytes = [0; 8];
        let lost = |va, done| {
            let cause = AccessCause::Translate(TranslateError::NonCanonical { va });
            Err(AccessError { va, done, cause })
        };
        assert_eq!(guest.view().read(first - 3, &mut bytes), lost(first, 3));
        assert_eq!(guest.view_mut().write(first - 3, &bytes), lost(first, 3));
        assert_eq!(guest.view().read(first + 9, &mut bytes), lost(first + 9, 0));
        assert_eq!(guest.view().read_c_string(first + 9, &mut bytes).map(|_| ()), lost(first + 9, 0));
        let last = first.wrapping_neg() - 1;
        assert_eq!(guest.view().read(last, &mut bytes), lost(last, 0), "and do not skip it");
        assert_eq!(guest.view().read(last + 1, &mut bytes), Ok(()));
        // A range of extents leaves the hole out.
        let around: Vec<_> = guest.view().extents(first - 0x1000..=last + 0x1000).collect();
        let found: Vec<_> = around.iter().map(|extent| (extent.va, extent.to.unwrap().pa)).collect();
        assert_eq!(found, [(first - 0x1000, 0x8_0000), (last + 1, 0x8_1000)]);
    }
}

#[test]
fn extents_show_how_far_they_are() {
    for mode in [Mode::Unpaged, Mode::TwoLevel, Mode::Pae, Mode::FourLevel, Mode::FiveLevel] {
        let mut guest = Guest::new(mode);
        if mode != Mode::Unpaged {
            guest.map(0x1000, 0x8_0000);
        }
        let view = guest.view();
        let mut extents = view.extents(0x1000..=0x1fff);
        let before = format!("{extents:?}");
        assert!(before.starts_with("Extents("), "{before}");
        assert!(extents.next().is_some());
        assert_ne!(format!("{extents:?}"), before, "{mode}");
    }
}

#[test]
fn the_last_page_of_64_bits_is_followed_by_the_first() {
    for mode in [Mode::FourLevel, Mode::FiveLevel] {
        let mut guest = Guest::new(mode);
        guest.map(0xffff_ffff_ffff_f000, 0x8_0000);
        let va = 0xffff_ffff_ffff_fffc;
        guest.view_mut().write(va, b"last").unwrap();
        assert_eq!(guest.view().read_integer(va), Ok(u32::from_le_bytes(*b"last")));
        let stopped = guest.view().read(va, &mut [0; 8]).unwrap_err();
        assert_eq!((stopped.va, stopped.done), (0, 4), "page 0 is not mapped");
        guest.map(0, 0x8_5000);
        guest.view_mut().write(va, b"last1st.").unwrap();
        assert_eq!(&guest.memory[0x8_0ffc..0x8_1000], b"last");
        assert_eq!(&guest.memory[0x8_5000..0x8_5004], b"1st.");
        let mut bytes = [0; 8];
        guest.view().read(va, &mut bytes).unwrap();
        assert_eq!(&bytes, b"last1st.");
    }
}

#[test]
fn outside_long_mode_addresses_have_32_bits() {
    for mode in [Mode::TwoLevel, Mode::Pae] {
        let mut guest = Guest::new(mode);
        guest.map(0xffff_f000, 0x8_0000);
        guest.map(0, 0x8_5000);
        for upper in [0, 0x1_0000_0000, 0xffff_ffff_0000_0000] {
            let va = upper | 0xffff_fffc;
            guest.view_mut().write(va, b"last1st.").unwrap();
            assert_eq!(&guest.memory[0x8_0ffc..0x8_1000], b"last");
            assert_eq!(&guest.memory[0x8_5000..0x8_5004], b"1st.");
            guest.memory[0x8_5000] = b'0';
            assert_eq!(guest.view().read_integer(va), Ok(u64::from_le_bytes(*b"last0st.")));
            let mut string = [0; 9];
            assert_eq!(guest.view().read_c_string(va, &mut string), Ok(c"last0st."));
            assert_eq!(
                guest.view().translate(va).map(|found| (found.va, found.pa)),
                Ok((0xffff_fffc, 0x8_0ffc))
            );
        }
        // A string past 4 GiB ends where page 0 does.
        let mut string = [1; 4];
        guest.memory[0x8_0ffc..0x8_1000].fill(1);
        let stopped = guest.view().read_c_string(0xffff_fffc, &mut string).unwrap_err();
        assert_eq!(stopped, AccessError { va: 0, done: 4, cause: AccessCause::Unterminated });
        // Ranges are not addresses: they do not wrap, and what the mode does not have is left out.
        assert_eq!(guest.view().extents(1 << 32..=u64::MAX).count(), 0);
        assert_eq!(
            guest.view().extents(0xffff_f000..=u64::MAX).map(|extent| extent.len).sum::<u64>(),
            0x1000
        );
    }
}

#[test]
fn without_paging_too() {
    let mut memory = Ends([0; 4096], [0; 4096]);
    let vcpu = Guest::new(Mode::Unpaged).vcpu;
    let mut view = vcpu.view(&mut memory);
    for va in [0xffff_fffc, 0xffff_ffff_ffff_fffc] {
        view.write(va, b"last1st.").unwrap();
        let mut bytes = [0; 8];
        view.read(va, &mut bytes).unwrap();
        assert_eq!(&bytes, b"last1st.");
        assert_eq!(view.read_integer(0), Ok(u32::from_le_bytes(*b"1st.")));
        view.write(va, &[0; 8]).unwrap();
    }
    let lost = |pa, done| {
        Err(AccessError { va: pa, done, cause: AccessCause::Physical { pa, why: Unreadable::Outside } })
    };
    assert_eq!(view.read(0xff0, &mut [0; 64]), lost(0x1000, 16));
    assert_eq!(view.write(0xff0, &[0; 64]), lost(0x1000, 16));
    assert_eq!(view.read(0x1_0000_2000, &mut [0; 64]), lost(0x2000, 0));
}
