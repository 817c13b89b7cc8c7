//! Conditions, resolved.

use super::{Missing, REPORTED, Scope};
use crate::check::{Check, LagLimit, Role};
use crate::decode::{Call, Object, url_host};
use crate::ids::SiteId;
use crate::source::Spanned;

impl Scope<'_> {
    /// The condition with every address in it.
    pub fn check(&self, call: &Call) -> Result<Check, Missing> {
        let args = &self.args(call)?;
        match call.spec.name {
            "http.get" => self.http_get(call, args),
            "tcp.connect" => self.tcp_connect(call, args),
            "dns.answers" => {
                let site = self.site(call, args, "is")?;
                let (dns, values) = self.record(args, &site)?;
                Ok(Check::DnsAnswers {
                    server: dns.server.clone(),
                    name: dns.name.clone(),
                    record_type: dns.record_type,
                    is: values,
                })
            }
            _ => self.postgres(call, args, &self.site(call, args, "at")?),
        }
    }

    fn http_get(&self, call: &Call, args: &Object) -> Result<Check, Missing> {
        let base = match args.text("url") {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => self.endpoint(args, &self.site(call, args, "at")?)?.to_owned(),
        };
        Ok(Check::HttpGet {
            url: format!("{base}{}", args.text("path").unwrap_or("/")),
            status: args.number("status").and_then(|status| u16::try_from(status).ok()).ok_or(REPORTED)?,
            body: args.text("body").map(str::to_owned),
            below: args.span("below"),
        })
    }

    fn tcp_connect(&self, call: &Call, args: &Object) -> Result<Check, Missing> {
        let address = match args.text("address") {
            Some(address) => address.to_owned(),
            None => {
                let url = self.endpoint(args, &self.site(call, args, "at")?)?;
                url_host(url).ok_or(REPORTED)?
            }
        };
        Ok(Check::TcpConnect { address })
    }

    fn postgres(&self, call: &Call, args: &Object, site: &Spanned<SiteId>) -> Result<Check, Missing> {
        let (database, others) = self.database(args, site)?;
        match call.spec.name {
            "postgres.role" => Ok(Check::PostgresRole {
                database,
                is: if args.text("is") == Some("primary") { Role::Primary } else { Role::Standby },
            }),
            "postgres.writable" => Ok(Check::PostgresWritable { database }),
            "postgres.lag" => {
                let limit = match (args.span("below"), args.number("below_bytes")) {
                    (Some(span), _) => LagLimit::Below(span),
                    (None, Some(bytes)) => LagLimit::BelowBytes(bytes),
                    (None, None) => LagLimit::Zero,
                };
                Ok(Check::PostgresLag { replica: database, others, limit })
            }
            _ => Err(REPORTED),
        }
    }
}
