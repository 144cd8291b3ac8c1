//! What an image must be to be read, and what every other file gives: one clear error.

mod cloud_hypervisor;
mod compressed;
mod core_file;
mod corpus;
mod cpu;
mod elf;
mod files;
mod headerless;
mod hostile;
mod kdump;
mod kdump_file;
mod kdump_hostile;
mod lime;
mod write;
