//! `pt completions` and `pt man`: made from the command line's own definition.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::{Arguments, wrong_usage};
use crate::output::Output;

pub(crate) fn completions(shell: Shell, out: &mut Output) -> anyhow::Result<()> {
    // The generator panics where it cannot write, so that it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "pt", &mut script);
    Ok(std::io::Write::write_all(out, &script)?)
}

pub(crate) fn page(name: Option<&str>, out: &mut Output) -> anyhow::Result<()> {
    let mut whole = Arguments::command().disable_help_subcommand(true);
    whole.build();
    let command = match name {
        None => whole,
        Some(name) => {
            let Some(found) = whole.find_subcommand(name) else {
                return wrong_usage(format!("there is no command `{name}`"));
            };
            found.clone()
        }
    };
    let title = command.get_display_name().unwrap_or("pt").to_uppercase();
    let source = concat!("pt ", env!("CARGO_PKG_VERSION"));
    Ok(clap_mangen::Man::new(command).title(title).source(source).manual("Page tables").render(out)?)
}
