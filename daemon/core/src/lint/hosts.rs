//! Hosts that are logged in to: what would become an option of ssh, and keys that are none.

use crate::finding::{Finding, code, quoted};
use crate::fleet::Login;

const KEY_TYPES: &[&str] = &[
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// What is wrong with a login.
pub(super) fn login(login: &Login) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut wrong = |message: String| {
        found.push(Finding::new(code::WRONG_VALUE, login.at, message));
    };
    let plain = |text: &str, more: &[char]| {
        let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '[');
        first && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
    };
    if !plain(&login.user, &['_', '-', '.', '@', '$']) {
        wrong(format!("{} is not a user to log in as", quoted(&login.user)));
    }
    if !plain(&login.address, &['_', '-', '.', ':', '[', ']', '%']) {
        wrong(format!("{} is not a host to log in to", quoted(&login.address)));
    }
    let bad = login.host_keys.iter().find(|key| !is_public_key(key));
    if let Some(bad) = bad {
        let shown: String = bad.chars().take(20).collect();
        found.push(
            Finding::new(
                code::WRONG_VALUE,
                login.at,
                format!("{} is not the public key of a host", quoted(&shown)),
            )
            .help("write the line of the host's `/etc/ssh/ssh_host_ed25519_key.pub`: `ssh-ed25519 AAAA...`"),
        );
    }
    found
}

/// The type, the key in base64, and perhaps a comment.
fn is_public_key(line: &str) -> bool {
    let mut words = line.split(' ');
    let (Some(kind), Some(key)) = (words.next(), words.next()) else { return false };
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    KEY_TYPES.contains(&kind)
        && key.starts_with("AAAA")
        && key.bytes().all(base64)
        && line.chars().all(|c| !c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Place;

    fn finds(user: &str, address: &str, key: &str) -> usize {
        let login = Login {
            at: Place::default(),
            address: address.into(),
            user: user.into(),
            host_keys: vec![key.into()],
            key: None,
        };
        super::login(&login).len()
    }

    #[test]
    fn what_ssh_would_take_for_an_option_is_refused() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIQ= root@db";
        assert_eq!(finds("standfast", "10.1.0.10:22", key), 0);
        assert_eq!(finds("svc.failover", "[2001:db8::1]:22", "ssh-rsa AAAAB3NzaC1yc2E="), 0);
        for (user, address) in
            [("-oProxyCommand=x", "a:22"), ("a b", "a:22"), ("kim", "-oProxyCommand=x:22"), ("kim", "a b:22")]
        {
            assert_eq!(finds(user, address, key), 1, "{user} {address}");
        }
        for key in
            ["SHA256:abc", "ssh-ed25519", "ssh-ed25519 short", "-----BEGIN OPENSSH PRIVATE KEY-----", "AAAA"]
        {
            assert_eq!(finds("kim", "a:22", key), 1, "{key}");
        }
    }
}
