//! `pt share`: which tables are shared by which spaces, within a space, or at several depths.

use std::collections::BTreeSet;
use std::io::Write;

use pt_core::{Event, Format, Options, Space, Table, Walk};

use crate::arguments::AllSpacesArguments;
use crate::guest::Guest;
use crate::output::{Output, Tone};
use crate::paging::with_format;
use crate::show::Spaces;

pub(crate) fn run(arguments: &AllSpacesArguments, out: &mut Output) -> anyhow::Result<()> {
    let guest = Guest::open_all(arguments)?;
    with_format!(guest.paging, |format| print(format, &guest, out))
}

/// One table visit, and who else links it.
struct Shared<R> {
    table: Table<R>,
    /// Spaces other than the owner.
    spaces: BTreeSet<Space>,
    /// Further links within the owner's own space.
    within: u64,
    /// Links that differ from the owner's in more than address, accessed and dirty bits.
    other_entries: u64,
}

fn print<F: Format>(format: F, guest: &Guest, out: &mut Output) -> anyhow::Result<()> {
    let options = Options { range: guest.range.clone(), ..Options::default() };
    let mut tables: Vec<Shared<F::Rights>> = Vec::new();
    for event in Walk::new(format, &guest.image, &guest.roots, options) {
        match event? {
            Event::Table(table) => {
                tables.push(Shared { table, spaces: BTreeSet::new(), within: 0, other_entries: 0 });
            }
            Event::Alias(alias) => {
                let shared = &mut tables[alias.table.index()];
                let differs = (shared.table.link.raw ^ alias.link.raw) & !F::ACCESSED_DIRTY != 0;
                shared.other_entries += u64::from(differs);
                if alias.owner == alias.space {
                    shared.within += 1;
                } else {
                    shared.spaces.insert(alias.space);
                }
            }
            Event::Leaf(_) | Event::Absent(_) | Event::Fault(_) => {}
        }
    }

    let heading = format!("{:<6} {:<18} {:<18} {:<18} shared by", "table", "address", "owner", "at");
    writeln!(out, "{}", out.tone(Tone::Heading, heading))?;
    for shared in tables.iter().filter(|shared| !shared.spaces.is_empty() || shared.within > 0) {
        let Table { level, address, space, va, .. } = shared.table;
        let owner = guest.roots[space as usize];
        let (name, address, owner) = (F::table_name(level), format!("{address:#x}"), format!("{owner:#x}"));
        writeln!(out, "{name:<6} {address:<18} {owner:<18} {va:<#18x} {}", sharers(shared, guest))?;
    }

    let deep: Vec<_> = tables.iter().filter(|shared| shared.table.first_met.is_some()).collect();
    if !deep.is_empty() {
        writeln!(out)?;
        let heading = "tables met at several depths, or cut differently by the range";
        writeln!(out, "{}", out.tone(Tone::Heading, heading))?;
    }
    for shared in deep {
        let Some(first) = shared.table.first_met.and_then(|id| tables.get(id.index())) else { continue };
        let place = |table: &Table<F::Rights>| {
            let (depth, root) = (table.level.depth::<F>(), guest.roots[table.space as usize]);
            format!("{} (depth {depth}) of {root:#x} at {:#x}", F::table_name(table.level), table.va)
        };
        let (here, there) = (place(&shared.table), place(&first.table));
        writeln!(out, "{:#x}: {here}; first met as {there}", shared.table.address)?;
    }

    let between = tables.iter().filter(|shared| !shared.spaces.is_empty()).count();
    let within = tables.iter().filter(|shared| shared.within > 0).count();
    let depths = tables.iter().filter(|shared| shared.table.first_met.is_some()).count();
    writeln!(out)?;
    writeln!(
        out,
        "{} tables of {}: {between} shared between spaces, {within} within one, {depths} met again at another depth",
        tables.len(),
        Spaces(guest.roots.len() as u64),
    )?;
    Ok(())
}

/// Who shares a table. All roots are named up to a handful; beyond that the first ones and how many more.
fn sharers<R>(shared: &Shared<R>, guest: &Guest) -> String {
    const NAMED: usize = 4;
    let count = shared.spaces.len();
    let mut parts: Vec<String> = Vec::new();
    if count > 0 {
        let named: Vec<_> =
            shared.spaces.iter().take(NAMED).map(|&at| format!("{:#x}", guest.roots[at as usize])).collect();
        let more = if count > NAMED { format!(" and {} more", count - NAMED) } else { String::new() };
        parts.push(format!("{count} other space(s): {}{more}", named.join(" ")));
    }
    if shared.within > 0 {
        parts.push(format!("{} more link(s) of its own space", shared.within));
    }
    if shared.other_entries > 0 {
        parts.push(format!("{} link(s) with other flags", shared.other_entries));
    }
    parts.join("; ")
}
