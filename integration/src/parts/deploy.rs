//! A stand-in for a deploy tool: the thing in every company that knows how to start the shop.
//!
//! It does for real the one thing that a fail-over needs of such a tool, and is strict about
//! it: `POST /start/shop` launches the web service of its own site and answers 200 once that
//! listens; asked again, it finds the service running and launches nothing. Another service is
//! 404, another method 405. What it has launched ends with it.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path as Segment, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::part::{Part, Spec};
use super::web::{self, Web};
use super::{Error, LogEnd, Result, poll, site_program};

const READY: Duration = Duration::from_secs(10);

/// How to run it: `site deploy`.
#[derive(Debug, clap::Args)]
pub struct Tool {
    /// Where to listen
    #[arg(long)]
    pub listen: SocketAddr,
    /// The name of the site
    #[arg(long)]
    pub site: String,
    /// Where the web service will listen
    #[arg(long)]
    pub web: SocketAddr,
    /// The site's database server; the password is in the environment, SHOP_PASSWORD
    #[arg(long)]
    pub database: SocketAddr,
}

/// What it answers to `POST /start/shop`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Launched {
    /// The service.
    pub service: String,
    /// Its process.
    pub pid: u32,
    /// Whether this request launched it; `false` if it ran already.
    pub launched: bool,
}

struct Running {
    tool: Tool,
    web: Mutex<Option<Child>>,
}

impl Tool {
    /// Serves until the process is killed.
    pub async fn serve(self) -> Result<()> {
        let listening = tokio::net::TcpListener::bind(self.listen).await;
        let listener = listening.map_err(Error::io(format!("listening on {}", self.listen)))?;
        let routes = axum::Router::new()
            .route("/", get(|| async { "the deploy tool (a stand-in)\n" }))
            .route("/start/{service}", post(start))
            .with_state(Arc::new(Running { tool: self, web: Mutex::new(None) }));
        axum::serve(listener, routes).await.map_err(Error::io("serving"))
    }

    /// Launches the web service; its output goes to `web.log` in the site's folder.
    async fn launch(&self) -> Result<Child> {
        let log_file = PathBuf::from("web.log");
        let log = OpenOptions::new().create(true).append(true).open(&log_file);
        let log = log.map_err(Error::io("opening web.log"))?;
        let Web { site, listen, database } =
            Web { site: self.site.clone(), listen: self.web, database: self.database };
        let mut child = Command::new(site_program()?)
            .args(["web", "--site", &site, "--listen", &listen.to_string()])
            .args(["--database", &database.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(Error::io("starting the web service"))?;
        let listens = poll(READY, || async {
            tokio::net::TcpStream::connect(listen).await.map(drop).map_err(|e| e.to_string())
        });
        let outcome = tokio::select! {
            status = child.wait() => Err(match status {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            }),
            listening = listens => listening,
        };
        match outcome {
            Ok(()) => Ok(child),
            Err(status) => {
                let _ = child.kill().await; // it may have ended by itself
                Err(Error::Ended { part: "web".into(), status, log: LogEnd::of(&log_file) })
            }
        }
    }
}

async fn start(
    State(running): State<Arc<Running>>,
    Segment(service): Segment<String>,
) -> std::result::Result<Json<Launched>, (StatusCode, String)> {
    if service != "shop" {
        return Err((StatusCode::NOT_FOUND, format!("there is no service {service:?}\n")));
    }
    let mut web = running.web.lock().await;
    if let Some(child) = web.as_mut()
        && let (Ok(None), Some(pid)) = (child.try_wait(), child.id())
    {
        return Ok(Json(Launched { service, pid, launched: false }));
    }
    let child = running.tool.launch().await;
    let child = child.map_err(|e| (StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")))?;
    let pid = child.id().unwrap_or_default();
    *web = Some(child);
    Ok(Json(Launched { service, pid, launched: true }))
}

/// A running deploy tool, seen from outside.
#[derive(Debug)]
pub struct Deploy {
    /// Where it listens.
    pub address: SocketAddr,
    part: Part,
}

impl Deploy {
    /// Starts the tool of a site, which will start `web` there when told to. `password` is
    /// that of the role `shop`.
    pub async fn start(site: &Path, address: SocketAddr, web: &Web, password: &str) -> Result<Deploy> {
        let mut part = Spec::new(site, "deploy", site_program()?)?
            .args(["deploy", "--site", &web.site, "--listen", &address.to_string()])
            .args(["--web", &web.listen.to_string(), "--database", &web.database.to_string()])
            .env(web::PASSWORD, password)
            .start()
            .await?;
        part.until_listening(address, READY).await?;
        Ok(Deploy { address, part })
    }

    /// Tells it to start the shop.
    pub async fn start_shop(&self) -> Result<Launched> {
        let url = format!("http://{}/start/shop", self.address);
        let failed = |e: reqwest::Error| Error::answer("deploy tool", e);
        let answer = super::client::http()?.post(&url).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            let problem = format!("{url}: {} {}", answer.status(), answer.text().await.map_err(failed)?);
            return Err(Error::answer("deploy tool", problem));
        }
        let text = answer.text().await.map_err(failed)?;
        serde_json::from_str(&text).map_err(|e| Error::answer("deploy tool", format!("{e}: {text}")))
    }

    /// Its process: alive, killed, paused.
    pub fn part(&mut self) -> &mut Part {
        &mut self.part
    }
}
