//! What is written and asked: vectors with their labels, queries, and the exact answers that searches are compared
//! with.
//!
//! Only reads files. Knows no cluster and no report.

pub(crate) mod corpus;
pub(crate) mod parts;
pub(crate) mod truth;
