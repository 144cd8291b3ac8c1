//! Real guests: registers alone lead to the same translations as the format that the corpus names.

use std::fs;
use std::path::Path;
use std::thread;

use pt_amd64::{FiveLevel, FourLevel};
use pt_core::{Format, Geometry, Memory};
use pt_i686::{Pae, PaeFeatures, TwoLevel, TwoLevelFeatures};
use pt_image::{Image, OpenOptions};
use pt_vcpu::{Machine, Rights, Vcpu};

/// Every extent of the space, and translation in it, against a format that is known to be right. Returns how many of
/// them are mapped.
fn same_as<F: Format<Rights = Rights>>(format: &F, vcpu: &Vcpu, image: &Image) -> usize {
    let cr3 = vcpu.registers().cr3;
    let mut mapped = 0;
    let mut extents = vcpu.extents(image, 0..=u64::MAX);
    for (index, expected) in pt_core::Extents::new(format.clone(), image, cr3, 0..=u64::MAX).enumerate() {
        let extent = extents.next().unwrap();
        assert_eq!((extent.va, extent.len), (expected.va, expected.len));
        assert_eq!(extent.to.map(|found| found.pa), expected.to.map(|found| found.pa));
        mapped += usize::from(extent.to.is_ok());
        // Every extent is compared; translation, which starts at the root each time, in some of them.
        if index % 37 != 0 {
            continue;
        }
        for offset in [0, expected.len / 2 + 1, expected.len - 1] {
            let va = expected.va + offset;
            let found = vcpu.translate(image, va);
            match pt_core::translate(format, image, cr3, va) {
                Ok(expected) => {
                    let found = found.unwrap();
                    assert_eq!((found.va, found.pa, found.rights), (va, expected.pa, expected.rights));
                    assert_eq!(found.page_size, F::entry_span(expected.level));
                    let leaf = found.leaf.unwrap();
                    let expected = (expected.level, expected.entry, expected.raw);
                    assert_eq!((leaf.level, leaf.entry, leaf.raw), expected);
                }
                Err(expected) => assert_eq!(found, Err(expected)),
            }
        }
    }
    assert_eq!(extents.next(), None);
    mapped
}

/// The kernels map all memory: their root table is readable by its virtual address too.
fn reads_its_own_root(vcpu: &Vcpu, image: &Image) -> bool {
    let root = vcpu.root().unwrap();
    let of_root = |extent: &pt_vcpu::Extent| {
        extent.to.is_ok_and(|found| found.pa <= root && root - found.pa < extent.len)
    };
    let Some(extent) = vcpu.extents(image, 0..=u64::MAX).find(of_root) else { return false };
    let va = extent.va + (root - extent.to.unwrap().pa);
    let (mut by_va, mut by_pa) = ([0; 32], [1; 32]);
    vcpu.view(image).read(va, &mut by_va).unwrap();
    image.read(root, &mut by_pa).unwrap();
    assert_eq!(by_va, by_pa);
    true
}

/// How many extents and how many roots were compared in a guest.
fn guest(path: &Path) -> (usize, usize) {
    // TCG sets bits in PDPTEs that are reserved on hardware.
    let machine = Machine { strict_pdpte: false, ..Machine::default() };
    let name = path.to_string_lossy();
    let image = Image::open(path, &OpenOptions::new()).unwrap();
    let (mut mapped, mut own_roots) = (0, 0);
    for cpu in image.cpus() {
        let vcpu = Vcpu::new(cpu.control_registers(), &machine);
        mapped += match () {
            () if name.contains("2level") => {
                let pse = !name.contains("nopse");
                let features = TwoLevelFeatures { pse, ..TwoLevelFeatures::default() };
                same_as(&TwoLevel::new(features), &vcpu, &image)
            }
            () if name.contains("pae") => {
                let features = PaeFeatures { strict_pdpte: false, ..PaeFeatures::default() };
                same_as(&Pae::new(features), &vcpu, &image)
            }
            () if name.contains("5level") => same_as(&FiveLevel::default(), &vcpu, &image),
            () => same_as(&FourLevel::default(), &vcpu, &image),
        };
        own_roots += usize::from(reads_its_own_root(&vcpu, &image));
    }
    (mapped, own_roots)
}

#[test]
fn real_guests() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pt-testkit/corpus");
    let images = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path().join("tables.elf.xz"));
    let images: Vec<_> = images.filter(|path| path.exists()).collect();
    assert_eq!(images.len(), 11);
    let compared: Vec<_> = thread::scope(|scope| {
        let guests: Vec<_> = images.iter().map(|path| scope.spawn(|| guest(path))).collect();
        guests.into_iter().map(|guest| guest.join().unwrap()).collect()
    });
    let (mapped, own_roots) = compared.iter().fold((0, 0), |all, guest| (all.0 + guest.0, all.1 + guest.1));
    println!("{mapped} extents, {own_roots} roots");
    assert!(mapped > 100_000 && own_roots >= 10, "{mapped} {own_roots}");
}
