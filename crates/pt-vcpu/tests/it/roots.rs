//! The roots of a memory: of every guest of the corpus, and of memory that is made to mislead.

mod guests;
mod hostile;
mod made;
mod rank;
mod sense;
