//! Any image as an ELF core, the form that most tools read: the same memory, notes and CPUs. Or as raw memory, where the new
//! name ends with `.raw`.
//!
//! Run it with `cargo run -p pt-image --example convert -- IMAGE [PART...] FILE`.

#![forbid(unsafe_code)]

use pt_image::{CoreWriter, Image, OpenOptions, RawWriter};
use std::env;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let file = paths.pop().ok_or("usage: convert IMAGE [PART...] FILE")?;
    let image = match &paths[..] {
        [image] => Image::open(image, &OpenOptions::new())?,
        parts => Image::open_parts(parts, &OpenOptions::new())?,
    };
    let staged = if file.extension().is_some_and(|extension| extension == "raw") {
        RawWriter::new().ranges(image.ranges()).write(&file, &image)?
    } else {
        CoreWriter::like(&image).ranges(image.ranges()).write(&file, &image)?
    };
    staged.commit()?;
    println!("{}: {} bytes of memory, {} CPUs", file.display(), image.held_bytes(), image.cpus().len());
    Ok(())
}
