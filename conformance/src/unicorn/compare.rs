//! Asks both about one access, and counts.

use std::collections::BTreeMap;

use anyhow::Result;
use pt_conformance::state::machine;
use pt_core::{Memory, MemoryMut, Step};
use pt_vcpu::{Access, AccessKind, Fault, Marking, Mode, Registers, Vcpu};

use crate::witness::{Answer, MEMORY, UNTOUCHED, Witness};

const ACCESSED: u64 = 1 << 5;
/// How many differences are shown.
const SHOWN: usize = 12;
/// An offset in a page that no address that is asked for has: [`UNTOUCHED`]'s.
const NEVER: u64 = UNTOUCHED as u64 & 0xfff;

/// Both machines, with equal memories and in equal states.
pub(crate) struct Comparison {
    witness: Witness,
    memory: Vec<u8>,
    vcpu: Vcpu,
    one_in: u32,
    /// By what was expected, since the last report and since ever.
    counts: [BTreeMap<&'static str, u64>; 2],
    differences: Vec<String>,
    different: u64,
}

impl Comparison {
    pub(crate) fn new(one_in: u32) -> Result<Self> {
        Ok(Self {
            witness: Witness::new()?,
            memory: vec![0; MEMORY as usize],
            vcpu: Vcpu::new(Registers::default(), &machine()),
            one_in,
            counts: Default::default(),
            differences: Vec::new(),
            different: 0,
        })
    }

    /// Whether chance wants what comes next.
    pub(crate) fn wanted(&self) -> bool {
        self.one_in == 1 || fastrand::u32(..self.one_in) == 0
    }

    pub(crate) fn enter(&mut self, registers: &Registers) -> Result<()> {
        self.vcpu = Vcpu::new(*registers, &machine());
        self.witness.enter(registers)
    }

    /// The mode that was entered.
    pub(crate) fn mode(&self) -> Mode {
        self.vcpu.mode()
    }

    pub(crate) fn store(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        MemoryMut::write(&mut self.memory, address, bytes)?;
        self.witness.store(address, bytes)
    }

    /// Asks about every kind of access, by whom the state says.
    pub(crate) fn ask_all(&mut self, va: u64, prepare: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
        for kind in [AccessKind::Read, AccessKind::Write, AccessKind::Fetch] {
            prepare(self)?;
            self.ask(va, kind)?;
        }
        Ok(())
    }

    /// Asks about one access. Afterwards the memories are equal again.
    pub(crate) fn ask(&mut self, va: u64, kind: AccessKind) -> Result<()> {
        assert_ne!(va & 0xfff, NEVER);
        let access = Access { kind, privilege: self.vcpu.privilege() };
        let mut path = Vec::with_capacity(5);
        // What it leads to is asked again, below.
        let _ = self.vcpu.trace(&self.memory, va, |step| path.push(step));
        let ours = self.vcpu.translate_marking(&mut self.memory, va, access);
        let theirs = self.witness.ask(va, kind)?;

        let (expected, name) = match &ours {
            Ok((found, marking)) => {
                assert_eq!(*marking, Marking::Complete);
                (Answer::Page(found.pa), "pages")
            }
            Err(Fault::NonCanonical { .. }) => (Answer::Other, "not canonical"),
            Err(Fault::Page(_)) => (Answer::PageFault, "page faults"),
            // It looks at PDPTEs on the way.
            Err(Fault::Pdpte { .. }) => (Answer::PageFault, "PDPTEs"),
            // What is no memory reads as zero there.
            Err(Fault::Unreadable { .. }) => (Answer::PageFault, "tables outside memory"),
            Err(other) => panic!("{other}"),
        };
        for counts in &mut self.counts {
            *counts.entry(name).or_default() += 1;
        }
        let marks = self.settle(&path, ours.is_ok())?;
        if expected != theirs || marks.is_some() {
            self.different += 1;
            if self.differences.len() < SHOWN {
                let outcome = ours.map_or_else(|fault| fault.to_string(), |(found, _)| format!("{found:x?}"));
                let marks = marks.unwrap_or_default();
                self.differences.push(format!(
                    "{access} at {va:#x}, {:x?}\n  path {path:x?}\n  ours {outcome}\n  Unicorn {theirs:x?}{marks}",
                    self.vcpu.registers(),
                ));
            }
        }
        Ok(())
    }

    /// Makes the entries of a path in our memory what they are in Unicorn's, and says where they should not have differed.
    fn settle(&mut self, path: &[Step], reached: bool) -> Result<Option<String>> {
        let width = if self.mode() == Mode::TwoLevel { 4 } else { 8 };
        let mut wrong = None;
        for step in path {
            let ours = self.memory.read_entry(step.entry, width)?;
            let theirs = self.witness.load(step.entry, width)?;
            // A processor may set accessed bits on its way to a fault (SDM "Accessed and Dirty Flags"), and this one does.
            let may = if reached { 0 } else { ACCESSED };
            if (ours ^ theirs) & !may != 0 || ours & !theirs != 0 {
                wrong =
                    Some(format!("\n  entry at {:#x}: ours {ours:#x}, Unicorn's {theirs:#x}", step.entry));
            }
            if ours != theirs {
                MemoryMut::write(&mut self.memory, step.entry, &theirs.to_le_bytes()[..width])?;
            }
        }
        Ok(wrong)
    }

    /// One line about what was asked since the last one.
    pub(crate) fn report(&mut self, what: &str) {
        let [since, _] = &mut self.counts;
        println!("{what}: {}", counted(since));
        since.clear();
    }

    /// The sum, and the first differences. Returns whether there are none.
    pub(crate) fn finish(&self) -> bool {
        println!("all: {}; {} different", counted(&self.counts[1]), self.different);
        for difference in &self.differences {
            println!("\n{difference}");
        }
        self.different == 0
    }
}

fn counted(counts: &BTreeMap<&str, u64>) -> String {
    let each: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    format!("{} queries ({})", counts.values().sum::<u64>(), each.join(", "))
}
