//! What is written and asked: vectors with their labels, queries, and the exact answers that searches are held against.

pub(crate) mod corpus;
pub(crate) mod parts;
pub(crate) mod truth;
