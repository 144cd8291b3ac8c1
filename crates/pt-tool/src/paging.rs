//! A mode, known at run time, as a format, known at compile time.

use pt_amd64::{FiveLevel, FourLevel};
use pt_i686::{Pae, TwoLevel};

/// The format of an image's tables.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Paging {
    TwoLevel(TwoLevel),
    Pae(Pae),
    FourLevel(FourLevel),
    FiveLevel(FiveLevel),
}

impl From<Paging> for pt_vcpu::Paging {
    fn from(paging: Paging) -> Self {
        match paging {
            Paging::TwoLevel(format) => Self::TwoLevel(format),
            Paging::Pae(format) => Self::Pae(format),
            Paging::FourLevel(format) => Self::FourLevel(format),
            Paging::FiveLevel(format) => Self::FiveLevel(format),
        }
    }
}

/// Evaluates an expression with the format bound to a name, once per format.
macro_rules! with_format {
    ($paging:expr, |$format:ident| $body:expr) => {
        match $paging {
            $crate::paging::Paging::TwoLevel($format) => $body,
            $crate::paging::Paging::Pae($format) => $body,
            $crate::paging::Paging::FourLevel($format) => $body,
            $crate::paging::Paging::FiveLevel($format) => $body,
        }
    };
}
pub(crate) use with_format;
