//! Two sites and a name server: the shop serves, its site dies at once, and what is left of
//! the business can be moved by hand, with the same handles that a playbook uses.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use standfast_integration::parts::client::{Failure, Order, Record};
use standfast_integration::parts::scratch::Scratch;
use standfast_integration::parts::shop::{Shop, rows};
use standfast_integration::parts::{poll, process, program};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Site a serves customers and loses power. Then a person does what the playbook would: has
/// the deploy tool start the shop in b, promotes the database, moves the name and the
/// traffic. The customer, who has never stopped ordering, is served by b, and what was
/// acknowledged and is gone can be counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_whose_site_dies_can_be_moved_by_hand() -> Outcome {
    let scratch = Scratch::new()?;
    let shop = Shop::start(&scratch, Duration::from_secs(1)).await?;
    let client = shop.client(Duration::from_millis(5))?;
    let served = poll(Duration::from_secs(10), || async {
        let orders = client.look(|record| record.orders.len());
        if orders >= 50 { Ok(()) } else { Err(format!("{:?}", client.record())) }
    });
    served.await?;
    assert!(rows(&shop.b).await?.len() > 10, "the standby has rows");
    let again = shop.a.deploy.start_shop().await?;
    assert!(!again.launched, "it runs already");

    let dead = shop.a.kill_all()?;
    // Until here site a has served.
    let died = Instant::now();
    assert!(dead >= 6, "three guards and their programs, not {dead}");
    assert!(shop.a.all_dead()?);
    assert!(!shop.b.all_dead()?);
    let command = shop.a.power_off_command()?;
    assert!(Command::new(&command[0]).args(&command[1..]).status()?.success());

    assert!(shop.b.deploy.start_shop().await?.launched);
    let early = reqwest::Client::new().post(format!("http://{}/rows", shop.b.addresses.web));
    let early = early.header("content-type", "application/json").body(r#"{"id":-1,"at":0}"#).send().await?;
    assert_eq!(early.status().as_u16(), 503, "nothing is acknowledged by a standby");
    shop.b.postgres.standfast().await?.query_one("select pg_promote(true, 30)", &[]).await?;
    let writable = died.elapsed();
    let script = format!(
        "server 127.0.0.1 {}\nzone example.net\nupdate delete shop.example.net A\n\
         update add shop.example.net 1 A {}\nsend\n",
        shop.bind.address.port(),
        shop.b.addresses.front.ip(),
    );
    let file = scratch.path().join("update");
    std::fs::write(&file, script)?;
    let moved = Command::new(program("nsupdate")?).arg("-k").arg(&shop.bind.key_file).arg(&file).status()?;
    assert!(moved.success());
    assert_eq!(shop.b.haproxy.command("set server web/web-b weight 100").await?.trim(), "");

    let back = poll(Duration::from_secs(15), || async {
        client.look(|record| record.first_after(died).cloned()).ok_or_else(|| "not served".to_string())
    });
    assert_eq!(back.await?.site, "b");
    let record = client.stop().await;
    let present = rows(&shop.b).await?;
    let lost = record.lost(&present);
    assert!(lost.iter().all(|order| order.site == "a"), "b keeps what it acknowledges: {lost:?}");
    assert!(record.loss(&present, died) < Duration::from_secs(5));
    assert!(record.longest_pause() >= writable, "nobody is served before");
    assert!(!record.failures.is_empty());
    Ok(())
}

/// Whoever started the shop is killed with SIGKILL and can clean nothing up. Everything is
/// gone all the same: every process, in every session, and the folder.
#[test]
fn nothing_is_left_of_a_shop_whose_owner_was_killed() -> Outcome {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_site")).arg("shop").stdout(Stdio::piped()).spawn()?;
    let own = process::Process::of(owner.id().cast_signed()).expect("it was just started");
    let out = BufReader::new(owner.stdout.take().expect("a pipe"));
    let lines: Vec<String> = out.lines().map_while(Result::ok).take_while(|line| line != "ready").collect();
    let folder = lines.iter().find_map(|line| line.strip_prefix("folder ")).map(std::path::PathBuf::from);
    let folder = folder.unwrap_or_else(|| panic!("the shop did not start: {lines:?}"));
    let family = process::descendants(&[own]);
    assert!(family.len() > 20, "guards, programs, and PostgreSQL's workers: {family:?}");

    kill_process(Pid::from_raw(own.pid).expect("a pid"), Signal::KILL)?;
    owner.wait()?;
    let deadline = Instant::now() + Duration::from_secs(15);
    let left = loop {
        let left = family.iter().filter(|process| process.is_alive()).count();
        if (left == 0 && !folder.exists()) || Instant::now() > deadline {
            break left;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(left, 0, "processes are left");
    assert!(!folder.exists(), "{} is left", folder.display());
    Ok(())
}

/// What a record says of a disaster, on orders made up for it.
#[test]
fn a_record_tells_lost_orders_and_pauses() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let order = |id, ms, site: &str| Order { id, sent: at(ms - 1), acknowledged: at(ms), site: site.into() };
    let record = Record {
        orders: vec![order(1, 10, "a"), order(2, 20, "a"), order(3, 30, "a"), order(5, 530, "b")],
        failures: vec![Failure { at: at(40), why: "refused".into() }],
    };
    let present = BTreeSet::from([1, 5]);
    let lost: Vec<i64> = record.lost(&present).iter().map(|order| order.id).collect();
    assert_eq!(lost, [2, 3]);
    assert_eq!(record.loss(&present, at(35)), Duration::from_millis(15));
    assert_eq!(record.loss(&BTreeSet::from([1, 2, 3, 5]), at(35)), Duration::ZERO);
    assert_eq!(record.longest_pause(), Duration::from_millis(500));
    assert_eq!(record.first_after(at(35)).map(|order| order.id), Some(5));
}
