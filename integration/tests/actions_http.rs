//! `http.request` against a deploy tool, and `wait.until` on what comes of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use standfast::action::{act, inspect};
use standfast_core::action::Inspection::{Conflict, Needed, Satisfied, Unknown};
use standfast_core::action::{Action, FailureKind, Value};
use standfast_core::check::Check;
use standfast_integration::given::{Deaf, Given, Silent, fails, finds};
use standfast_integration::parts::ports;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const ENOUGH: Duration = Duration::from_secs(10);
const TOKEN: &str = "Bearer s3cret-token";

/// What the tool was asked: headers and body.
type Asked = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A tool that starts things: `/start` with the token, `/ready` after it was asked, `/down`
/// fails, `/moved` redirects, `/echo` tells the token back with its refusal.
async fn tool(asked: Asked) -> std::io::Result<String> {
    async fn start(
        State(asked): State<Asked>,
        headers: HeaderMap,
        body: String,
    ) -> (StatusCode, &'static str) {
        let allowed = headers.get("authorization").is_some_and(|token| token == TOKEN);
        asked.lock().unwrap().push((headers, body));
        if allowed { (StatusCode::ACCEPTED, "starting") } else { (StatusCode::FORBIDDEN, "who are you?") }
    }
    async fn ready(State(asked): State<Asked>) -> StatusCode {
        if asked.lock().unwrap().is_empty() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    }
    async fn echo(headers: HeaderMap) -> (StatusCode, String) {
        let token = headers.get("authorization").and_then(|token| token.to_str().ok());
        (StatusCode::BAD_REQUEST, format!("I do not like {}", token.unwrap_or_default()))
    }
    let moved = || async { axum::response::Redirect::temporary("/start") };
    let app = axum::Router::new()
        .route("/start", post(start))
        .route("/ready", get(ready))
        .route("/down", post(|| async { (StatusCode::SERVICE_UNAVAILABLE, "come back later") }))
        .route("/moved", post(moved))
        .route("/echo", post(echo))
        .with_state(asked);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(format!("http://{address}"))
}

fn request(url: String) -> Action {
    Action::HttpRequest {
        url,
        method: "POST".into(),
        headers: BTreeMap::from([
            ("authorization".to_owned(), Value::Secret("token".into())),
            ("content-type".to_owned(), Value::Text("application/json".into())),
        ]),
        body: Some(r#"{"service": "shop"}"#.into()),
        status: vec![200, 202],
        idempotent: true,
        linger: None,
    }
}

#[tokio::test]
async fn a_request_says_who_sends_it_and_is_the_same_twice() -> Outcome {
    let given = Given::new()?;
    let asked = Asked::default();
    let action = request(tool(asked.clone()).await? + "/start?token=in-the-url");
    finds(inspect(&action, &given.context(ENOUGH)).await, Conflict, &["secret `token` is missing"]);
    given.secret("token", TOKEN)?;
    finds(inspect(&action, &given.context(ENOUGH)).await, Unknown, &["would send POST http://", "/start"]);
    assert!(asked.lock().unwrap().is_empty(), "looking sends nothing");
    for attempt in [1, 2] {
        let mut cx = given.context(ENOUGH);
        cx.attempt.attempt = attempt;
        let seen = act(&action, &cx).await.map_err(|failure| failure.message)?;
        assert!(seen.contains("answers 202") && !seen.contains("in-the-url"), "{seen}");
    }
    let asked = asked.lock().unwrap();
    let header = |index: usize, name: &str| asked[index].0[name].to_str().unwrap().to_owned();
    for (name, value) in [
        ("x-standfast-run", "run-1"),
        ("x-standfast-step", "step"),
        ("x-standfast-epoch", "7"),
        ("idempotency-key", "run-1/step"),
        ("authorization", TOKEN),
        ("content-type", "application/json"),
    ] {
        assert_eq!((header(0, name), header(1, name)), (value.into(), value.into()), "{name}");
    }
    assert_eq!(
        (header(0, "x-standfast-attempt"), header(1, "x-standfast-attempt")),
        ("1".into(), "2".into())
    );
    assert_eq!(asked[0].1, r#"{"service": "shop"}"#);
    Ok(())
}

#[tokio::test]
async fn what_a_tool_answers_decides_what_may_follow() -> Outcome {
    let given = Given::new()?;
    let tool = tool(Asked::default()).await?;
    given.secret("token", "Bearer wrong-token")?;
    let at = |path: &str| request(format!("{tool}{path}"));
    let wrong = act(&at("/start"), &given.context(ENOUGH)).await;
    fails(wrong, FailureKind::Refused, &["answers 403", "who are you?"]);
    let down = act(&at("/down"), &given.context(ENOUGH)).await;
    fails(down, FailureKind::Failed, &["answers 503", "come back later"]);
    fails(act(&at("/moved"), &given.context(ENOUGH)).await, FailureKind::Refused, &["answers 307"]);
    let echo = act(&at("/echo"), &given.context(ENOUGH)).await.unwrap_err();
    assert!(!echo.message.contains("wrong-token"), "{}", echo.message);
    fails(Err(echo), FailureKind::Refused, &["answers 400", "I do not like ***"]);
    given.secret("token", "two\nlines")?;
    let split = act(&at("/start"), &given.context(ENOUGH)).await.unwrap_err();
    assert!(!split.message.contains("two"), "{}", split.message);
    fails(Err(split), FailureKind::Refused, &["`authorization`"]);
    Ok(())
}

#[tokio::test]
async fn a_dead_tool_is_unreachable_and_a_silent_one_ambiguous() -> Outcome {
    let given = Given::new()?;
    given.secret("token", TOKEN)?;
    let dead = ports::free("127.77.1.30".parse()?)?;
    let action = request(format!("http://{dead}/start"));
    fails(
        act(&action, &given.context(ENOUGH)).await,
        FailureKind::Unreachable,
        &[&dead.to_string(), "refused"],
    );
    finds(inspect(&action, &given.context(ENOUGH)).await, Unknown, &["now unreachable", &dead.to_string()]);
    let deaf = Deaf::new().await?;
    let action = request(format!("http://{}/start", deaf.address));
    let failed = act(&action, &given.context(Duration::from_millis(400))).await;
    fails(failed, FailureKind::Unreachable, &[&deaf.address.to_string(), "no connection within"]);
    let silent = Silent::new()?;
    let action = request(format!("http://{}/start", silent.address));
    let failed = act(&action, &given.context(Duration::from_millis(300))).await;
    fails(failed, FailureKind::Ambiguous, &[&silent.address.to_string(), "not answered within"]);
    Ok(())
}

#[tokio::test]
async fn waiting_ends_when_all_holds_or_the_time_is_over() -> Outcome {
    let given = Given::new()?;
    given.secret("token", TOKEN)?;
    let tool = tool(Asked::default()).await?;
    let ready = Check::HttpGet { url: format!("{tool}/ready"), status: 200, body: None, below: None };
    let open = Check::TcpConnect { address: tool.trim_start_matches("http://").into() };
    let wait = Action::WaitUntil { all: vec![open, ready] };
    finds(inspect(&wait, &given.context(ENOUGH)).await, Needed, &["answers 503, not 200"]);
    let vain = act(&wait, &given.context(Duration::from_millis(500))).await;
    fails(vain, FailureKind::Failed, &["waited in vain", "503"]);

    let start = request(format!("{tool}/start"));
    let cx = given.context(ENOUGH);
    let began = Instant::now();
    let (waited, started) = tokio::join!(act(&wait, &cx), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        act(&start, &cx).await
    });
    started.map_err(|failure| failure.message)?;
    let seen = waited.map_err(|failure| failure.message)?;
    assert!(seen.contains("connects") && seen.contains("answers 200"), "{seen}");
    assert!(began.elapsed() >= Duration::from_millis(300));
    finds(inspect(&wait, &given.context(ENOUGH)).await, Satisfied, &["answers 200"]);
    act(&wait, &given.context(ENOUGH)).await.map_err(|failure| failure.message)?;

    // A target that never answers does not keep it from its deadline.
    let silent = Silent::new()?;
    let never =
        Check::HttpGet { url: format!("http://{}/", silent.address), status: 200, body: None, below: None };
    let began = Instant::now();
    let vain = act(&Action::WaitUntil { all: vec![never] }, &given.context(Duration::from_millis(400))).await;
    fails(vain, FailureKind::Failed, &["waited in vain", "did not answer"]);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    Ok(())
}
