//! `pt`: page tables of guest memory images, as a graph.
//!
//! ```console
//! $ pt walk guest.elf
//! $ pt translate guest.elf 0xffffffff81000000
//! ```
//!
//! It opens what `pt-image` reads, finds mode and roots, and prints what `pt-core` finds: totals, pages, ranges, sharing,
//! differences, pictures; and it writes images that `pt-rebuild` made new tables for. `pt help` lists the commands. It does
//! not read live memory, change an image in place, or know the structures of any operating system.
//!
//! Each command is a module of [`commands`]; [`guest`] opens the image and decides mode and roots; [`paging`] turns a
//! mode into a format; [`output`] owns standard output.

#![forbid(unsafe_code)]

mod arguments;
mod commands;
mod guest;
mod open;
mod output;
mod paging;
mod progress;
mod report;
mod show;
mod whole;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command, WrongUsage};
use crate::output::{Output, is_broken_pipe};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = Output::stdout();
    let done = run(arguments.command, &mut out);
    // What was found before something went wrong comes first.
    let written = out.finish();
    match done.and_then(|()| Ok(written?)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pt: {error:#}");
            if error.is::<WrongUsage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(command: Command, out: &mut Output) -> anyhow::Result<()> {
    match command {
        Command::Info(arguments) => commands::info::run(&arguments, out),
        Command::Roots(arguments) => commands::roots::run(&arguments, out),
        Command::Walk(arguments) => commands::walk::run(&arguments, out),
        Command::Tlb(arguments) => commands::tlb::run(&arguments, out),
        Command::Mem(arguments) => commands::mem::run(&arguments, out),
        Command::Translate(arguments) => commands::translate::run(&arguments, out),
        Command::Share(arguments) => commands::share::run(&arguments, out),
        Command::Find(arguments) => commands::find::run(&arguments, out),
        Command::Diff(arguments) => commands::diff::run(&arguments, out),
        Command::Picture(arguments) => commands::picture::run(&arguments, out),
        Command::Rebuild(arguments) => commands::rebuild::run(&arguments, out),
        Command::Verify(arguments) => commands::verify::run(&arguments, out),
        Command::Completions { shell } => commands::manual::completions(shell, out),
        Command::Man { command } => commands::manual::page(command.as_deref(), out),
    }
}
