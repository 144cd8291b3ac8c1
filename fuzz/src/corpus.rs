//! The inputs that are kept, given to the targets once more, without a fuzzer.

use std::fs;
use std::path::Path;

/// The inputs in a file of `corpora/`: each after its length, in two bytes.
fn inputs(mut kept: &[u8]) -> Vec<&[u8]> {
    let mut inputs = Vec::new();
    while let Some((len, rest)) = kept.split_first_chunk() {
        let (input, rest) = rest.split_at(usize::from(u16::from_le_bytes(*len)));
        inputs.push(input);
        kept = rest;
    }
    inputs
}

macro_rules! replayed {
    ($($target:ident)*) => {$(
        #[test]
        fn $target() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora").join(stringify!($target));
            let kept = fs::read(path).expect("every target has inputs that are kept");
            let inputs = inputs(&kept);
            assert!(inputs.len() > 5, "only {}", inputs.len());
            inputs.into_iter().for_each(crate::$target::run);
        }
    )*};
}

replayed! { access cloud_hypervisor compressed edit elf headerless kdump lime notes raw rebuild roots translate walk }
