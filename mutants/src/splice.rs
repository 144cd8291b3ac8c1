//! Text with insertions, and where each of them came to lie.

use std::collections::BTreeMap;
use std::ops::Range;

/// What stands in an original's place when mutant `number` is selected, which the expression `test` tells.
#[derive(Clone, Debug)]
pub(crate) struct Alternative {
    pub(crate) number: u32,
    pub(crate) test: String,
    pub(crate) text: String,
}

/// Insertions into one text, whose positions are those of the original.
#[derive(Debug, Default)]
pub(crate) struct Splice {
    /// What stands before a position, in this order.
    before: BTreeMap<usize, Vec<(u32, String)>>,
    /// Alternatives to whole expressions, each of which is here once.
    around: Vec<(Range<usize>, Vec<Alternative>)>,
}

/// The text with all insertions.
#[derive(Debug, Default)]
pub(crate) struct Spliced {
    pub(crate) text: String,
    /// Where the text of each mutant is.
    pub(crate) mutants: Vec<(u32, Range<usize>)>,
    /// Where each expression with alternatives is, all of them included, and which mutants these are.
    pub(crate) wrapped: Vec<(Range<usize>, Vec<u32>)>,
}

impl Splice {
    pub(crate) fn insert(&mut self, position: usize, number: u32, text: String) {
        self.before.entry(position).or_default().push((number, text));
    }

    pub(crate) fn wrap(&mut self, around: Range<usize>, alternative: Alternative) {
        match self.around.iter_mut().find(|(bytes, _)| *bytes == around) {
            Some((_, alternatives)) => alternatives.push(alternative),
            None => self.around.push((around, vec![alternative])),
        }
    }

    /// The mutants that have a form.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> {
        let before = self.before.values().flatten().map(|(number, _)| *number);
        before.chain(self.around.iter().flat_map(|(_, all)| all.iter().map(|one| one.number)))
    }

    /// `text` with the insertions of the mutants that `wanted` lets pass.
    pub(crate) fn apply(&self, text: &str, wanted: impl Fn(u32) -> bool) -> Spliced {
        let around: Vec<(Range<usize>, Vec<&Alternative>)> = self
            .around
            .iter()
            .map(|(bytes, all)| (bytes.clone(), all.iter().filter(|one| wanted(one.number)).collect()))
            .filter(|(_, all): &(_, Vec<_>)| !all.is_empty())
            .collect();
        let mut positions: Vec<usize> = self.before.keys().copied().collect();
        positions.extend(around.iter().flat_map(|(bytes, _)| [bytes.start, bytes.end]));
        positions.sort_unstable();
        positions.dedup();

        let mut spliced = Spliced::default();
        let mut open = vec![0; around.len()];
        let mut done = 0;
        for position in positions {
            spliced.text.push_str(&text[done..position]);
            done = position;
            // Whatever ends here, the innermost first.
            let mut ending: Vec<usize> =
                (0..around.len()).filter(|&index| around[index].0.end == position).collect();
            ending.sort_by_key(|&index| std::cmp::Reverse(around[index].0.start));
            for index in ending {
                spliced.text.push_str(" })");
                let numbers = around[index].1.iter().map(|one| one.number).collect();
                spliced.wrapped.push((open[index]..spliced.text.len(), numbers));
            }
            for (number, inserted) in self.before.get(&position).into_iter().flatten() {
                if wanted(*number) {
                    spliced.push(*number, inserted);
                }
            }
            // Whatever begins here, the outermost first.
            let mut starting: Vec<usize> =
                (0..around.len()).filter(|&index| around[index].0.start == position).collect();
            starting.sort_by_key(|&index| std::cmp::Reverse(around[index].0.end));
            for index in starting {
                open[index] = spliced.text.len();
                spliced.text.push('(');
                for one in &around[index].1 {
                    spliced.text.extend(["if ", &one.test, " { "]);
                    spliced.push(one.number, &one.text);
                    spliced.text.push_str(" } else ");
                }
                spliced.text.push_str("{ ");
            }
        }
        spliced.text.push_str(&text[done..]);
        spliced
    }
}

impl Spliced {
    fn push(&mut self, number: u32, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.mutants.push((number, start..self.text.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside_stays_inside() {
        let mut splice = Splice::default();
        let other =
            |number, text: &str| Alternative { number, test: format!("is({number})"), text: text.to_owned() };
        // `f(a + b) == c`, the whole, its call's argument, and something before it all.
        splice.wrap(0..13, other(1, "f(a + b) != c"));
        splice.wrap(2..7, other(2, "a - b"));
        splice.wrap(2..7, other(3, "a * b"));
        splice.insert(0, 4, "if is(4) { return; } ".to_owned());
        let spliced = splice.apply("f(a + b) == c", |_| true);
        assert_eq!(
            spliced.text,
            "if is(4) { return; } (if is(1) { f(a + b) != c } else { f((if is(2) { a - b } else if is(3) { a * b } else { a + b })) == c })"
        );
        for (number, bytes) in &spliced.mutants {
            let text = &spliced.text[bytes.clone()];
            assert_eq!(
                text,
                ["f(a + b) != c", "a - b", "a * b", "if is(4) { return; } "][*number as usize - 1]
            );
        }
        assert_eq!(spliced.wrapped.len(), 2);
        assert!(spliced.text[spliced.wrapped[0].0.clone()].starts_with("(if is(2)"));
        assert_eq!(
            splice.apply("f(a + b) == c", |number| number == 3).text,
            "f((if is(3) { a * b } else { a + b })) == c"
        );
        assert_eq!(splice.numbers().count(), 4);
    }
}
