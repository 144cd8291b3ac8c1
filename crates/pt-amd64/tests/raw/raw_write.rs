//! The writing side: what holds of it in every format, and what is particular to this one.

pt_testkit::raw_writes!(crate::Amd64);
