//! A small world: one cluster in a and b, a name, a call.

use super::*;
use standfast_core::action::{Action, FenceProof};
use standfast_core::check::{Check, Database, RecordType};
use standfast_core::time::Span;

struct Small {
    targets: Targets,
    world: World,
    promote: Deed,
    fence: Deed,
    name: Deed,
    writable: Question,
}

fn small(any_of: Vec<FenceProof>) -> Small {
    let mut targets = Targets::new(Places::default(), ["a", "b"].map(SiteId::from));
    let orders = ResourceId::from("orders");
    targets.database(&orders, &"a".into());
    let at_b = || Database { cluster: orders.clone(), site: "b".into(), dsn: String::new(), password: None };
    let promote = targets.deed(&Action::PostgresPromote { database: at_b() });
    let fence = targets.deed(&Action::FenceProve { site: "a".into(), any_of });
    let name = targets.deed(&Action::DnsSet {
        server: "ns:53".into(),
        zone: "z.".into(),
        name: "shop.z.".into(),
        record_type: RecordType::A,
        ttl: Span::secs(30),
        key: "tsig".into(),
        values: vec!["10.2.0.5".into()],
    });
    let writable = targets.question(&Check::PostgresWritable { database: at_b() });
    let world = World::new(&targets, &[(orders, SiteId::from("a"))].into());
    Small { targets, world, promote, fence, name, writable }
}

#[test]
fn a_cut_site_writes_on_until_it_is_fenced() {
    let Small { targets, mut world, promote, fence, writable, .. } =
        small(vec![FenceProof::SiteLeaseExpired]);
    world.set_site(0, Site::CUT_OFF);
    let mut unfenced = world.clone();
    assert_eq!(unfenced.perform(&targets, &promote, Epoch(1)), Came::Done);
    let wrong = unfenced.wrong().map(ToString::to_string);
    assert_eq!(wrong.as_deref(), Some("orders takes writes in a and b: two writers"));

    assert_eq!(world.perform(&targets, &fence, Epoch(1)), Came::Done);
    assert_eq!(world.ask(&targets, &writable), Seen::Fails);
    assert_eq!(world.perform(&targets, &promote, Epoch(1)), Came::Done);
    assert_eq!((world.wrong(), world.ask(&targets, &writable)), (None, Seen::Holds));
    let writers: Vec<usize> = world.writers(&targets, &"orders".into()).collect();
    assert_eq!(writers, [1]);
}

#[test]
fn a_promotion_beside_a_primary_that_is_seen_is_refused() {
    let Small { targets, mut world, promote, fence, .. } =
        small(vec![FenceProof::OperatorWord { role: "c".into() }]);
    assert_eq!(world.perform(&targets, &promote, Epoch(1)), Came::Refused);
    assert_eq!(world.perform(&targets, &fence, Epoch(1)), Came::Refused, "a word is not given by itself");
    world.fence_by_hand(0);
    assert_eq!(world.perform(&targets, &promote, Epoch(1)), Came::Done);
    assert_eq!(world.wrong(), None);
}

#[test]
fn what_is_dark_neither_answers_nor_is_acted_upon() {
    let Small { targets, mut world, promote, writable, .. } = small(vec![]);
    world.set_site(1, Site::GONE);
    assert_eq!(world.perform(&targets, &promote, Epoch(1)), Came::Unreached);
    assert_eq!(world.is_done(&targets, &promote), None);
    assert_eq!(world.ask(&targets, &writable), Seen::Silent);
}

#[test]
fn targets_remember_the_highest_epoch() {
    let Small { targets, mut world, promote, name, .. } = small(vec![]);
    world.set_site(0, Site::GONE);
    assert_eq!(world.perform(&targets, &name, Epoch(5)), Came::Done);
    assert_eq!(world.perform(&targets, &name, Epoch(4)), Came::Stale);
    assert_eq!(world.is_done(&targets, &name), Some(true));
    assert_eq!(world.wrong(), None, "it was refused");
    world.perform(&targets, &promote, Epoch(5));
    world.perform(&targets, &promote, Epoch(4));
    let wrong = world.wrong().map(ToString::to_string);
    assert_eq!(wrong.as_deref(), Some("orders in b was acted upon under epoch 4 after epoch 5"));
}
