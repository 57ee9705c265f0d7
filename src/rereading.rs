//! Which files are read anew while the service runs, and when.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::task;
use tokio::time::{MissedTickBehavior, interval};

use crate::keys::Keys;
use crate::shutdown::Hangups;
use crate::telemetry::metrics::{File, Metrics};
use crate::tls::Tls;

/// How often it is looked whether files have changed: whoever renews them, such as the kubelet for
/// a mounted secret, sends no signal.
const LOOK: Duration = Duration::from_secs(2);

/// What can be read anew, at a hangup and when it changes.
#[derive(Clone)]
pub struct Files {
    /// The API keys.
    pub keys: Option<Keys>,
    /// The certificates.
    pub tls: Option<Tls>,
    /// Where it is told until when they hold.
    pub metrics: Arc<Metrics>,
}

/// Reads the files anew for as long as the process lives; what cannot be read leaves all as it was.
pub fn start(mut hangups: Hangups, files: Files) {
    task::spawn(async move {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let files = files.clone();
            tokio::select! {
                () = hangups.next() => on_disk(move || files.read()).await,
                _ = looks.tick(), if files.are_there() => on_disk(move || files.look()).await,
            }
        }
    });
}

impl Files {
    /// Tells what is in use, as it has just been read, and until when the certificates hold.
    pub fn publish(&self) {
        if self.keys.is_some() {
            self.metrics.set_stale(File::ApiKeys, false);
        }
        if let Some(tls) = &self.tls {
            self.metrics.set_stale(File::Certificates, false);
            self.metrics.set_certificate_expiry(tls.expiry());
        }
    }

    fn read(&self) {
        if let Some(keys) = &self.keys {
            self.note(File::ApiKeys, keys.reload());
        }
        if let Some(tls) = &self.tls {
            self.read_certificates(tls);
        }
    }

    fn are_there(&self) -> bool {
        self.keys.is_some() || self.tls.is_some()
    }

    fn look(&self) {
        if let Some(keys) = self.keys.as_ref().filter(|keys| keys.has_changed()) {
            self.note(File::ApiKeys, keys.reload());
        }
        if let Some(tls) = self.tls.as_ref().filter(|tls| tls.has_changed()) {
            self.read_certificates(tls);
        }
    }

    fn read_certificates(&self, tls: &Tls) {
        let read = tls.reload();
        self.metrics.set_certificate_expiry(tls.expiry());
        self.note(File::Certificates, read);
    }

    fn note<E: Display>(&self, file: File, read: Result<(), E>) {
        self.metrics.set_stale(file, read.is_err());
        let what = match file {
            File::ApiKeys => "API keys",
            File::Certificates => "TLS certificates",
        };
        match read {
            Ok(()) => tracing::info!(what, "read anew"),
            Err(cause) => tracing::error!(what, %cause, "not read anew; what was there holds"),
        }
    }
}

/// Files may be slow, so they are read off the async threads.
async fn on_disk(read: impl FnOnce() + Send + 'static) {
    if let Err(panic) = task::spawn_blocking(read).await {
        tracing::error!(%panic, "files were not read anew");
    }
}
