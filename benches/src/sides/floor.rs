//! The least that an edit takes: new tables zeroed, and the same entries stored in a plain loop.

use std::hint::black_box;

use super::{Change, NO_EXECUTE, ROOT, Range, Side, WRITABLE};
use crate::PhysicalMemory;

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const FRAME: u64 = 0x000f_ffff_ffff_f000;

/// Loops over tables, without a look at what is there.
#[derive(Debug)]
pub struct Floor;

/// Tables by number, and how many are in use.
#[derive(Debug)]
pub struct Tables<'m> {
    tables: &'m mut [[u64; 512]],
    used: usize,
}

impl Tables<'_> {
    /// The table of that level for `va`; a new one of zeros where there is none.
    #[inline(always)]
    fn table(&mut self, va: u64, level: u8) -> &mut [u64; 512] {
        let mut table = ROOT as usize / 4096;
        for above in (level..4).rev() {
            let index = (va >> (12 + 9 * above)) as usize % 512;
            if self.tables[table][index] == 0 {
                self.tables[self.used] = [0; 512];
                black_box(&mut self.tables[self.used]);
                self.tables[table][index] = (self.used as u64) << 12 | WRITABLE | PRESENT;
                self.used += 1;
            }
            table = ((self.tables[table][index] & FRAME) >> 12) as usize;
        }
        &mut self.tables[table]
    }

    /// The entries of `range`, table by table, each with the address that it is for.
    #[inline(always)]
    fn each_table(&mut self, range: &Range, each: impl Fn(&mut [u64], u64)) {
        let (page, mut va) = (range.page(), range.va);
        while va <= range.last() {
            let table = va & !(page * 512 - 1);
            let end = (table + page * 512).min(range.va + range.len);
            let (first, entries) = ((va - table) / page, (end - va) / page);
            let here = self.table(va, range.level);
            each(&mut here[first as usize..(first + entries) as usize], va);
            va = end;
        }
    }
}

impl Side for Floor {
    const NAME: &'static str = "floor";
    type Space<'m> = Tables<'m>;

    fn open(memory: &mut PhysicalMemory) -> Tables<'_> {
        let (tables, free) = memory.tables_and_free_mut();
        Tables { tables, used: *free }
    }

    #[inline(always)]
    fn map(space: &mut Tables<'_>, range: &Range) {
        let attributes = if range.level > 1 { LARGE } else { 0 } | NO_EXECUTE | WRITABLE | PRESENT;
        let page = range.page();
        space.each_table(range, |entries, va| {
            let mut entry = (range.pa + (va - range.va)) | attributes;
            for place in entries {
                *place = entry;
                entry += page;
            }
        });
    }
}

impl Change for Floor {
    #[inline(always)]
    fn unmap(space: &mut Tables<'_>, range: &Range) {
        space.each_table(range, |entries, _| entries.fill(0));
    }

    #[inline(always)]
    fn protect(space: &mut Tables<'_>, range: &Range, writable: bool) {
        let set = if writable { WRITABLE } else { 0 };
        space.each_table(range, |entries, _| {
            for place in entries {
                *place = *place & !WRITABLE | set;
            }
        });
    }
}
