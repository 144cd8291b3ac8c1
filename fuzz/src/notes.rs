//! ELF notes, QEMU's CPU state among them, in a core that is otherwise sound.

use pt_image::{Format, Image};

use crate::choices::Choices;
use crate::image::{options, reads};

/// Where the notes start.
const NOTES: usize = 64 + 2 * 56;

/// The input is what the machine is, and the segment of notes: as it is, or notes made of choices.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let kind = choices.byte();
    let machine: u16 = if kind & 1 == 0 { 62 } else { 3 };
    let segment = if kind & 2 == 0 { choices.rest().to_vec() } else { made(&mut choices) };
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend(4_u16.to_le_bytes().into_iter().chain(machine.to_le_bytes()));
    file.extend([1, 0, 0, 0]);
    file.extend([0, 64, 0].iter().flat_map(|word: &u64| word.to_le_bytes()));
    file.extend([0; 4]);
    file.extend([64, 56, 2, 64, 0, 0].iter().flat_map(|half: &u16| half.to_le_bytes()));
    for (kind, offset, held, len) in [(4_u32, NOTES, segment.len(), 0), (1, 0, 16, 0x1000)] {
        file.extend(kind.to_le_bytes().into_iter().chain([0; 4]));
        file.extend([offset, 0, 0, held, len, 0].iter().flat_map(|word| (*word as u64).to_le_bytes()));
    }
    file.extend(&segment);
    match Image::from_bytes("fuzz", file, &options().format(Format::Elf)) {
        Ok(image) => check(&image, &segment),
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
}

fn check(image: &Image, mut segment: &[u8]) {
    reads(image, 1);
    let word = |bytes: &[u8], at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
    };
    let mut cpus = image.cpus().iter();
    for (index, note) in image.notes().enumerate() {
        let [name, len, kind] = [0, 4, 8].map(|at| word(segment, at).expect("a note has a header"));
        let start = 12 + (name as usize).div_ceil(4) * 4;
        let bytes = &segment[start..start + len as usize];
        assert_eq!((note.bytes, note.kind), (bytes, kind));
        let ends = note.name.len()..name as usize;
        assert!(
            segment[12..12 + note.name.len()] == *note.name
                && segment[12..][ends].iter().all(|&byte| byte == 0)
        );
        segment = segment.get(start + (len as usize).div_ceil(4) * 4..).unwrap_or_default();
        if note.is_qemu_cpu() {
            let cpu = cpus.next().expect("a note of a CPU is a CPU");
            assert_eq!(cpu.note, Some(index));
            let register =
                |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("it has them all"));
            assert_eq!([cpu.general.rax, cpu.rip], [8, 136].map(register));
            assert_eq!([cpu.cr0, cpu.cr3, cpu.cr4], [392, 416, 424].map(register));
            assert_eq!(cpu.segments.idt.base, register(384));
            assert_eq!(cpu.kernel_gs_base.is_some(), word(bytes, 4) >= Some(440));
        }
    }
    assert_eq!(cpus.next(), None);
    assert!(segment.iter().all(|&byte| byte == 0));
}

/// Notes with names that matter, and CPUs whose bytes are mostly zero.
fn made(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut segment = Vec::new();
    while !choices.is_empty() {
        let name = choices.one_of(&[
            &b"QEMU\0"[..],
            b"QEMU",
            b"CORE\0",
            b"CORE\0\0\0\0",
            b"",
            b"VMCOREINFO\0",
            b"\0\0\0\0Q",
        ]);
        let kind = u32::from(choices.byte() & 3);
        let len = choices.one_of(&[440, 432, 439, 448, 431, 336, 4, 0, 7]);
        let mut bytes = vec![0_u8; len];
        if let Some(size) = bytes.get_mut(4..8) {
            size.copy_from_slice(&choices.one_of(&[440, 432, 441, u32::MAX, 0, 448]).to_le_bytes());
        }
        for _ in 0..choices.below(8) {
            let at = choices.one_of(&[392, 416, 424, 160, 161, 352, 376, 384, 432, 8, 136]);
            if let Some(register) = bytes.get_mut(at..at + 8) {
                register.copy_from_slice(&choices.edge().to_le_bytes());
            }
        }
        let header = [name.len() as u32, len as u32, kind];
        segment.extend(header.iter().flat_map(|word| word.to_le_bytes()));
        for part in [name, &bytes] {
            segment.extend(part);
            segment.resize(segment.len().next_multiple_of(4), 0);
        }
    }
    segment
}
