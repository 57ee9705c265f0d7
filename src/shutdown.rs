//! The signals that end the process, and the one that has it read its files anew.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, each as often as it comes.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on these signals no longer kill the process.
    ///
    /// # Errors
    ///
    /// When the system does not let them be handled.
    pub fn listen() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt })
    }

    /// Waits for the next one and says its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// SIGHUP, as often as it comes.
pub struct Hangups(Signal);

/// From now on SIGHUP no longer kills the process. Whoever has files to read anew calls this for
/// a stream of their own; each stream gets every signal.
///
/// # Errors
///
/// When the system does not let it be handled.
pub fn hangups() -> io::Result<Hangups> {
    Ok(Hangups(signal(SignalKind::hangup())?))
}

impl Hangups {
    /// Waits for the next one.
    pub async fn next(&mut self) {
        // The stream ends only with the runtime.
        let _ = self.0.recv().await;
    }
}
