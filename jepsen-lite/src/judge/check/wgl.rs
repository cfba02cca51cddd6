//! The search for a linearization: Wing and Gong's algorithm with Lowe's memory of configurations (2017), as Porcupine
//! has it, with a key whose size is that of the concurrency and not of the history.
//!
//! What comes in is operations on one object with their intervals, and a model; what goes out is whether some order of
//! them, each within its interval, is legal. An operation without an end may have happened at any time after its call, or
//! never. Pure.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::CheckLimits;
use crate::judge::history::ops::NEVER;

/// An object that operations change one after the other.
pub trait SequentialModel {
    /// What it holds.
    type State: Clone + Eq + Hash;
    /// What is done to it, with what came of it. Equal operations have equal effects.
    type Op: PartialEq;
    /// What it holds at first.
    fn init(&self) -> Self::State;
    /// What it holds after the operation; `None` where the operation could not have had this outcome.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;
}

/// An operation and its interval; no two ends of intervals are equal, but for [`NEVER`].
#[derive(Clone, Debug, PartialEq)]
pub struct TimedOperation<O> {
    /// Its call.
    pub call: u64,
    /// Its end, or [`NEVER`].
    pub ret: u64,
    /// What it was.
    pub op: O,
    /// Which operation of the history it is.
    pub source: usize,
}

/// What the search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinearizationResult<S> {
    /// An order exists: the positions of the operations in it.
    Order(Vec<usize>),
    /// None exists. The longest legal beginning, what the object holds after it, and the operation that ended before any
    /// way was found to place it.
    Stuck {
        /// Positions in the longest legal beginning.
        longest: Vec<usize>,
        /// What the object holds after it.
        state: S,
        /// The operation that cannot be placed.
        blocked: usize,
    },
    /// The limit of steps or memory was reached.
    Limit,
}

/// A fast hash for keys that no adversary chooses (multiply and fold, as in wyhash).
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xa076_1d64_78bd_642f;
        self.0 = (wide >> 64) as u64 ^ wide as u64;
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

type FastSet<K> = HashSet<K, BuildHasherDefault<Fold>>;

/// Which operations are placed, and what the object holds then: all ended operations before `low`, those of `bits` and
/// `rest` beyond it, and the pending ones of `pending`.
#[derive(PartialEq, Eq, Hash)]
struct Configuration {
    low: u32,
    state: u32,
    bits: u64,
    rest: Vec<u64>,
    pending: Vec<u64>,
}

/// A set of small numbers.
struct Bits(Vec<u64>);

impl Bits {
    fn new(size: usize) -> Self {
        Self(vec![0; size / 64 + 2])
    }

    fn has(&self, bit: usize) -> bool {
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }

    fn flip(&mut self, bit: usize) {
        self.0[bit / 64] ^= 1 << (bit % 64);
    }

    /// The 64 bits from `bit` on.
    fn bits_from(&self, bit: usize) -> u64 {
        let (word, shift) = (bit / 64, bit % 64);
        let low = self.0.get(word).copied().unwrap_or(0) >> shift;
        let high = if shift == 0 { 0 } else { self.0.get(word + 1).copied().unwrap_or(0) << (64 - shift) };
        low | high
    }
}

struct LinearizationSearch<'a, M: SequentialModel> {
    ops: &'a [TimedOperation<M::Op>],
    /// Positions of calls and ends, linked in the order of time; node 0 is the head.
    next: Vec<u32>,
    previous: Vec<u32>,
    /// The number of each operation among the ended or among the pending ones.
    number: Vec<usize>,
    /// For a pending operation the one before it that is its equal. It goes first: an operation that may happen at any
    /// time after its call can stand wherever a later equal one does, so no order is lost, and of n equal operations n + 1
    /// choices are left in place of 2ⁿ.
    twin: Vec<Option<usize>>,
    placed: Bits,
    pending: Bits,
    pending_top: usize,
    low: usize,
    /// One more than the highest ended operation ever placed.
    top: usize,
    left: usize,
    states: Vec<M::State>,
    ids: HashMap<M::State, u32, BuildHasherDefault<Fold>>,
    seen: FastSet<Configuration>,
    memory: usize,
}

fn twins<O: PartialEq>(ops: &[TimedOperation<O>]) -> Vec<Option<usize>> {
    let mut pending: Vec<usize> = Vec::new();
    let twin = |(index, timed): (usize, &TimedOperation<O>)| {
        if timed.ret != NEVER {
            return None;
        }
        let twin = pending.iter().rev().find(|other| ops[**other].op == timed.op).copied();
        pending.push(index);
        twin
    };
    ops.iter().enumerate().map(twin).collect()
}

const HEAD: u32 = 0;

fn call_node(op: usize) -> u32 {
    (2 * op + 1) as u32
}

impl<'a, M: SequentialModel> LinearizationSearch<'a, M> {
    fn new(model: &M, ops: &'a [TimedOperation<M::Op>]) -> Self {
        let mut nodes: Vec<(u64, u32)> = Vec::with_capacity(2 * ops.len());
        let (mut number, mut ended, mut pending) = (Vec::with_capacity(ops.len()), 0, 0);
        for (index, op) in ops.iter().enumerate() {
            nodes.push((op.call, call_node(index)));
            let count = if op.ret == NEVER { &mut pending } else { &mut ended };
            number.push(*count);
            *count += 1;
            if op.ret != NEVER {
                nodes.push((op.ret, call_node(index) + 1));
            }
        }
        nodes.sort_unstable();
        let (mut next, mut previous) = (vec![HEAD; 2 * ops.len() + 1], vec![HEAD; 2 * ops.len() + 1]);
        let mut last = HEAD;
        for (_, node) in nodes {
            next[last as usize] = node;
            previous[node as usize] = last;
            last = node;
        }
        next[last as usize] = HEAD;
        previous[HEAD as usize] = last;
        let init = model.init();
        Self {
            ops,
            next,
            previous,
            number,
            twin: twins(ops),
            placed: Bits::new(ended),
            pending: Bits::new(pending),
            pending_top: 0,
            low: 0,
            top: 0,
            left: ended,
            states: vec![init.clone()],
            ids: HashMap::from_iter([(init, 0)]),
            seen: FastSet::default(),
            memory: 0,
        }
    }

    /// Whether nothing forbids to place it now.
    fn may_place(&self, op: usize) -> bool {
        self.twin[op].is_none_or(|twin| self.pending.has(self.number[twin]))
    }

    fn unlink(&mut self, node: u32) {
        let (before, after) = (self.previous[node as usize], self.next[node as usize]);
        self.next[before as usize] = after;
        self.previous[after as usize] = before;
    }

    fn relink(&mut self, node: u32) {
        let (before, after) = (self.previous[node as usize], self.next[node as usize]);
        self.next[before as usize] = node;
        self.previous[after as usize] = node;
    }

    fn place(&mut self, op: usize) {
        self.unlink(call_node(op));
        let number = self.number[op];
        if self.ops[op].ret == NEVER {
            self.pending.flip(number);
            self.pending_top = self.pending_top.max(number + 1);
            return;
        }
        self.unlink(call_node(op) + 1);
        self.placed.flip(number);
        self.left -= 1;
        self.top = self.top.max(number + 1);
        while self.low < self.top && self.placed.has(self.low) {
            self.low += 1;
        }
    }

    fn take_back(&mut self, op: usize, low: usize) {
        self.low = low;
        if self.ops[op].ret == NEVER {
            self.pending.flip(self.number[op]);
        } else {
            self.relink(call_node(op) + 1);
            self.placed.flip(self.number[op]);
            self.left += 1;
        }
        self.relink(call_node(op));
    }

    fn intern(&mut self, state: M::State) -> u32 {
        if let Some(id) = self.ids.get(&state) {
            return *id;
        }
        let id = self.states.len() as u32;
        self.states.push(state.clone());
        self.ids.insert(state, id);
        self.memory += 2 * size_of::<M::State>() + 64;
        id
    }

    /// Remembers where the search stands; whether it had not stood there before.
    fn is_new(&mut self, state: u32) -> bool {
        let words = |bits: &Bits, from: usize, to: usize| -> Vec<u64> {
            let mut words: Vec<u64> = (from..to).step_by(64).map(|bit| bits.bits_from(bit)).collect();
            words.truncate(words.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1));
            words
        };
        let configuration = Configuration {
            low: self.low as u32,
            state,
            bits: self.placed.bits_from(self.low),
            rest: words(&self.placed, self.low + 64, self.top),
            pending: words(&self.pending, 0, self.pending_top),
        };
        self.memory += size_of::<Configuration>() + 16 + 8 * (configuration.rest.len() + configuration.pending.len());
        self.seen.insert(configuration)
    }
}

/// Searches for an order of `ops`, which are sorted by call.
pub fn search<M: SequentialModel>(
    model: &M,
    ops: &[TimedOperation<M::Op>],
    limits: CheckLimits,
) -> LinearizationResult<M::State> {
    let mut search = LinearizationSearch::new(model, ops);
    // What was placed: operation, state before it, `low` before it.
    let mut stack: Vec<(u32, u32, u32)> = Vec::new();
    let (mut longest, mut longest_state, mut blocked) = (None::<Vec<usize>>, 0, 0);
    let (mut state, mut steps) = (0_u32, 0_u64);
    let mut node = search.next[HEAD as usize];
    while search.left > 0 {
        steps += 1;
        if steps > limits.steps || search.memory > limits.memory {
            return LinearizationResult::Limit;
        }
        let op = (node as usize - 1) / 2;
        if node == call_node(op) {
            let after =
                if search.may_place(op) { model.step(&search.states[state as usize], &ops[op].op) } else { None };
            node = match after.map(|after| search.intern(after)) {
                Some(after) => {
                    let low = search.low;
                    search.place(op);
                    if search.is_new(after) {
                        stack.push((op as u32, state, low as u32));
                        state = after;
                        search.next[HEAD as usize]
                    } else {
                        search.take_back(op, low);
                        search.next[node as usize]
                    }
                }
                None => search.next[node as usize],
            };
            continue;
        }
        if longest.as_ref().is_none_or(|longest| stack.len() > longest.len()) {
            longest = Some(stack.iter().map(|(op, ..)| *op as usize).collect());
            (longest_state, blocked) = (state, op);
        }
        let Some((op, before, low)) = stack.pop() else {
            let state = search.states[longest_state as usize].clone();
            return LinearizationResult::Stuck { longest: longest.unwrap_or_default(), state, blocked };
        };
        search.take_back(op as usize, low as usize);
        state = before;
        node = search.next[call_node(op as usize) as usize];
    }
    LinearizationResult::Order(stack.into_iter().map(|(op, ..)| op as usize).collect())
}
