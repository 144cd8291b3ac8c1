//! The pages that were decoded last.

/// Pages in one set; a page can only be in the set that its number selects.
const WAYS: usize = 4;
const SETS: usize = 64;
pub(crate) const PAGE: usize = 4096;

/// 256 pages, 1 MiB once all are in use. The one of a set that was used least recently gives way.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    sets: Vec<Set>,
}

/// Most recently used first.
#[derive(Debug, Default)]
struct Set {
    pages: Vec<(u64, Box<[u8; PAGE]>)>,
}

impl Cache {
    /// The page, if it is there.
    pub(crate) fn get(&mut self, page: u64) -> Option<&[u8; PAGE]> {
        let set = self.sets.get_mut(place(page))?;
        let way = set.pages.iter().position(|&(known, _)| known == page)?;
        set.pages[..=way].rotate_right(1);
        set.pages.first().map(|(_, bytes)| &**bytes)
    }

    /// Keeps a page that was not there.
    pub(crate) fn insert(&mut self, page: u64, bytes: &[u8; PAGE]) {
        if self.sets.is_empty() {
            self.sets.resize_with(SETS, Set::default);
        }
        let set = &mut self.sets[place(page)];
        if set.pages.iter().any(|&(known, _)| known == page) {
            // Another thread decoded it meanwhile.
            return;
        }
        if set.pages.len() < WAYS {
            set.pages.push((page, Box::new(*bytes)));
        } else if let Some(oldest) = set.pages.last_mut() {
            oldest.0 = page;
            *oldest.1 = *bytes;
        }
        set.pages.rotate_right(1);
    }
}

/// Neighbouring pages go to neighbouring sets, and so do pages that are a power of two apart.
fn place(page: u64) -> usize {
    (page ^ page >> 6 ^ page >> 12 ^ page >> 18) as usize % SETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pages_of_a_set_are_kept() {
        let mut cache = Cache::default();
        assert_eq!(cache.get(0), None);
        let same_set: Vec<u64> = (0..).filter(|&page| place(page) == place(0)).take(6).collect();
        for &page in &same_set[..4] {
            cache.insert(page, &[page as u8; PAGE]);
        }
        assert!(cache.get(same_set[0]).is_some());
        cache.insert(same_set[4], &[4; PAGE]);
        cache.insert(same_set[4], &[5; PAGE]);
        assert_eq!(cache.get(same_set[1]), None);
        assert_eq!(cache.get(same_set[0]), Some(&[0; PAGE]));
        assert_eq!(cache.get(same_set[4]), Some(&[4; PAGE]));
        assert_eq!(cache.get(same_set[5]), None);
    }
}
