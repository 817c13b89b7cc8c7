//! A guard that refuses nothing: so that tests see what it is there for.

use super::{Guard, Ruling, Says};

/// Which guard refuses nothing. Only builds for tests can take one out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Removed {
    #[cfg(any(test, feature = "mutants"))]
    guard: Option<Guard>,
}

impl Removed {
    /// Takes a guard out.
    #[cfg(any(test, feature = "mutants"))]
    pub(crate) fn the(guard: Guard) -> Self {
        Self { guard: Some(guard) }
    }

    /// Whether this one refuses nothing.
    #[cfg(any(test, feature = "mutants"))]
    pub(crate) fn is(self, guard: Guard) -> bool {
        self.guard == Some(guard)
    }

    /// Whether this one refuses nothing.
    #[cfg(not(any(test, feature = "mutants")))]
    pub(crate) fn is(self, _: Guard) -> bool {
        false
    }

    /// Lets the guard pass that is taken out.
    pub(crate) fn apply(self, mut rulings: Vec<Ruling>) -> Vec<Ruling> {
        for ruling in rulings.iter_mut().filter(|ruling| self.is(ruling.guard)) {
            ruling.says = Says::Passes;
        }
        rulings
    }
}
