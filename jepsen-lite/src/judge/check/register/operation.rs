//! What can be done to one register, and what it holds then. Pure.

use crate::judge::check::wgl::SequentialModel;

/// A value by its number.
pub type Value = u32;

/// Nothing: not yet written, or deleted.
pub const NIL: Value = 0;

/// What was done to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterOperation {
    /// It showed this value; `None` where nobody knows which.
    Read(Option<Value>),
    /// It was set. A delete sets [`NIL`].
    Write(Value),
    /// Compared and set.
    Cas {
        /// The value it should have had.
        from: Value,
        /// The value to set then.
        to: Value,
        /// Whether it had that value; `None` where nobody knows.
        done: Option<bool>,
    },
}

/// A register.
#[derive(Clone, Copy, Debug, Default)]
pub struct Register;

impl SequentialModel for Register {
    type State = Value;
    type Op = RegisterOperation;

    fn init(&self) -> Value {
        NIL
    }

    fn only_reads(&self, op: &RegisterOperation) -> bool {
        matches!(op, RegisterOperation::Read(_))
    }

    fn step(&self, state: &Value, op: &RegisterOperation) -> Option<Value> {
        match *op {
            RegisterOperation::Read(None) => Some(*state),
            RegisterOperation::Read(Some(value)) => (value == *state).then_some(*state),
            RegisterOperation::Write(value) => Some(value),
            RegisterOperation::Cas { from, to, done } => {
                let matches = from == *state;
                (done.is_none() || done == Some(matches)).then_some(if matches { to } else { *state })
            }
        }
    }
}
