//! One module per command.

pub(crate) mod diff;
mod expand;
pub(crate) mod find;
pub(crate) mod info;
pub(crate) mod manual;
pub(crate) mod mem;
pub(crate) mod picture;
pub(crate) mod rebuild;
pub(crate) mod roots;
pub(crate) mod share;
pub(crate) mod tlb;
pub(crate) mod translate;
pub(crate) mod verify;
pub(crate) mod walk;
