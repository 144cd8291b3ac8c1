//! What an access has to become, and whether it did.

use std::collections::BTreeMap;

use pt_conformance::path::{Layout, levels, width};
use pt_conformance::state::machine;
use pt_core::{Memory, MemoryExchange, MemoryMut, NoBuffer, Unreadable};
use pt_vcpu::{Fault, Machine, Mode, PageFault, Vcpu, Vendor};
use pt_x86::{ErrorCode, Reason};

use crate::record::Record;

const PAGE_FAULT: u32 = 14;
const GENERAL_PROTECTION: u32 = 13;
/// An access that comes to its end says so by this interrupt.
const CALL: u32 = 0x80;
const ACCESSED: u64 = 1 << 5;
/// How many differences are shown.
const SHOWN: usize = 12;

/// What becomes of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It gets to this physical address.
    Page(u64),
    /// It raises this, with an error code for which QEMU may have another.
    Exception { vector: u32, error: u32, in_qemu: u32, cr2: u64 },
    /// One of its tables is none of those that are known.
    NoTable,
}

/// The guest's tables, as far as the path goes: all else in them is zero.
struct Tables {
    base: u64,
    bytes: Vec<u8>,
}

impl Memory for Tables {
    type Buffer = NoBuffer;

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.bytes.read(address.wrapping_sub(self.base), into)
    }
}

impl MemoryExchange for Tables {
    fn compare_exchange(
        &mut self,
        at: u64,
        width: usize,
        current: u64,
        new: u64,
    ) -> Result<bool, Unreadable> {
        self.bytes.compare_exchange(at.wrapping_sub(self.base), width, current, new)
    }
}

/// QEMU reads PDPTEs on the way, as AMD's processors do for guests; in long mode it knows no reserved bit of AMD's.
fn machine_of(mode: Mode) -> Machine {
    let vendor = if mode == Mode::Pae { Vendor::Amd } else { Vendor::Intel };
    Machine { vendor, ..machine() }
}

/// What has to become of an access, and of the entries.
pub(crate) fn expected(mode: Mode, layout: Layout, record: &Record) -> (Expected, [u64; 5]) {
    let (levels, width) = (levels(mode), width(mode));
    let mut tables = Tables { base: layout.tables, bytes: vec![0; usize::from(levels) << 12] };
    for (level, raw) in (1..=levels).zip(record.entries) {
        let at = layout.entry(mode, level) - layout.tables;
        tables.bytes.write(at, &raw.to_le_bytes()[..width]).expect("it is in a table");
    }
    let vcpu = Vcpu::new(record.registers(layout.root(mode)), &machine_of(mode));
    let outcome = match vcpu.translate_marking(&mut tables, record.address, record.access()) {
        Ok((found, _)) => Expected::Page(found.pa),
        Err(Fault::Page(fault)) => {
            let in_qemu = in_qemu(&fault).bits();
            Expected::Exception { vector: PAGE_FAULT, error: fault.code.bits(), in_qemu, cr2: fault.va }
        }
        Err(Fault::NonCanonical { .. }) => {
            Expected::Exception { vector: GENERAL_PROTECTION, error: 0, in_qemu: 0, cr2: 0 }
        }
        Err(Fault::Unreadable { .. }) => Expected::NoTable,
        Err(other) => panic!("{other}"),
    };
    let mut entries = [0; 5];
    for (level, entry) in (1..=levels).zip(&mut entries) {
        *entry = tables.read_entry(layout.entry(mode, level), width).expect("it is in a table");
    }
    (outcome, entries)
}

/// Whether all became what they had to. Says how many, and where not.
pub(crate) fn all(mode: Mode, layout: Layout, made: &[Record], done: &[Record]) -> bool {
    let mut counts = BTreeMap::<String, u64>::new();
    let (mut different, mut known) = (0, 0);
    for (asked, done) in made.iter().zip(done) {
        let (outcome, entries) = expected(mode, layout, asked);
        let (name, same) = match outcome {
            Expected::Page(_) => ("page".to_owned(), done.vector == CALL),
            Expected::Exception { vector, error, in_qemu, cr2 } => {
                let name = if vector == PAGE_FAULT { format!("#PF {error:#x}") } else { "#GP".to_owned() };
                let its_own = done.error != error && done.error == in_qemu;
                known += u64::from(its_own);
                (name, (done.vector, done.cr2) == (vector, cr2) && (done.error == error || its_own))
            }
            Expected::NoTable => panic!("nobody asked for that"),
        };
        *counts.entry(name).or_default() += 1;
        let reached = matches!(outcome, Expected::Page(_));
        if !same || !same_entries(mode, reached, &entries, &done.entries) {
            different += 1;
            if different <= SHOWN {
                println!("\n{asked:x?}\n  ours {outcome:x?}, {entries:x?}\n  QEMU {done:x?}");
            }
        }
    }
    let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let counts = counts.join(", ");
    println!(
        "{mode}: {} accesses ({counts}); {known} error codes of QEMU's own; {different} different",
        made.len()
    );
    different == 0
}

/// An error code as QEMU 7.2 has it, which is not what SDM "Page-Fault Exceptions" says:
///
/// - P is missing beside RSVD;
/// - PK is missing where a user-mode access is refused for a supervisor-mode address, whose key forbids it too.
fn in_qemu(fault: &PageFault) -> ErrorCode {
    match fault.reason {
        Reason::Reserved(_) => fault.code - ErrorCode::PRESENT,
        Reason::Supervisor => fault.code - ErrorCode::PROTECTION_KEY,
        _ => fault.code,
    }
}

/// Whether the entries are as they have to be. On its way to a fault a processor may set accessed bits; and QEMU sets it in
/// PDPTEs.
fn same_entries(mode: Mode, reached: bool, ours: &[u64; 5], theirs: &[u64; 5]) -> bool {
    (1..).zip(ours).zip(theirs).all(|((level, &ours), &theirs)| {
        let may = if !reached || mode == Mode::Pae && level == 3 { ACCESSED } else { 0 };
        (ours ^ theirs) & !may == 0 && ours & !theirs == 0
    })
}
