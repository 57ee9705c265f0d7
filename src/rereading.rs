//! What is read anew while the service runs, when SIGHUP asks for it.

use std::fmt::Display;

use tokio::task;

use crate::keys::Keys;
use crate::shutdown::Hangups;

/// Reads the API keys anew at every hangup; what cannot be read leaves all as it was.
pub fn start(mut hangups: Hangups, keys: Option<Keys>) {
    task::spawn(async move {
        loop {
            hangups.next().await;
            if let Some(keys) = keys.clone() {
                read("API keys", move || keys.reload()).await;
            }
        }
    });
}

/// Files may be slow, so they are read off the async threads.
async fn read<E: Display + Send + 'static>(
    what: &'static str,
    read: impl FnOnce() -> Result<usize, E> + Send + 'static,
) {
    match task::spawn_blocking(read).await {
        Ok(Ok(count)) => tracing::info!(what, count, "read anew"),
        Ok(Err(cause)) => tracing::error!(what, %cause, "not read anew; what was there holds"),
        Err(cause) => tracing::error!(what, %cause, "not read anew; what was there holds"),
    }
}
