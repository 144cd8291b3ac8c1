//! Pages of two spaces laid beside each other, cut where either side has a border.

use super::Rights;
use super::frames::Went;

/// A page, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece {
    /// The first address, counted from the start of the space.
    pub(super) place: u64,
    /// Its size in bytes.
    pub(super) len: u64,
    pub(super) pa: u64,
    /// The level of the page that it is a part of.
    pub(super) level: u8,
    /// The raw leaf.
    pub(super) raw: u64,
    pub(super) rights: Rights,
    /// The physical address that it has to have after.
    pub(super) expected: Option<u64>,
}

impl Piece {
    /// Cuts it after so many bytes; what is left.
    fn split(&mut self, len: u64) -> Option<Self> {
        let rest = Self {
            place: self.place + len,
            len: self.len - len,
            pa: self.pa + len,
            expected: self.expected.map(|pa| pa + len),
            ..*self
        };
        self.len = len;
        (rest.len > 0).then_some(rest)
    }
}

/// What of the pages is in a range of places, in whole pages of the smallest size; a page that the other side has, too,
/// is left whole.
pub(super) fn clip(pages: &[Piece], others: &[Piece], (first, last): (u64, u64)) -> Vec<Piece> {
    let (first, end) = (first & !0xfff, (last | 0xfff) + 1);
    let clipped = pages.iter().filter_map(|page| {
        let mut page = *page;
        let inside = first <= page.place && page.place + page.len <= end;
        if inside || others.iter().any(|other| (other.place, other.level) == (page.place, page.level)) {
            return Some(page);
        }
        if page.place < first {
            page = page.split(first - page.place)?;
        }
        if page.place + page.len > end {
            page.split(end - page.place);
        }
        Some(page)
    });
    clipped.collect()
}

/// The pages with where they have to go, without those that are dropped. Only where sizes change can a page be cut.
pub(super) fn cut(pages: &[Piece], went: &[Went], sizes: bool) -> Result<Vec<Piece>, String> {
    let mut cut = Vec::new();
    for page in pages {
        let mut left = Some(*page);
        while let Some(mut piece) = left {
            let after = went.partition_point(|went| went.first <= piece.pa);
            let home = after.checked_sub(1).map(|index| &went[index]).filter(|went| piece.pa <= went.last);
            let home = home.ok_or_else(|| format!("{:#x} has no place to go", piece.pa))?;
            left = piece.split(piece.len.min(home.last - piece.pa + 1));
            if left.is_some() && !sizes {
                return Err(format!("{page:x?} is torn"));
            }
            if let Some(to) = home.to {
                piece.expected = Some(to + (piece.pa - home.first));
                cut.push(piece);
            }
        }
    }
    Ok(cut)
}

/// Both lists in pieces that are where the other's are.
pub(super) fn beside(old: Vec<Piece>, new: Vec<Piece>, sizes: bool) -> Result<Vec<(Piece, Piece)>, String> {
    let (mut old, mut new) = (old.into_iter(), new.into_iter());
    let (mut one, mut other) = (old.next(), new.next());
    let mut pairs = Vec::new();
    loop {
        match (one, other) {
            (None, None) => return Ok(pairs),
            (Some(mut before), Some(mut after)) if before.place == after.place => {
                if !sizes && before.level != after.level {
                    return Err(format!("{before:x?} became {after:x?}"));
                }
                let len = before.len.min(after.len);
                (one, other) =
                    (before.split(len).or_else(|| old.next()), after.split(len).or_else(|| new.next()));
                pairs.push((before, after));
            }
            (before, after) => return Err(format!("page {before:x?} became page {after:x?}")),
        }
    }
}
