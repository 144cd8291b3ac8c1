//! Leaves joined into runs.

use super::{Event, Mode, accessed_dirty, attributes};

/// Joins leaves that follow one another in the same table, contiguous in both address spaces, with equal attributes:
/// all bits that are not address, the accessed and dirty bits among them unless `ignore_accessed_dirty`. Rights need no
/// look: one table and equal attributes make equal rights.
///
/// Entries of one table are neighbours in physical memory, which is how leaves of one table are told from those of the
/// next.
pub fn join(mode: &Mode, events: &[Event], ignore_accessed_dirty: bool) -> Vec<Event> {
    let mut joined: Vec<Event> = Vec::new();
    for event in events {
        match joined.last_mut() {
            Some(run) if follows(mode, run, event, ignore_accessed_dirty) => {
                let Event::Leaf { pages, .. } = run else { unreachable!("only leaves follow leaves") };
                *pages += 1;
            }
            _ => joined.push(*event),
        }
    }
    joined
}

fn follows(mode: &Mode, run: &Event, next: &Event, ignore_accessed_dirty: bool) -> bool {
    let (
        &Event::Leaf { space, level, va, pa, pages, raw, entry, .. },
        &Event::Leaf {
            space: next_space,
            level: next_level,
            va: next_va,
            pa: next_pa,
            raw: next_raw,
            entry: next_entry,
            ..
        },
    ) = (run, next)
    else {
        return false;
    };
    let size = u64::from(pages) * mode.entry_span(level);
    let compared = if ignore_accessed_dirty { !accessed_dirty(mode) } else { u64::MAX };
    // Leaves of two tables are never neighbours among the events: the second table's own event stands between them.
    space == next_space
        && level == next_level
        && va.wrapping_add(size) == next_va
        && pa + size == next_pa
        && entry + u64::from(pages) * mode.entry_bytes() == next_entry
        && attributes(mode, level, raw) & compared == attributes(mode, next_level, next_raw) & compared
}
