//! Scalars: numbers, words, durations, addresses, variables.

use super::{Context, Decoder, Target, Value, Var};
use crate::date::Date;
use crate::finding::code::{self, Code};
use crate::finding::{Finding, hides, quoted};
use crate::schema::Type;
use crate::source::Place;
use crate::time::Span;

/// Why a scalar cannot be read.
pub(super) struct Wrong {
    /// Which kind of wrong.
    pub(super) code: Code,
    /// What is wrong, as a sentence about the value.
    pub(super) why: String,
    /// Words to compare it with.
    pub(super) known: &'static [&'static str],
}

impl Wrong {
    fn new(code: Code, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), known: &[] }
    }
}

impl Decoder<'_> {
    pub(super) fn scalar(&mut self, text: &str, plain: bool, ty: &Type, at: Place) -> Option<Value> {
        if let Some(var) = self.variable(text, ty, at)? {
            return Some(Value::Var(var));
        }
        match read(text, plain, ty) {
            Ok(value) => {
                self.note_reference(text, ty, at);
                Some(value)
            }
            Err(wrong) => {
                let finding = Finding::new(wrong.code, at, wrong.why);
                self.report(if wrong.known.is_empty() {
                    finding
                } else {
                    finding.did_you_mean(text, wrong.known.iter().copied())
                });
                None
            }
        }
    }

    /// Reports what is not a name.
    pub(super) fn name(&mut self, text: &str, at: Place) -> bool {
        match read(text, false, &Type::Name) {
            Ok(_) => true,
            Err(wrong) => {
                self.report(Finding::new(wrong.code, at, wrong.why));
                false
            }
        }
    }

    /// `Some(Some(var))` for a variable, `Some(None)` for a literal, `None` for what looks like
    /// a variable and is not one here.
    fn variable(&mut self, text: &str, ty: &Type, at: Place) -> Option<Option<Var>> {
        let var = match text {
            "$from" => Some(Var::From),
            "$to" => Some(Var::To),
            _ => match text.strip_prefix("$inputs.") {
                Some(name) if is_name(name) => Some(Var::Input(name.into())),
                _ => None,
            },
        };
        let refused = match &var {
            None => interpolates(text).map(|part| {
                format!("{} looks like interpolation, and nothing is replaced inside a text", quoted(part))
            }),
            Some(_) if self.context == Context::Fleet => {
                Some(format!("{} has no value in a fleet", quoted(text)))
            }
            Some(_) if !self.in_call => {
                Some(format!("{} has no value outside of a step's action", quoted(text)))
            }
            Some(Var::Input(_)) => None,
            Some(_) if matches!(ty, Type::Site) => None,
            Some(_) => {
                let message = format!("{} is a site; this must be {}", quoted(text), ty.words());
                self.report(Finding::new(code::WRONG_TYPE, at, message));
                return None;
            }
        };
        if let Some(message) = refused {
            self.report(
                Finding::new(code::INTERPOLATION, at, message).help(
                    "`$from`, `$to` and `$inputs.x` stand alone, as whole values of a step's arguments",
                ),
            );
            return None;
        }
        if let Some(Var::Input(name)) = &var {
            self.refer(Target::Input, name, at);
        }
        Some(var)
    }

    fn note_reference(&mut self, text: &str, ty: &Type, at: Place) {
        let target = match ty {
            Type::Site if self.context == Context::Playbook => {
                let message = format!("the literal site {} in a playbook", quoted(text));
                self.report(
                    Finding::new(code::LITERAL_SITE, at, message)
                        .help("write `$from` or `$to`: the same playbook serves both directions"),
                );
                return;
            }
            Type::Site => Target::Site,
            Type::Resource(kind) => Target::Resource(*kind),
            Type::Service => Target::Service,
            Type::Role => Target::Role,
            Type::Playbook => Target::Playbook,
            _ => return,
        };
        self.refer(target, text, at);
    }
}

/// The part of a text that looks as if something should be put in its place.
fn interpolates(text: &str) -> Option<&str> {
    // Hardly any text holds what all of the marks begin with.
    if !text.bytes().any(|byte| matches!(byte, b'$' | b'{')) {
        return None;
    }
    for mark in ["${", "{{", "$from", "$to", "$inputs"] {
        if let Some(start) = text.find(mark) {
            return text.get(start..);
        }
    }
    // A word after a single `$`, as a whole value.
    let word = text.strip_prefix('$')?;
    is_name(word).then_some(text)
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.len() <= 63
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Reads a literal as this type.
pub(super) fn read(text: &str, plain: bool, ty: &Type) -> Result<Value, Wrong> {
    let wanted = || Wrong::new(code::WRONG_TYPE, format!("{} is not {}", quoted(text), ty.words()));
    let bad = |why: String| Err(Wrong::new(code::WRONG_VALUE, why));
    match ty {
        Type::Flag => match text {
            "true" if plain => Ok(Value::Flag(true)),
            "false" if plain => Ok(Value::Flag(false)),
            _ => Err(wanted()),
        },
        Type::Number(least, most) => {
            if !plain || text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
                return Err(wanted());
            }
            match text.parse::<u64>() {
                Ok(number) if (*least..=*most).contains(&number) => Ok(Value::Number(number)),
                _ => bad(format!("{} is not {}", quoted(text), ty.words())),
            }
        }
        Type::Span => Span::parse(text).map(Value::Span).or_else(|why| bad(format!("not a duration: {why}"))),
        Type::Finding => match code::ALL.iter().any(|code| code.id == text) {
            true => Ok(Value::Text(text.into())),
            false => Err(Wrong::new(
                code::WRONG_VALUE,
                format!("there is no finding {}: `standfast explain` lists all", quoted(text)),
            )),
        },
        Type::Date => Date::parse(text).map(Value::Date).or_else(bad),
        Type::Choice(words) => match words.contains(&text) {
            true => Ok(Value::Text(text.into())),
            false => Err(Wrong {
                known: words,
                ..Wrong::new(code::WRONG_VALUE, format!("{} is not {}", quoted(text), ty.words()))
            }),
        },
        Type::Name | Type::Site | Type::Resource(_) | Type::Service | Type::Playbook | Type::Step => {
            match is_name(text) {
                true => Ok(Value::Text(text.into())),
                false => Err(Wrong::new(
                    code::NOT_A_NAME,
                    format!("{} is not a name: letters, digits, `-` and `_`, at most 63", quoted(text)),
                )),
            }
        }
        Type::Text | Type::TextOrSecret | Type::Role if text.trim().is_empty() => {
            bad("this text must not be empty".into())
        }
        Type::Text | Type::TextOrSecret | Type::Role => match text.chars().find(|c| hidden(*c)) {
            None => Ok(Value::Text(text.into())),
            Some(c) => bad(format!(
                "this text holds U+{:04X}: nothing that moves a terminal's cursor, reorders or vanishes",
                u32::from(c)
            )),
        },
        Type::Url | Type::Path | Type::Address | Type::Socket | Type::Network => match fits(text, ty) {
            true => Ok(Value::Text(text.into())),
            false => bad(format!("{} is not {}", quoted(text), ty.words())),
        },
        _ => Err(wanted()),
    }
}

/// What has no place in a text: everything that hides but line breaks and tabs.
fn hidden(c: char) -> bool {
    hides(c) && !matches!(c, '\n' | '\t')
}

fn fits(text: &str, ty: &Type) -> bool {
    let graphic = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
    graphic
        && match ty {
            Type::Url => url_host(text).is_some(),
            Type::Path => text.starts_with('/'),
            Type::Address => is_address(text),
            Type::Socket => match text.split_once("://") {
                Some(("tcp", address)) => is_address(address),
                Some(("unix", path)) => path.starts_with('/') && path.len() > 1,
                _ => false,
            },
            _ => is_network(text),
        }
}

/// `host:port`, a port above zero; an IPv6 host stands in brackets.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let host_ok = match host.strip_prefix('[') {
            Some(v6) => v6.strip_suffix(']').is_some_and(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok()),
            None => {
                !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
            }
        };
        host_ok && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn is_network(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, bits)| {
        let most = match address.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(_)) => 32,
            Ok(std::net::IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.bytes().all(|b| b.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    })
}

/// `host:port` of an HTTP URL, with the scheme's port when it names none.
pub fn url_host(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let host = rest.split(['/', '?', '#']).next()?;
    let named = if is_address(host) { host.to_owned() } else { format!("{host}:{port}") };
    is_address(&named).then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_text() {
        for good in ["10.0.0.1:53", "[::1]:80", "db-1.example.net:5432"] {
            assert!(fits(good, &Type::Address), "{good}");
        }
        for bad in ["10.0.0.1", ":53", "h:0", "h:65536", "h:+1", "a b:1", "::1:80", "[::1]", "h:"] {
            assert!(!fits(bad, &Type::Address), "{bad}");
        }
        for good in ["tcp://10.0.0.1:9999", "unix:///run/h.sock"] {
            assert!(fits(good, &Type::Socket), "{good}");
        }
        for bad in ["unix://relative", "unix:///", "udp://a:1", "10.0.0.1:1"] {
            assert!(!fits(bad, &Type::Socket), "{bad}");
        }
        for bad in ["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/-1", "::/129"] {
            assert!(!fits(bad, &Type::Network), "{bad}");
        }
    }

    #[test]
    fn urls_give_host_and_port() {
        let host = |url| url_host(url).unwrap_or_default();
        assert_eq!(host("https://shop.example.net/x?y"), "shop.example.net:443");
        assert_eq!(host("http://127.0.0.1:8080"), "127.0.0.1:8080");
        assert_eq!(host("http://[::1]/"), "[::1]:80");
        for bad in ["ftp://x", "http://", "shop.example.net", "http://u@h", "http://h:99999"] {
            assert_eq!(url_host(bad), None, "{bad}");
        }
    }

    #[test]
    fn interpolation_is_seen_and_prices_are_not() {
        for text in ["${site}", "a {{ b }}", "db-$to", "$form", "$inputs", "$inputs.a.b"] {
            assert!(interpolates(text).is_some(), "{text}");
        }
        for text in ["costs $5.00 now", "$", "echo $HOME", "a$b", "{x}"] {
            assert!(interpolates(text).is_none(), "{text}");
        }
    }
}
