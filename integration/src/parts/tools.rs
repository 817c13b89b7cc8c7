//! A stand-in for what a large site has beside its shop: tools, stores and services by the
//! dozen, one path each.
//!
//! It does for real the one thing that a failover depends on: order. `PUT /NAME/primary` or
//! `/NAME/active` brings a service up, and `PUT /deploy/running/NAME` does so through the deploy
//! tool, which must itself be active; both are refused (409) while something that the service
//! needs is down. `GET /NAME/health` is 200 while it is up. The one service that is the site's
//! shop is started by the site's own [deploy tool](super::deploy), and is up when the shop
//! answers. `GET /` says in which order all came up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path as Segments, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use tokio::sync::Mutex;

use super::part::{Part, Spec};
use super::{Error, Result, client, site_program};

const READY: Duration = Duration::from_secs(10);
/// The service through which others are started.
const DEPLOY: &str = "deploy";

/// How a service stands before anybody does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is off.
    Off,
    /// It answers, and does nothing yet.
    Ready,
    /// It works.
    Active,
}

/// A service, as it is given: `NAME=active`, `NAME=off:need,need`.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// How it stands at first.
    pub standing: Standing,
    /// Services that must be active before it.
    pub needs: Vec<String>,
}

impl FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, rest) = text.split_once('=').ok_or("NAME=STANDING[:NEED,...]")?;
        let (standing, needs) = rest.split_once(':').unwrap_or((rest, ""));
        let standing = match standing {
            "off" => Standing::Off,
            "ready" => Standing::Ready,
            "active" => Standing::Active,
            other => return Err(format!("{other:?} is none of off, ready, active")),
        };
        let needs = needs.split(',').filter(|need| !need.is_empty()).map(str::to_owned).collect();
        Ok(Service { name: name.into(), standing, needs })
    }
}

impl Service {
    fn argument(&self) -> String {
        let standing = match self.standing {
            Standing::Off => "off",
            Standing::Ready => "ready",
            Standing::Active => "active",
        };
        format!("{}={standing}:{}", self.name, self.needs.join(","))
    }
}

/// How to run it: `site tools`.
#[derive(Debug, clap::Args)]
pub struct Tool {
    /// Where to listen
    #[arg(long)]
    pub listen: SocketAddr,
    /// A service: NAME=off|ready|active[:NEED,...]; repeat
    #[arg(long)]
    pub service: Vec<Service>,
    /// The service that is the site's shop
    #[arg(long)]
    pub shop: String,
    /// Where the shop listens
    #[arg(long)]
    pub web: SocketAddr,
    /// The deploy tool that starts the shop
    #[arg(long)]
    pub starter: SocketAddr,
}

struct Running {
    tool: Tool,
    state: Mutex<BTreeMap<String, Standing>>,
    came: Mutex<Vec<String>>,
    http: reqwest::Client,
}

type Answer = std::result::Result<String, (StatusCode, String)>;

impl Tool {
    /// Serves until the process is killed.
    pub async fn serve(self) -> Result<()> {
        let listening = tokio::net::TcpListener::bind(self.listen).await;
        let listener = listening.map_err(Error::io(format!("listening on {}", self.listen)))?;
        let state = self.service.iter().map(|service| (service.name.clone(), service.standing)).collect();
        let running = Running {
            tool: self,
            state: Mutex::new(state),
            came: Mutex::new(Vec::new()),
            http: client::http()?,
        };
        let routes = axum::Router::new()
            .route(
                "/",
                get(async |State(running): State<Arc<Running>>| Json(running.came.lock().await.clone())),
            )
            .route("/deploy/running/{name}", put(deploy))
            .route("/{name}/health", get(health))
            .route("/{name}/primary", put(activate))
            .route("/{name}/active", put(activate))
            .with_state(Arc::new(running));
        axum::serve(listener, routes).await.map_err(Error::io("serving"))
    }
}

async fn health(State(running): State<Arc<Running>>, Segments(name): Segments<String>) -> Answer {
    running.health(&name).await
}

async fn activate(State(running): State<Arc<Running>>, Segments(name): Segments<String>) -> Answer {
    running.activate(&name).await
}

async fn deploy(State(running): State<Arc<Running>>, Segments(name): Segments<String>) -> Answer {
    let standing = running.standing(DEPLOY).await?;
    match standing {
        Standing::Active => running.activate(&name).await,
        Standing::Off | Standing::Ready => Err((StatusCode::CONFLICT, "deploy is not active\n".into())),
    }
}

impl Running {
    async fn standing(&self, name: &str) -> std::result::Result<Standing, (StatusCode, String)> {
        let standing = self.state.lock().await.get(name).copied();
        standing.ok_or_else(|| (StatusCode::NOT_FOUND, format!("there is no service {name:?}\n")))
    }

    async fn health(&self, name: &str) -> Answer {
        let standing = self.standing(name).await?;
        if name == self.tool.shop {
            let asked = self.http.get(format!("http://{}/", self.tool.web)).send().await;
            asked.and_then(reqwest::Response::error_for_status).map_err(|e| down(name, &e.to_string()))?;
        }
        match standing {
            Standing::Off => Err(down(name, "it is off")),
            Standing::Ready | Standing::Active => Ok(format!("{name} is up\n")),
        }
    }

    /// Brings a service up; done before, it stays.
    async fn activate(&self, name: &str) -> Answer {
        self.standing(name).await?;
        let service = self.tool.service.iter().find(|service| service.name == name);
        for need in service.iter().flat_map(|service| &service.needs) {
            if self.standing(need).await? != Standing::Active {
                return Err((StatusCode::CONFLICT, format!("{name} needs {need}, which is not active\n")));
            }
        }
        if name == self.tool.shop {
            let url = format!("http://{}/start/shop", self.tool.starter);
            let asked = self.http.post(url).send().await;
            asked.and_then(reqwest::Response::error_for_status).map_err(|e| down(name, &e.to_string()))?;
        }
        let before = self.state.lock().await.insert(name.to_owned(), Standing::Active);
        if before != Some(Standing::Active) {
            self.came.lock().await.push(name.to_owned());
        }
        Ok(format!("{name} is active\n"))
    }
}

fn down(name: &str, why: &str) -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{name}: {why}\n"))
}

/// Running tools, seen from outside.
#[derive(Debug)]
pub struct Tools {
    /// Where they listen.
    pub address: SocketAddr,
    _part: Part,
}

impl Tools {
    /// Starts the tools of a site.
    pub async fn start(site: &Path, tool: &Tool) -> Result<Tools> {
        let address = tool.listen;
        let services = tool.service.iter().flat_map(|service| ["--service".into(), service.argument()]);
        let mut part = Spec::new(site, "tools", site_program()?)?
            .args(["tools", "--listen", &address.to_string(), "--shop", &tool.shop])
            .args(["--web", &tool.web.to_string(), "--starter", &tool.starter.to_string()])
            .args(services)
            .start()
            .await?;
        part.until_listening(address, READY).await?;
        Ok(Tools { address, _part: part })
    }

    /// What came up since the start, in its order.
    pub async fn came_up(&self) -> Result<Vec<String>> {
        let failed = |e: reqwest::Error| Error::answer("tools", e);
        let answer = client::http()?.get(format!("http://{}/", self.address)).send().await;
        let text = answer.map_err(failed)?.text().await.map_err(failed)?;
        serde_json::from_str(&text).map_err(|e| Error::answer("tools", format!("{e}: {text}")))
    }
}
