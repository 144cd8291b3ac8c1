//! Edits of tables that are reached in more ways than anyone can go.

use pt_core::{BumpTables, EditError, Editor, Encode, Geometry};

use crate::every_format;
use crate::heap::peak;
use crate::made::{ROOT, bomb};

every_format! {
    an_edit_ends_at_its_limit = limited;
}

fn limited<F: Encode>(format: &F) {
    const LIMIT: u64 = 1000;
    let (mut memory, mut tables) = (bomb(format, |index| (index & 7) << 9), BumpTables::new(0..=u64::MAX));
    let half = if F::SIGN_EXTENDED { F::VA_MASK / 2 } else { F::VA_MASK };
    let mut editor = Editor::new(format.clone(), &mut memory, &mut tables, ROOT).limit(LIMIT);
    let (refused, bytes) = peak(|| editor.unmap(0..=half).expect_err("there are more"));
    assert!(matches!(refused, EditError::Limit { limit: LIMIT, va } if va <= half), "{refused}");
    // One read for each, and those of the way to where it starts.
    assert!(memory.reads() <= LIMIT + 1 + u64::from(F::LEVELS));
    assert!(bytes <= 4096 * usize::from(F::LEVELS) as u64 + 1024, "{bytes}");
    // A limit that is just enough is none.
    let mut editor = Editor::new(format.clone(), &mut memory, &mut tables, ROOT).limit(1);
    assert!(matches!(editor.unmap(0..=0xfff), Err(EditError::Unwritable { .. })), "it is not to be written");
}
