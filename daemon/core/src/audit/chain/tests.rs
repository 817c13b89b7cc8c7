use super::*;
use crate::audit::VERSION;

fn fact(entry: u64) -> Fact {
    let digest = Digest::plain(record(entry).as_bytes());
    Fact::Run { run: "r1-1".into(), entry, digest, step: None, said: "x".into() }
}

fn record(entry: u64) -> String {
    format!("record {entry}")
}

fn entry(sequence: u64, previous: Digest, facts: Vec<Fact>) -> Vec<u8> {
    let (epoch, member) = (None, Some("m1".into()));
    let entry = Entry { version: VERSION, sequence, previous, wall_ms: 0, epoch, member, facts };
    serde_json::to_vec(&entry).unwrap()
}

/// Six lines, each of one record of a run.
fn lines() -> Vec<Vec<u8>> {
    let mut head = Head::default();
    (1..=6)
        .map(|sequence| {
            let line = entry(sequence, head.digest.clone(), vec![fact(sequence)]);
            head = Head::of(sequence, &line);
            line
        })
        .collect()
}

fn verify(lines: &[Vec<u8>], known: Option<Head>) -> Vec<Broken> {
    let mut chain = Chain::knowing(known);
    for line in lines {
        chain.take(line);
    }
    chain.end(&BTreeMap::new()).broken
}

#[test]
fn a_whole_chain_says_nothing() {
    let lines = lines();
    let head = Head::of(6, &lines[5]);
    assert_eq!(verify(&lines, Some(head.clone())), []);
    assert_eq!(verify(&lines, Some(Head::of(3, &lines[2]))), [], "one known from before");
    assert_eq!(verify(&[], None), []);
    assert_eq!(head.to_string().parse(), Ok(head));
    for bad in ["", "6", "6:", "x:y", "6:zz"] {
        assert!(bad.parse::<Head>().is_err(), "{bad}");
    }
}

#[test]
fn whatever_is_done_to_it_is_found() {
    let whole = lines();
    let head = Some(Head::of(6, &whole[5]));
    let done = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines = whole.clone();
        change(&mut lines);
        verify(&lines, head.clone())
    };
    let said = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap().replace("\"x\"", "\"y\"").into_bytes();
    assert_eq!(done(&|lines| lines[2] = said(&lines[2])), [Broken::Changed(3)]);
    assert_eq!(done(&|lines| lines[5] = said(&lines[5])), [Broken::NotKnown(head.clone().unwrap())]);
    assert_eq!(done(&|lines| drop(lines.remove(2))), [Broken::Missing { from: 3, to: 3 }]);
    assert_eq!(done(&|lines| drop(lines.drain(1..4))), [Broken::Missing { from: 2, to: 4 }]);
    assert_eq!(done(&|lines| drop(lines.remove(0))), [Broken::Missing { from: 1, to: 1 }]);
    assert_eq!(done(&|lines| drop(lines.pop())), [Broken::Missing { from: 6, to: 6 }]);
    assert_eq!(done(&Vec::clear), [Broken::Missing { from: 1, to: 6 }]);
    assert!(done(&|lines| lines.swap(2, 3)).contains(&Broken::Misplaced { sequence: 3, after: 4 }));
    assert!(matches!(&done(&|lines| lines[2] = b"x".to_vec())[0], Broken::Unreadable { after: 2, .. }));
    // Whoever writes the rest anew is found by whoever has kept a digest.
    let anew = |lines: &mut Vec<Vec<u8>>| {
        lines.truncate(4);
        let digest = Digest::plain(&lines[3]);
        lines.push(entry(5, digest, vec![fact(7)]));
        lines.push(entry(6, Digest::plain(&lines[4]), vec![]));
    };
    assert_eq!(done(&anew), [Broken::NotKnown(head.clone().unwrap())]);
}

#[test]
fn records_are_compared_with_what_was_written() {
    let broken = |change: &dyn Fn(u64) -> Option<String>, last: u64, forgotten: bool| {
        let (mut chain, mut lines) = (Chain::default(), lines());
        if forgotten {
            lines.push(entry(7, Digest::plain(&lines[5]), vec![Fact::Forgotten { run: "r1-1".into() }]));
        }
        for line in &lines {
            for fact in chain.take(line).unwrap().facts {
                let Fact::Run { entry, .. } = &fact else { continue };
                chain.compare(&fact, change(*entry).as_deref().map(str::as_bytes));
            }
        }
        chain.end(&BTreeMap::from([("r1-1".into(), last)])).broken
    };
    let is = |entry, how| vec![Broken::Record { run: "r1-1".into(), entry, how }];
    assert_eq!(broken(&|entry| Some(record(entry)), 6, false), []);
    assert_eq!(broken(&|entry| Some(record(entry.min(5))), 6, false), is(6, How::Changed));
    assert_eq!(broken(&|entry| Some(record(entry)).filter(|_| entry != 4), 6, false), is(4, How::Missing));
    assert_eq!(broken(&|entry| Some(record(entry)), 7, false), is(7, How::PutIn));
    assert_eq!(broken(&|_| None, 0, true), [], "it was let go, and that is told");
}

#[test]
fn what_was_let_go_is_told() {
    let lines = lines();
    let trimmed = Fact::Trimmed { last: Head::of(2, &lines[1]) };
    let mut rest = lines[2..].to_vec();
    rest.push(entry(7, Digest::plain(&lines[5]), vec![trimmed]));
    assert_eq!(verify(&rest, Some(Head::of(1, &lines[0]))), []);
    rest.remove(0);
    assert_eq!(verify(&rest, None), [Broken::Missing { from: 1, to: 3 }]);
}
