//! Which kind is done by what.

use super::{JobError, Kind, Payload, Run, forget, probe};
use crate::state::State;
use futures::{FutureExt as _, future::BoxFuture};
use serde_json::Value;
use std::{collections::BTreeMap, fmt, sync::Arc};

type Handler = dyn Fn(Arc<State>, Value, Run) -> BoxFuture<'static, Result<(), JobError>> + Send + Sync;

/// What does the jobs of each kind. What is not in it is left to processes that know it.
#[derive(Clone, Default)]
pub struct Registry {
    handlers: BTreeMap<Kind, Arc<Handler>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_set().entries(self.handlers.keys()).finish()
    }
}

impl Registry {
    /// Everything that this program does.
    pub fn standard() -> Self {
        Self::default().on(probe::run).on(forget::run)
    }

    /// The same, where jobs of a payload are done by that.
    #[must_use]
    pub fn on<P, F, W>(mut self, handler: F) -> Self
    where
        P: Payload,
        F: Fn(Arc<State>, P, Run) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let run = move |state, payload: Value, run| match serde_json::from_value::<P>(payload) {
            Ok(payload) => handler(state, payload, run).boxed(),
            // What it says is a field's name and place at most.
            Err(_) => std::future::ready(Err(JobError::dead("its payload can't be read"))).boxed(),
        };
        self.handlers.insert(P::KIND, Arc::new(run));
        self
    }

    /// The kinds that it knows.
    pub(super) fn kinds(&self) -> Vec<&'static str> {
        self.handlers.keys().map(|kind| kind.as_str()).collect()
    }

    /// Begins a job, where its kind is known.
    pub(super) fn begin(
        &self,
        kind: Kind,
        state: Arc<State>,
        payload: Value,
        run: Run,
    ) -> Option<BoxFuture<'static, Result<(), JobError>>> {
        self.handlers.get(&kind).map(|handler| handler(state, payload, run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_done_by_something() {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        let mut kinds = Registry::standard().kinds();
        kinds.sort_unstable();
        let mut all = known;
        all.sort_unstable();
        assert_eq!(kinds, all);
    }
}
