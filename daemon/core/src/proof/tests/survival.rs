//! What is left of Standfast itself.

use super::{END, FLEET, SHOP};
use crate::bundle::Bundle;
use crate::proof::survival::{Known, Survival, of, of_files};
use crate::source::SourceFile;

fn files(keys: &str) -> Vec<SourceFile> {
    let fleet = FLEET.replace(END, &format!("{keys}\n{END}"));
    vec![SourceFile::new("fleet.yaml", fleet), SourceFile::new("shop.yaml", SHOP)]
}

/// For each site a letter for each part: yes, no, unknown.
fn letters(survivals: &[Survival]) -> Vec<String> {
    let letter = |left: Option<bool>| match left {
        Some(true) => 'y',
        Some(false) => 'n',
        None => '?',
    };
    let all = |survival: &Survival| survival.parts.iter().map(|part| letter(part.left)).collect::<String>();
    survivals.iter().map(|survival| format!("{} {}", survival.site, all(survival))).collect()
}

#[test]
fn what_nobody_says_is_unknown_and_does_not_survive() {
    let survivals = of_files(files("")).unwrap();
    assert_eq!(letters(&survivals), ["a ??????", "b ??????", "w ??????"]);
    assert!(survivals.iter().all(|survival| !survival.survives()));
}

#[test]
fn what_stands_in_one_site_goes_with_it() {
    let keys = "secrets: {tsig: {site: b}}\ncontrol:\n  voters: {x: a, y: a, z: w}\n  members: {x: {site: a}}\n  \
                alerting: {host: 10.3.0.9}\n  channels: {outside: phones}\n  identity: {site: [a, b]}";
    let survivals = of_files(files(keys)).unwrap();
    assert_eq!(letters(&survivals), ["a nnnnyy", "b yyynyy", "w yyyyny"]);
    let credentials = &survivals[1].parts[3];
    assert_eq!(credentials.why, "`tsig` cannot be read any more");
    assert_eq!(credentials.path, ["tsig", "b"]);
    assert_eq!(survivals[2].parts[4].path, ["alerting", "10.3.0.9", "w"]);
}

/// A daemon knows who is alive and whom it asks; what the fleet says goes before it.
#[test]
fn what_the_daemon_sees_counts_where_the_fleet_is_silent() {
    let endpoints = ["https://etcd.a.example.net:2379", "10.2.0.9:2379", "10.3.0.9:2379"];
    let known =
        Known { members: vec!["a".into(), "b".into()], voters: endpoints.map(str::to_owned).to_vec() };
    let load = |keys: &str| Bundle::load(files(keys)).0.unwrap();
    assert_eq!(letters(&of(&load(""), &known)), ["a yyyy??", "b yyyy??", "w yyyy??"]);
    let said = load(
        "control: {members: {x: {site: w}, y: {site: b}}, alerting: {outside: x}, channels: {outside: y}}",
    );
    assert_eq!(letters(&of(&said, &known)), ["a yyyyyy", "b yyyyyy", "w yyyyyy"]);
    let elsewhere = Known { voters: vec!["etcd.example.com:2379".into()], ..known };
    assert_eq!(letters(&of(&said, &elsewhere))[0], "a ?yyyyy", "nobody knows where that stands");
}

#[test]
fn files_that_are_refused_are_judged_and_files_that_are_not_understood_are_not() {
    let burnt = FLEET.replace(
        "deploy-tool: {tier: 0, kind: tooling, runs_in: {a: active, b: standby}}",
        "deploy-tool: {tier: 0, kind: tooling, runs_in: {a: active}}",
    );
    assert_eq!(of_files(vec![SourceFile::new("fleet.yaml", burnt)]).unwrap().len(), 3);
    assert_eq!(
        of_files(vec![SourceFile::new("fleet.yaml", FLEET.replace("role: active", "role: actve"))]),
        None
    );
    assert_eq!(of_files(vec![SourceFile::new("shop.yaml", SHOP)]), None);
}
