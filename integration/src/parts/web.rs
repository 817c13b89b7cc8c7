//! The shop: a small web service that writes customers' rows into its site's database.
//!
//! `GET /` says that it runs, whatever the database does: a shop in a standby site is up
//! before its database may be written. `POST /rows` acknowledges a row (201) only once the
//! database has committed it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls};

use super::{Error, Result};

/// The environment variable with the database password.
pub const PASSWORD: &str = "SHOP_PASSWORD";

const DATABASE_ANSWER: Duration = Duration::from_secs(1);

/// How to run it: `site web`.
#[derive(Debug, Clone, clap::Args)]
pub struct Web {
    /// The name of the site
    #[arg(long)]
    pub site: String,
    /// Where to listen
    #[arg(long)]
    pub listen: SocketAddr,
    /// The site's database server; the password is in the environment, SHOP_PASSWORD
    #[arg(long)]
    pub database: SocketAddr,
}

/// What a customer sends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Unique; sent twice, it is kept once.
    pub id: i64,
    /// When it was sent, in microseconds since 1970.
    pub at: i64,
}

/// What the customer gets back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Of the row.
    pub id: i64,
    /// The site that has it.
    pub site: String,
}

/// How many rows the site has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Count {
    /// The number of rows.
    pub count: i64,
}

struct Shop {
    site: String,
    login: String,
    database: Mutex<Option<Arc<Client>>>,
}

type Answer<T> = std::result::Result<T, (StatusCode, String)>;

impl Web {
    /// Serves until the process is killed.
    pub async fn serve(self) -> Result<()> {
        let password =
            std::env::var(PASSWORD).map_err(|_| Error::answer("web", format!("{PASSWORD} is not set")))?;
        let (host, port) = (self.database.ip(), self.database.port());
        let login =
            format!("host={host} port={port} dbname=shop user=shop password={password} connect_timeout=1");
        let shop = Shop { site: self.site, login, database: Mutex::new(None) };
        let routes = axum::Router::new()
            .route("/", get(hello))
            .route("/rows", post(add))
            .route("/rows/count", get(count))
            .with_state(Arc::new(shop));
        let listening = tokio::net::TcpListener::bind(self.listen).await;
        let listener = listening.map_err(Error::io(format!("listening on {}", self.listen)))?;
        axum::serve(listener, routes).await.map_err(Error::io("serving"))
    }
}

async fn hello(State(shop): State<Arc<Shop>>) -> String {
    format!("the shop, in site {}\n", shop.site)
}

async fn add(
    State(shop): State<Arc<Shop>>,
    Json(row): Json<Row>,
) -> Answer<(StatusCode, Json<Acknowledged>)> {
    let sql = "insert into orders (id, at, site)
               values ($1, timestamptz 'epoch' + $2 * interval '1 microsecond', $3)
               on conflict (id) do nothing";
    // Sent as floating point, which is what PostgreSQL multiplies intervals with.
    let at = row.at as f64;
    shop.ask(async |database| database.execute(sql, &[&row.id, &at, &shop.site]).await).await?;
    Ok((StatusCode::CREATED, Json(Acknowledged { id: row.id, site: shop.site.clone() })))
}

async fn count(State(shop): State<Arc<Shop>>) -> Answer<Json<Count>> {
    let sql = "select count(*) from orders";
    let row = shop.ask(async |database| database.query_one(sql, &[]).await).await?;
    Ok(Json(Count { count: row.get(0) }))
}

impl Shop {
    /// Asks the database; 503 with the reason if it does not do what it should in time.
    async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&Client) -> std::result::Result<T, tokio_postgres::Error>,
    ) -> Answer<T> {
        let asked = tokio::time::timeout(DATABASE_ANSWER, async {
            let database = self.connected().await?;
            question(&database).await
        });
        let why = match asked.await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => match error.as_db_error() {
                Some(refused) => refused.message().to_string(),
                None => error.to_string(),
            },
            Err(_) => {
                *self.database.lock().await = None; // it hangs; the next one tries anew
                format!("no answer within {DATABASE_ANSWER:?}")
            }
        };
        Err((StatusCode::SERVICE_UNAVAILABLE, format!("the database: {why}\n")))
    }

    async fn connected(&self) -> std::result::Result<Arc<Client>, tokio_postgres::Error> {
        let mut current = self.database.lock().await;
        if let Some(database) = current.as_ref().filter(|database| !database.is_closed()) {
            return Ok(database.clone());
        }
        let (client, connection) = tokio_postgres::connect(&self.login, NoTls).await?;
        tokio::spawn(connection);
        let client = Arc::new(client);
        *current = Some(client.clone());
        Ok(client)
    }
}
