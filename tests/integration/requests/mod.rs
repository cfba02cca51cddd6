//! What clients send, good and bad, and what strangers do to a port.

mod attacks;
mod bad_input;
mod first_light;
mod hostile;
mod long_queries;
mod payload_indexes;
