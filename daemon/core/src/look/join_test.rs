use super::*;
use crate::action::Action;
use crate::check::{Check, Database};
use crate::ids::Digest;
use crate::look::{Kind, Severity, StepView, Trouble};
use crate::plan::{Mode, OnFailure, Request, Require, Step, Unreachable};
use crate::time::Span;

fn database(site: &str) -> Database {
    Database { cluster: "orders".into(), site: site.into(), dsn: String::new(), password: None }
}

/// From a to b: promotes orders, once b answers.
fn plan() -> Plan {
    let step = Step {
        id: "promote".into(),
        needs: vec![],
        action: Action::PostgresPromote { database: database("b") },
        timeout: Span::secs(60),
        attempts: 1,
        backoff: Span::secs(1),
        on_failure: OnFailure::Pause,
        unreachable: Unreachable::Fail,
        verify: None,
        undo: None,
        undo_proof: None,
        point_of_no_return: true,
    };
    Plan {
        bundle: Digest::from("bundle"),
        request: Request {
            playbook: "shop".into(),
            from: "a".into(),
            to: "b".into(),
            mode: Mode::Emergency,
            inputs: BTreeMap::new(),
        },
        title: String::new(),
        services: vec![],
        rto: None,
        rpo: Some(Span::secs(5)),
        require: vec![Require {
            check: Check::TcpConnect { address: "10.2.0.5:80".into() },
            override_by: None,
        }],
        steps: vec![step],
    }
}

/// All is well, seen from a site.
fn view(site: &str) -> View {
    let empty = View::declined(format!("m-{site}").into(), site.into(), Some(Digest::from("bundle")), "");
    View {
        declined: None,
        require: vec![Answer::Holds("connects".into())],
        steps: vec![StepView {
            found: Inspection::Needed("a standby".into()),
            verify: vec![],
            troubles: vec![],
        }],
        ..empty
    }
}

fn server(site: &str, stands: Stands) -> super::super::Server {
    super::super::Server { cluster: "orders".into(), site: site.into(), stands }
}

fn standby(lag_s: u64) -> Stands {
    let lag =
        Lag::Known { time: Span::secs(lag_s), at_least: false, bytes: lag_s * 100, seen: Span::ms(300) };
    Stands::Standby { streaming: true, paused: false, lag }
}

fn seen(views: Vec<View>, leader: &str) -> Seen {
    let views = views.into_iter().map(|view| (view, None)).collect();
    let leader = (!leader.is_empty()).then(|| leader.into());
    join(&plan(), &Looked { views, silent: vec![], leader })
}

/// Each trouble: its kind, how bad it is, and who sees it.
fn troubles(seen: &Seen) -> Vec<(Kind, Severity, String)> {
    let names = |found: &Found| found.by.iter().map(MemberId::to_string).collect::<Vec<_>>().join(",");
    seen.troubles.iter().map(|found| (found.trouble.kind, found.trouble.severity, names(found))).collect()
}

#[test]
fn where_all_is_well_there_is_no_trouble() {
    let seen = seen(vec![view("a"), view("b"), view("w")], "m-w");
    assert_eq!(seen.troubles, []);
    let parts: Vec<_> = seen.vantages.iter().map(|v| (v.member.as_str(), v.part)).collect();
    assert_eq!(parts, [("m-w", Part::Acts), ("m-b", Part::Might), ("m-a", Part::Leaves)]);
    assert!(!seen.steps[0].differs() && !seen.require[0].differs());
}

/// Situation: one member cannot see the standby. How bad that is depends on who it is.
#[test]
fn what_those_see_who_would_act_counts() {
    let blind = |site: &str| {
        let mut view = view(site);
        view.steps[0].found = Inspection::Unknown("no route".into());
        view.steps[0].troubles = vec![Trouble::error(Kind::Reachability, "orders in b", "no route")];
        view
    };
    let with = |site: &str, leader: &str| {
        let all = ["a", "b", "w"].map(|each| if each == site { blind(each) } else { view(each) });
        seen(all.into(), leader)
    };
    let leads = with("w", "m-w");
    assert_eq!(troubles(&leads), [(Kind::Reachability, Severity::Error, "m-w".into())]);
    assert!(matches!(leads.steps[0].says, Inspection::Unknown(_)) && leads.steps[0].differs());
    let might = with("b", "m-w");
    assert_eq!(troubles(&might), [(Kind::Reachability, Severity::Warning, "m-b".into())]);
    assert!(matches!(might.steps[0].says, Inspection::Needed(_)) && might.steps[0].differs());
    assert_eq!(troubles(&with("a", "m-w")), [(Kind::Reachability, Severity::Note, "m-a".into())]);
    // The leader stands in the site that is left: any of the others may be the next.
    assert_eq!(troubles(&with("b", "m-a")), [(Kind::Reachability, Severity::Error, "m-b".into())]);
    // Nobody leads: the same.
    assert_eq!(troubles(&with("b", "")), [(Kind::Reachability, Severity::Error, "m-b".into())]);
}

#[test]
fn the_last_member_acts_wherever_it_stands() {
    let alone = seen(vec![view("a")], "m-a");
    assert_eq!(alone.vantages[0].part, Part::Acts);
}

#[test]
fn one_trouble_of_several_members_is_said_once() {
    let unmet =
        |site: &str| View { require: vec![Answer::Fails(format!("refused to {site}"))], ..view(site) };
    let seen = seen(vec![unmet("a"), unmet("b"), unmet("w")], "m-b");
    let [found] = &seen.troubles[..] else { panic!("{:?}", seen.troubles) };
    assert_eq!(found.trouble.words, "refused to b", "the words of the one that would act");
    assert_eq!(found.by.len(), 3);
    assert_eq!(seen.require[0].says, Answer::Fails("refused to b".into()));
}

/// Situation: a partition between a and b; each member sees one primary only.
#[test]
fn two_primaries_are_found_also_where_nobody_sees_both() {
    let with = |site: &str, server| View { servers: vec![server], ..view(site) };
    let views =
        vec![with("a", server("a", Stands::Primary)), with("b", server("b", Stands::Primary)), view("w")];
    let seen = seen(views, "m-w");
    assert_eq!(troubles(&seen), [(Kind::Primaries, Severity::Error, "m-a,m-b".into())]);
    assert!(seen.troubles[0].trouble.words.contains("in a and in b"), "{:?}", seen.troubles);
}

#[test]
fn a_replica_that_does_not_follow_is_found_while_its_primary_lives() {
    let silent = Stands::Standby { streaming: false, paused: false, lag: Lag::Unknown("never".into()) };
    let of = |servers: Vec<_>| seen(vec![View { servers, ..view("w") }], "m-w");
    let lives = of(vec![server("a", Stands::Primary), server("b", silent.clone())]);
    assert_eq!(troubles(&lives), [(Kind::Replication, Severity::Warning, "m-w".into())]);
    // In an emergency the primary is gone, and nothing can stream from it.
    let gone = of(vec![server("a", Stands::Silent { why: "refused".into() }), server("b", silent)]);
    assert_eq!(troubles(&gone), []);
    let paused = Stands::Standby { streaming: true, paused: true, lag: Lag::Unknown("never".into()) };
    assert_eq!(troubles(&of(vec![server("b", paused)]))[0].1, Severity::Error);
}

#[test]
fn what_would_be_lost_is_told_by_whoever_knows() {
    let never = Stands::Standby { streaming: true, paused: false, lag: Lag::Unknown("never seen".into()) };
    let knows = View { servers: vec![server("b", standby(7))], ..view("b") };
    let new = View { servers: vec![server("b", never)], ..view("w") };
    let seen = seen(vec![knows, new], "m-w");
    assert!(matches!(seen.data[0].lag, Lag::Known { time, .. } if time == Span::secs(7)), "{:?}", seen.data);
    assert_eq!(troubles(&seen), [(Kind::Rpo, Severity::Warning, String::new())]);
}

#[test]
fn another_bundle_another_clock_and_silence_are_named() {
    let other = View::declined("m-b".into(), "b".into(), Some(Digest::from("older")), "another bundle");
    let views =
        vec![(view("w"), Some(Skew::of(0, 90_010, 90_500, 600))), (other, Some(Skew::of(0, 10, 500, 600)))];
    let silent = vec![("m-a".into(), "a".into(), "its lease has ended".into())];
    let mut seen = join(&plan(), &Looked { views, silent, leader: Some("m-w".into()) });
    seen.add([Found { trouble: Trouble::warning(Kind::Proof, "SF143", "a drill is old"), by: vec![] }]);
    assert_eq!(
        troubles(&seen),
        [
            (Kind::Clock, Severity::Error, "m-w".to_owned()),
            (Kind::Bundle, Severity::Warning, "m-b".to_owned()),
            (Kind::Proof, Severity::Warning, String::new()),
            (Kind::Silent, Severity::Note, "m-a".to_owned()),
        ]
    );
    assert!(seen.troubles[0].trouble.words.contains("at least 1m 29s ahead"), "{:?}", seen.troubles[0]);
}

#[test]
fn where_nobody_looked_nothing_is_known() {
    let declined = View::declined("m-w".into(), "w".into(), Some(Digest::from("bundle")), "busy");
    let seen = seen(vec![declined], "m-w");
    assert_eq!(seen.require[0].says, Answer::Unknown("nobody looked".into()));
    assert_eq!(seen.steps[0].says, Inspection::Unknown("nobody looked".into()));
    assert_eq!(troubles(&seen), [(Kind::Silent, Severity::Warning, "m-w".into())]);
}
