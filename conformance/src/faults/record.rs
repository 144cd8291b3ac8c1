//! One access, as guest/accesses/record.h has it.

use pt_vcpu::{Access, AccessKind, Privilege, Registers};

/// What is asked, and what became of it. Little-endian, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Level 1 first.
    pub(crate) entries: [u64; 5],
    pub(crate) address: u64,
    /// CR0, CR4, EFER, RFLAGS, PKRU, PKRS.
    pub(crate) state: [u32; 6],
    /// Reading, writing, fetching: 0 to 2.
    pub(crate) access: u32,
    /// Whether in ring 3.
    pub(crate) user: u32,
    pub(crate) vector: u32,
    pub(crate) error: u32,
    pub(crate) cr2: u64,
}

impl Record {
    /// How many bytes it has.
    pub(crate) const BYTES: usize = 96;

    pub(crate) fn new(registers: &Registers, kind: AccessKind) -> Self {
        let &Registers { cr0, cr4, efer, rflags, pkru, pkrs, cpl, .. } = registers;
        Self {
            state: [cr0 as u32, cr4 as u32, efer as u32, rflags as u32, pkru, pkrs],
            access: kind as u32,
            user: u32::from(cpl == 3),
            ..Self::default()
        }
    }

    /// The registers, with that CR3.
    pub(crate) fn registers(&self, cr3: u64) -> Registers {
        let [cr0, cr4, efer, rflags, pkru, pkrs] = self.state;
        Registers {
            cr0: cr0.into(),
            cr3,
            cr4: cr4.into(),
            efer: efer.into(),
            rflags: rflags.into(),
            cpl: if self.user == 1 { 3 } else { 0 },
            pkru,
            pkrs,
        }
    }

    pub(crate) fn access(&self) -> Access {
        let privilege = if self.user == 1 { Privilege::User } else { Privilege::Supervisor };
        [privilege.reads(), privilege.writes(), privilege.fetches()][self.access as usize % 3]
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let wide = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        let narrow = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        [
            wide(&self.entries),
            wide(&[self.address]),
            narrow(&self.state),
            narrow(&[self.access, self.user, self.vector, self.error]),
            wide(&[self.cr2]),
        ]
        .concat()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let wide = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let narrow = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        Self {
            entries: std::array::from_fn(|level| wide(8 * level)),
            address: wide(40),
            state: std::array::from_fn(|register| narrow(48 + 4 * register)),
            access: narrow(72),
            user: narrow(76),
            vector: narrow(80),
            error: narrow(84),
            cr2: wide(88),
        }
    }
}
