//! The records of long work in the map: begun, ended, and forgotten in time. Pure; must not know what the work is.

use crate::placement::operation::MAX_ENDED;
use crate::placement::{ClusterMap, Operation, OperationKind, OperationOutcome, OperationState};

impl ClusterMap {
    /// Begins an operation; returns its number.
    pub(super) fn begin(&mut self, kind: OperationKind, at_ms: u64) -> u64 {
        let id = self.next_operation;
        self.next_operation += 1;
        let state = OperationState::Running;
        let replaced = self.operations.insert(id, Operation { kind, state, started_ms: at_ms, ended_ms: None });
        debug_assert!(replaced.is_none(), "operation {id} was given out before");
        id
    }

    /// Ends an operation that is under way, and forgets the oldest of those that have ended.
    pub(super) fn end_operation(&mut self, id: u64, state: OperationState, at_ms: u64) {
        debug_assert!(state != OperationState::Running, "operation {id} would end as one that is under way");
        let operation = self.operations.get_mut(&id).filter(|operation| operation.is_running());
        debug_assert!(operation.is_some(), "operation {id} is not under way");
        if let Some(operation) = operation {
            operation.state = state;
            operation.ended_ms = Some(at_ms);
        }
        // Numbers grow with time, so the first ones are the oldest.
        let ended: Vec<u64> = self.operations.iter().filter(|(_, op)| !op.is_running()).map(|(id, _)| *id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(MAX_ENDED)) {
            self.operations.remove(id);
        }
    }

    /// Ends an operation as the driver says. Returns `false` if it is not under way any more.
    pub(super) fn finish(&mut self, id: u64, outcome: OperationOutcome, at_ms: u64) -> bool {
        let running = self.operations.get(&id).is_some_and(Operation::is_running);
        if running {
            self.end_operation(id, outcome, at_ms);
        }
        running
    }
}
