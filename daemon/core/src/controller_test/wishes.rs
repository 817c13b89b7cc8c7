//! What people ask of a leader, and what they are told.

use super::*;

#[test]
fn the_same_wish_gets_the_same_run_and_another_its_name() {
    let mut town = Town::new(ACT, "w");
    town.votes = [Vote::Up; 2];
    town.requirement = Answer::Fails("no".into());
    town.pass(1_000);
    let first = town.ask("kim", start("now", vec![])).unwrap().unwrap().unwrap();
    assert_eq!((first.run.as_str(), first.existed), ("r7-1", false));
    let second = town.ask("lee", start("me too", vec![])).unwrap().unwrap().unwrap();
    let blocked = town.controller.run(&first.run).unwrap().sequence;
    assert_eq!(second, Subject { sequence: blocked, existed: true, ..first });
    let mut drill = start("drill", vec![]);
    if let Ask::Start { request, .. } = &mut drill {
        request.mode = Mode::Drill;
    }
    let refusal = town.ask("lee", drill).unwrap().unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Precondition);
    assert!(refusal.message.contains("r7-1 holds site a"), "{}", refusal.message);
}

#[test]
fn overrides_take_a_role_a_reason_and_something_to_override() {
    let mut town = Town::new(ACT, "w");
    (town.requirement, town.before) = (Answer::Fails("no".into()), Answer::Fails("no".into()));
    town.votes = [Vote::Up; 2];
    let waive = |rule: &str, reason: &str| vec![Override { rule: rule.into(), reason: reason.into() }];
    let kind =
        |town: &mut Town, by: &str, overrides| town.ask(by, start("x", overrides)).unwrap().unwrap_err().kind;
    assert_eq!(kind(&mut town, "eve", waive("tcp.connect", "I must")), RefusalKind::Denied);
    assert_eq!(kind(&mut town, "kim", waive("tcp.connect", " ")), RefusalKind::Invalid);
    assert_eq!(kind(&mut town, "kim", waive("fence", "I know")), RefusalKind::Invalid);
    assert!(town.ask("kim", start("x", waive("tcp.connect", "I know"))).unwrap().is_ok());
    assert_eq!(town.ends(), [End::Succeeded]);
}

#[test]
fn a_person_is_refused_where_their_run_would_block() {
    // Situation: what the playbook requires does not hold, or is not known to. Expectation: whoever
    // asks for the run is told what, and who may waive it; waived by name, it is begun.
    let mut town = Town::new(ACT, "w");
    town.votes = [Vote::Up; 2];
    for (answer, said) in
        [(Answer::Fails("12 s behind".into()), "12 s behind"), (Answer::Unknown("silent".into()), "silent")]
    {
        (town.requirement, town.before) = (answer.clone(), answer);
        let refusal = town.ask("kim", start("now", vec![])).unwrap().unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Precondition);
        let unmet = Unmet {
            rule: "tcp.connect".into(),
            condition: "tcp.connect 10.2.0.1:80".into(),
            answer: said.into(),
            role: Some("commander".into()),
        };
        assert_eq!(refusal.about, Some(About::Unmet(vec![unmet])));
        assert_eq!(town.created().len(), 0, "nothing is begun");
    }
    let waiver = Override { rule: "tcp.connect".into(), reason: "I know".into() };
    town.ask("kim", start("now", vec![waiver])).unwrap().unwrap();
    assert_eq!(town.ends(), [End::Succeeded]);
}

#[test]
fn a_wish_whose_requirements_are_asked_holds_nobody_up() {
    // Situation: somebody asks for a run, and what it requires takes its time to answer; the same
    // run is meanwhile begun for somebody else. Expectation: the first is told of that run.
    let mut town = Town::new(ACT, "w");
    town.votes = [Vote::Up; 2];
    let asked =
        |request: &str| Input::Asked { request: request.into(), by: "kim".into(), ask: start("now", vec![]) };
    let answered = |request: &str| Input::Required {
        request: request.into(),
        answers: vec![Answer::Holds("ok".into())],
    };
    for request in ["slow", "quick"] {
        let effects = town.controller.on(asked(request), town.now());
        assert!(matches!(&effects[..], [Effect::Require { .. }]), "{effects:?}");
    }
    town.requirement = Answer::Fails("no".into());
    town.give(answered("quick"));
    town.give(answered("slow"));
    assert_eq!(town.created().len(), 1);
    let subject = town.effects.iter().find_map(|effect| match effect {
        Effect::Answer { request, answer: Ok(Some(subject)) } if request == "slow" => Some(subject),
        _ => None,
    });
    assert!(subject.unwrap().existed);
    // An answer that nobody waits for is no news.
    assert_eq!(town.controller.on(answered("slow"), town.now()), []);
}

#[test]
fn what_a_person_has_not_seen_they_do_not_decide() {
    // Situation: a person decides on a run as they have read it; before the leader takes that up
    // the run goes on, here by an entry that is just being written. Danger: the decision is
    // carried out on another state than the one that it was made on.
    let mut town = Town::new("", "w");
    town.pass(20_000);
    let run = town.created()[0].run.clone();
    let ask = |command: Command, seen: u64| Input::Asked {
        request: format!("{seen}"),
        by: "kim".into(),
        ask: Ask::Run { run: run.clone(), command, seen: Some(seen) },
    };
    let approve = Command::Approve { step: None, reason: "seen".into() };
    let abort = Command::Abort { reason: "seen".into() };
    let now = town.now();
    let effects = town.controller.on(ask(approve, 1), now);
    assert!(matches!(&effects[..], [Effect::Append { .. }]), "{effects:?}");
    assert_eq!(town.controller.on(ask(abort.clone(), 1), now), []);
    let effects = town.controller.on(Input::Run(run.clone(), engine::Input::Appended), now);
    let Some(Effect::Answer { answer: Err(refusal), .. }) = effects.first() else { panic!("{effects:?}") };
    assert_eq!((refusal.kind, &refusal.about), (RefusalKind::Stale, &Some(About::Run(run.clone()))));
    assert_eq!(town.controller.run(&run).unwrap().abort_asked, None);
    let effects = town.controller.on(ask(abort, 2), now);
    assert!(matches!(&effects[..], [Effect::Append { .. }]), "{effects:?}");
}

#[test]
fn a_request_that_would_outgrow_a_transaction_is_refused() {
    let mut town = Town::new(ACT, "w");
    let refusal = town.ask("kim", start(&"x".repeat(70_000), vec![])).unwrap().unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Invalid);
}

#[test]
fn whoever_acknowledges_another_site_than_they_have_read_is_told_so() {
    // Situation: somebody reads that a site is held down, and ends that; before the leader takes it
    // up, a run has taken the site. Expectation: the leader compares with what is there then.
    let mut town = Town::new(ACT, "w");
    town.votes = [Vote::Up; 2];
    town.ask("kim", start("now", vec![])).unwrap().unwrap();
    assert_eq!(town.ends(), [End::Succeeded]);
    let seen = site_etag(true, false, None);
    let ack =
        |seen: &str| Ask::Acknowledge { site: "a".into(), reason: "seen".into(), seen: Some(seen.into()) };
    town.requirement = Answer::Fails("no".into());
    let run = town.ask("kim", start("again", vec![])).unwrap().unwrap().unwrap().run;
    let refusal = town.ask("lee", ack(&seen)).unwrap().unwrap_err();
    assert_eq!((refusal.kind, refusal.about), (RefusalKind::Stale, Some(About::Site("a".into()))));
    town.pass(1_000);
    assert!(town.controller.judgement().holds.contains_key(&SiteId::from("a")), "nothing was done");
    assert_eq!(town.ask("lee", ack(&site_etag(true, false, Some(&run)))), Some(Ok(None)));
    let refusal = town.ask("lee", ack(&seen)).unwrap().unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Stale, "it is held no more");
}

#[test]
fn what_refuses_a_person_is_kept_and_their_mistakes_are_not() {
    let mut town = Town::new(ACT, "w");
    town.votes = [Vote::Up; 2];
    let kept = |town: &Town| -> Vec<Refused> {
        let refused = |effect: &Effect| match effect {
            Effect::Refused(refused) => Some((**refused).clone()),
            _ => None,
        };
        town.effects.iter().filter_map(refused).collect()
    };
    let unknown = vec![Override { rule: "fence".into(), reason: "I know".into() }];
    town.ask("kim", start("now", unknown)).unwrap().unwrap_err();
    assert_eq!(kept(&town), []);

    town.before = Answer::Fails("12 s behind".into());
    town.ask("kim", start("now", vec![])).unwrap().unwrap_err();
    let [required] = kept(&town).try_into().unwrap();
    assert_eq!((required.site.as_str(), required.guard), ("a", None), "no guard's");
    let said = "kim wanted shop from a to b: the playbook requires what does not hold: ";
    assert!(required.reason.starts_with(said), "{}", required.reason);

    (town.before, town.requirement) = (Answer::Holds("ok".into()), Answer::Fails("no".into()));
    town.ask("kim", start("now", vec![])).unwrap().unwrap();
    let mut drill = start("drill", vec![]);
    if let Ask::Start { request, .. } = &mut drill {
        request.mode = Mode::Drill;
    }
    town.ask("lee", drill).unwrap().unwrap_err();
    let [_, locked] = kept(&town).try_into().unwrap();
    assert_eq!(locked.guard, Some(Guard::Locks));
    assert!(locked.reason.starts_with("lee wanted shop from a to b: run r7-1 holds"), "{}", locked.reason);
}
