//! A machine small enough to reason about, for this crate's own tests: named registers.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::machine::{BrokenInvariant, Changes, Machine, Position, StateReader};

/// Writes `value` to a register and answers what it held before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Set {
    pub register: String,
    pub value: u64,
    /// Ballast, to make entries as large as a test needs them.
    pub ballast: Vec<u8>,
}

impl Set {
    pub fn command(register: &str, value: u64) -> Bytes {
        let set = Set { register: register.to_owned(), value, ballast: Vec::new() };
        postcard::to_allocvec(&set).expect("encodes").into()
    }
}

/// Registers by name.
#[derive(Default)]
pub struct Registers(Mutex<State>);

#[derive(Default)]
struct State {
    values: BTreeMap<String, (u64, u64)>,
    index: u64,
}

impl Registers {
    pub fn get(&self, register: &str) -> Option<u64> {
        self.0.lock().values.get(register).map(|(value, _)| *value)
    }
}

impl Machine for Registers {
    type Setup = ();

    fn open((): &(), state: &dyn StateReader) -> io::Result<Self> {
        let mut opened = State::default();
        state.scan(b"", &mut |key, value| {
            let register = String::from_utf8(key.to_vec()).expect("a register's name");
            let (value, index): (u64, u64) = postcard::from_bytes(value).expect("a register's value");
            opened.index = opened.index.max(index);
            opened.values.insert(register, (value, index));
            ControlFlow::Continue(())
        })?;
        Ok(Self(Mutex::new(opened)))
    }

    fn apply(&self, at: Position, command: &[u8], changes: &mut Changes) -> Result<Bytes, BrokenInvariant> {
        let set: Set = postcard::from_bytes(command).map_err(|error| BrokenInvariant(error.to_string()))?;
        let mut state = self.0.lock();
        state.index = at.index;
        let value = (set.value, at.index);
        changes.put(set.register.clone(), postcard::to_allocvec(&value).expect("encodes"));
        let before = state.values.insert(set.register, value).map_or(0, |(before, _)| before);
        Ok(Bytes::from(before.to_be_bytes().to_vec()))
    }

    fn digest(&self) -> (u64, u64) {
        let state = self.0.lock();
        let encoded = postcard::to_allocvec(&state.values).expect("encodes");
        (state.index, u64::from(crc32c::crc32c(&encoded)))
    }
}
