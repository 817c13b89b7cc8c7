//! A page for every action: what it does and what it promises.

use crate::action::contract::{self, Contract};
use crate::schema::Spec;
use crate::schema::calls::ACTIONS;
use std::fmt;

/// What is said about an action.
#[derive(Clone, Copy, Debug)]
pub struct ActionPage {
    /// Its key, arguments and defaults.
    pub spec: &'static Spec,
    /// What it promises.
    pub contract: &'static Contract,
}

/// The page of an action such as `dns.set`.
pub fn action(name: &str) -> Option<ActionPage> {
    let name = name.trim().to_ascii_lowercase();
    let spec = ACTIONS.iter().find(|spec| spec.name == name)?;
    Some(ActionPage { spec, contract: contract::contract(spec.name)? })
}

impl fmt::Display for ActionPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spec, contract } = self;
        writeln!(f, "{}\n\n{}\n", spec.name, spec.doc)?;
        writeln!(
            f,
            "timeout   {}, {} attempts, unless the step says otherwise",
            spec.timeout, spec.attempts
        )?;
        writeln!(
            f,
            "again     {}, when its leader is lost in mid-attempt and it is found undone",
            contract.again
        )?;
        let declared = if contract.declares { ", unless `linger` says otherwise" } else { "" };
        writeln!(
            f,
            "linger    {}{declared}: so long a new leader waits before it acts again",
            contract.linger
        )?;
        writeln!(f, "epoch     {}", contract.fenced)?;
        writeln!(f, "undo      {}", contract.inverse.unwrap_or("nothing takes it back"))?;
        writeln!(f, "\narguments:")?;
        for field in spec.fields {
            writeln!(f, "  {:<11} {}", field.name, field.doc)?;
        }
        Ok(())
    }
}
