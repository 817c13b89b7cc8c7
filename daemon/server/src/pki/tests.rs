use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::Parser;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    pki: PkiArgs,
}

fn pki(args: &[&str]) -> Result<Vec<PathBuf>, String> {
    let cli = Cli::try_parse_from(["pki"].iter().chain(args)).map_err(|e| e.to_string())?;
    cli.pki.run().map_err(|e| e.to_string())
}

fn inspect<T>(path: &Path, look: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
    let pem = std::fs::read(path).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
    look(&X509Certificate::from_der(&pem.contents).unwrap().1)
}

fn dir() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pki").display().to_string();
    (dir, path)
}

#[test]
fn init_makes_an_authority_members_and_clients() {
    let (_keep, dir) = dir();
    let files =
        pki(&["init", "--dir", &dir, "--member", "a1=a,127.77.1.1,a1.example.net", "--client", "kim"])
            .unwrap();
    let names: Vec<_> = files.iter().map(|f| f.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["ca.key", "ca.pem", "a1.key", "a1.pem", "kim.key", "kim.pem"]);
    for file in &files {
        let mode = std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
        let key = file.extension().unwrap() == "key";
        assert_eq!(mode & 0o077 == 0, key, "{} has mode {mode:o}", file.display());
    }
    let ca = std::fs::read(&files[1]).unwrap();
    let (_, ca) = x509_parser::pem::parse_x509_pem(&ca).unwrap();
    let ca = X509Certificate::from_der(&ca.contents).unwrap().1;
    assert!(ca.is_ca());
    inspect(&files[3], |member| {
        member.verify_signature(Some(ca.public_key())).unwrap();
        assert_eq!(member.subject().to_string(), "O=standfast, OU=a, CN=a1");
        let usage = member.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && usage.client_auth && !member.is_ca());
        let names = &member.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert!(names.contains(&GeneralName::IPAddress(&[127, 77, 1, 1])));
        assert!(names.contains(&GeneralName::IPAddress(&[127, 0, 0, 1])));
        assert!(names.contains(&GeneralName::DNSName("a1.example.net")));
        let lasts = member.validity().not_after.timestamp() - member.validity().not_before.timestamp();
        assert_eq!(lasts, 730 * 86_400 + 3600);
    });
    inspect(&files[5], |client| {
        client.verify_signature(Some(ca.public_key())).unwrap();
        let usage = client.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth);
    });
}

#[test]
fn issue_signs_with_the_authority_that_is_there() {
    let (_keep, dir) = dir();
    let error = pki(&["issue", "--dir", &dir, "--client", "kim"]).unwrap_err();
    assert!(error.contains("ca.pem") && error.contains("pki init"), "{error}");
    let first = pki(&["init", "--dir", &dir]).unwrap();
    assert!(pki(&["issue", "--dir", &dir]).unwrap_err().contains("nothing to issue"));
    let later = pki(&["issue", "--dir", &dir, "--member", "b1=b,::1", "--days", "30"]).unwrap();
    let ca = std::fs::read(&first[1]).unwrap();
    let (_, ca) = x509_parser::pem::parse_x509_pem(&ca).unwrap();
    let ca = X509Certificate::from_der(&ca.contents).unwrap().1;
    inspect(&later[1], |member| {
        member.verify_signature(Some(ca.public_key())).unwrap();
        assert_eq!(member.issuer(), ca.subject());
    });
}

#[test]
fn nothing_is_overwritten_and_nothing_half_written() {
    let (_keep, dir) = dir();
    pki(&["init", "--dir", &dir, "--client", "kim"]).unwrap();
    let before = std::fs::read(format!("{dir}/ca.key")).unwrap();
    let error = pki(&["init", "--dir", &dir]).unwrap_err();
    assert!(error.contains("ca.key exists, and nothing is overwritten"), "{error}");
    assert_eq!(std::fs::read(format!("{dir}/ca.key")).unwrap(), before);
    let error = pki(&["issue", "--dir", &dir, "--client", "lee", "--client", "kim"]).unwrap_err();
    assert!(error.contains("kim.key exists"), "{error}");
    assert!(!Path::new(&format!("{dir}/lee.key")).exists());
    assert!(!Path::new(&format!("{dir}/lee.pem")).exists());
}

#[test]
fn no_certificate_outlives_its_authority() {
    let (_keep, dir) = dir();
    let error = pki(&["init", "--dir", &dir, "--ca-days", "30", "--client", "kim"]).unwrap_err();
    assert!(error.contains("730 days") && error.contains("ends in 30"), "{error}");
    pki(&["init", "--dir", &dir, "--ca-days", "30", "--days", "30", "--client", "kim"]).unwrap();
    let error = pki(&["issue", "--dir", &dir, "--days", "31", "--client", "lee"]).unwrap_err();
    assert!(error.contains("31 days"), "{error}");
    pki(&["issue", "--dir", &dir, "--days", "7", "--client", "lee"]).unwrap();
}

#[test]
fn names_and_addresses_are_checked() {
    let (_keep, dir) = dir();
    for (args, part) in [
        (["--client", "local"], "`local` and `ca` are taken"),
        (["--client", "ca"], "`local` and `ca` are taken"),
        (["--client", "../x"], "is no name"),
        (["--member", "a1"], "write NAME=SITE"),
        (["--member", "a1="], "is no name"),
        (["--member", "a1=a,host:80"], "neither an IP address nor a host name"),
        (["--member", "a1=a,*.example.net"], "neither an IP address nor a host name"),
        (["--member", "a1=a,"], "neither an IP address nor a host name"),
        (["--days", "0"], "0 is not in 1..=36500"),
    ] {
        let error = pki(&[&["init", "--dir", &dir][..], &args].concat()).unwrap_err();
        assert!(error.contains(part), "{part} is missing in\n{error}");
    }
    let error = pki(&["init", "--dir", &dir, "--client", "x", "--member", "x=a"]).unwrap_err();
    assert!(error.contains("`x` is named twice"), "{error}");
    assert!(!Path::new(&dir).exists());
}
