//! Any image as an ELF core: the same memory, notes and CPUs, in the form that most tools read.
//!
//! Run it with `cargo run -p pt-image --example to_core -- IMAGE [PART...] CORE`.

#![forbid(unsafe_code)]

use pt_image::{CoreWriter, Image, OpenOptions};
use std::env;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let core = paths.pop().ok_or("usage: to_core IMAGE [PART...] CORE")?;
    let image = match &paths[..] {
        [image] => Image::open(image, &OpenOptions::new())?,
        parts => Image::open_parts(parts, &OpenOptions::new())?,
    };
    CoreWriter::like(&image).ranges(image.ranges()).write(&core, &image)?.commit()?;
    println!("{}: {} bytes of memory, {} CPUs", core.display(), image.held_bytes(), image.cpus().len());
    Ok(())
}
