//! What the guest has to print: the words that it reads and writes, without any of its tables.
//!
//! This is guest/work.c said once more. There a page is wherever tables put it; here it is a frame, and the one exchange of
//! frames is a flag.

const WORDS: usize = 1024;
const SPACES: u32 = 3;
/// The large page is summed with this distance, in words.
const STRIDE: usize = 257;

/// The guest's data. As an iterator, the lines that it prints.
#[derive(Clone, Debug)]
pub(super) struct Model {
    levels: u32,
    own: [Vec<u32>; SPACES as usize],
    common: Vec<u32>,
    /// The two frames of the shared page table's pages, as they are mapped now.
    left: Vec<u32>,
    right: Vec<u32>,
    large: Vec<u32>,
    round: u32,
    space: u32,
    faults: u32,
}

/// The checksum.
#[derive(Clone, Copy, Debug, Default)]
struct Sum(u32);

impl Sum {
    fn mix<'a>(&mut self, words: impl IntoIterator<Item = &'a u32>) {
        for &word in words {
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x0100_0193);
        }
    }
}

fn initial(word: u32) -> u32 {
    word.wrapping_mul(0x9e37_79b1)
}

impl Model {
    /// The guest at boot.
    pub(super) fn new(levels: u32) -> Self {
        let frame = |frame: u32| (0..WORDS as u32).map(|word| initial(frame * WORDS as u32 + word)).collect();
        let large_words: u32 = if levels == 2 { 1 << 20 } else { 1 << 19 };
        Self {
            levels,
            own: [frame(0), frame(1), frame(2)],
            common: frame(3),
            left: frame(4),
            right: frame(5),
            large: (0..large_words).map(|word| initial(!word)).collect(),
            round: 0,
            space: 0,
            faults: 0,
        }
    }

    fn has_execution_rights(&self) -> bool {
        self.levels > 2
    }

    /// PAE's root entries have no rights, so that a link at that level takes none away.
    fn has_rights(&self, level: u32) -> bool {
        self.levels != 3 || level != 3
    }

    fn store(&mut self, allowed: bool, at: impl FnOnce(&mut Self) -> &mut u32, value: u32) {
        if allowed {
            *at(self) = value;
        } else {
            self.faults += 1;
        }
    }

    fn own_page(&mut self, sum: &mut Sum) {
        let (round, space) = (self.round, self.space);
        let page = &mut self.own[space as usize];
        let word = &mut page[round as usize % WORDS];
        *word = word.wrapping_add(3u32.wrapping_mul(round) + space + 1);
        sum.mix(&*page);
        // Read by ring 3; and executed.
        self.faults += 1 + u32::from(self.has_execution_rights());
    }

    fn shared_pages(&mut self, sum: &mut Sum) {
        let (round, space) = (self.round, self.space);
        for level in 2..=self.levels {
            let rights = self.has_rights(level);
            let word = (7 * round + level) as usize % WORDS;
            let value = round << 8 | space << 4 | level;
            self.store(space != 2 || !rights, |model| &mut model.left[word], value);
            self.store(!rights, |model| &mut model.left[word], !round);
            // Read by ring 3 through the supervisor's link; and where nothing is mapped.
            self.faults += u32::from(rights) + 1;
            for page in [&self.left, &self.left, &self.right, &self.right] {
                sum.mix(page);
            }
        }
    }

    fn exchange(&mut self, sum: &mut Sum) {
        std::mem::swap(&mut self.left, &mut self.right);
        let word = self.round as usize % WORDS;
        let (left, right) = (self.left[word], self.right[word]);
        for _ in 2..=self.levels {
            sum.mix(&[left, left, right, right]);
        }
    }

    fn lent_page(&mut self, sum: &mut Sum) {
        match self.space {
            1 => sum.mix(&self.own[0]),
            _ => self.faults += 1,
        }
    }

    fn large_page(&mut self, sum: &mut Sum) {
        let (round, space) = (self.round, self.space);
        let word = (4099 * round + space) as usize % self.large.len();
        self.store(space != 2, |model| &mut model.large[word], round ^ space << 30);
        sum.mix(self.large.iter().step_by(STRIDE));
    }

    fn common_frame(&mut self, sum: &mut Sum) {
        let (round, space) = (self.round, self.space);
        let word = (round + space) as usize % WORDS;
        self.store(space == 0, |model| &mut model.common[word], 5 * round + 1);
        // The same frame's other page is read-only in every space.
        self.faults += 1;
        sum.mix(&self.common);
    }
}

impl Iterator for Model {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut sum = Sum::default();
        self.own_page(&mut sum);
        self.shared_pages(&mut sum);
        self.exchange(&mut sum);
        self.lent_page(&mut sum);
        self.large_page(&mut sum);
        self.common_frame(&mut sum);
        let Self { round, space, faults, .. } = *self;
        self.space = (space + 1) % SPACES;
        self.round += u32::from(self.space == 0);
        Some(format!("round {round} space {space} sum {:#x} faults {faults}", sum.0))
    }
}
