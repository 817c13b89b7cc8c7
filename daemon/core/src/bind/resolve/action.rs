//! Actions, resolved.

use super::{Missing, REPORTED, Scope, side};
use crate::action::{self, Action, Balancer, FenceProof, Host};
use crate::check::Database;
use crate::decode::{Call, Object, Value};
use crate::finding::{Finding, code, quoted};
use crate::fleet::Body;
use crate::ids::{ResourceId, SiteId};
use crate::source::Spanned;
use std::collections::BTreeMap;

impl Scope<'_> {
    /// The action with every address in it.
    pub fn action(&self, call: &Call) -> Result<Action, Missing> {
        let args = &self.args(call)?;
        let text = |key| args.text(key).map(str::to_owned);
        match call.spec.name {
            "postgres.promote" => {
                let (database, _) = self.database(args, &self.site(call, args, "at")?)?;
                Ok(Action::PostgresPromote { database })
            }
            "traffic.drain" => {
                let (balancer, server, _) = self.route(args, &self.site(call, args, "at")?)?;
                Ok(Action::TrafficDrain { balancer, server })
            }
            "traffic.ready" => {
                let (balancer, server, _) = self.route(args, &self.site(call, args, "at")?)?;
                Ok(Action::TrafficReady { balancer, server })
            }
            "traffic.shift" => self.shift(call, args),
            "dns.set" => {
                let (dns, values) = self.record(args, &self.site(call, args, "to")?)?;
                Ok(Action::DnsSet {
                    server: dns.server.clone(),
                    zone: dns.zone.clone(),
                    name: dns.name.clone(),
                    record_type: dns.record_type,
                    ttl: dns.ttl,
                    key: dns.key.clone(),
                    values,
                })
            }
            "http.request" => self.http_request(call, args),
            "command.run" => Ok(Action::CommandRun {
                command: args.texts("command").into_iter().map(|word| word.value).collect(),
                env: values(args, "env"),
                idempotent: args.flag("idempotent").unwrap_or(false),
                linger: args.span("linger"),
            }),
            "ssh.run" => Ok(Action::SshRun {
                host: self.host(args, &self.site(call, args, "at")?)?,
                run: args.texts("run").into_iter().map(|word| word.value).collect(),
                idempotent: args.flag("idempotent").unwrap_or(false),
            }),
            "postgres.run" => {
                let (database, _) = self.database(args, &self.site(call, args, "at")?)?;
                let sql = args.texts("sql").into_iter().map(|statement| statement.value).collect();
                Ok(Action::PostgresRun { database, sql })
            }
            "wait.until" => Ok(Action::WaitUntil {
                all: args.calls("all").into_iter().map(|call| self.check(call)).collect::<Result<_, _>>()?,
            }),
            "approval.ask" => Ok(Action::ApprovalAsk {
                role: text("role").ok_or(REPORTED)?,
                quorum: args.number("quorum").and_then(|n| u32::try_from(n).ok()).ok_or(REPORTED)?,
                message: text("message").ok_or(REPORTED)?,
            }),
            _ => self.fence(call, args),
        }
    }

    /// The balancer and the server of a site on a route, and the servers of the other sites.
    fn route(
        &self,
        args: &Object,
        site: &Spanned<SiteId>,
    ) -> Result<(Balancer, String, Vec<String>), Missing> {
        let (id, Body::Route { haproxy, backend, servers }) = self.resource(args, "route")? else {
            return Err(REPORTED);
        };
        let balancer = Balancer {
            site: site.value.clone(),
            socket: side(haproxy, id, "balancer", site)?.clone(),
            backend: backend.clone(),
        };
        let server = side(servers, id, "server", site)?.clone();
        let others = servers.iter().filter(|(other, _)| **other != site.value);
        Ok((balancer, server, others.map(|(_, server)| server.clone()).collect()))
    }

    fn host(&self, args: &Object, site: &Spanned<SiteId>) -> Result<Host, Missing> {
        let (id, Body::Ssh(logins)) = self.resource(args, "on")? else { return Err(REPORTED) };
        let login = side(logins, id, "host", site)?;
        Ok(Host {
            fleet: self.fleet.name.value.clone(),
            name: id.clone(),
            site: site.value.clone(),
            address: login.address.clone(),
            user: login.user.clone(),
            host_keys: login.host_keys.clone(),
            key: login.key.clone(),
        })
    }

    fn shift(&self, call: &Call, args: &Object) -> Result<Action, Missing> {
        let (balancer, server, others) = self.route(args, &self.site(call, args, "to")?)?;
        let weights: Vec<u8> = args
            .list("weights")
            .iter()
            .filter_map(|item| match item.value {
                Value::Number(percent) => u8::try_from(percent).ok(),
                _ => None,
            })
            .collect();
        if let Some(at) = args.get("weights").map(|value| value.at)
            && !weights.is_sorted_by(|a, b| a < b)
        {
            return Err(
                Finding::new(code::WRONG_VALUE, at, "each weight must be above the one before it").into()
            );
        }
        Ok(Action::TrafficShift {
            balancer,
            server,
            others,
            weights,
            hold: args.span("hold").unwrap_or_default(),
            gates: args.calls("gates").into_iter().map(|call| self.check(call)).collect::<Result<_, _>>()?,
        })
    }

    fn http_request(&self, call: &Call, args: &Object) -> Result<Action, Missing> {
        let base = self.endpoint(args, &self.site(call, args, "at")?)?;
        let method = args.text("method").ok_or(REPORTED)?.to_owned();
        let status = args.list("status").iter().filter_map(|item| match item.value {
            Value::Number(status) => u16::try_from(status).ok(),
            _ => None,
        });
        Ok(Action::HttpRequest {
            url: format!("{base}{}", args.text("path").unwrap_or("/")),
            headers: values(args, "headers"),
            body: args.text("body").map(str::to_owned),
            status: status.collect(),
            idempotent: args.flag("idempotent").unwrap_or_else(|| action::repeats(&method)),
            linger: args.span("linger"),
            method,
        })
    }

    /// The proofs that this fleet can give for the site, in the order of the step.
    fn fence(&self, call: &Call, args: &Object) -> Result<Action, Missing> {
        let site = self.site(call, args, "site")?;
        let mut any_of = Vec::new();
        for proof in args.texts("any_of") {
            any_of.extend(match proof.value.as_str() {
                "power_off" => self
                    .fleet
                    .power_off(&site.value)
                    .map(|command| FenceProof::PowerOff { command: command.to_vec() }),
                "writes_refused" => self.writes_refused(&site.value),
                "operator_word" => match args.text("role") {
                    Some(role) => Some(FenceProof::OperatorWord { role: role.to_owned() }),
                    None => {
                        let message = "`operator_word` needs `role`: whose word counts";
                        return Err(Finding::new(code::NO_PROOF, proof.at, message).into());
                    }
                },
                _ => Some(FenceProof::SiteLeaseExpired),
            });
        }
        if any_of.is_empty() {
            let message =
                format!("none of these proofs can be given for site {}", quoted(site.value.as_str()));
            return Err(Finding::new(code::NO_PROOF, call.key_at, message)
                .help("`power_off` needs an entry under `fence`, `writes_refused` a cluster with servers in both sites")
                .into());
        }
        Ok(Action::FenceProve { site: site.value, any_of })
    }

    fn writes_refused(&self, site: &SiteId) -> Option<FenceProof> {
        let (mut databases, mut witness): (Vec<Database>, Vec<Database>) = Default::default();
        for cluster in &self.clusters {
            let mut servers = self.fleet.cluster(&ResourceId::new(*cluster));
            databases.extend(servers.remove(site));
            witness.extend(servers.into_values());
        }
        (!databases.is_empty() && !witness.is_empty())
            .then_some(FenceProof::WritesRefused { databases, witness })
    }
}

/// A map of literals and secrets.
fn values(args: &Object, key: &str) -> BTreeMap<String, action::Value> {
    let value = |value: &Value| match value {
        Value::Text(text) => Some(action::Value::Text(text.clone())),
        Value::Secret(name) => Some(action::Value::Secret(name.clone())),
        _ => None,
    };
    args.map(key).iter().filter_map(|(name, item)| Some((name.value.clone(), value(&item.value)?))).collect()
}
