//! HTTP: the only place that knows axum.

use std::sync::Arc;

pub use axum::Router;

use crate::history::History;
use crate::reloading::Reloads;
use crate::telemetry::logs::LogLevel;
use crate::telemetry::metrics::Metrics;
use crate::vitals::Vitals;

pub mod admin;
mod body;
mod classify;
mod cors;
pub mod document;
pub mod error;
pub(crate) mod inflate;
mod keys;
pub mod listener;
mod live;
mod models;
mod observe;
mod page;
pub mod response;
pub mod router;
mod trace;
mod upload;
mod v2;

/// What the admin listener serves, from the first moment on.
#[derive(Clone)]
pub struct AdminState {
    /// Whether the process works and wants traffic.
    pub vitals: Vitals,
    /// What is scraped.
    pub metrics: Arc<Metrics>,
    /// The last minutes.
    pub history: History,
    /// Changed by `PUT /log-level`.
    pub log_level: LogLevel,
    /// Asked by `POST /models/reload`.
    pub reloads: Reloads,
}
