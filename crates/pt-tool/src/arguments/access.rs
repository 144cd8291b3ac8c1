//! An access, as the command line describes it.

use clap::{Args, ValueEnum};
use pt_x86::{Access, Privilege};

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct AccessArguments {
    /// Judge an access too, by the first CPU's WP, SMEP, SMAP and AC, with every protection key open: the fault that it raises
    #[arg(long, value_name = "KIND")]
    access: Option<Kind>,
    /// The access is code's at privilege level 3, not the supervisor's
    #[arg(long, requires = "access")]
    user: bool,
}

/// What an access does.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Reads data
    R,
    /// Writes data
    W,
    /// Fetches instructions
    X,
}

impl AccessArguments {
    /// The access to judge, if one is asked for.
    pub(crate) fn access(self) -> Option<Access> {
        let privilege = if self.user { Privilege::User } else { Privilege::Supervisor };
        self.access.map(|kind| match kind {
            Kind::R => privilege.reads(),
            Kind::W => privilege.writes(),
            Kind::X => privilege.fetches(),
        })
    }
}
