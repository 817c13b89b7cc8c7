//! What each action promises beside inspect, act and verify: whether it may be repeated, how long
//! it may go on without whoever began it, and what takes it back.

use super::Action;
use crate::time::Span;
use std::fmt;

/// How long an act may still take effect when the leader that began it is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linger {
    /// It has none: it only looks, or waits, or its target keeps apart what two leaders do.
    None,
    /// Until what was sent has come through or was lost.
    For(Span),
    /// As long as the act itself may take: the target works on by itself.
    Timeout,
}

impl fmt::Display for Linger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::For(span) => write!(f, "{span}"),
            Self::Timeout => f.write_str("the step's timeout"),
        }
    }
}

/// What keeps a leader out whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// It changes nothing.
    Nothing,
    /// The target itself compares the epoch as it acts, and refuses a lower one however late it comes.
    ByTarget,
    /// The target keeps the epoch where it can, and is asked for it just before.
    ByLook,
    /// The target is told the epoch; whether it compares is its own affair.
    Told,
}

impl fmt::Display for Fenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "changes nothing",
            Self::ByTarget => "the target refuses an earlier leader, however late it comes",
            Self::ByLook => "the target is asked for the epoch just before; it cannot compare it itself",
            Self::Told => "the target is told the epoch, and has to refuse a lower one itself",
        })
    }
}

/// The promises of one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// The dotted key of the playbook.
    pub name: &'static str,
    /// Whether a new leader may act again, in words.
    pub again: &'static str,
    /// How long a new leader waits before it does.
    pub linger: Linger,
    /// Whether the step may say how long itself, with the argument `linger`.
    pub declares: bool,
    /// What keeps a leader out whose time is over.
    pub fenced: Fenced,
    /// What naturally takes it back, as `undo` of a step; none when nothing does.
    pub inverse: Option<&'static str>,
}

/// What is on its way in the network when its sender dies.
const SENT: Linger = Linger::For(Span::secs(5));

/// Of all actions.
pub const CONTRACTS: &[Contract] = &[
    Contract {
        name: "postgres.promote",
        again: "no: a person is asked",
        linger: Linger::Timeout,
        declares: false,
        fenced: Fenced::ByLook,
        inverse: None,
    },
    Contract {
        name: "traffic.drain",
        again: "yes",
        linger: SENT,
        declares: false,
        fenced: Fenced::ByLook,
        inverse: Some("traffic.ready, with the same arguments"),
    },
    Contract {
        name: "traffic.ready",
        again: "yes",
        linger: SENT,
        declares: false,
        fenced: Fenced::ByLook,
        inverse: Some("traffic.drain, with the same arguments"),
    },
    Contract {
        name: "traffic.shift",
        again: "yes",
        linger: SENT,
        declares: false,
        fenced: Fenced::ByLook,
        inverse: Some("traffic.shift, to the other site"),
    },
    Contract {
        name: "dns.set",
        again: "yes",
        linger: SENT,
        declares: false,
        fenced: Fenced::ByTarget,
        inverse: Some("dns.set, to the other site"),
    },
    Contract {
        name: "http.request",
        again: "if `idempotent`",
        linger: Linger::Timeout,
        declares: true,
        fenced: Fenced::Told,
        inverse: Some("the request that takes it back, with `idempotent: true`"),
    },
    Contract {
        name: "command.run",
        again: "if `idempotent`",
        linger: Linger::Timeout,
        declares: true,
        fenced: Fenced::Told,
        inverse: Some("the command that takes it back, with `idempotent: true`"),
    },
    Contract {
        name: "ssh.run",
        again: "if `idempotent`",
        linger: Linger::None,
        declares: false,
        fenced: Fenced::ByTarget,
        inverse: Some("the program that takes it back, with `idempotent: true`"),
    },
    Contract {
        name: "postgres.run",
        again: "yes",
        linger: Linger::None,
        declares: false,
        fenced: Fenced::ByTarget,
        inverse: Some("postgres.run, with the statements that take it back"),
    },
    Contract {
        name: "wait.until",
        again: "yes",
        linger: Linger::None,
        declares: false,
        fenced: Fenced::Nothing,
        inverse: None,
    },
    Contract {
        name: "approval.ask",
        again: "yes",
        linger: Linger::None,
        declares: false,
        fenced: Fenced::Nothing,
        inverse: None,
    },
    Contract {
        name: "fence.prove",
        again: "yes",
        linger: Linger::Timeout,
        declares: false,
        fenced: Fenced::Told,
        inverse: None,
    },
];

/// The promises of an action, by its dotted key.
pub fn contract(name: &str) -> Option<&'static Contract> {
    CONTRACTS.iter().find(|contract| contract.name == name)
}

impl Action {
    /// How long an act of it may still take effect once its leader is lost, when it may take `timeout`.
    pub fn linger(&self, timeout: Span) -> Span {
        if let Self::HttpRequest { linger: Some(linger), .. }
        | Self::CommandRun { linger: Some(linger), .. } = self
        {
            return *linger;
        }
        match contract(self.name()).map(|contract| contract.linger) {
            Some(Linger::None) => Span::default(),
            Some(Linger::For(span)) => span,
            Some(Linger::Timeout) | None => timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::calls::ACTIONS;

    #[test]
    fn every_action_has_its_contract() {
        // The steps of another playbook have contracts of their own.
        let names: Vec<&str> =
            ACTIONS.iter().map(|spec| spec.name).filter(|n| *n != "playbook.run").collect();
        assert_eq!(CONTRACTS.iter().map(|contract| contract.name).collect::<Vec<_>>(), names);
        for spec in ACTIONS {
            let declares = spec.fields.iter().any(|field| field.name == "linger");
            let contract = contract(spec.name);
            assert_eq!(contract.is_some_and(|contract| contract.declares), declares, "{}", spec.name);
        }
    }
}
