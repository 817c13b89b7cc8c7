//! Calls to a cluster of which some members may be dead, cut off or stopped.
//!
//! All addresses are asked at once and the first member that answers a health check is used: a
//! stopped process still accepts connections. A call that fails for want of an answer goes to
//! another member with the same request id, so that nothing happens twice.

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::exit::{Exit, Failure};

/// Time for a member to show that it lives.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// A watch whose member falls silent is noticed after twice this.
const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// Before the path of a member's socket on this machine.
const SOCKET: &str = "unix:";

mod handshake;

use handshake::{Handshake, Refusal};

/// Files for mutual TLS, all in PEM.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The authority that signs the members' certificates.
    pub ca: Option<PathBuf>,
    /// The caller's certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// A cluster, as one peer.
pub struct Client {
    members: Vec<Member>,
    timeout: Duration,
    connected: Option<(usize, Channel)>,
}

struct Member {
    address: String,
    endpoint: Endpoint,
    /// For https: how to find out who refuses whose certificate.
    handshake: Option<Handshake>,
}

/// Why a member was not used.
struct Silent {
    why: String,
    refusal: Option<Refusal>,
}

impl Client {
    /// Reads the files and the addresses (`host:port`, a URL, or `unix:PATH`); connects to nothing yet.
    /// `timeout` is for one call to one member.
    pub fn new(addresses: &[String], tls: &Tls, timeout: Duration) -> Result<Self, Failure> {
        let config = tls.config()?;
        let members = addresses
            .iter()
            .map(|address| member(address.trim(), config.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        if members.is_empty() {
            return Err(Failure::usage("no address of a member").hint("give one: --server host:7766"));
        }
        Ok(Self { members, timeout, connected: None })
    }

    /// How many addresses there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Never true: a client without addresses cannot be built.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Sends one request, to another member when one does not answer.
    pub async fn call<Q, A, F>(
        &mut self,
        request: Q,
        send: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, Failure>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut silent = Vec::new();
        let mut last = None;
        while silent.len() < self.members.len() {
            let (index, channel) = match self.connect(&silent).await {
                Ok(connected) => connected,
                Err(unreachable) => return Err(last.unwrap_or(unreachable)),
            };
            let mut attempt = Request::new(request.clone());
            attempt.set_timeout(self.timeout);
            let failure = match tokio::time::timeout(self.timeout, send(channel, attempt)).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) if !another_may_answer(&status) => return Err(status.into()),
                Ok(Err(status)) => Failure::from(status),
                Err(_) => Failure::new(
                    Exit::Unreachable,
                    format!(
                        "{} did not answer within {}",
                        self.members[index].address,
                        super::human::duration(self.timeout)
                    ),
                )
                .hint("give it longer: --timeout 1m"),
            };
            silent.push(index);
            self.connected = None;
            last = Some(failure);
        }
        Err(last.expect("at least one member was asked"))
    }

    /// Opens a stream; `silent` are the members not to ask. Answers the member that was asked, and
    /// what it said; fails when there was none to ask.
    pub async fn open<Q, A, F>(
        &mut self,
        request: Q,
        silent: &[usize],
        send: impl FnOnce(Channel, Request<Q>) -> F,
    ) -> Result<(usize, Result<A, Status>), Failure>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let (index, channel) = self.connect(silent).await?;
        let opened = tokio::time::timeout(self.timeout, send(channel, Request::new(request))).await;
        let opened = opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
        Ok((index, opened.map(Response::into_inner)))
    }

    /// A channel to each member, which connects when it is used.
    pub fn channels(&self) -> Vec<(String, Channel)> {
        let channel = |member: &Member| (member.address.clone(), member.endpoint.connect_lazy());
        self.members.iter().map(channel).collect()
    }

    /// The address of a member, for people.
    pub fn address(&self, index: usize) -> &str {
        &self.members[index].address
    }

    /// Forgets the connection: its member fell silent.
    pub fn disconnect(&mut self) {
        self.connected = None;
    }

    /// The first member that answers, one that serves before one that says it does not.
    async fn connect(&mut self, silent: &[usize]) -> Result<(usize, Channel), Failure> {
        if let Some((index, channel)) = &self.connected
            && !silent.contains(index)
        {
            return Ok((*index, channel.clone()));
        }
        let mut asked: FuturesUnordered<_> = (0..self.members.len())
            .filter(|index| !silent.contains(index))
            .map(|index| {
                let Member { endpoint, handshake, .. } = &self.members[index];
                let (endpoint, handshake) = (endpoint.clone(), handshake.clone());
                async move { (index, probe(endpoint, handshake).await) }
            })
            .collect();
        let mut second_best = None;
        let (mut reasons, mut refusals) = (Vec::new(), Vec::new());
        while let Some((index, answer)) = asked.next().await {
            match answer {
                Ok((channel, true)) => {
                    self.connected = Some((index, channel.clone()));
                    return Ok((index, channel));
                }
                Ok((channel, false)) => second_best = second_best.or(Some((index, channel))),
                Err(Silent { why, refusal }) => {
                    reasons.push(format!("{}: {why}", self.members[index].address));
                    refusals.extend(refusal);
                }
            }
        }
        self.connected = second_best.clone();
        second_best.ok_or_else(|| unreachable(reasons, &refusals))
    }
}

fn unreachable(mut reasons: Vec<String>, refusals: &[Refusal]) -> Failure {
    reasons.sort();
    let lines = reasons.join("\n  ");
    if refusals.contains(&Refusal::Ours) {
        return Failure::new(Exit::Denied, format!("no member takes your certificate\n  {lines}")).hint(
            "--tls-cert and --tls-key must be of the authority that the members know, and not have ended: \
             standfast pki issue",
        );
    }
    let failure = Failure::new(Exit::Unreachable, format!("no member answers\n  {lines}"));
    if refusals.contains(&Refusal::Theirs) {
        return failure.hint(
            "--tls-ca must be the authority of the members' certificates, and each member be called by a name \
             or address that stands in its own",
        );
    }
    let failure = match refusals.contains(&Refusal::None) {
        true => failure.hint("if members want TLS: --tls-ca, --tls-cert, --tls-key"),
        false => failure,
    };
    failure.hint("name others: --server host:7766,host:7766, or STANDFAST_SERVER")
}

/// Whether a member answers, and whether it serves.
async fn probe(endpoint: Endpoint, handshake: Option<Handshake>) -> Result<(Channel, bool), Silent> {
    let ask = async {
        let channel = endpoint.clone().connect().await.map_err(|error| root_cause(&error))?;
        let mut health = HealthClient::new(channel.clone());
        match health.check(HealthCheckRequest { service: String::new() }).await {
            Ok(answer) => Ok((channel, answer.into_inner().status() == ServingStatus::Serving)),
            Err(status) if status.code() == Code::Unimplemented => Ok((channel, true)),
            Err(status) => Err(match std::error::Error::source(&status) {
                Some(cause) => root_cause(cause),
                None => status.message().to_owned(),
            }),
        }
    };
    let why = match tokio::time::timeout(ANSWER_WITHIN, ask).await {
        Ok(Ok(answered)) => return Ok(answered),
        Ok(Err(why)) => why,
        Err(_) => {
            let why = format!("no answer within {} s", ANSWER_WITHIN.as_secs());
            return Err(Silent { why, refusal: None });
        }
    };
    // What the layers above say of a refused certificate is chance: a broken pipe, an alert.
    let refused = match handshake {
        Some(handshake) => tokio::time::timeout(ANSWER_WITHIN, handshake.refused()).await.ok().flatten(),
        None => {
            let missing = tokio::time::timeout(ANSWER_WITHIN, Handshake::missing(endpoint.uri())).await;
            return Err(Silent { why, refusal: missing.ok().flatten() });
        }
    };
    Err(match refused {
        Some((refusal, why)) => Silent { why, refusal: Some(refusal) },
        None => Silent { why, refusal: None },
    })
}

/// The layers of a transport say "transport error"; the innermost says what it was.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Whether the same request makes sense at another member.
pub(super) fn another_may_answer(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled)
}

fn member(address: &str, tls: Option<&(ClientTlsConfig, Handshake)>) -> Result<Member, Failure> {
    if let Some(path) = address.strip_prefix(SOCKET) {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            let failure = Failure::usage(format!("`{address}` names no socket"));
            return Err(
                failure.hint("as in --server unix:/run/standfast/a1.sock: `listen.socket` of the member")
            );
        }
        // Whoever has a certificate for other members needs none here.
        let endpoint = Endpoint::from_shared(format!("{SOCKET}{path}")).map_err(|error| {
            Failure::usage(format!("`{address}` is no path of a socket: {}", root_cause(&error)))
        })?;
        return Ok(Member { address: address.to_owned(), endpoint: attentive(endpoint), handshake: None });
    }
    let url = match (address.contains("://"), tls) {
        (true, _) => address.to_owned(),
        (false, Some(_)) => format!("https://{address}"),
        (false, None) => format!("http://{address}"),
    };
    let bad = |why: &str| {
        Failure::usage(format!("`{address}` is not an address of a member: {why}"))
            .hint("as in --server 10.1.0.2:7766 or --server https://10.1.0.2:7766")
    };
    let uri: Uri = url.parse().map_err(|error| bad(&root_cause(&error)))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(bad("members speak https, or http on loopback"));
    }
    if uri.port_u16().is_none() {
        return Err(bad("it has no port"));
    }
    let mut endpoint = attentive(Endpoint::from(uri));
    match (url.starts_with("https://"), tls) {
        (true, Some((tls, _))) => {
            endpoint = endpoint.tls_config(tls.clone()).map_err(|error| {
                Failure::usage(format!("the TLS files do not work: {}", root_cause(&error)))
            })?;
        }
        (true, None) => return Err(bad("https needs --tls-ca, --tls-cert and --tls-key")),
        (false, Some(_)) => return Err(bad("TLS files are given, and http does not use them")),
        (false, None) => {}
    }
    let handshake = tls.map(|(_, handshake)| handshake.to(endpoint.uri()));
    Ok(Member { address: address.to_owned(), endpoint, handshake })
}

/// Notices when nobody is there any more.
fn attentive(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(ANSWER_WITHIN)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
}

impl Tls {
    /// None when no file is named.
    fn config(&self) -> Result<Option<(ClientTlsConfig, Handshake)>, Failure> {
        let (ca, cert, key) = match (&self.ca, &self.cert, &self.key) {
            (None, None, None) => return Ok(None),
            (Some(ca), Some(cert), Some(key)) => (ca, cert, key),
            _ => {
                let given = [("ca", &self.ca), ("cert", &self.cert), ("key", &self.key)];
                let missing = given.into_iter().filter(|(_, file)| file.is_none());
                let flags: Vec<_> = missing.map(|(name, _)| format!("--tls-{name}")).collect();
                return Err(Failure::usage(format!("TLS needs three files; missing: {}", flags.join(", ")))
                    .hint("or STANDFAST_TLS_CA, STANDFAST_TLS_CERT and STANDFAST_TLS_KEY"));
            }
        };
        crate::tls::install_provider();
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
        };
        let (ca_pem, cert_pem, key_pem) = (read(ca)?, read(cert)?, read(key)?);
        let handshake = Handshake::new([(ca, &ca_pem), (cert, &cert_pem), (key, &key_pem)])?;
        let config = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(ca_pem))
            .identity(Identity::from_pem(cert_pem, key_pem));
        Ok(Some((config, handshake)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(address: &str, tls: &Tls) -> Result<Client, Failure> {
        Client::new(&[address.to_owned()], tls, Duration::from_secs(1))
    }

    fn refusal(address: &str, tls: &Tls) -> Failure {
        new(address, tls).err().expect("refused")
    }

    #[test]
    fn addresses_need_no_scheme() {
        assert_eq!(new("10.1.0.2:7766", &Tls::default()).expect("a client").len(), 1);
    }

    #[test]
    fn a_socket_needs_no_certificate() {
        for address in ["unix:/run/standfast/a1.sock", "unix:///run/standfast/a1.sock"] {
            assert_eq!(new(address, &Tls::default()).expect("a client").len(), 1);
        }
        let failure = refusal("unix:", &Tls::default());
        assert!(failure.message.contains("names no socket"), "{failure}");
    }

    #[test]
    fn a_wrong_address_is_a_usage_error_that_names_it() {
        let failure = refusal("http://[", &Tls::default());
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("`http://[`"), "{failure}");
        for (address, why) in [("ftp://10.1.0.2:7766", "speak https"), ("10.1.0.2", "no port")] {
            let failure = refusal(address, &Tls::default());
            assert!(failure.message.contains(address) && failure.message.contains(why), "{failure}");
        }
    }

    #[test]
    fn half_of_the_tls_files_is_a_usage_error() {
        let tls = Tls { ca: Some("ca.pem".into()), ..Tls::default() };
        assert_eq!(refusal("10.1.0.2:7766", &tls).exit, Exit::Usage);
        let failure = refusal("https://10.1.0.2:7766", &Tls::default());
        assert!(failure.message.contains("--tls-ca"), "{failure}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let file = || Some(PathBuf::from("/nonexistent/ca.pem"));
        let failure = refusal("10.1.0.2:7766", &Tls { ca: file(), cert: file(), key: file() });
        assert!(failure.message.contains("/nonexistent/ca.pem"), "{failure}");
    }
}
