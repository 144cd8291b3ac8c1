//! [`Region`]: a part of guest memory, said to be in a part of some file.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A stretch of guest memory and the file that holds it: `ADDRESS=FILE@OFFSET+LENGTH`.
///
/// Numbers are decimal, or hexadecimal after `0x`. `+LENGTH` may be left out (all that follows in the file), and `@OFFSET`
/// with it (the whole file). What follows the last `@` is an offset if it begins with a digit, else part of the name; after
/// a name that ends so, `@0` makes it clear.
///
/// ```
/// use pt_image::Region;
///
/// let region: Region = "0x100000000=high@mem@0x1000+65536".parse()?;
/// assert_eq!((region.start, region.offset, region.len), (1 << 32, 0x1000, Some(65536)));
/// assert_eq!(region.path.to_str(), Some("high@mem"));
/// assert_eq!("0=ram".parse::<Region>()?, Region::new(0, "ram"));
/// assert!("ram".parse::<Region>().is_err());
/// # Ok::<(), pt_image::RegionError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Region {
    /// The physical address of its first byte.
    pub start: u64,
    /// The file.
    pub path: PathBuf,
    /// Where in the (decoded) file it starts, in bytes.
    pub offset: u64,
    /// Its length in bytes; without one, it goes to the end of the file.
    pub len: Option<u64>,
}

impl Region {
    /// A whole file, at physical address `start`.
    pub fn new(start: u64, path: impl Into<PathBuf>) -> Self {
        Self { start, path: path.into(), offset: 0, len: None }
    }

    /// Starts at `offset` in the file.
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Is `len` bytes long.
    pub fn len(mut self, len: u64) -> Self {
        self.len = Some(len);
        self
    }
}

/// As it is parsed, but with the name quoted.
#[expect(
    clippy::unnecessary_debug_formatting,
    reason = "a name may contain control characters, which Debug escapes"
)]
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}={:?}@{:#x}", self.start, self.path, self.offset)?;
        self.len.map_or(Ok(()), |len| write!(f, "+{len:#x}"))
    }
}

/// Why a text does not name a [`Region`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// There is no `=` after an address.
    #[error("{0:?} is not ADDRESS=FILE@OFFSET+LENGTH: it has no \"=\"")]
    NoAddress(String),
    /// There is nothing between `=` and `@`.
    #[error("{0:?} names no file")]
    NoFile(String),
    /// One of the numbers is none, or does not fit in 64 bits.
    #[error("{what} {text:?} is not a number below 2^64, decimal or hexadecimal after 0x")]
    Number {
        /// Which number.
        what: &'static str,
        /// What is there instead.
        text: String,
    },
    /// The length is zero.
    #[error("{0:?} has a length of 0")]
    NoLength(String),
}

impl FromStr for Region {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, RegionError> {
        let (start, place) = text.split_once('=').ok_or_else(|| RegionError::NoAddress(text.to_owned()))?;
        let start = number("address", start)?;
        let (path, part) = match place.rsplit_once('@') {
            Some((path, part)) if part.starts_with(|first: char| first.is_ascii_digit()) => (path, part),
            _ => (place, "0"),
        };
        if path.is_empty() {
            return Err(RegionError::NoFile(text.to_owned()));
        }
        let (offset, len) = match part.split_once('+') {
            Some((offset, len)) => (offset, Some(number("length", len)?)),
            None => (part, None),
        };
        if len == Some(0) {
            return Err(RegionError::NoLength(text.to_owned()));
        }
        Ok(Self { start, path: path.into(), offset: number("offset", offset)?, len })
    }
}

fn number(what: &'static str, text: &str) -> Result<u64, RegionError> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = hexadecimal.map_or((text, 10), |digits| (digits, 16));
    // Signs are no digits, but `from_str_radix` takes one.
    let parsed = if digits.starts_with('+') { None } else { u64::from_str_radix(digits, radix).ok() };
    parsed.ok_or_else(|| RegionError::Number { what, text: text.to_owned() })
}
