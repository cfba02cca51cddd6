//! What a history shows: reading it, checking it, making it small, and showing it. Pure but for files of histories.

pub mod check;
pub mod history;
pub mod report;
pub mod shrink;
pub mod synth;
