//! `pt rebuild`: the same spaces with new tables, in a new image.
//!
//! ```text
//! roots ─▶ graph ─▶ plan ─▶ tables reserved ─▶ image under a temporary name ─▶ proved ─▶ image and report named
//! ```

mod core;
mod cpus;
mod ground;

use std::hash::Hash;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use pt_core::{Encode, Limits};
use pt_image::{CoreWriter, Image, OpenOptions, Staged};
use pt_rebuild::{Compact, Dedup, Graph, Keep, Placement, Plan, PlanError, RebuildOptions, Rebuilt};

use self::core::NewMemory;
use crate::arguments::{Choices, Faults, Frames, Pages, RebuildArguments, TableFrames, wrong_usage};
use crate::commands::verify;
use crate::guest::Guest;
use crate::output::Output;
use crate::paging::with_format;
use crate::progress::Progress;
use crate::report::{Bytes, FrameCounts, Moved, Options, Range, Report, Space, Tables};
use crate::show::{Quoted, Size, Spaces};
use crate::whole::same_file;
use ground::Ground;

/// The smallest page.
const FRAME: u64 = 4096;

pub(crate) fn run(arguments: &RebuildArguments, out: &mut Output) -> anyhow::Result<()> {
    let guest = Guest::open_all(&arguments.all)?.with_readable_roots()?;
    let report = arguments.report.as_deref();
    if same_file(&arguments.output, guest.image.path()) {
        return wrong_usage("the new image would replace the old one");
    }
    if report.is_some_and(|report| report == arguments.output || same_file(report, guest.image.path())) {
        return wrong_usage("the report would replace an image");
    }
    if arguments.all.spaces.image.mode.is_none() {
        cpus::in_one_mode(&guest.image)?;
    }
    with_format!(guest.paging, |format| rebuild(&format, &guest, arguments, out))
}

fn rebuild<F: Encode<Rights: Hash>>(
    format: &F,
    guest: &Guest,
    arguments: &RebuildArguments,
    out: &mut Output,
) -> anyhow::Result<()> {
    let (image, output) = (&guest.image, &arguments.output);
    let path = Quoted(image.path());
    let graph = Graph::read(format.clone(), image, &guest.roots, guest.range.clone(), Limits::NONE)
        .with_context(|| path.to_string())?;
    let ground = Ground::of(image, &graph, arguments.choices.faults == Faults::Keep);
    let choices = possible(arguments.choices, &ground, image.path());

    let (rebuilt, tables) = place(format, graph, choices, &ground, image)
        .map_err(|error| explained(error, choices))
        .with_context(|| path.to_string())?;
    let memory = match choices.frames {
        Frames::Keep => NewMemory::kept(image, &rebuilt),
        Frames::Compact | Frames::Dedup => NewMemory::mapped(image, &rebuilt),
    };
    let report = report(guest, &rebuilt, choices, tables, &ground, &memory);

    let mut writer = CoreWriter::like(image).ranges(memory.ranges());
    for (cpu, cr3) in cpus::moved(format, guest, rebuilt.roots(), choices.frames == Frames::Keep)? {
        writer.set_cr3(cpu, cr3)?;
    }
    let staged = write(&writer, &memory, output)?;
    if !arguments.no_verify {
        staged.fill_holes()?;
        let new = Image::open(staged.temporary_path(), &OpenOptions::new())?;
        // What is written goes to the disk while it is being proved.
        let (proved, synced) = std::thread::scope(|scope| {
            let synced = scope.spawn(|| staged.sync());
            (verify::prove(format, image, &new, &report), synced.join())
        });
        // What changed meanwhile is the better explanation.
        image.check_unchanged()?;
        proved.with_context(|| format!("{} is not written, its spaces differ", Quoted(output)))?;
        synced.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    }
    let told = match &arguments.report {
        Some(path) => Some(Staged::text(path, &report.to_json()?)?),
        None => None,
    };
    image.check_unchanged()?;
    staged.commit()?;
    told.map_or(Ok(()), Staged::commit).with_context(|| format!("{} is written", Quoted(output)))?;
    print(output, &report, !arguments.no_verify, out)
}

/// Decides everything, and reserves the tables. Returns how many there were and are, too.
fn place<F: Encode>(
    format: &F,
    graph: Graph<F>,
    choices: Choices,
    ground: &Ground,
    image: &Image,
) -> Result<(Rebuilt, Tables), PlanError> {
    let options = RebuildOptions {
        table_frames: choices.table_frames.into(),
        pages: choices.pages.into(),
        faults: choices.faults.into(),
        ..RebuildOptions::default()
    };
    let counted = |plan: &Plan<F>| Tables { old: plan.old_tables() as u64, new: plan.new_tables() as u64 };
    if choices.frames == Frames::Keep {
        let plan = Plan::new(graph, options, Keep)?;
        let tables = counted(&plan);
        return Ok((plan.reserve(&mut ground.unused())?, tables));
    }
    let mut arena = ground.vacated(format);
    let set_aside = ground.set_aside(&mut arena, graph.requests());
    let progress = Progress::bytes(image.held_bytes());
    let watched = progress.watch(image);
    let plan = {
        let (mut compact, mut dedup);
        let placement: &mut dyn Placement = if choices.frames == Frames::Compact {
            compact = Compact::new(&mut arena, ground.held());
            &mut compact
        } else {
            dedup = Dedup::new(&mut arena, ground.held(), &watched, FRAME);
            &mut dedup
        };
        Plan::new(graph, options, placement)?
    };
    for place in &set_aside {
        arena.release(place);
    }
    let tables = counted(&plan);
    Ok((plan.reserve(&mut arena)?, tables))
}

/// What can be done of what was asked for, and says what cannot.
fn possible(asked: Choices, ground: &Ground, path: &Path) -> Choices {
    const NAMED: usize = 3;
    let path = Quoted(path);
    if ground.has_tables_alone() {
        let but = if asked.frames == Frames::Keep { "" } else { ", whatever --frames says" };
        eprintln!("pt: {path}: holds tables, but no frames that they map: frames stay where they are{but}");
        return Choices { frames: Frames::Keep, ..asked };
    }
    let missing = ground.missing();
    if asked.frames != Frames::Keep && !missing.is_empty() {
        let named: Vec<_> = missing
            .iter()
            .take(NAMED)
            .map(|range| format!("{:#x}..={:#x}", range.start(), range.end()))
            .collect();
        let more = match missing.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        eprintln!(
            "pt: {path}: {} that pages map are not in the image, and stay where they are: {}{more}",
            Size(ground::bytes(&missing)),
            named.join(", "),
        );
    }
    asked
}

fn explained(error: PlanError, choices: Choices) -> anyhow::Error {
    let hint = match error {
        PlanError::Conflict { .. } if choices.table_frames == TableFrames::Data => {
            "; where tables map themselves, pages can show the new tables only: --table-frames live"
        }
        PlanError::Conflict { .. } if choices.pages == Pages::Split => {
            "; where tables map themselves, a large page is a small one, too, and cannot be split: --pages keep"
        }
        PlanError::Fault(_) if choices.faults == Faults::Refuse => "; --faults clear or keep goes on",
        _ => "",
    };
    anyhow::anyhow!("{error}{hint}")
}

fn report(
    guest: &Guest,
    rebuilt: &Rebuilt,
    choices: Choices,
    tables: Tables,
    ground: &Ground,
    memory: &NewMemory<'_>,
) -> Report {
    let mapped = ground.mapped_bytes();
    Report {
        spaces: rebuilt.roots().iter().map(Space::from).collect(),
        tables,
        frames: FrameCounts::of(rebuilt.frames()),
        bytes: Bytes {
            mapped,
            held: mapped - ground::bytes(&ground.missing()),
            tables: rebuilt.tables().iter().map(|table| table.bytes.len() as u64).sum(),
            written: memory.held_bytes(),
        },
        paging: guest.reading,
        options: Options { choices, range: Range(guest.range.clone()) },
        map: rebuilt.frames().stretches().iter().map(Moved::from).collect(),
    }
}

/// Writes the image under a temporary name.
fn write(writer: &CoreWriter, memory: &NewMemory<'_>, output: &Path) -> anyhow::Result<Staged> {
    let progress = Progress::bytes(memory.held_bytes());
    Ok(writer.write(output, &progress.watch(memory))?)
}

fn print(output: &Path, report: &Report, proved: bool, out: &mut Output) -> anyhow::Result<()> {
    let Report { spaces, tables, frames, bytes, .. } = report;
    writeln!(
        out,
        "{}: {}, {} tables for {}, {} of {} frames moved; holds {}{}",
        output.display(),
        Spaces(spaces.len() as u64),
        tables.new,
        tables.old,
        frames.moved,
        frames.mapped,
        Size(bytes.written),
        if proved { ", proved equal" } else { "" },
    )?;
    Ok(())
}

impl From<TableFrames> for pt_rebuild::TableFrames {
    fn from(asked: TableFrames) -> Self {
        match asked {
            TableFrames::Data => Self::Data,
            TableFrames::Live => Self::Live,
        }
    }
}

impl From<Pages> for pt_rebuild::Pages {
    fn from(asked: Pages) -> Self {
        match asked {
            Pages::Keep => Self::Keep,
            Pages::Split => Self::Split,
            Pages::Promote => Self::Promote { shared: false },
        }
    }
}

impl From<Faults> for pt_rebuild::Faults {
    fn from(asked: Faults) -> Self {
        match asked {
            Faults::Refuse => Self::Refuse,
            Faults::Clear => Self::Clear,
            Faults::Keep => Self::Keep,
        }
    }
}
