//! Real guests: all open, with the registers and the mode that the machine itself reported.

use pt_core::Memory;
use pt_image::{Compression, Image, OpenOptions};
use std::fs;
use std::path::{Path, PathBuf};

fn guests() -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pt-testkit/corpus");
    let mut guests: Vec<_> = fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("tables.elf.xz").exists())
        .collect();
    guests.sort();
    guests
}

/// The string that is the value of `key`, in JSON that writes one per line.
fn field<'a>(json: &'a str, key: &str) -> &'a str {
    let start = json.find(&format!("\"{key}\": \"")).unwrap() + key.len() + 5;
    json[start..].split('"').next().unwrap()
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

#[test]
fn every_guest_opens_with_the_right_mode() {
    let guests = guests();
    assert_eq!(guests.len(), 11);
    for guest in guests {
        let image = Image::open(guest.join("tables.elf.xz"), &OpenOptions::new()).unwrap();
        let facts = fs::read_to_string(guest.join("roots.json")).unwrap();
        let name = field(&facts, "variant");
        assert_eq!(image.compression(), Some(Compression::Xz));
        assert!(image.has_qemu_notes());

        let cpus = image.cpus();
        assert_eq!(cpus.len(), if name.contains("smp4") { 4 } else { 1 }, "{name}");
        assert_eq!(image.prstatus_count(), cpus.len(), "{name}");
        for cpu in cpus {
            assert_eq!(cpu.mode().name(), field(&facts, "mode"), "{name}");
        }
        let [cr0, cr3, cr4] = ["cr0", "cr3", "cr4"].map(|register| hex(field(&facts, register)));
        assert!(cpus.iter().any(|cpu| (cpu.cr0, cpu.cr3, cpu.cr4) == (cr0, cr3, cr4)), "{name}");

        let roots = facts.split("\"roots\": [").nth(1).unwrap().split(']').next().unwrap();
        for root in roots.split('"').filter(|text| text.starts_with("0x")).map(hex) {
            assert!(image.lend(root & !0xfff, 4096).is_some(), "{name}: {root:#x}");
        }
        assert_eq!(image.memory_bytes(), image.held_bytes());
        assert_eq!(image.held_bytes() % 4096, 0);
    }
}
