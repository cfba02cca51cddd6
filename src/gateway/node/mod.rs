//! What this process says of itself, without asking any other: health, figures, events, the logs of its replicas.

pub(super) mod events;
pub(super) mod faults;
pub(super) mod front_page;
pub(super) mod groups;
pub(super) mod reports;
