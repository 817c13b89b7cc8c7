use super::*;
use crate::fixture::three_sites;

fn names<T: for<'a> From<&'a str> + Ord>(names: &[&str]) -> BTreeSet<T> {
    names.iter().map(|name| T::from(name)).collect()
}

/// `shop` with six instances and `db` with two serve in a, `mail` with twelve in b.
fn rules() -> Rules {
    let serving = [("shop", "a", 6), ("db", "a", 2), ("mail", "b", 12)];
    let serving = serving
        .into_iter()
        .map(|(service, site, copies)| (service.into(), [(SiteId::from(site), copies)].into()))
        .collect();
    Rules { serving, ..three_sites() }
}

fn moving(services: &[&str]) -> Moving {
    let services = names(services);
    Moving { from: "a".into(), to: "b".into(), services, well: names(&["b", "w"]), today: vec![] }
}

fn yesterday(site: &str, services: &[&str], servers: u64) -> Moved {
    Moved { run: "r1-1".into(), site: site.into(), services: names(services), servers, age: Span::secs(60) }
}

#[test]
fn enough_sites_have_to_be_well_beside_the_one_that_is_left() {
    let mut rules = rules();
    rules.limits.min_serving = Some(1);
    assert!(serving(&rules, &moving(&["shop"])).is_ok());
    let alone = Moving { well: names(&["a", "w"]), ..moving(&["shop"]) };
    let said = serving(&rules, &alone).unwrap_err();
    assert_eq!(said, "well beside a: none; the fleet wants 1 (min_serving)", "a witness serves nobody");
    rules.limits.min_serving = Some(2);
    assert!(serving(&rules, &moving(&["shop"])).unwrap_err().starts_with("well beside a: b; "));
}

#[test]
fn a_run_and_a_day_leave_no_more_than_they_may() {
    let cap = |sites, services, servers| Cap { sites, services, servers };
    let says = |per_run, per_day, today: Vec<Moved>| {
        let limits = Limits { per_run, per_day, ..Limits::default() };
        let rules = Rules { limits, ..rules() };
        radius(&rules, &Moving { today, ..moving(&["shop", "db", "mail"]) })
    };
    let none = Cap::default();
    assert_eq!(says(none, none, vec![]).unwrap(), "2 services, 40% of what serves", "mail serves elsewhere");
    assert!(says(cap(None, Some(2), Some(40)), none, vec![]).is_ok());
    assert!(
        says(cap(None, Some(1), None), none, vec![])
            .unwrap_err()
            .contains("1 services at most: this would be 2")
    );
    assert!(
        says(cap(None, None, Some(39)), none, vec![]).unwrap_err().contains("39% of what serves at most")
    );
    let before = || vec![yesterday("b", &["mail", "db"], 12)];
    assert!(says(none, cap(Some(2), Some(3), Some(100)), before()).is_ok());
    for (cap, words) in [
        (cap(Some(1), None, None), "1 sites at most: this would be 2, with r1-1"),
        (cap(None, Some(2), None), "2 services at most: this would be 3, with r1-1"),
        (cap(None, None, Some(99)), "99% of what serves at most: this would be 100%, with r1-1"),
    ] {
        let said = says(none, cap, before()).unwrap_err();
        assert!(said.contains(words), "{said}");
        assert!(says(none, cap, vec![]).is_ok(), "{words}");
    }
    assert!(says(none, cap(Some(1), None, None), vec![yesterday("a", &[], 0)]).is_ok(), "that site again");
}

#[test]
fn no_run_ends_in_a_state_that_is_forbidden() {
    let ends = |forbidden: Forbidden, services: &[&str]| {
        let limits = Limits { forbidden: vec![forbidden], ..Limits::default() };
        let rules = Rules { limits, ..rules() };
        end(&rules, &moving(services)).err()
    };
    let active = || Forbidden::Active { service: "shop".into(), site: "b".into() };
    let said = ends(active(), &["shop"]).unwrap();
    assert_eq!(said, "at its end shop serves in b, which the fleet forbids");
    assert_eq!(ends(active(), &["db"]), None);
    let apart = || Forbidden::Apart(names(&["shop", "db"]));
    assert!(ends(apart(), &["shop"]).unwrap().contains("db and shop serve in no site together"));
    assert_eq!(ends(apart(), &["shop", "db"]), None);
    let together = || Forbidden::Together(names(&["mail", "shop"]));
    assert!(ends(together(), &["shop"]).unwrap().contains("mail and shop serve in one site"));
    assert_eq!(ends(together(), &["db"]), None);
    assert_eq!(apart().met(&rules().serving), None);
    assert_eq!(
        Forbidden::Apart(names(&["mail", "shop"])).met(&rules().serving).unwrap(),
        "mail and shop serve in no site together"
    );
}

#[test]
fn each_limit_refuses_under_its_own_number() {
    let mut rules = rules();
    assert_eq!(refusing(&rules, &moving(&["shop"])), []);
    rules.limits.min_serving = Some(9);
    rules.limits.per_run.services = Some(0);
    rules.limits.forbidden.push(Forbidden::Active { service: "shop".into(), site: "b".into() });
    let guards: Vec<Guard> =
        refusing(&rules, &moving(&["shop"])).into_iter().map(|(guard, _)| guard).collect();
    assert_eq!(guards, [Guard::Serving, Guard::BlastRadius, Guard::FinalState]);
}
