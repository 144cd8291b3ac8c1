//! The command line.

mod access;

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pt_x86::Mode;
use serde::{Deserialize, Serialize};

use crate::open::Source;
pub(crate) use access::AccessArguments;

/// Walks, translates and compares the page tables of guest memory images.
#[derive(Debug, Parser)]
#[command(
    name = "pt",
    version,
    max_term_width = 100,
    after_help = "Examples:\n  pt info guest.elf                        what is in it\n  pt walk guest.elf                        every space, every table once\n  pt translate guest.elf ffffffff81000000  one address, entry by entry\n  pt diff before.elf after.elf             what has changed between two dumps\n  pt help walk                             what a command takes"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What the image is: format, memory, CPUs with their paging modes and roots
    #[command(after_help = "Examples:\n  pt info guest.elf\n  pt info guest.elf.xz")]
    Info(ImageArguments),
    /// Walk all spaces together, every table once: a summary per space and for the whole
    #[command(
        after_help = "Examples:\n  pt walk guest.elf\n  pt walk guest.elf --events | less\n  pt walk ram.raw --mode 4level --root 0x1000 --json"
    )]
    Walk(WalkArguments),
    /// The roots of all address spaces in the image, and what tells them: one line each
    #[command(
        after_help = "Examples:\n  pt roots guest.elf\n  pt roots ram.raw --mode 4level --root 0x1000\n  pt roots ram.raw"
    )]
    Roots(RootsArguments),
    /// One line per mapped page, in the columns of QEMU's `info tlb`
    #[command(
        after_help = "Examples:\n  pt tlb guest.elf | head\n  pt tlb guest.elf --root 0x6168000 --range 0xffff800000000000..="
    )]
    Tlb(PagesArguments),
    /// Ranges with equal effective rights, in the columns of QEMU's `info mem`
    #[command(after_help = "Examples:\n  pt mem guest.elf\n  pt mem guest.elf --range 0..=0x7fffffffffff")]
    Mem(PagesArguments),
    /// Translate addresses, showing the entry of every level
    #[command(
        after_help = "Examples:\n  pt translate guest.elf 0xffffffff81000000\n  pt translate guest.elf --root 0x6036000 400000 401000\n  pt translate guest.elf --access w --user 400000"
    )]
    Translate(TranslateArguments),
    /// Which tables are shared by which spaces, within a space, or at several depths
    #[command(
        after_help = "Examples:\n  pt share guest.elf\n  pt share guest.elf --root 0x6168000 --root 0x6036000"
    )]
    Share(AllSpacesArguments),
    /// Every root and address that maps a physical address or range
    #[command(
        after_help = "Examples:\n  pt find guest.elf 0x3307000\n  pt find guest.elf 0x3300000..=0x33fffff"
    )]
    Find(FindArguments),
    /// Where two spaces differ, accessed and dirty bits aside: two images, or two roots of one
    #[command(
        after_help = "Examples:\n  pt diff before.elf after.elf\n  pt diff guest.elf --root 0x6168000 --root 0x6036000"
    )]
    Diff(DiffArguments),
    /// Draw the spaces side by side, coloured by rights, shared tables once
    #[command(after_help = "Examples:\n  pt picture guest.elf -o spaces.svg")]
    Picture(PictureArguments),
    /// The same spaces with new tables, in a new image: each CPU's CR3 leads to its new root
    #[command(
        after_help = "Examples:\n  pt rebuild guest.elf -o new.elf --report new.json\n  pt rebuild guest.elf -o small.elf --frames compact --table-frames live"
    )]
    Rebuild(RebuildArguments),
    /// Prove that the spaces of a new image are those of the old one, from the files alone
    #[command(
        after_help = "Examples:\n  pt verify guest.elf new.elf --report new.json\n  pt verify guest.elf.xz new.elf --report new.json"
    )]
    Verify(VerifyArguments),
    /// Print a completion script for a shell
    #[command(
        after_help = "Examples:\n  pt completions bash > ~/.local/share/bash-completion/completions/pt"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of `pt`, or of one of its commands
    #[command(after_help = "Examples:\n  pt man | man -l -\n  pt man walk > pt-walk.1")]
    Man {
        /// The command
        command: Option<String>,
    },
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ImageArguments {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Paging mode, instead of what the image's CPU state says: 2level, pae, 4level or 5level
    #[arg(long, value_name = "MODE", value_parser = paged_mode)]
    pub(crate) mode: Option<Mode>,
}

#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
#[derive(Args, Clone, Debug)]
pub(crate) struct SpaceArguments {
    #[command(flatten)]
    pub(crate) image: ImageArguments,
    /// A root (CR3), in order of primacy; repeatable. Default: each CPU's; for `walk`, `share`, `find`, `picture` and `rebuild`, all that `roots` finds
    #[arg(long = "root", value_name = "HEX", value_parser = hex)]
    pub(crate) roots: Vec<u64>,
    /// Virtual addresses to look at, both ends included
    #[arg(long, value_name = "START..=END", value_parser = range)]
    pub(crate) range: Option<RangeInclusive<u64>>,
    /// 2level: CR4.PSE is clear, PS in a PDE is ignored
    #[arg(long)]
    pub(crate) no_pse: bool,
    /// EFER.NXE is clear: bit 63 of 8-byte entries is reserved
    #[arg(long)]
    pub(crate) no_nx: bool,
    /// MAXPHYADDR: address bits from here on are reserved
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(32..=52))]
    pub(crate) phys_bits: Option<u8>,
    /// Check the reserved bits of PAE PDPTEs in QEMU images too (TCG sets the accessed bit there)
    #[arg(long)]
    pub(crate) strict: bool,
    /// Do not check the reserved low bits of PAE PDPTEs in any image
    #[arg(long, conflicts_with = "strict")]
    pub(crate) lenient: bool,
}

/// What commands take that go through all pages, by all paths.
#[derive(Args, Clone, Debug)]
pub(crate) struct PagesArguments {
    #[command(flatten)]
    pub(crate) spaces: SpaceArguments,
    /// How many pages to go through (for `mem`, runs of alike ones): a hostile guest has more, by all paths, than there is
    /// time
    #[arg(long, value_name = "N", default_value_t = 1 << 30)]
    pub(crate) max_pages: u64,
}

/// What commands take that look at all spaces together.
#[derive(Args, Clone, Debug)]
pub(crate) struct AllSpacesArguments {
    #[command(flatten)]
    pub(crate) spaces: SpaceArguments,
    /// Only the roots in the CPUs' CR3, instead of all that `pt roots` finds
    #[arg(long, conflicts_with = "roots")]
    pub(crate) cpu_roots: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RootsArguments {
    #[command(flatten)]
    pub(crate) spaces: SpaceArguments,
    /// How many roots may be found before the search is given up
    #[arg(long, value_name = "N", default_value_t = 1 << 20)]
    pub(crate) max_roots: usize,
    /// Without CPU state and --root: how many candidates to show
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub(crate) candidates: usize,
}

#[derive(Args, Debug)]
pub(crate) struct WalkArguments {
    #[command(flatten)]
    pub(crate) all: AllSpacesArguments,
    /// Print every event of the walk
    #[arg(long, conflicts_with = "json")]
    pub(crate) events: bool,
    /// Print JSON lines: one per space, and a total
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct TranslateArguments {
    #[command(flatten)]
    pub(crate) spaces: SpaceArguments,
    #[command(flatten)]
    pub(crate) access: AccessArguments,
    /// Virtual addresses, hexadecimal
    #[arg(value_name = "VA", required = true, value_parser = hex)]
    pub(crate) addresses: Vec<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct FindArguments {
    #[command(flatten)]
    pub(crate) all: AllSpacesArguments,
    /// Physical addresses, or ranges of them with both ends included; hexadecimal
    #[arg(value_name = "PA[..=PA]", required = true, value_parser = frames)]
    pub(crate) frames: Vec<RangeInclusive<u64>>,
}

#[derive(Args, Debug)]
pub(crate) struct DiffArguments {
    #[command(flatten)]
    pub(crate) spaces: SpaceArguments,
    /// The other image. Without it, two roots of the one image are compared
    #[arg(value_name = "OTHER")]
    pub(crate) after: Option<PathBuf>,
    /// How many tables may be read: a hostile guest has more pairs of tables than there is time
    #[arg(long, value_name = "N", default_value_t = 1 << 22)]
    pub(crate) max_tables: u64,
}

#[derive(Args, Debug)]
pub(crate) struct PictureArguments {
    #[command(flatten)]
    pub(crate) all: AllSpacesArguments,
    /// The file to write, as SVG
    #[arg(short, long, value_name = "FILE.svg")]
    pub(crate) output: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct RebuildArguments {
    #[command(flatten)]
    pub(crate) all: AllSpacesArguments,
    /// The image to write, as an ELF core
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) choices: Choices,
    /// Say in JSON what became of what; `pt verify` reads it
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Do not prove, before the image gets its name, that its spaces are those of the old one
    #[arg(long)]
    pub(crate) no_verify: bool,
}

/// What a rebuild does where there is a choice.
#[derive(Args, Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Choices {
    /// Where what pages map goes
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Frames::Keep)]
    pub(crate) frames: Frames,
    /// What pages show that map the memory of old tables
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = TableFrames::Data)]
    pub(crate) table_frames: TableFrames,
    /// What happens to the sizes of pages
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Pages::Keep)]
    pub(crate) pages: Pages,
    /// What happens to entries that cannot be followed
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Faults::Refuse)]
    pub(crate) faults: Faults,
}

/// Where what pages map goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Frames {
    /// Nowhere, and all other memory stays too; tables go where nothing was
    Keep,
    /// To the lowest addresses, in the order of first use; memory that no page maps is left out
    Compact,
    /// As compact, and frames with equal bytes become one that cannot be written
    Dedup,
}

/// What pages show that map the memory of old tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TableFrames {
    /// The old bytes; the new tables are out of the guest's sight
    Data,
    /// The new tables, which the guest goes on editing
    Live,
}

/// What happens to the sizes of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pages {
    /// They stay
    Keep,
    /// All become the smallest
    Split,
    /// Tables that one link leads to, and that map what one large page could, become that
    Promote,
}

/// What happens to entries that cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Faults {
    /// Nothing is rebuilt
    Refuse,
    /// They become zero
    Clear,
    /// They stay as they are
    Keep,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    pub(crate) old: Source,
    /// The image that `pt rebuild` wrote
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,
    /// The report that `pt rebuild` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) report: PathBuf,
}

/// Options that do not go together in a way that only the command can tell: exit status 2.
#[derive(Debug)]
pub(crate) struct WrongUsage(pub(crate) String);

impl std::fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

/// Ends a command with [`WrongUsage`].
pub(crate) fn wrong_usage<T>(why: impl Into<String>) -> anyhow::Result<T> {
    Err(WrongUsage(why.into()).into())
}

fn frames(word: &str) -> Result<RangeInclusive<u64>, String> {
    if word.contains("..=") { range(word) } else { hex(word).map(|at| at..=at) }
}

pub(crate) fn paged_mode(word: &str) -> Result<Mode, String> {
    match word.parse() {
        Ok(Mode::Unpaged) | Err(_) => Err("one of 2level, pae, 4level, 5level".to_owned()),
        Ok(mode) => Ok(mode),
    }
}

pub(crate) fn hex(word: &str) -> Result<u64, String> {
    let digits = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word);
    let digits = digits.replace('_', "");
    if digits.starts_with(['+', '-']) {
        return Err("not a hexadecimal number".to_owned());
    }
    u64::from_str_radix(&digits, 16).map_err(|error| format!("not a hexadecimal number of 64 bits ({error})"))
}

pub(crate) fn range(word: &str) -> Result<RangeInclusive<u64>, String> {
    let (start, end) = word.split_once("..=").ok_or("START..=END, both hexadecimal")?;
    let bound = |word: &str, open| if word.is_empty() { Ok(open) } else { hex(word) };
    let (start, end) = (bound(start, 0)?, bound(end, u64::MAX)?);
    if start > end {
        return Err(format!("{start:#x} is above {end:#x}"));
    }
    Ok(start..=end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_hexadecimal_with_or_without_prefix() {
        assert_eq!(hex("0x1000"), Ok(0x1000));
        assert_eq!(hex("ffff_8000_0000_0000"), Ok(0xffff_8000_0000_0000));
        assert!(
            hex("").is_err() && hex("0x").is_err() && hex("+1").is_err() && hex("1ffffffffffffffff").is_err()
        );
    }

    #[test]
    fn ranges_include_both_ends() {
        assert_eq!(range("1000..=1fff"), Ok(0x1000..=0x1fff));
        assert_eq!(range("0xffff800000000000..="), Ok(0xffff_8000_0000_0000..=u64::MAX));
        assert!(range("2..=1").is_err() && range("1..2").is_err() && range("x..=2").is_err());
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
