//! Asks the service to load models anew, and waits until the new ones serve.

use serde::Serialize;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// Asks. Clones ask the same service.
#[derive(Clone)]
pub struct Reloads {
    orders: mpsc::Sender<Order>,
}

/// What is asked for, in turn.
pub struct Orders {
    orders: mpsc::Receiver<Order>,
}

/// One request, and where its answer goes.
pub struct Order {
    /// The model; all where none is named.
    pub model: Option<String>,
    /// Told when the new ones serve, or why they do not.
    pub reply: oneshot::Sender<Result<Vec<Reloaded>, ReloadError>>,
}

/// A model that was loaded anew and serves.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Reloaded {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its graph's file.
    pub sha256: String,
    /// The name that it replaced, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// The version that it replaced.
    pub replaced_version: String,
}

/// Why models serve as before.
#[derive(Clone, Debug, Error)]
pub enum ReloadError {
    /// No such model.
    #[error("no model `{asked}` is served; there is `{}`", served.join("`, `"))]
    Unknown {
        /// What was asked for.
        asked: String,
        /// The models that there are.
        served: Vec<String>,
    },
    /// The service has not begun to serve, or is about to end.
    #[error("the service is {0}; models are loaded anew only while it serves")]
    NotServing(&'static str),
    /// The folder is not in order, or the network does not run.
    #[error("{} as before: {}{}", serve(failures), causes(failures), replaced(reloaded))]
    Failed {
        /// Each model and what is wrong with it.
        failures: Vec<(String, String)>,
        /// The other models, which were asked for too.
        reloaded: Vec<Reloaded>,
    },
}

/// The two ends: orders go in at the first and come out at the second.
#[must_use]
pub fn pair() -> (Reloads, Orders) {
    let (sender, orders) = mpsc::channel(1);
    (Reloads { orders: sender }, Orders { orders })
}

impl Reloads {
    /// Has a model, or all, loaded anew.
    ///
    /// # Errors
    ///
    /// When a model serves as before.
    pub async fn reload(&self, model: Option<String>) -> Result<Vec<Reloaded>, ReloadError> {
        let gone = || ReloadError::NotServing("draining");
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order { model, reply }).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Orders {
    /// The next order; `None` when nobody can give one any more.
    pub async fn next(&mut self) -> Option<Order> {
        self.orders.recv().await
    }
}

fn serve(failures: &[(String, String)]) -> String {
    let names: Vec<String> = failures.iter().map(|(name, _)| format!("`{name}`")).collect();
    match names.as_slice() {
        [one] => format!("the model {one} serves"),
        all => format!("the models {} serve", all.join(", ")),
    }
}

/// What was done all the same.
fn replaced(reloaded: &[Reloaded]) -> String {
    let names: Vec<String> = reloaded.iter().map(|model| format!("`{}`", model.name)).collect();
    if names.is_empty() { String::new() } else { format!("; loaded anew: {}", names.join(", ")) }
}

fn causes(failures: &[(String, String)]) -> String {
    failures.iter().map(|(_, cause)| cause.as_str()).collect::<Vec<_>>().join("; ")
}
