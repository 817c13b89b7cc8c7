//! The bundle of the town: the playbooks of `playbooks/pangyo-2022/fixed` as they are, and its
//! fleet with addresses that exist on this machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use standfast_core::bundle::Bundle;

use super::{Building, load};
use crate::lab::bundle::Text;
use crate::parts::bind::Bind;
use crate::parts::{Error, Result};

macro_rules! files {
    ($($name:literal),+) => {
        [$(($name, include_str!(concat!("../../../../playbooks/pangyo-2022/fixed/", $name, ".yaml")))),+]
    };
}

const FILES: [(&str, &str); 10] =
    files!("fleet", "evacuate", "core", "tooling", "data", "delivery", "talk", "tier-2", "tier-3", "tier-4");

/// Texts by name.
pub(super) type Files = BTreeMap<&'static str, String>;

fn files() -> Files {
    FILES.into_iter().map(|(name, text)| (name, text.to_owned())).collect()
}

/// The example as it is.
pub(super) fn example() -> Result<Bundle> {
    load(&files())
}

/// Where a building's parts are.
struct Places {
    site: &'static str,
    accounts: SocketAddr,
    messages: SocketAddr,
    runtime: SocketAddr,
    front: SocketAddr,
    tools: SocketAddr,
}

impl Places {
    fn of(site: &'static str, building: &Building) -> Places {
        let at = building.site.addresses;
        Places {
            site,
            accounts: building.accounts.address,
            messages: at.postgres,
            runtime: at.runtime,
            front: at.front,
            tools: building.tools.address,
        }
    }
}

/// The example for these parts.
pub(super) fn rendered(example: &Bundle, pangyo: &Building, anyang: &Building, bind: &Bind) -> Result<Files> {
    let places = [Places::of("pangyo", pangyo), Places::of("anyang", anyang)];
    let files = render(&places, bind.address, &pangyo.power_off_command()?)?;
    let rendered = load(&files)?;
    let names = |bundle: &Bundle| bundle.fleet.services.keys().cloned().collect::<Vec<_>>();
    match names(&rendered) == names(example) {
        true => Ok(files),
        false => Err(Error::answer("bundle", "services were lost in rendering")),
    }
}

fn render(places: &[Places; 2], dns: SocketAddr, power_off: &[String]) -> Result<Files> {
    let mut files = files();
    let mut fleet = Text(files["fleet"].clone());
    fleet.replace("timing: {profile: default}", "timing: {profile: fast}")?;
    // One member's view suffices here, and nobody else is there to be asked.
    fleet.replace("automation: advise ", "lab: true\nsingle_observer: act\nautomation: advise ")?;
    fleet.replace_block("canaries:", "canaries: none\n")?;
    for Places { site, accounts, messages, runtime, tools, .. } in places {
        for (cluster, at) in [("accounts", accounts), ("messages", messages)] {
            let new = format!("\"host={} port={} ", at.ip(), at.port());
            fleet.replace(&format!("\"host={cluster}.{site}.example.net "), &new)?;
        }
        for front in ["talk", "pay", "ride", "channel", "leisure"] {
            let old = format!("tcp://{front}-front.{site}.example.net:9999");
            fleet.replace(&old, &format!("tcp://{runtime}"))?;
        }
        endpoints(&mut fleet, site, *tools);
    }
    // Both records are with one name server.
    fleet.0 = fleet.0.replace("ns1.witness.example.net:53", &dns.to_string());
    let [one, other] = places.each_ref().map(|place| place.front.ip());
    for host in [5, 6] {
        let old = format!("values: {{pangyo: 10.1.0.{host}, anyang: 10.2.0.{host}}}");
        fleet.replace(&old, &format!("values: {{pangyo: {one}, anyang: {other}}}"))?;
    }
    // A list of strings is written alike in JSON and in YAML.
    let command = serde_json::to_string(power_off).map_err(|e| Error::answer("fleet", e))?;
    fleet.replace(r#"[cut-power, pangyo, "both-feeds"]"#, &command)?;
    files.insert("fleet", fleet.0);
    Ok(files)
}

/// Every `https://NAME.SITE.example.net` becomes a path of the site's tools.
fn endpoints(fleet: &mut Text, site: &str, tools: SocketAddr) {
    let end = format!(".{site}.example.net\"");
    let mut text = String::with_capacity(fleet.0.len());
    for (number, part) in fleet.0.split("https://").enumerate() {
        match part.split_once(&end).filter(|(name, _)| number > 0 && !name.contains(['.', '"'])) {
            Some((name, rest)) => text.push_str(&format!("http://{tools}/{name}\"{rest}")),
            None if number > 0 => text.push_str(&format!("https://{part}")),
            None => text.push_str(part),
        }
    }
    fleet.0 = text;
}

/// Writes them into a folder.
pub(super) fn write(files: &Files, folder: &Path) -> Result<PathBuf> {
    let write = || {
        std::fs::create_dir_all(folder)?;
        files.iter().try_for_each(|(name, text)| std::fs::write(folder.join(format!("{name}.yaml")), text))
    };
    write().map_err(Error::io(format!("writing {}", folder.display())))?;
    Ok(folder.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(site: &'static str, number: u8) -> Places {
        let at = |host: u8, port: u16| format!("127.77.{number}.{host}:{port}").parse().expect("an address");
        Places {
            site,
            accounts: at(11, 20_001),
            messages: at(10, 20_002),
            runtime: at(5, 20_003),
            front: at(5, 20_004),
            tools: at(30, 20_005),
        }
    }

    #[test]
    fn the_playbooks_stay_as_they_are_and_no_address_is_left_that_does_not_exist() {
        let command = ["sh", "-c", "\"$0\" x"].map(str::to_owned);
        let dns = "127.0.0.1:20006".parse().expect("an address");
        let files = render(&[places("pangyo", 1), places("anyang", 2)], dns, &command).expect("rendered");
        let folder = tempfile::tempdir().expect("a folder");
        write(&files, folder.path()).expect("written");
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks/pangyo-2022/fixed");
        let mut names: Vec<_> = std::fs::read_dir(&example).expect("a folder").flatten().collect();
        names.retain(|file| file.file_name() != "fleet.yaml");
        assert_eq!(names.len(), FILES.len() - 1, "every playbook of the example");
        for file in names {
            let written = std::fs::read(folder.path().join(file.file_name())).expect("the playbook");
            assert_eq!(written, std::fs::read(file.path()).expect("the example"), "byte for byte");
        }
        let bundle = load(&files).expect("it lints");
        assert_eq!(bundle.fleet.power_off(&"pangyo".into()), Some(&command[..]));
        // What keeps its name are the domains of sites, and hosts that people use.
        let named = |line: &&str| line.contains("example.net");
        let left = files["fleet"].lines().filter(named).map(str::trim);
        let known = ["domains:", "zone: example.net", "name_servers:", "mail:"];
        let left: Vec<_> = left.filter(|line| !known.iter().any(|known| line.contains(known))).collect();
        assert_eq!(left, [""; 0]);
    }
}
