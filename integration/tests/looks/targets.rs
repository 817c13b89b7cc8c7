//! Reachability, credentials, privilege, what balancers have, and how long names are kept.

use std::time::Duration;

use standfast_core::look::{Kind, Severity};
use standfast_integration::parts::bind::resolve;
use standfast_integration::parts::ports;

use super::Outcome;
use super::given::{Standing, errors, finds};

/// Everything that a look could have changed.
#[derive(Debug, PartialEq)]
struct Targets {
    serial: String,
    name: Vec<std::net::Ipv4Addr>,
    servers: Vec<String>,
    standby: (bool, bool),
    shop_in_b: bool,
}

async fn targets(standing: &Standing) -> Outcome<Targets> {
    let shop = &standing.shop;
    let mut servers = Vec::new();
    for site in [&shop.a, &shop.b] {
        let state = site.haproxy.command("show servers state web").await?;
        let fields = |line: &str| line.split(' ').skip(3).take(5).map(str::to_owned).collect::<Vec<_>>();
        servers.extend(state.lines().skip(2).map(|line| format!("{} {:?}", site.name, fields(line))));
    }
    let zone = tokio::process::Command::new("dig")
        .args(["+short", "+tcp", "@127.0.0.1", "-p", &shop.bind.address.port().to_string()])
        .args(["example.net", "SOA"])
        .output();
    Ok(Targets {
        serial: String::from_utf8(zone.await?.stdout)?,
        name: shop.bind.addresses().await?,
        servers,
        standby: (shop.a.postgres.is_standby().await?, shop.b.postgres.is_standby().await?),
        shop_in_b: tokio::net::TcpStream::connect(shop.b.addresses.web).await.is_ok(),
    })
}

/// Situation: the shop as it should be. Danger: a look that touches something, or cries wolf.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_is_well_nothing_is_found_and_nothing_is_changed() -> Outcome {
    let standing = Standing::start().await?;
    let before = targets(&standing).await?;
    assert!(before.serial.split(' ').count() > 2, "{before:?}");
    let seen = standing.look(&[]).await?;
    assert_eq!(errors(&seen), []);
    assert_eq!(seen.troubles, []);
    assert_eq!(targets(&standing).await?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_reached_not_known_or_not_allowed_is_told_apart() -> Outcome {
    let standing = Standing::start().await?;
    let (shop, given) = (&standing.shop, &standing.given);
    let tsig = format!("{}:{}", shop.bind.key_name, shop.bind.key);
    let before = targets(&standing).await?;

    let deploy = shop.b.addresses.deploy;
    let nobody = ports::free(deploy.ip())?;
    let seen = standing.look(&[(&deploy.to_string(), &nobody.to_string())]).await?;
    let found = finds(&seen, Kind::Reachability, "tools", &[&nobody.to_string(), "refused"]);
    assert_eq!(found.trouble.severity, Severity::Error);

    // The key: another secret, another name, and one that may not.
    given.secret("tsig", &format!("{}:c2VjcmV0", shop.bind.key_name))?;
    let seen = standing.look(&[]).await?;
    finds(&seen, Kind::Credentials, "name", &["another secret"]);
    given.secret("tsig", &format!("stranger:{}", shop.bind.key))?;
    finds(&standing.look(&[]).await?, Kind::Credentials, "name", &["does not know this key"]);
    std::fs::remove_file(given.folder().join("tsig"))?;
    finds(&standing.look(&[]).await?, Kind::Credentials, "name", &["secret `tsig` is missing"]);
    given.secret("tsig", &tsig)?;
    // The key is granted the one record `shop`.
    let seen = standing.look(&[("record: shop,", "record: ns,")]).await?;
    finds(&seen, Kind::Privilege, "name", &["ns.example.net", "Refused"]);
    let seen = standing.look(&[("record: shop,", "record: other,")]).await?;
    finds(&seen, Kind::Privilege, "name", &["other.example.net"]);

    // A socket that only shows, a server and a backend that are not there.
    let runtime = format!("tcp://{}", shop.b.addresses.runtime);
    let looking = format!("unix://{}", shop.b.haproxy.looking.display());
    let seen = standing.look(&[(&runtime, &looking)]).await?;
    finds(&seen, Kind::Privilege, "ramp", &["level operator", "level admin"]);
    let seen = standing.look(&[("b: web-b}", "b: web-c}")]).await?;
    finds(&seen, Kind::Balancer, "ramp", &["no server web-c"]);
    let seen = standing.look(&[("backend: web", "backend: shop2")]).await?;
    finds(&seen, Kind::Balancer, "ramp", &["shop2"]);
    finds(&seen, Kind::Balancer, "drain", &["shop2"]);

    // 30 s are served.
    let seen = standing.look(&[("ttl: 30s", "ttl: 5s")]).await?;
    let found = finds(&seen, Kind::Ttl, "name", &["30s", "5s"]);
    assert_eq!(found.trouble.severity, Severity::Warning);
    assert_eq!(resolve(shop.bind.address, &shop.bind.zone.full_name()).await?.ttl, Duration::from_secs(30));

    assert_eq!(targets(&standing).await?, before);
    Ok(())
}

/// A site that is gone is what the playbook is for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_unreachable_is_no_error_when_it_is() -> Outcome {
    let standing = Standing::start().await?;
    // Seen once while it lived: the lag of the replica is known from then.
    standing.look(&[]).await?;
    standing.shop.a.kill_all()?;
    let seen = standing.look(&[]).await?;
    let drain = finds(&seen, Kind::Reachability, "drain", &["refused"]);
    assert_eq!(drain.trouble.severity, Severity::Note, "unreachable: skip");
    assert_eq!(errors(&seen), []);
    Ok(())
}
