//! C strings: limits, page boundaries, and what comes after the end.

use pt_vcpu::{AccessCause, Mode, TranslateError};

use crate::guest::{Guest, PAGED};

const END: u64 = 0x80_0000;

/// Pages at `END - 0x2000` and `END - 0x1000`, in frames that are not neighbours; nothing at `END`.
fn guest(mode: Mode) -> Guest {
    let mut guest = Guest::new(mode);
    guest.map(END - 0x2000, 0x9_5000);
    guest.map(END - 0x1000, 0x8_3000);
    guest
}

#[test]
fn strings_over_a_page_boundary() {
    for mode in PAGED {
        let mut guest = guest(mode);
        for len in 0..40 {
            let text: Vec<u8> = (1..=len).collect();
            for before in 0..=40 {
                let va = END - 0x1000 - before;
                let mut with_zero = text.clone();
                with_zero.push(0);
                guest.view_mut().write(va, &with_zero).unwrap();
                let mut into = [0xff; 64];
                let string = guest.view().read_c_string(va, &mut into).unwrap();
                assert_eq!(string.to_bytes(), text);
                // As long as the limit, and one longer.
                let mut exact = vec![0xff; with_zero.len()];
                assert_eq!(guest.view().read_c_string(va, &mut exact).unwrap().to_bytes(), text);
                let stopped = guest.view().read_c_string(va, &mut exact[..text.len()]).unwrap_err();
                assert_eq!(stopped.cause, AccessCause::Unterminated);
                assert_eq!((stopped.va, stopped.done), (va + u64::from(len), text.len()));
                assert_eq!(exact[..text.len()], text);
            }
        }
    }
}

#[test]
fn strings_before_a_hole() {
    for mode in PAGED {
        let mut guest = guest(mode);
        guest.view_mut().write(END - 4, b"end\0").unwrap();
        let mut into = [0; 64];
        assert_eq!(guest.view().read_c_string(END - 4, &mut into), Ok(c"end"));

        guest.view_mut().write(END - 4, b"end!").unwrap();
        let stopped = guest.view().read_c_string(END - 4, &mut into).unwrap_err();
        assert_eq!((stopped.va, stopped.done), (END, 4));
        assert!(matches!(stopped.cause, AccessCause::Translate(TranslateError::NotPresent { .. })));
        assert_eq!(&into[..4], b"end!");
        // The limit comes first.
        let stopped = guest.view().read_c_string(END - 4, &mut into[..4]).unwrap_err();
        assert_eq!((stopped.va, stopped.done, stopped.cause), (END, 4, AccessCause::Unterminated));
        let stopped = guest.view().read_c_string(END - 4, &mut []).unwrap_err();
        assert_eq!((stopped.va, stopped.done, stopped.cause), (END - 4, 0, AccessCause::Unterminated));
    }
}

/// Physical memory ends inside the page: a string that ends before that is whole.
#[test]
fn strings_before_the_end_of_memory() {
    for mode in [Mode::Unpaged, Mode::Pae] {
        let mut guest = Guest::new(mode);
        let (start, end) = (0x9_0000, 0x9_0105);
        if mode != Mode::Unpaged {
            guest.map(start, start);
        }
        guest.memory.truncate(end as usize);
        guest.memory[start as usize..].fill(b'x');
        guest.memory[end as usize - 4..].copy_from_slice(b"end\0");
        let mut into = [0; 1000];
        assert_eq!(guest.view().read_c_string(start, &mut into).unwrap().count_bytes(), 0x104);
        assert_eq!(guest.view().read_c_string(end - 1, &mut into), Ok(c""));
        guest.memory[end as usize - 1] = b'!';
        let stopped = guest.view().read_c_string(start, &mut into).unwrap_err();
        assert_eq!((stopped.va, stopped.done), (end, 0x105));
        assert!(matches!(stopped.cause, AccessCause::Physical { pa, .. } if pa == end));
    }
}

/// Longer than a page and than a piece: without paging, where all is one page.
#[test]
fn long_strings() {
    let mut guest = Guest::new(Mode::Unpaged);
    guest.memory[0x123..0x5000].fill(b'x');
    let mut into = vec![1; 0x8000];
    assert_eq!(guest.view().read_c_string(0x123, &mut into).unwrap().count_bytes(), 0x5000 - 0x123);
    assert!(into[0x6000..].iter().all(|&byte| byte == 1), "no page behind the end was read");
}
