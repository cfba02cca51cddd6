//! The search for a linearization: Wing and Gong's algorithm with Lowe's memory of configurations (2017), as Porcupine
//! has it, with a key whose size is that of the concurrency and not of the history.
//!
//! What comes in is operations on one object with their intervals, and a model; what goes out is whether some order of
//! them, each within its interval, is legal. An operation without an end may have happened at any time after its call, or
//! never. Pure.

mod configuration;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash};

use configuration::{Bits, Configuration, FastSet, Fold};

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
    /// Returns `true` if the operation leaves the object as it is, whatever it holds.
    fn only_reads(&self, op: &Self::Op) -> bool;
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
    /// Operations that were looked at.
    steps: u64,
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
        // Calls and ends become nodes in the order of time. What never ends has a call alone.
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
        // They are linked in a ring through the head.
        let (mut next, mut previous) = (vec![HEAD; 2 * ops.len() + 1], vec![HEAD; 2 * ops.len() + 1]);
        let mut last = HEAD;
        for (_, node) in nodes {
            next[last as usize] = node;
            previous[node as usize] = last;
            last = node;
        }
        next[last as usize] = HEAD;
        previous[HEAD as usize] = last;
        // Nothing is placed yet.
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
            steps: 0,
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
        // One without an end counts among the pending ones, which need not be placed.
        if self.ops[op].ret == NEVER {
            self.pending.flip(number);
            self.pending_top = self.pending_top.max(number + 1);
            return;
        }
        // What is placed without a gap from the beginning on needs no bits any more.
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

    /// What the object holds after the operation, where it may be placed now.
    fn after(&self, model: &M, state: u32, op: usize) -> Option<M::State> {
        if self.may_place(op) { model.step(&self.states[state as usize], &self.ops[op].op) } else { None }
    }

    /// Places the operation, after which the object holds `after`, unless the search has stood there before.
    fn place_if_new(&mut self, op: usize, after: u32, before: u32, stack: &mut Vec<(u32, u32, u32)>) -> bool {
        let low = self.low;
        self.place(op);
        let is_new = self.is_new(after);
        if is_new {
            stack.push((op as u32, before, low as u32));
        } else {
            self.take_back(op, low);
        }
        is_new
    }

    /// Places every read that fits, of those that may come next.
    fn place_reads(&mut self, model: &M, state: u32, stack: &mut Vec<(u32, u32, u32)>) {
        let mut node = self.next[HEAD as usize];
        while node != HEAD {
            let op = (node as usize - 1) / 2;
            if node != call_node(op) {
                return;
            }
            // Up to the first end: what is called later may not come before that operation.
            self.steps += 1;
            let before = self.previous[node as usize];
            if model.only_reads(&self.ops[op].op) && self.after(model, state, op).is_some() {
                stack.push((op as u32, state, self.low as u32));
                self.place(op);
                node = self.next[before as usize];
            } else {
                node = self.next[node as usize];
            }
        }
    }

    /// Remembers where the search stands; whether it had not stood there before.
    fn is_new(&mut self, state: u32) -> bool {
        // Bits as words, without the zeros at the end, so that equal sets are equal keys.
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
///
/// Reads are no choice: one that fits is placed at once, for it forbids nothing, and what fails after it fails without it,
/// too. So many reads make the search longer and not wider.
pub fn search<M: SequentialModel>(
    model: &M,
    ops: &[TimedOperation<M::Op>],
    limits: CheckLimits,
) -> LinearizationResult<M::State> {
    let mut search = LinearizationSearch::new(model, ops);
    // What was placed: operation, state before it, `low` before it.
    let mut stack: Vec<(u32, u32, u32)> = Vec::new();
    let (mut longest, mut longest_state, mut blocked) = (None::<Vec<usize>>, 0, 0);
    let mut state = 0_u32;
    search.place_reads(model, state, &mut stack);
    let mut node = search.next[HEAD as usize];
    while search.left > 0 {
        search.steps += 1;
        if search.steps > limits.steps || search.memory > limits.memory {
            return LinearizationResult::Limit;
        }
        let op = (node as usize - 1) / 2;
        // A call: it is placed where that leads to something new, and passed by elsewhere.
        if node == call_node(op) {
            let after = if model.only_reads(&ops[op].op) { None } else { search.after(model, state, op) };
            let after = after.map(|after| search.intern(after));
            node = match after.filter(|after| search.place_if_new(op, *after, state, &mut stack)) {
                Some(after) => {
                    state = after;
                    search.place_reads(model, state, &mut stack);
                    search.next[HEAD as usize]
                }
                None => search.next[node as usize],
            };
            continue;
        }
        // An end: its operation has no place, so the search goes back to the last choice.
        if longest.as_ref().is_none_or(|longest| stack.len() > longest.len()) {
            longest = Some(stack.iter().map(|(op, ..)| *op as usize).collect());
            (longest_state, blocked) = (state, op);
        }
        let choice = loop {
            let Some((op, before, low)) = stack.pop() else {
                let state = search.states[longest_state as usize].clone();
                return LinearizationResult::Stuck { longest: longest.unwrap_or_default(), state, blocked };
            };
            search.take_back(op as usize, low as usize);
            state = before;
            if !model.only_reads(&ops[op as usize].op) {
                break op as usize;
            }
        };
        node = search.next[call_node(choice) as usize];
    }
    LinearizationResult::Order(stack.into_iter().map(|(op, ..)| op as usize).collect())
}
