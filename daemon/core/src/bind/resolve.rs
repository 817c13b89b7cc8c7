//! Names to addresses: what an action or a condition means between two sites.

mod action;
mod check;
mod undo;

use crate::check::Database;
use crate::decode::{Call, Object, Value, Var};
use crate::finding::{Finding, code, quoted};
use crate::fleet::{Body, Dns, Fleet};
use crate::ids::{ResourceId, SiteId};
use crate::plan::Request;
use crate::schema::{Field, Type};
use crate::source::{Place, Spanned};
use std::collections::{BTreeMap, BTreeSet};

/// Something could not be resolved; without a finding when it was reported before.
#[derive(Debug)]
pub struct Missing(pub Option<Box<Finding>>);

impl From<Finding> for Missing {
    fn from(finding: Finding) -> Self {
        Self(Some(Box::new(finding)))
    }
}

/// Already reported by the decoder or as a reference to nothing.
const REPORTED: Missing = Missing(None);

/// What names mean here.
#[derive(Debug)]
pub struct Scope<'a> {
    fleet: &'a Fleet,
    /// The site whose probe this is.
    own: Option<&'a SiteId>,
    request: Option<&'a Request>,
    clusters: BTreeSet<&'a str>,
}

impl<'a> Scope<'a> {
    /// For the canaries.
    pub fn of_canaries(fleet: &'a Fleet) -> Self {
        Self { fleet, own: None, request: None, clusters: BTreeSet::new() }
    }

    /// For the probes of a site.
    pub fn of_probes(fleet: &'a Fleet, site: &'a SiteId) -> Self {
        Self { fleet, own: Some(site), request: None, clusters: BTreeSet::new() }
    }

    /// For a plan; `clusters` are those whose old primary a fence must stop.
    pub fn of_plan(fleet: &'a Fleet, request: &'a Request, clusters: BTreeSet<&'a str>) -> Self {
        Self { fleet, own: None, request: Some(request), clusters }
    }

    /// The arguments with every variable replaced.
    fn args(&self, call: &Call) -> Result<Object, Missing> {
        let fields = Vec::with_capacity(call.args.fields.len());
        let mut args = Object { at: call.args.at, fields, ..Object::default() };
        for (name, value) in &call.args.fields {
            let field = call.spec.fields.iter().find(|field| field.name == *name);
            let Some(Field { ty, .. }) = field else { continue };
            args.fields.push((name, Spanned::new(self.resolve(value, ty)?, value.at)));
        }
        Ok(args)
    }

    fn resolve(&self, value: &Spanned<Value>, ty: &Type) -> Result<Value, Missing> {
        let resolved = match (&value.value, ty) {
            (Value::Var(var), _) => self.variable(var, ty, value.at)?,
            (Value::List(items), Type::List(inner) | Type::OneOrMany(inner)) => Value::List(
                items
                    .iter()
                    .map(|item| Ok(Spanned::new(self.resolve(item, inner)?, item.at)))
                    .collect::<Result<_, Missing>>()?,
            ),
            (Value::Map(entries), Type::Map(inner)) => Value::Map(
                entries
                    .iter()
                    .map(|(key, item)| Ok((key.clone(), Spanned::new(self.resolve(item, inner)?, item.at))))
                    .collect::<Result<_, Missing>>()?,
            ),
            (literal, _) => literal.clone(),
        };
        match (&resolved, ty) {
            (Value::Text(site), Type::Site) if !self.fleet.sites.contains_key(site.as_str()) => {
                match value.value {
                    Value::Var(_) => Err(unknown_site(site, value.at).into()),
                    _ => Err(REPORTED),
                }
            }
            _ => Ok(resolved),
        }
    }

    fn variable(&self, var: &Var, ty: &Type, at: Place) -> Result<Value, Missing> {
        let request = self.request.ok_or(REPORTED)?;
        match var {
            Var::From => Ok(Value::Text(request.from.as_str().into())),
            Var::To => Ok(Value::Text(request.to.as_str().into())),
            Var::Input(name) => {
                let text = request.inputs.get(name).ok_or(REPORTED)?;
                crate::decode::literal(text, ty).map_err(|why| {
                    Finding::new(code::WRONG_VALUE, at, format!("the input {}: {why}", quoted(name))).into()
                })
            }
        }
    }

    /// The site of an argument, or the probed one.
    fn site(&self, call: &Call, args: &Object, key: &str) -> Result<Spanned<SiteId>, Missing> {
        match (args.get(key).and_then(|site| Some((site.value.text()?, site.at))), self.own) {
            (Some((site, at)), _) => Ok(Spanned::new(site.into(), at)),
            (None, Some(own)) => Ok(Spanned::new(own.clone(), call.key_at)),
            (None, None) if self.request.is_none() => {
                Err(Finding::new(code::EXCLUSIVE, call.key_at, "a canary belongs to no site")
                    .help("ask a `url` or an `address` outside of the fleet")
                    .into())
            }
            (None, None) => Err(REPORTED),
        }
    }

    fn resource(&self, args: &Object, key: &str) -> Result<(&'a ResourceId, &'a Body), Missing> {
        let name = args.text(key).ok_or(REPORTED)?;
        let (id, resource) = self.fleet.resources.get_key_value(name).ok_or(REPORTED)?;
        Ok((id, &resource.body))
    }

    /// The base URL of an endpoint in a site, without a slash at its end.
    fn endpoint(&self, args: &Object, site: &Spanned<SiteId>) -> Result<&'a str, Missing> {
        match self.resource(args, "endpoint")? {
            (id, Body::Endpoint(urls)) => Ok(side(urls, id, "URL", site)?.trim_end_matches('/')),
            _ => Err(REPORTED),
        }
    }

    /// The servers of a cluster: the one in a site, and the others.
    fn database(&self, args: &Object, site: &Spanned<SiteId>) -> Result<(Database, Vec<Database>), Missing> {
        let (id, body) = self.resource(args, "cluster")?;
        let Body::Postgres(_) = body else { return Err(REPORTED) };
        let mut servers = self.fleet.cluster(id);
        side(&servers, id, "server", site)?;
        let here = servers.remove(&site.value).ok_or(REPORTED)?;
        Ok((here, servers.into_values().collect()))
    }

    fn record(&self, args: &Object, site: &Spanned<SiteId>) -> Result<(&'a Dns, Vec<String>), Missing> {
        match self.resource(args, "record")? {
            (id, Body::Dns(dns)) => Ok((dns, side(&dns.values, id, "value", site)?.clone())),
            _ => Err(REPORTED),
        }
    }
}

/// What a resource has in a site.
fn side<'b, T>(
    sides: &'b BTreeMap<SiteId, T>,
    resource: &ResourceId,
    what: &str,
    site: &Spanned<SiteId>,
) -> Result<&'b T, Missing> {
    sides.get(&site.value).ok_or_else(|| {
        let known: Vec<_> = sides.keys().map(|site| quoted(site.as_str())).collect();
        let message = format!(
            "the resource {} has no {what} in site {}",
            quoted(resource.as_str()),
            quoted(site.value.as_str())
        );
        Finding::new(code::NOT_THERE, site.at, message)
            .help(format!("it has one in {}", known.join(", ")))
            .into()
    })
}

fn unknown_site(site: &str, at: Place) -> Finding {
    Finding::new(code::UNKNOWN_SITE, at, format!("there is no site {}", quoted(site)))
}
