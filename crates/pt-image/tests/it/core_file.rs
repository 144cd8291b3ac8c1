//! A builder of ELF cores that can lie: every field of every segment is the test's to choose.

use pt_image::{Error, Image, OpenOptions};

/// A core to build. Program headers come right after the header: the notes' first, if there are notes.
#[derive(Clone, Debug)]
pub(crate) struct CoreFile {
    pub(crate) class64: bool,
    pub(crate) machine: u16,
    pub(crate) notes: Vec<(&'static [u8], u32, Vec<u8>)>,
    pub(crate) loads: Vec<Load>,
    /// Count the program headers in section 0 even if there are few.
    pub(crate) count_in_section: bool,
}

/// A `PT_LOAD`.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) physical: u64,
    pub(crate) virtual_: u64,
    pub(crate) len: u64,
    pub(crate) bytes: Vec<u8>,
    /// Replaces the offset where the bytes are.
    pub(crate) offset: Option<u64>,
}

impl Load {
    pub(crate) fn new(physical: u64, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { physical, virtual_: 0, len: bytes.len() as u64, bytes, offset: None }
    }

    /// As QEMU writes memory that a filter left out.
    pub(crate) fn filtered(physical: u64, len: u64) -> Self {
        Self { physical, virtual_: 0, len, bytes: Vec::new(), offset: Some(u64::MAX) }
    }

    pub(crate) fn len(mut self, len: u64) -> Self {
        self.len = len;
        self
    }

    pub(crate) fn at_virtual(mut self, virtual_: u64) -> Self {
        self.virtual_ = virtual_;
        self
    }
}

impl CoreFile {
    pub(crate) fn new64(loads: impl Into<Vec<Load>>) -> Self {
        Self { class64: true, machine: 62, notes: Vec::new(), loads: loads.into(), count_in_section: false }
    }

    pub(crate) fn new32(loads: impl Into<Vec<Load>>) -> Self {
        Self { class64: false, machine: 3, ..Self::new64(loads) }
    }

    pub(crate) fn note(mut self, name: &'static [u8], kind: u32, bytes: impl Into<Vec<u8>>) -> Self {
        self.notes.push((name, kind, bytes.into()));
        self
    }

    pub(crate) fn machine(mut self, machine: u16) -> Self {
        self.machine = machine;
        self
    }

    pub(crate) fn header_len(&self) -> usize {
        if self.class64 { 64 } else { 52 }
    }

    pub(crate) fn program_header_len(&self) -> usize {
        if self.class64 { 56 } else { 32 }
    }

    fn section_header_len(&self) -> usize {
        if self.class64 { 64 } else { 40 }
    }

    /// The offset of the program header of the load at `index`.
    pub(crate) fn load_header(&self, index: usize) -> u64 {
        (self.header_len() + (index + usize::from(!self.notes.is_empty())) * self.program_header_len()) as u64
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let notes: Vec<u8> =
            self.notes.iter().flat_map(|(name, kind, bytes)| note(name, *kind, bytes)).collect();
        let count = self.loads.len() + usize::from(!notes.is_empty());
        let in_section = self.count_in_section || count >= 0xffff;
        let headers_end = self.header_len() + count * self.program_header_len();
        let notes_at = headers_end + if in_section { self.section_header_len() } else { 0 };

        let mut file = self.header(count, in_section.then_some(headers_end));
        if !notes.is_empty() {
            self.program_header(
                &mut file,
                4,
                notes_at as u64,
                [0, 0],
                [notes.len() as u64, notes.len() as u64],
            );
        }
        let mut at = (notes_at + notes.len()) as u64;
        for load in &self.loads {
            let held = load.bytes.len() as u64;
            let addresses = [load.virtual_, load.physical];
            self.program_header(&mut file, 1, load.offset.unwrap_or(at), addresses, [held, load.len]);
            at += held;
        }
        if in_section {
            let start = file.len();
            file.resize(start + self.section_header_len(), 0);
            let info = start + if self.class64 { 44 } else { 28 };
            file[info..info + 4].copy_from_slice(&(count as u32).to_le_bytes());
        }
        file.extend(notes);
        for load in &self.loads {
            file.extend(&load.bytes);
        }
        file
    }

    pub(crate) fn open(&self) -> Result<Image, Error> {
        open(self.build())
    }

    fn header(&self, count: usize, section: Option<usize>) -> Vec<u8> {
        let mut file = vec![0x7f, b'E', b'L', b'F', 1 + u8::from(self.class64), 1, 1];
        file.resize(16, 0);
        file.extend(4_u16.to_le_bytes());
        file.extend(self.machine.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        self.word(&mut file, 0);
        self.word(&mut file, self.header_len() as u64);
        self.word(&mut file, section.unwrap_or(0) as u64);
        file.extend(0_u32.to_le_bytes());
        let sizes = (self.header_len(), self.program_header_len(), self.section_header_len());
        let sections = u16::from(section.is_some());
        let count = if section.is_some() { 0xffff } else { count as u16 };
        for half in [sizes.0 as u16, sizes.1 as u16, count, sizes.2 as u16, sections, 0] {
            file.extend(half.to_le_bytes());
        }
        file
    }

    fn program_header(
        &self,
        file: &mut Vec<u8>,
        kind: u32,
        offset: u64,
        addresses: [u64; 2],
        lengths: [u64; 2],
    ) {
        file.extend(kind.to_le_bytes());
        if self.class64 {
            file.extend(4_u32.to_le_bytes());
        }
        for value in [offset, addresses[0], addresses[1], lengths[0], lengths[1]] {
            self.word(file, value);
        }
        if !self.class64 {
            file.extend(4_u32.to_le_bytes());
        }
        self.word(file, 0);
    }

    fn word(&self, file: &mut Vec<u8>, value: u64) {
        if self.class64 {
            file.extend(value.to_le_bytes());
        } else {
            file.extend((value as u32).to_le_bytes());
        }
    }
}

/// One note, padded.
pub(crate) fn note(name: &[u8], kind: u32, bytes: &[u8]) -> Vec<u8> {
    let mut note = Vec::new();
    for word in [name.len() as u32, bytes.len() as u32, kind] {
        note.extend(word.to_le_bytes());
    }
    for part in [name, bytes] {
        note.extend(part);
        note.resize(note.len().next_multiple_of(4), 0);
    }
    note
}

/// QEMU's CPU note of `size` bytes: each 8-byte field holds its own offset, but for CS.flags and the control registers.
pub(crate) fn qemu_cpu(size: usize, cs_flags: u32, cr0: u64, cr3: u64, cr4: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..size as u64 / 8).flat_map(|index| (index * 8).to_le_bytes()).collect();
    bytes[0..4].copy_from_slice(&1_u32.to_le_bytes());
    bytes[4..8].copy_from_slice(&(size as u32).to_le_bytes());
    bytes[160..164].copy_from_slice(&cs_flags.to_le_bytes());
    for (at, value) in [(392, cr0), (416, cr3), (424, cr4)] {
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

pub(crate) fn open(bytes: Vec<u8>) -> Result<Image, Error> {
    Image::from_bytes("test", bytes, &OpenOptions::new())
}
