//! The builder of explanations: the code that computes hands it closures, and they run only if somebody asked.
//!
//! With explanation off nothing is built and nothing is allocated: the closures that would make a [`Step`] are never called.

use crate::domain::Timestamp;
use crate::domain::explanation::{Explanation, Step};

/// Collects the steps of a pass, or does nothing.
#[derive(Debug)]
pub struct Explain {
    steps: Option<Vec<Step>>,
}

/// A place in the list of steps; see [`Explain::fold`].
#[derive(Debug, Clone, Copy)]
pub struct Mark(usize);

impl Explain {
    /// A builder that does nothing.
    pub fn off() -> Self {
        Self { steps: None }
    }

    /// A builder that collects if `wanted`.
    pub fn new(wanted: bool) -> Self {
        Self { steps: wanted.then(Vec::new) }
    }

    /// Somebody asked.
    pub fn is_on(&self) -> bool {
        self.steps.is_some()
    }

    /// Adds a step.
    pub fn step(&mut self, step: impl FnOnce() -> Step) {
        if let Some(steps) = &mut self.steps {
            steps.push(step());
        }
    }

    /// Remembers where the next step will stand.
    pub fn mark(&self) -> Mark {
        Mark(self.steps.as_ref().map_or(0, Vec::len))
    }

    /// Puts every step added since `mark` under one parent, which takes their place.
    pub fn fold(&mut self, mark: Mark, parent: impl FnOnce() -> Step) {
        if let Some(steps) = &mut self.steps {
            let children = steps.split_off(mark.0.min(steps.len()));
            let mut parent = parent();
            debug_assert!(parent.children.is_empty(), "its children are the steps it takes the place of");
            parent.children = children;
            steps.push(parent);
        }
    }

    /// The explanation of the pass at `at`, if it was asked for.
    pub fn finish(self, at: Timestamp) -> Option<Explanation> {
        self.steps.map(|steps| Explanation { at, steps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_folded_under_their_parent() {
        let mut explain = Explain::new(true);
        explain.step(|| Step::new("before"));
        let mark = explain.mark();
        explain.step(|| Step::new("a"));
        explain.step(|| Step::new("b"));
        explain.fold(mark, || Step::new("parent"));
        let steps = explain.finish(Timestamp::UNIX_EPOCH).unwrap().steps;
        let labels = |steps: &[Step]| steps.iter().map(|s| s.label.to_string()).collect::<Vec<_>>();
        assert_eq!(labels(&steps), ["before", "parent"]);
        assert_eq!(labels(&steps[1].children), ["a", "b"]);
    }

    #[test]
    fn nothing_is_built_when_nobody_asks() {
        let mut explain = Explain::off();
        let mark = explain.mark();
        explain.step(|| unreachable!());
        explain.fold(mark, || unreachable!());
        assert_eq!(explain.finish(Timestamp::UNIX_EPOCH), None);
    }
}
