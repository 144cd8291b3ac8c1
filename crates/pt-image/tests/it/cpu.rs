//! QEMU's CPU notes, and the paging mode that follows from them.

use crate::core_file::{CoreFile, Load, qemu_cpu};
use pt_image::{Cpu, Defect, Error, Image, SegmentRegister};
use pt_x86::{Efer, Mode};

const PAGING: u64 = 0x8005_0033;
const LONG_CS: u32 = 0x00a0_9b00;
const COMPATIBLE_CS: u32 = 0x00cf_fb00;
const PAE: u64 = 1 << 5;
const LA57: u64 = 1 << 12;
const PCIDE: u64 = 1 << 17;

/// A core with these CPU notes, each preceded by its `NT_PRSTATUS`.
fn image(machine: u16, cpus: &[Vec<u8>]) -> Result<Image, Error> {
    let mut core = CoreFile::new64([Load::new(0, [0; 16])]).machine(machine);
    for _ in cpus {
        core = core.note(b"CORE\0", 1, vec![0; 336]);
    }
    for cpu in cpus {
        core = core.note(b"QEMU\0", 0, cpu.clone());
    }
    core.open()
}

fn low_tables(mut note: Vec<u8>) -> Vec<u8> {
    note[360..368].copy_from_slice(&0x1000_u64.to_le_bytes());
    note[384..392].copy_from_slice(&0x2000_u64.to_le_bytes());
    note
}

#[test]
fn every_register_is_where_qemu_puts_it() {
    for (size, kernel_gs_base) in [(432, None), (440, Some(432)), (512, Some(432))] {
        let image = image(62, &[qemu_cpu(size, LONG_CS, PAGING, 0x1234_5000, PAE)]).unwrap();
        let [cpu] = image.cpus() else { panic!("{:?}", image.cpus()) };
        let general = &cpu.general;
        let order = [
            general.rax,
            general.rbx,
            general.rcx,
            general.rdx,
            general.rsi,
            general.rdi,
            general.rsp,
            general.rbp,
            general.r8,
            general.r9,
            general.r10,
            general.r11,
            general.r12,
            general.r13,
            general.r14,
            general.r15,
        ];
        assert_eq!(order, std::array::from_fn(|index| 8 + 8 * index as u64));
        assert_eq!((cpu.rip, cpu.rflags), (136, 144));
        let segments = &cpu.segments;
        assert_eq!(segments.cs, SegmentRegister { selector: 152, limit: 0, flags: LONG_CS, base: 168 });
        for (index, segment) in [
            segments.cs,
            segments.ds,
            segments.es,
            segments.fs,
            segments.gs,
            segments.ss,
            segments.ldt,
            segments.tr,
            segments.gdt,
            segments.idt,
        ]
        .iter()
        .enumerate()
        {
            assert_eq!(segment.selector, 152 + 24 * index as u32);
            assert_eq!(segment.base, 168 + 24 * index as u64);
        }
        assert!(segments.cs.is_long() && !segments.ds.is_long());
        assert_eq!([cpu.cr0, cpu.cr1, cpu.cr2, cpu.cr3, cpu.cr4], [PAGING, 400, 408, 0x1234_5000, PAE]);
        assert_eq!((cpu.kernel_gs_base, cpu.efer, cpu.note), (kernel_gs_base, None, Some(1)));
        assert!(image.has_qemu_notes());
        assert_eq!(image.prstatus_count(), 1);
        assert!(image.notes().nth(1).unwrap().is_qemu_cpu());
    }
}

#[test]
fn the_size_field_decides_not_the_version() {
    let mut note = qemu_cpu(440, LONG_CS, PAGING, 0x1000, PAE);
    note[0..4].copy_from_slice(&7_u32.to_le_bytes());
    note[4..8].copy_from_slice(&432_u32.to_le_bytes());
    assert_eq!(image(62, &[note]).unwrap().cpus()[0].kernel_gs_base, None);
}

#[test]
fn notes_of_the_wrong_size_are_refused() {
    let good = qemu_cpu(440, LONG_CS, PAGING, 0x1000, PAE);
    let claims = |size: u32| {
        let mut note = good.clone();
        note[4..8].copy_from_slice(&size.to_le_bytes());
        note
    };
    let cases = [
        (claims(441), 441),
        (claims(u32::MAX), u32::MAX),
        (claims(431), 431),
        (claims(0), 0),
        (good[..439].to_vec(), 440),
        (good[..7].to_vec(), 0),
        (Vec::new(), 0),
    ];
    for (note, size) in cases {
        match image(62, &[good.clone(), note.clone()]) {
            Err(Error::Malformed { offset, defect, .. }) => {
                assert_eq!(defect, Defect::CpuNote { bytes: note.len() as u64, size });
                // Two program headers, two NT_PRSTATUS, one good note, and the header of the bad one.
                assert_eq!(offset, 64 + 2 * 56 + 2 * (20 + 336) + (20 + 440) + 20);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn modes(machine: u16, cpus: &[Vec<u8>]) -> Vec<Mode> {
    image(machine, cpus).unwrap().cpus().iter().map(Cpu::mode).collect()
}

#[test]
fn the_first_cpu_is_in_long_mode_as_the_machine_says() {
    let cases = [
        // 64-bit kernels, at a 64-bit and at a 32-bit program.
        (62, LONG_CS, PAGING, PAE, Mode::FourLevel),
        (62, COMPATIBLE_CS, PAGING, PAE, Mode::FourLevel),
        (62, LONG_CS, PAGING, PAE | LA57, Mode::FiveLevel),
        // Nothing but the two bits that long mode needs, as memtest86+ runs.
        (62, 0x0020_9a00, 0x8000_0011, 0x20, Mode::FourLevel),
        (3, COMPATIBLE_CS, PAGING, PAE, Mode::Pae),
        (3, COMPATIBLE_CS, PAGING, PAE | LA57, Mode::Pae),
        (3, COMPATIBLE_CS, PAGING, 0, Mode::TwoLevel),
        (3, COMPATIBLE_CS, 0x11, PAE, Mode::Unpaged),
        // Machines that are always said to be 64-bit.
        (62, COMPATIBLE_CS, PAGING, 0, Mode::TwoLevel),
        (62, COMPATIBLE_CS, 0x11, 0, Mode::Unpaged),
    ];
    for (machine, cs, cr0, cr4, expected) in cases {
        let note = low_tables(qemu_cpu(440, cs, cr0, 0x1000, cr4));
        assert_eq!(modes(machine, &[note]), [expected], "{machine} {cs:#x} {cr0:#x} {cr4:#x}");
    }
}

#[test]
fn other_cpus_are_judged_by_their_registers() {
    let cpu = |cs, cr0, cr4| low_tables(qemu_cpu(440, cs, cr0, 0x1000, cr4));
    let mut high_tables = cpu(COMPATIBLE_CS, PAGING, PAE);
    high_tables[384..392].copy_from_slice(&0xffff_fe00_0000_0000_u64.to_le_bytes());
    let others = [
        cpu(LONG_CS, PAGING, PAE | LA57),
        cpu(COMPATIBLE_CS, PAGING, PAE | PCIDE),
        high_tables,
        cpu(COMPATIBLE_CS, PAGING, PAE),
        cpu(COMPATIBLE_CS, PAGING, 0),
        // Waiting for its start-up: real mode.
        cpu(0x9b00, 0x6000_0010, 0),
    ];
    let expected =
        [Mode::FiveLevel, Mode::FourLevel, Mode::FourLevel, Mode::Pae, Mode::TwoLevel, Mode::Unpaged];
    // Neither direction depends on the first CPU.
    for (machine, first, mode) in
        [(62, cpu(LONG_CS, PAGING, PAE), Mode::FourLevel), (3, cpu(COMPATIBLE_CS, 0x11, 0), Mode::Unpaged)]
    {
        let cpus = [&[first][..], &others].concat();
        assert_eq!(modes(machine, &cpus), [&[mode][..], &expected].concat());
    }
}

#[test]
fn no_execute_is_assumed_where_entries_have_the_bit() {
    let efer = |machine, cr4| {
        let note = low_tables(qemu_cpu(440, 0, PAGING, 0x1000, cr4));
        image(machine, &[note]).unwrap().cpus()[0].control_registers().efer
    };
    let long = Efer::LONG_MODE_ENABLE | Efer::LONG_MODE_ACTIVE;
    assert_eq!(efer(62, PAE), long | Efer::NO_EXECUTE_ENABLE);
    assert_eq!(efer(3, PAE), Efer::NO_EXECUTE_ENABLE);
    assert_eq!(efer(3, 0), Efer::empty());
}
