//! The bundle of the lab: the playbook of `playbooks/shop` as it is, and its fleet with
//! addresses that exist on this machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::member::SITES;
use super::sentry::NAME;
use crate::parts::ground::ip;
use crate::parts::shop::Shop;
use crate::parts::site::Addresses;
use crate::parts::{Error, Result};

const FLEET: &str = include_str!("../../../playbooks/shop/fleet.yaml");
const PLAYBOOK: &str = include_str!("../../../playbooks/shop/shop.yaml");

/// Where the parts of the fleet really are.
#[derive(Debug, Clone)]
pub struct Places {
    /// Of site a.
    pub a: Addresses,
    /// Of site b.
    pub b: Addresses,
    /// The name server.
    pub dns: SocketAddr,
    /// What cuts site a's power: program and arguments.
    pub power_off: Vec<String>,
}

impl Places {
    /// Those of a running shop.
    pub fn of(shop: &Shop) -> Result<Places> {
        Ok(Places {
            a: shop.a.addresses,
            b: shop.b.addresses,
            dns: shop.bind.address,
            power_off: shop.a.power_off_command()?,
        })
    }
}

/// A fleet and its playbook, as texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// `fleet.yaml`.
    pub fleet: String,
    /// `shop.yaml`.
    pub playbook: String,
}

impl Bundle {
    /// The example of `playbooks/shop`, for these places. With `single_observer` one member's
    /// view suffices.
    pub fn shop(places: &Places, single_observer: bool) -> Result<Bundle> {
        let mut fleet = Text(FLEET.to_string());
        fleet.replace("timing: {profile: default}", "timing: {profile: fast}")?;
        let observer = if single_observer { "single_observer: act\n" } else { "" };
        fleet.replace("automation: advise ", &format!("lab: true\n{observer}automation: act "))?;
        fleet.replace_block("canaries:", "canaries: none\n")?;
        let Places { a, b, dns, power_off } = places;
        fleet.replace(
            r#"{a: "https://shop.a.example.net", b: "https://shop.b.example.net"}"#,
            &format!(r#"{{a: "http://{}", b: "http://{}"}}"#, a.web, b.web),
        )?;
        fleet.replace(
            r#"{a: "https://deploy.a.example.net", b: "https://deploy.b.example.net"}"#,
            &format!(r#"{{a: "http://{}", b: "http://{}"}}"#, a.deploy, b.deploy),
        )?;
        for (old, new) in [("10.1.0.10", a.postgres), ("10.2.0.10", b.postgres)] {
            fleet.replace(&format!("\"host={old} "), &format!("\"host={} port={} ", new.ip(), new.port()))?;
        }
        for (old, new) in [("10.1.0.5:9999", a.runtime), ("10.2.0.5:9999", b.runtime)] {
            fleet.replace(&format!("tcp://{old}"), &format!("tcp://{new}"))?;
        }
        // What stands on loopback stands nowhere; in a network of its own every site has an address.
        for (_, number) in SITES.into_iter().filter(|_| !dns.ip().is_loopback()) {
            fleet.replace(&format!("10.{number}.0.0/16"), &format!("{}/24", ip(number, 0)))?;
        }
        fleet.replace("10.3.0.53:53", &dns.to_string())?;
        fleet.replace(
            "values: {a: 10.1.0.5, b: 10.2.0.5}",
            &format!("values: {{a: {}, b: {}}}", a.front.ip(), b.front.ip()),
        )?;
        // A list of strings is written alike in JSON and in YAML.
        let command = serde_json::to_string(power_off).map_err(|e| Error::answer("fleet", e))?;
        fleet.replace(r#"[ipmi-fence, rack-a, "off"]"#, &command)?;
        Ok(Bundle { fleet: fleet.0, playbook: PLAYBOOK.to_string() })
    }

    /// Lets a sentry guard site a instead of anything that cuts its power: outside of a laboratory.
    pub fn guard(&mut self, stop: &[String], go_on: &[String]) -> Result<()> {
        let step = |command: &[String]| {
            // A list of strings is written alike in JSON and in YAML.
            let words = serde_json::to_string(command).map_err(|e| Error::answer("fleet", e))?;
            Ok::<_, Error>(format!("      - {{run: {words}, timeout: 2s}}\n"))
        };
        let sentry = format!(
            "sentries:\n  {NAME}:\n    site: a\n    guards: [shop, shop-db, deploy-tool]\n    on_isolation:\n{}    \
             on_rejoin:\n{}",
            step(stop)?,
            step(go_on)?
        );
        edit(&mut self.fleet, "lab: true\n", "")?;
        let mut fleet = Text(std::mem::take(&mut self.fleet));
        let edited = fleet.replace_block("fence:", &sentry);
        self.fleet = fleet.0;
        edited?;
        // What nobody can prove is not offered.
        self.edit_playbook(
            "any_of: [site_lease_expired, power_off, writes_refused]",
            "any_of: [site_lease_expired]",
        )
    }

    /// Changes the fleet; `old` must be there, once.
    pub fn edit_fleet(&mut self, old: &str, new: &str) -> Result<()> {
        edit(&mut self.fleet, old, new)
    }

    /// Changes the playbook; `old` must be there, once.
    pub fn edit_playbook(&mut self, old: &str, new: &str) -> Result<()> {
        edit(&mut self.playbook, old, new)
    }

    /// Takes a step, by its id, out of the playbook.
    pub fn remove_step(&mut self, id: &str) -> Result<()> {
        let mut text = Text(std::mem::take(&mut self.playbook));
        let removed = text.replace_block(&format!("  - id: {id}"), "");
        self.playbook = text.0;
        removed
    }

    /// Writes both files into a folder.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let write = || {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join("fleet.yaml"), &self.fleet)?;
            std::fs::write(folder.join("shop.yaml"), &self.playbook)
        };
        write().map_err(Error::io(format!("writing {}", folder.display())))?;
        Ok(folder.to_path_buf())
    }
}

fn edit(text: &mut String, old: &str, new: &str) -> Result<()> {
    let mut taken = Text(std::mem::take(text));
    let edited = taken.replace(old, new);
    *text = taken.0;
    edited
}

/// A text in which what is to be replaced must be there exactly once: an example that was
/// changed must not be rendered by half.
pub(super) struct Text(pub(super) String);

impl Text {
    pub(super) fn replace(&mut self, old: &str, new: &str) -> Result<()> {
        self.once(old)?;
        self.0 = self.0.replace(old, new);
        Ok(())
    }

    /// Replaces everything from the line that begins with `start` to the next empty line.
    pub(super) fn replace_block(&mut self, start: &str, new: &str) -> Result<()> {
        let line = format!("\n{start}");
        self.once(&line)?;
        let begin = self.0.find(&line).map_or(0, |at| at + 1);
        let length = self.0[begin..].find("\n\n").map_or(self.0.len() - begin, |at| at + 1);
        self.0.replace_range(begin..begin + length, new);
        Ok(())
    }

    fn once(&self, what: &str) -> Result<()> {
        match self.0.matches(what).count() {
            1 => Ok(()),
            n => {
                let problem = format!("{what:?} stands {n} times in the example, not once");
                Err(Error::answer("bundle", problem))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use standfast_core::source::SourceFile;

    use super::*;

    fn places() -> Places {
        let at = |text: &str| text.parse().expect("an address");
        let site = |n: u8| Addresses {
            postgres: at(&format!("127.77.{n}.10:20001")),
            front: at(&format!("127.77.{n}.5:20002")),
            runtime: at(&format!("127.77.{n}.5:20003")),
            web: at(&format!("127.77.{n}.20:20004")),
            deploy: at(&format!("127.77.{n}.30:20005")),
        };
        let power_off = vec!["site".into(), "power-off".into(), "folder \"of\" a".into()];
        Places { a: site(1), b: site(2), dns: at("127.0.0.1:20006"), power_off }
    }

    /// The words at the beginning of the lines that are not in the other text.
    fn changed<'a>(one: &'a str, other: &str) -> Vec<&'a str> {
        one.lines()
            .filter(|line| !other.lines().any(|known| known == *line))
            .map(|line| line.trim_start_matches([' ', '-']).split([':', ' ']).next().unwrap_or_default())
            .collect()
    }

    #[test]
    fn only_what_must_be_is_changed_in_the_fleet() {
        let bundle = Bundle::shop(&places(), true).expect("rendered");
        let addresses = ["shop-web", "deploy-tool", "a", "b", "haproxy", "dns", "key", "a"];
        let before = ["timing", "automation", "canaries", "tcp.connect", "tcp.connect", "tcp.connect"];
        assert_eq!(changed(FLEET, &bundle.fleet), [&before[..], &addresses].concat());
        let after = ["timing", "lab", "single_observer", "automation", "canaries"];
        assert_eq!(changed(&bundle.fleet, FLEET), [&after[..], &addresses].concat());
        let several = Bundle::shop(&places(), false).expect("rendered");
        assert_eq!(changed(&bundle.fleet, &several.fleet), ["single_observer"]);
    }

    #[test]
    fn the_bundle_lints_and_the_playbook_is_the_one_of_the_example() {
        let bundle = Bundle::shop(&places(), true).expect("rendered");
        let folder = tempfile::tempdir().expect("a folder");
        bundle.write(folder.path()).expect("written");
        let written = std::fs::read(folder.path().join("shop.yaml")).expect("the playbook");
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks/shop/shop.yaml");
        assert_eq!(written, std::fs::read(example).expect("the example"), "byte for byte");

        let file = |name: &str, text: &str| SourceFile { name: name.into(), text: text.into() };
        let files = vec![file("fleet.yaml", &bundle.fleet), file("shop.yaml", &bundle.playbook)];
        let (loaded, findings) = standfast_core::bundle::Bundle::load(files);
        let loaded = loaded.unwrap_or_else(|| panic!("{findings:?}"));
        let site = standfast_core::ids::SiteId::new("a");
        assert_eq!(loaded.fleet.power_off(&site), Some(&places().power_off[..]));
        assert!(loaded.fleet.lab && loaded.fleet.single_observer);
    }

    #[test]
    fn a_step_is_taken_out_whole_and_what_is_not_there_is_an_error() {
        let mut bundle = Bundle::shop(&places(), true).expect("rendered");
        bundle.remove_step("tools").expect("it is there");
        assert!(!bundle.playbook.contains("http.request"));
        assert!(bundle.playbook.contains("steps:\n\n  - id: fenced\n"), "{}", bundle.playbook);
        let kept = bundle.clone();
        let error = bundle.remove_step("tools").expect_err("it is gone").to_string();
        assert!(error.contains("stands 0 times"), "{error}");
        assert_eq!(bundle, kept);
    }
}
