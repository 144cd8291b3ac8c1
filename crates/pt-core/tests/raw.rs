//! The types of the raw interface by themselves.

use pt_core::Permissions;
use pt_core::raw::{BuiltRoots, LinkRights};

#[test]
fn no_link_forbids_reading() {
    let none = LinkRights { writable: false, executable: false, user_accessible: false };
    for (rights, others) in [(LinkRights::ALL, true), (none, false)] {
        assert!(rights.readable());
        assert_eq!([rights.writable(), rights.executable(), rights.user()], [others; 3]);
    }
}

fn finds_roots(roots: &(impl BuiltRoots<u32> + ?Sized)) {
    assert_eq!([7, 8, 9].map(|space| roots.root_of(space)), [Some(1), Some(2), None]);
}

#[test]
fn built_roots_are_found_by_their_space() {
    let roots = [(7, 1), (8, 2)];
    finds_roots(&roots);
    finds_roots(&roots[..]);
    // Of a space that was given several times, the first.
    finds_roots(&[(7, 1), (8, 2), (7, 3)]);
    #[cfg(feature = "alloc")]
    {
        finds_roots(&roots.to_vec());
        finds_roots(&std::collections::BTreeMap::from(roots));
    }
}
