//! Each part starts, does its job, and dies; and nothing is left of it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use standfast_integration::parts::bind::{Bind, Zone};
use standfast_integration::parts::etcd::{Etcd, Place, Tls};
use standfast_integration::parts::haproxy::{Front, Haproxy, Server};
use standfast_integration::parts::memory::{Segment, is_in_dev_shm};
use standfast_integration::parts::part::Spec;
use standfast_integration::parts::postgres::Postgres;
use standfast_integration::parts::scratch::Scratch;
use standfast_integration::parts::{poll, ports, process, program};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn ip(site: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(127, 77, site, host).into()
}

#[tokio::test]
async fn a_postgres_standby_streams_and_is_promoted_by_the_role_of_the_daemon() -> Outcome {
    let scratch = Scratch::new()?;
    let mut primary = Postgres::primary(&scratch.site("a")?, ports::free(ip(1, 10))?).await?;
    let standby = Postgres::standby(&scratch.site("b")?, ports::free(ip(2, 10))?, &primary).await?;
    assert!(!primary.is_standby().await?);
    assert!(standby.is_standby().await?);

    let shop = primary.shop().await?;
    shop.batch_execute("create table t (n int); insert into t values (7)").await?;
    let copy = standby.shop().await?;
    let seen = poll(Duration::from_secs(10), || async {
        let row = copy.query_one("select n from t", &[]).await.map_err(|e| e.to_string())?;
        Ok(row.get::<_, i32>(0))
    });
    assert_eq!(seen.await?, 7);

    // The role may look at the replication and promote, but not read the shop's rows.
    let daemon = standby.standfast().await?;
    let receiver = daemon.query_one("select status from pg_stat_wal_receiver", &[]).await?;
    assert_eq!(receiver.get::<_, String>(0), "streaming");
    primary.part().kill();
    assert!(!primary.part().is_alive());
    let promoted = daemon.query_one("select pg_promote(true, 30)", &[]).await?;
    assert!(promoted.get::<_, bool>(0));
    assert!(!standby.is_standby().await?);
    copy.batch_execute("insert into t values (8)").await?;
    let other = standby.connect("shop", "standfast", &standby.passwords.standfast).await?;
    let denied = other.query("select n from t", &[]).await.expect_err("rows are the shop's");
    assert_eq!(denied.code().map(|c| c.code().to_string()).as_deref(), Some("42501"));

    let wrong = standby.connect("standfast", "standfast", "wrong").await;
    let refused = wrong.expect_err("a wrong password").to_string();
    assert!(refused.contains("password authentication failed"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_stopped_postgres_starts_again_on_its_data() -> Outcome {
    let scratch = Scratch::new()?;
    let mut server = Postgres::primary(&scratch.site("a")?, ports::free(ip(1, 10))?).await?;
    server.shop().await?.batch_execute("create table t as select 1 as n").await?;
    server.stop().await?;
    assert!(!server.part().is_alive());
    server.restart().await?;
    assert_eq!(server.shop().await?.query("select n from t", &[]).await?.len(), 1);
    Ok(())
}

/// Killed, it leaves a piece of shared memory that no folder holds: its janitor removes that too.
#[tokio::test]
async fn nothing_of_a_killed_postgres_stays_in_memory() -> Outcome {
    let scratch = Scratch::new()?;
    let site = scratch.site("a")?;
    let mut server = Postgres::primary(&site, ports::free(ip(1, 10))?).await?;
    let segment = Segment::of(&site)?.ok_or("its segment")?;
    assert!(segment.attached()?.is_some_and(|processes| processes > 0));
    let recorded = process::recorded(&site)?;
    let family: Vec<_> = recorded.iter().copied().chain(process::descendants(&recorded)).collect();
    assert!(family.len() > 4, "its workers too: {family:?}");
    assert!(!family.into_iter().any(is_in_dev_shm));
    server.part().kill();
    assert_eq!(segment.attached()?, Some(0), "the kernel keeps it");
    drop((server, scratch));
    assert_eq!(segment.attached()?, None);
    Ok(())
}

#[tokio::test]
async fn haproxy_answers_on_both_runtime_sockets_and_sees_its_servers() -> Outcome {
    let scratch = Scratch::new()?;
    let living = axum::Router::new().route("/", axum::routing::get(|| async { "a" }));
    let listener = tokio::net::TcpListener::bind((ip(1, 20), 0)).await?;
    let servers = [
        Server { name: "web-a".into(), address: listener.local_addr()?, weight: 100 },
        Server { name: "web-b".into(), address: ports::free(ip(2, 20))?, weight: 0 },
    ];
    let web = tokio::spawn(async move { axum::serve(listener, living).await });
    let (front, runtime) = (ports::free(ip(1, 5))?, ports::free(ip(1, 5))?);
    let mut haproxy = Haproxy::start(&scratch.site("a")?, runtime, &[Front::web(front, &servers)]).await?;
    haproxy.until_status("web-a", "UP").await?;
    haproxy.until_status("web-b", "DOWN").await?;
    assert_eq!(haproxy.weight("web-b").await?, 0);
    assert_eq!(haproxy.command_unix("set server web/web-b weight 50").await?.trim(), "");
    assert_eq!(haproxy.weight("web-b").await?, 50);
    assert_eq!(reqwest::get(format!("http://{front}/")).await?.text().await?, "a");
    web.abort();
    haproxy.until_status("web-a", "DOWN").await?;
    assert_eq!(haproxy.statistic("web-a", "status").await?, "DOWN");
    Ok(())
}

#[tokio::test]
async fn bind_takes_a_signed_update_of_its_record_and_nothing_else() -> Outcome {
    let scratch = Scratch::new()?;
    let zone = Zone {
        name: "example.net".into(),
        record: "shop".into(),
        more: Vec::new(),
        address: Ipv4Addr::new(127, 77, 1, 5),
        ttl: Duration::from_secs(1),
    };
    let address = ports::free(Ipv4Addr::LOCALHOST.into())?;
    let bind = Bind::start(&scratch.site("w")?, address, zone).await?;
    let update = |name: &str, key: bool| {
        let port = bind.address.port();
        let script = format!(
            "server 127.0.0.1 {port}\nzone example.net\nupdate delete {name} A\n\
             update add {name} 1 A 127.77.2.5\nsend\n"
        );
        let file = scratch.path().join("update");
        std::fs::write(&file, script).expect("a file in the scratch folder");
        let mut nsupdate = std::process::Command::new(program("nsupdate").expect("nsupdate"));
        if key {
            nsupdate.arg("-k").arg(&bind.key_file);
        }
        let out = nsupdate.arg(&file).output().expect("nsupdate");
        String::from_utf8_lossy(&out.stderr).trim().to_string()
    };
    assert_eq!(update("shop.example.net", false), "update failed: REFUSED");
    assert_eq!(update("www.example.net", true), "update failed: REFUSED");
    assert_eq!(bind.addresses().await?, [Ipv4Addr::new(127, 77, 1, 5)]);
    assert_eq!(update("shop.example.net", true), "");
    assert_eq!(bind.addresses().await?, [Ipv4Addr::new(127, 77, 2, 5)]);
    Ok(())
}

#[tokio::test]
async fn an_etcd_trio_elects_again_when_its_leader_dies_and_when_it_is_paused() -> Outcome {
    let scratch = Scratch::new()?;
    let mut places = Vec::new();
    for (number, name) in (1..).zip(["a", "b", "w"]) {
        places.push(Place { name: name.into(), site: scratch.site(name)?, ip: ip(number, 1) });
    }
    let mut etcd = Etcd::start(&places, None).await?;
    etcd.move_leader(0).await?;
    assert_eq!(etcd.leader().await?, 0);
    etcd.part(0).kill();
    let next = etcd.leader().await?;
    assert_ne!(next, 0);
    etcd.restart(0).await?;
    assert_eq!(etcd.leader().await?, next, "a member that comes back forces no election");
    etcd.part(next).pause();
    let third = etcd.leader().await?;
    assert_ne!(third, next);
    etcd.part(next).resume();
    Ok(())
}

#[derive(clap::Parser)]
struct Pki {
    #[command(flatten)]
    args: standfast::pki::PkiArgs,
}

#[tokio::test]
async fn an_etcd_with_tls_answers_only_those_who_show_a_certificate() -> Outcome {
    let scratch = Scratch::new()?;
    let folder = scratch.path().join("pki");
    let dir = folder.display().to_string();
    let init = ["pki", "init", "--dir", &dir, "--member", "w=w,127.77.3.1", "--client", "kim"];
    <Pki as clap::Parser>::try_parse_from(init)?.args.run()?;
    let place = Place { name: "w".into(), site: scratch.site("w")?, ip: ip(3, 1) };
    let tls = Tls { folder: folder.clone(), client: "kim".into() };
    let etcd = Etcd::start(&[place], Some(tls)).await?;
    assert!(etcd.endpoint(0).starts_with("https://127.77.3.1:"));
    let mut kim = etcd.client(0).await?;
    kim.put("key", "value", None).await?;

    let authority = std::fs::read(folder.join("ca.pem"))?;
    let nobody = etcd_client::TlsOptions::new().ca_certificate(etcd_client::Certificate::from_pem(authority));
    let options = etcd_client::ConnectOptions::new().with_tls(nobody).with_timeout(Duration::from_secs(2));
    let refused = async {
        etcd_client::Client::connect([etcd.endpoint(0)], Some(options)).await?.get("key", None).await
    };
    assert!(refused.await.is_err(), "a client without a certificate was served");
    Ok(())
}

#[tokio::test]
async fn a_part_that_ends_or_is_late_shows_the_end_of_its_log() -> Outcome {
    let scratch = Scratch::new()?;
    let site = scratch.site("a")?;
    let address = ports::free(ip(1, 30))?;
    let mut ends = Spec::new(&site, "ends", "sh")?.args(["-c", "echo no luck; exit 3"]).start().await?;
    let error = ends.until_listening(address, Duration::from_secs(5)).await.expect_err("it ended");
    assert!(error.to_string().contains("ends ended (exit status: 3)"), "{error}");
    assert!(error.to_string().contains("\n    no luck"), "{error}");

    let mut late = Spec::new(&site, "late", "sh")?.args(["-c", "echo patience; sleep 60"]).start().await?;
    let error = late.until_listening(address, Duration::from_millis(100)).await.expect_err("late");
    assert!(error.to_string().contains("an answer on"), "{error}");
    assert!(error.to_string().contains("\n    patience"), "{error}");

    let missing = Spec::new(&site, "missing", "no-such-program").expect_err("not there");
    assert!(missing.to_string().contains("run `make test`"), "{missing}");
    Ok(())
}

/// Programs that leave their session, as PostgreSQL's do, and orphans die with their site.
#[tokio::test]
async fn a_site_without_power_is_dead_to_its_last_orphan() -> Outcome {
    let scratch = Scratch::new()?;
    let site = scratch.site("a")?;
    let script = "setsid sh -c 'sleep 61 & sleep 62' & sleep 63";
    let mut part = Spec::new(&site, "family", "sh")?.args(["-c", script]).start().await?;
    let program = part.process().expect("a running program");
    let family = poll(Duration::from_secs(5), || async {
        let below = process::descendants(&[program]);
        if below.len() == 4 { Ok(below) } else { Err(format!("{below:?}")) }
    });
    let family = family.await?;

    let empty = scratch.site("b")?;
    std::fs::create_dir(empty.join("pids"))?;
    let nothing = process::power_off(&empty, Duration::from_secs(1)).expect_err("no proof");
    assert!(nothing.to_string().contains("nothing is proven"), "{nothing}");

    let out = std::process::Command::new(env!("CARGO_BIN_EXE_site")).arg("power-off").arg(&site).output()?;
    assert!(out.status.success(), "{out:?}");
    assert!(!part.is_alive());
    assert_eq!(family.iter().filter(|process| process.is_alive()).count(), 0);
    part.kill();
    // Asked again, it finds the same: a fence may be repeated.
    assert_eq!(process::power_off(&site, Duration::from_secs(1))?, 2);
    Ok(())
}

/// A guard that is itself killed takes its program along, and the record still proves it.
#[tokio::test]
async fn a_program_does_not_outlive_its_guard() -> Outcome {
    let scratch = Scratch::new()?;
    let site = scratch.site("a")?;
    let part = Spec::new(&site, "sleeper", "sleep")?.args(["64"]).start().await?;
    let recorded = process::recorded(&site)?;
    assert_eq!(recorded.get(1).copied(), part.process());
    assert!(part.is_alive());
    assert!(recorded[0].signal(rustix::process::Signal::KILL));
    let gone = poll(Duration::from_secs(5), || async {
        if part.is_alive() { Err("it still sleeps".to_string()) } else { Ok(()) }
    });
    gone.await?;
    assert_eq!(process::power_off(&site, Duration::from_secs(1))?, 2);
    Ok(())
}
