//! `standfast pki`: a private certificate authority for a fleet, its etcd and its people.
//!
//! Certificates are ECDSA P-256. The authority lasts ten years and a certificate two, by
//! default: one that ends unnoticed is found in the very night it is needed. The daemon
//! shows when its own ends as `standfast_certificate_expires_timestamp_seconds`.

mod write;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

pub use write::PkiError;
use write::{PemFile, write_all};

const AUTHORITY: &str = "ca";

/// `standfast pki`
#[derive(Clone, Debug, clap::Args)]
pub struct PkiArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// Make a private authority, and certificates for members and clients
    Init {
        #[command(flatten)]
        subjects: Subjects,
        /// Days until the authority itself ends
        #[arg(long, value_name = "DAYS", default_value_t = 3650, value_parser = days())]
        ca_days: i64,
    },
    /// Issue further certificates with the authority in the folder
    Issue {
        #[command(flatten)]
        subjects: Subjects,
    },
}

/// For whom certificates are made, and where.
#[derive(Clone, Debug, clap::Args)]
struct Subjects {
    /// Folder of the authority (ca.pem, ca.key) and of what it issues (NAME.pem, NAME.key)
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// A member: its name, its site, and the addresses and host names it is reached at
    /// (localhost is always among them); also good for its etcd (repeatable)
    #[arg(long = "member", value_name = "NAME=SITE[,ADDRESS...]")]
    members: Vec<Member>,
    /// A person or program that calls members; the name is what a fleet's roles list
    /// (repeatable)
    #[arg(long = "client", value_name = "NAME", value_parser = name)]
    clients: Vec<String>,
    /// Days until the certificates end
    #[arg(long, value_name = "DAYS", default_value_t = 730, value_parser = days())]
    days: i64,
}

fn days() -> clap::builder::RangedI64ValueParser {
    clap::value_parser!(i64).range(1..=36_500)
}

#[derive(Clone, Debug)]
struct Member {
    name: String,
    site: String,
    addresses: Vec<SanType>,
}

impl std::str::FromStr for Member {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (member, rest) = text.split_once('=').ok_or("write NAME=SITE,ADDRESS...")?;
        let mut parts = rest.split(',').map(str::trim);
        let site = name(parts.next().unwrap_or_default())?;
        let addresses = parts.map(address).collect::<Result<_, _>>()?;
        Ok(Self { name: name(member)?, site, addresses })
    }
}

fn name(text: &str) -> Result<String, String> {
    match crate::tls::is_name(text) && text != AUTHORITY {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "`{text}` is no name: use 1 to 63 of letters, digits, `-`, `_`, `.`, beginning with a \
             letter or digit; `local` and `ca` are taken"
        )),
    }
}

fn address(text: &str) -> Result<SanType, String> {
    if let Ok(ip) = text.parse() {
        return Ok(SanType::IpAddress(ip));
    }
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_host = text.len() <= 253 && text.split('.').all(label);
    let dns = text.try_into().ok().filter(|_| is_host).map(SanType::DnsName);
    dns.ok_or_else(|| format!("`{text}` is neither an IP address nor a host name (without port)"))
}

impl PkiArgs {
    /// Makes the files and returns their paths, in the order they were written.
    pub fn run(self) -> Result<Vec<PathBuf>, PkiError> {
        match self.command {
            Command::Init { subjects, ca_days } => init(&subjects, ca_days),
            Command::Issue { subjects } => issue(&subjects),
        }
    }
}

fn init(subjects: &Subjects, ca_days: i64) -> Result<Vec<PathBuf>, PkiError> {
    within(subjects.days, ca_days)?;
    let mut params = valid_for(ca_days);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = distinguished("standfast private authority", None);
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    let mut files = Vec::from(PemFile::pair(AUTHORITY, pem, key.serialize_pem()));
    files.extend(leaves(subjects, &Issuer::from_params(&params, key))?);
    write_all(&subjects.dir, &files)
}

fn issue(subjects: &Subjects) -> Result<Vec<PathBuf>, PkiError> {
    if subjects.members.is_empty() && subjects.clients.is_empty() {
        return Err(PkiError::Nothing);
    }
    let (certificate, key) = write::read_authority(&subjects.dir)?;
    let end = CertificateDer::from_pem_slice(certificate.as_bytes()).ok();
    if let Some(end) = end.and_then(|der| crate::tls::expiry_of(&der).ok()) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs());
        within(subjects.days, (end - now.cast_signed()).div_euclid(86_400))?;
    }
    let unusable = |source| PkiError::Authority { dir: subjects.dir.clone(), source };
    let key = KeyPair::from_pem(&key).map_err(unusable)?;
    let issuer = Issuer::from_ca_cert_pem(&certificate, key).map_err(unusable)?;
    write_all(&subjects.dir, &leaves(subjects, &issuer)?)
}

fn leaves(subjects: &Subjects, issuer: &Issuer<'_, KeyPair>) -> Result<Vec<PemFile>, PkiError> {
    let mut seen = BTreeSet::new();
    let names = subjects.members.iter().map(|m| &m.name).chain(&subjects.clients);
    if let Some(twice) = names.into_iter().find(|name| !seen.insert(*name)) {
        return Err(PkiError::Twice { name: twice.clone() });
    }
    let mut files = Vec::new();
    for member in &subjects.members {
        let mut params = leaf(&member.name, Some(&member.site), subjects.days);
        // A member also calls other members, and etcd's peers call one another.
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names.clone_from(&member.addresses);
        params.subject_alt_names.extend(loopback());
        files.extend(signed(&member.name, &params, issuer)?);
    }
    for client in &subjects.clients {
        files.extend(signed(client, &leaf(client, None, subjects.days), issuer)?);
    }
    Ok(files)
}

/// Nobody believes a certificate after the end of its authority.
fn within(days: i64, left: i64) -> Result<(), PkiError> {
    if days > left { Err(PkiError::Outlives { days, left }) } else { Ok(()) }
}

fn leaf(name: &str, site: Option<&str>, days: i64) -> CertificateParams {
    let mut params = valid_for(days);
    params.distinguished_name = distinguished(name, site);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn signed(
    name: &str,
    params: &CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<[PemFile; 2], PkiError> {
    let key = KeyPair::generate()?;
    Ok(PemFile::pair(name, params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}

fn valid_for(days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    // An hour back: the clocks of three sites are not one clock.
    let start = SystemTime::now() - Duration::from_secs(3600);
    params.not_before = start.into();
    params.not_after = (start + Duration::from_secs(3600 + 86_400 * days.unsigned_abs())).into();
    params
}

fn distinguished(name: &str, site: Option<&str>) -> DistinguishedName {
    let mut dn = DistinguishedName::new();
    dn.push(DnType::OrganizationName, "standfast");
    if let Some(site) = site {
        dn.push(DnType::OrganizationalUnitName, site);
    }
    dn.push(DnType::CommonName, name);
    dn
}

fn loopback() -> [SanType; 3] {
    [
        SanType::DnsName("localhost".try_into().expect("ASCII")),
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ]
}

#[cfg(test)]
mod tests;
