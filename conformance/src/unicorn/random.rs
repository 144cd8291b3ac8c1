//! Tables of any content, linked anyhow: frames are tables at whatever levels lead to them.

use anyhow::Result;
use pt_conformance::path::{levels, width};
use pt_conformance::state::any;
use pt_vcpu::Mode;

use crate::compare::Comparison;

/// Frames 0 to 14; the last one is no table.
const FRAMES: u64 = 15;
const SLOTS: usize = 4096;
const ADDRESSES: u32 = 300;

/// So many times: new tables in a new state, and accesses all over them.
pub(crate) fn tables(both: &mut Comparison, mode: Mode, times: u32) -> Result<()> {
    for _ in 0..times {
        let root = fastrand::u64(1..FRAMES) << 12;
        let ignored = match mode {
            Mode::Pae => fastrand::u64(..128) << 5 | fastrand::u64(..32),
            _ => fastrand::u64(..4096),
        };
        both.enter(&any(mode, root | ignored))?;
        let width = width(mode);
        for frame in 0..FRAMES {
            // Few values, many times: paths are as likely to go on as entries are.
            let values: Vec<u64> = (0..32).map(|_| entry(mode)).collect();
            let slots = (0..SLOTS / width).map(|_| values[fastrand::usize(..values.len())]);
            let bytes: Vec<u8> = slots.flat_map(|raw| raw.to_le_bytes().into_iter().take(width)).collect();
            both.store(frame << 12, &bytes)?;
        }
        for _ in 0..ADDRESSES {
            both.ask_all(address(mode), |_| Ok(()))?;
        }
    }
    Ok(())
}

fn one_in(many: u32) -> bool {
    fastrand::u32(..many) == 0
}

fn entry(mode: Mode) -> u64 {
    let rights = if one_in(4) { fastrand::u64(..8) } else { 7 };
    let mut raw = fastrand::u64(1..FRAMES) << 12 | rights;
    let mut sometimes = |many, bits: u64| raw |= if one_in(many) { bits } else { 0 };
    sometimes(3, 1 << 5);
    sometimes(3, 1 << 6);
    sometimes(5, 1 << 7);
    sometimes(5, 0x118);
    sometimes(12, 1 << 63);
    sometimes(8, fastrand::u64(..16) << 59);
    // An address that is no memory; a bit that may be reserved; a large page's address.
    sometimes(30, 1 << fastrand::u32(16..40));
    sometimes(30, 1 << fastrand::u32(..64));
    if raw & 1 << 7 != 0 && !one_in(6) {
        raw &= !0x3f_e000;
    }
    if one_in(60) {
        fastrand::u64(..)
    } else {
        raw & if mode == Mode::TwoLevel { 0xffff_ffff } else { u64::MAX }
    }
}

/// Canonical but for a few.
fn address(mode: Mode) -> u64 {
    let bits = match levels(mode) {
        4 => 48,
        5 => 57,
        _ => return fastrand::u64(..1 << 32) & !0xfff | 0x123,
    };
    let any = fastrand::u64(..) & !0xfff | 0x123;
    let canonical = (any << (64 - bits)).cast_signed() >> (64 - bits);
    if one_in(40) { any } else { canonical.cast_unsigned() }
}
