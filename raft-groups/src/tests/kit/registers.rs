//! A small machine: named registers, and a set of numbers that only grows.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::machine::{BrokenInvariant, Changes, Machine, Position, StateReader};

/// The machine's commands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Order {
    /// Writes a register.
    Set {
        register: String,
        value: u64,
        /// Makes the entry as large as a test needs it.
        ballast: Vec<u8>,
    },
    /// Removes a register.
    Delete { register: String },
    /// Writes a register if it holds `from`.
    Cas { register: String, from: u64, to: u64 },
    /// Adds a number to the set.
    Add(u64),
}

impl Order {
    pub fn set(register: &str, value: u64) -> Self {
        Self::Set { register: register.to_owned(), value, ballast: Vec::new() }
    }

    pub fn encode(&self) -> Bytes {
        postcard::to_allocvec(self).expect("encodes").into()
    }
}

/// The key of the index of the last command.
const INDEX: &[u8] = b"index";
/// The prefixes of the keys of registers and of elements.
const REGISTER: &str = "r/";
const ELEMENT: &str = "s/";

/// The machine: registers by name, and the set.
#[derive(Default)]
pub struct Registers(Mutex<State>);

#[derive(Default)]
struct State {
    /// By name: the value, and the index of the command that wrote it.
    values: BTreeMap<String, (u64, u64)>,
    elements: BTreeSet<u64>,
    index: u64,
    /// The sum of the checksums of all contents, updated with each change.
    sum: u64,
}

impl Registers {
    /// Returns a register's value.
    pub fn get(&self, register: &str) -> Option<u64> {
        self.read(register).map(|(value, _)| value)
    }

    /// Returns a register's value, and the index of the command that wrote it.
    pub fn read(&self, register: &str) -> Option<(u64, u64)> {
        self.0.lock().values.get(register).copied()
    }

    /// Returns the set, in ascending order.
    pub fn elements(&self) -> Vec<u64> {
        self.0.lock().elements.iter().copied().collect()
    }
}

impl State {
    fn put(&mut self, register: String, value: u64, changes: &mut Changes) {
        self.delete(&register, changes);
        let record = (value, self.index);
        self.sum = self.sum.wrapping_add(checksum(&(&register, record)));
        changes.put(format!("{REGISTER}{register}"), encode(&record));
        self.values.insert(register, record);
    }

    /// Adds one stored pair.
    fn take_in(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let bad = |error: &str| io::Error::new(io::ErrorKind::InvalidData, error.to_owned());
        let key = std::str::from_utf8(key).map_err(|error| bad(&error.to_string()))?;
        if let Some(register) = key.strip_prefix(REGISTER) {
            let (value, index) = decode(value)?;
            self.index = index;
            self.put(register.to_owned(), value, &mut Changes::default());
        } else if let Some(element) = key.strip_prefix(ELEMENT) {
            self.add(element.parse().map_err(|_| bad("no number"))?, &mut Changes::default());
        }
        Ok(())
    }

    fn delete(&mut self, register: &str, changes: &mut Changes) {
        if let Some(old) = self.values.remove(register) {
            self.sum = self.sum.wrapping_sub(checksum(&(register, old)));
            changes.delete(format!("{REGISTER}{register}"));
        }
    }

    fn add(&mut self, element: u64, changes: &mut Changes) {
        if self.elements.insert(element) {
            self.sum = self.sum.wrapping_add(checksum(&element));
            changes.put(format!("{ELEMENT}{element}"), Bytes::new());
        }
    }
}

fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> io::Result<T> {
    postcard::from_bytes(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("encodes")
}

fn checksum<T: Serialize>(value: &T) -> u64 {
    u64::from(crc32c::crc32c(&encode(value)))
}

impl Machine for Registers {
    type Setup = ();

    fn open((): &(), state: &dyn StateReader) -> io::Result<Self> {
        // Everything in memory is rebuilt from the stored pairs.
        let mut opened = State::default();
        let mut damage = None;
        state.scan(b"", &mut |key, value| match opened.take_in(key, value) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                damage = Some(error);
                ControlFlow::Break(())
            }
        })?;
        if let Some(error) = damage {
            return Err(error);
        }
        opened.index = state.get(INDEX)?.map_or(Ok(0), |index| decode(&index))?;
        Ok(Self(Mutex::new(opened)))
    }

    /// Replies one byte: 1 if the order was carried out, 0 if a comparison failed.
    fn apply(&self, at: Position, command: &[u8], changes: &mut Changes) -> Result<Bytes, BrokenInvariant> {
        let order: Order = postcard::from_bytes(command).map_err(|error| BrokenInvariant(error.to_string()))?;
        let mut state = self.0.lock();
        // The index is stored with every command, so a reopened machine knows it.
        state.index = at.index;
        changes.put(INDEX, encode(&at.index));
        let mut done = true;
        match order {
            Order::Set { register, value, .. } => state.put(register, value, changes),
            Order::Delete { register } => state.delete(&register, changes),
            Order::Cas { register, from, to } => {
                done = state.values.get(&register).is_some_and(|(value, _)| *value == from);
                if done {
                    state.put(register, to, changes);
                }
            }
            Order::Add(element) => state.add(element, changes),
        }
        Ok(Bytes::from(vec![u8::from(done)]))
    }

    fn digest(&self) -> (u64, u64) {
        let state = self.0.lock();
        (state.index, state.sum)
    }
}
