//! Sends requests and takes down what becomes of each.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, StatusCode, redirect};
use tokio::signal;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::report::{Exchange, Fate, Report};
use crate::schedule::Arrival;

/// An answer that takes longer is given up on.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is sent, and where.
pub(crate) struct Settings {
    pub(crate) url: String,
    pub(crate) pictures: Vec<Vec<u8>>,
    pub(crate) form: bool,
    pub(crate) max_connections: usize,
    pub(crate) hang_up_after: Duration,
}

/// A client with its connections. Clones share them.
#[derive(Clone)]
pub(crate) struct Sender {
    client: Client,
    url: Arc<str>,
    pictures: Arc<[Bytes]>,
    form: bool,
    connections: Arc<Semaphore>,
    hang_up_after: Duration,
}

impl Sender {
    pub(crate) fn new(settings: Settings) -> Result<Self, String> {
        // Without one there is no client, even where it will speak no TLS; there may be one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .timeout(PATIENCE)
            .build()
            .map_err(|cause| cause.to_string())?;
        Ok(Self {
            client,
            url: settings.url.into(),
            pictures: settings.pictures.into_iter().map(Bytes::from).collect(),
            form: settings.form,
            connections: Arc::new(Semaphore::new(settings.max_connections)),
            hang_up_after: settings.hang_up_after,
        })
    }

    /// Sends each request when it is due, whatever became of those before; an interrupt ends the
    /// sending early.
    pub(crate) async fn open_loop(self, arrivals: Vec<Arrival>) -> Report {
        let start = Instant::now();
        let mut under_way = JoinSet::new();
        let mut interrupt = pin!(signal::ctrl_c());
        for (index, arrival) in arrivals.into_iter().enumerate() {
            let due = start + arrival.due;
            tokio::select! {
                () = sleep_until(due) => (),
                _ = &mut interrupt => break,
            }
            let sender = self.clone();
            under_way.spawn(async move { sender.exchange(index, due, arrival.hangs_up).await });
        }
        let exchanges = under_way.join_all().await;
        Report::new(start.elapsed(), exchanges)
    }

    /// Keeps `clients` requests under way.
    pub(crate) async fn closed_loop(self, clients: usize, duration: Duration) -> Report {
        let start = Instant::now();
        let mut under_way = JoinSet::new();
        for client in 0..clients {
            let sender = self.clone();
            under_way.spawn(async move {
                let mut exchanges = Vec::new();
                while start.elapsed() < duration {
                    let index = client + exchanges.len() * clients;
                    exchanges.push(sender.exchange(index, Instant::now(), false).await);
                }
                exchanges
            });
        }
        let exchanges = under_way.join_all().await.into_iter().flatten().collect();
        Report::new(start.elapsed(), exchanges)
    }

    async fn exchange(&self, index: usize, due: Instant, hangs_up: bool) -> Exchange {
        // The semaphore is never closed.
        let connection = self.connections.acquire().await.ok();
        let sent_late = due.elapsed();
        let (fate, retry_after) = if hangs_up {
            let answer = timeout(self.hang_up_after, self.send(index)).await;
            answer.unwrap_or((Fate::HungUp, None))
        } else {
            self.send(index).await
        };
        drop(connection);
        Exchange { fate, latency: due.elapsed(), sent_late, retry_after }
    }

    async fn send(&self, index: usize) -> (Fate, Option<u64>) {
        let picture = self.pictures[index % self.pictures.len()].clone();
        let request = self.client.post(&*self.url);
        let request = if self.form {
            let part = Part::stream(picture).file_name("picture.jpg");
            request.multipart(Form::new().part("request", part))
        } else {
            request.header("content-type", "image/jpeg").body(picture)
        };
        match request.send().await {
            Err(cause) if cause.is_connect() => (Fate::NotConnected, None),
            Err(_) => (Fate::Lost, None),
            Ok(response) => {
                let status = response.status();
                let retry_after = response.headers().get("retry-after");
                let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
                match response.bytes().await {
                    Ok(_) => (fate(status), retry_after),
                    Err(_) => (Fate::Lost, None),
                }
            }
        }
    }
}

fn fate(status: StatusCode) -> Fate {
    match status {
        StatusCode::OK => Fate::Answered,
        StatusCode::SERVICE_UNAVAILABLE => Fate::Refused,
        StatusCode::GATEWAY_TIMEOUT => Fate::Expired,
        other => Fate::OtherStatus(other.as_u16()),
    }
}
