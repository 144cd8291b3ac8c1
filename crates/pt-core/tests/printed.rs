//! What is printed where a message is made of it.

use pt_core::Level;

#[test]
fn a_level_is_its_number_and_says_so_in_debug_output() {
    assert_eq!(format!("{} {:>2} {:?}", Level::LEAF, Level::HIGHEST, Level::HIGHEST), "1  5 level 5");
}
