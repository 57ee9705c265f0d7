//! Accepts connections until told to stop, then waits for the answers that are due.

use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use crate::resources;

mod encryption;
mod places;

pub use encryption::Encryption;

use places::most_connections;

/// A client that takes longer for its request's head is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer of which nothing is taken for so long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests of one HTTP/2 connection at a time; the next wait for one of them to end.
const MAX_STREAMS: u32 = 128;

/// Bytes of a request's head, and of what is buffered of its body: the body is read no faster than
/// it is charged to the memory budget.
const MAX_HEAD: u32 = 64 << 10;

/// After the last accept, for how long connections that say nothing are kept: their clients may be
/// sending a request, and would see a closed connection in place of an answer.
const LINGER: Duration = Duration::from_secs(1);

/// After an accept that failed for want of file descriptors, some may be free again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where connections come in.
pub struct Entrance {
    /// What they connect to.
    pub listener: TcpListener,
    /// What encrypts them.
    pub tls: Option<Encryption>,
}

/// Why a connection has ended badly.
type Failure = Box<dyn Error + Send + Sync>;

/// What is read from and written to.
type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// Serves HTTP/1.1 and HTTP/2 until `stop`, then finishes what was accepted.
pub async fn serve(entrance: Entrance, router: Router, stop: CancellationToken) {
    let Entrance { listener, tls } = entrance;
    let server = Server {
        builder: builder(),
        router,
        tls,
        connections: GracefulShutdown::new(),
        end: CancellationToken::new(),
    };
    let most = most_connections(resources::open_files());
    let places = Arc::new(Semaphore::new(most as usize));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok(accepted) => server.spawn(accepted),
            Err(cause) => {
                tracing::warn!(%cause, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Who has connected before the end is still answered; then no new connection is taken.
    for stream in waiting(listener) {
        let place = Arc::clone(&places).try_acquire_owned().ok();
        server.spawn(Accepted { stream, place });
    }
    let all_closed = places.acquire_many(most);
    let _ = timeout(LINGER, all_closed).await;
    server.end.cancel();
    server.connections.shutdown().await;
}

/// What every connection of a listener is served with.
struct Server {
    builder: Builder<TokioExecutor>,
    router: Router,
    tls: Option<Encryption>,
    connections: GracefulShutdown,
    /// From then on nobody waits for a handshake.
    end: CancellationToken,
}

/// A connection and, except at the end, its place among those that there may be.
struct Accepted {
    stream: TcpStream,
    place: Option<OwnedSemaphorePermit>,
}

/// A connection, when there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok(Accepted { stream, place: Some(place) })
}

/// Closes a listener and gives what waited in the system's queue, which the system is asked for
/// itself: what the runtime knows of it lags behind.
fn waiting(listener: TcpListener) -> Vec<TcpStream> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let accept = || {
        let (stream, _) = listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        TcpStream::from_std(stream).ok()
    };
    std::iter::from_fn(accept).collect()
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD_TIMEOUT)
        .keep_alive_timeout(HEAD_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD);
    builder
}

impl Server {
    /// Serves a connection in a task of its own, so that no handshake keeps others waiting.
    fn spawn(&self, Accepted { stream, place }: Accepted) {
        // Answers are small and whole; waiting to fill a segment would only delay them.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(WRITE_TIMEOUT));
        let (builder, router) = (self.builder.clone(), self.router.clone());
        let (tls, end) = (self.tls.clone(), self.end.clone());
        let watcher = self.connections.watcher();
        tokio::spawn(async move {
            let _place = place;
            let served = async {
                let stream = encrypted(tls, stream, end).await?;
                answer((builder, router), stream, watcher).await
            };
            if let Err(cause) = served.await {
                tracing::debug!(cause, "a connection ended badly");
            }
        });
    }
}

/// A connection after its handshake, where there is one, which may not take long.
async fn encrypted(
    tls: Option<Encryption>,
    stream: TcpStream,
    end: CancellationToken,
) -> Result<Stream, Failure> {
    let Some(tls) = tls else { return Ok(Either::Left(stream)) };
    tokio::select! {
        shaken = tls.shake(stream, HEAD_TIMEOUT) => shaken.map(Either::Right),
        () = end.cancelled() => Err("the end came before the handshake".into()),
    }
}

/// Answers the requests of a connection.
async fn answer(
    (builder, router): (Builder<TokioExecutor>, Router),
    stream: Stream,
    watcher: Watcher,
) -> Result<(), Failure> {
    let spoken = CancellationToken::new();
    let first_request = spoken.clone();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        first_request.cancel();
        router.call(request)
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    unless_silent(watcher.watch(connection.into_owned()), spoken).await
}

/// Drives a connection to its end, or drops it where its first request does not come in time:
/// until it knows the protocol, hyper waits for a silent client without limit.
async fn unless_silent<C>(connection: C, spoken: CancellationToken) -> C::Output
where
    C: Future<Output = Result<(), Failure>>,
{
    let mut connection = pin!(connection);
    let beginning = async {
        tokio::select! {
            ended = &mut connection => Some(ended),
            () = spoken.cancelled() => None,
        }
    };
    match timeout(HEAD_TIMEOUT, beginning).await {
        Ok(Some(ended)) => ended,
        Ok(None) => connection.await,
        Err(silent) => Err(silent.into()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

    use super::*;
    use crate::telemetry::metrics::{Listener, Metrics};
    use crate::tls::tests::{Certificates, connect};
    use crate::tls::{Acceptor, Audience, Tls, unverified_client};

    fn plain(listener: TcpListener) -> Entrance {
        Entrance { listener, tls: None }
    }

    /// A listener with nothing behind it, and what a client reads after it has sent `bytes`.
    async fn answer_to(bytes: &[u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(plain(listener), Router::new(), CancellationToken::new()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(bytes).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_cut_off() {
        assert_eq!(answer_to(b"").await, "");
        assert_eq!(answer_to(b"P").await, "");
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    /// Sends a request and reads the head of its answer.
    async fn ask(client: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
        client.write_all(REQUEST).await.unwrap();
        let mut answer = vec![0; 12];
        client.read_exact(&mut answer).await.unwrap();
        let mut rest = [0; 1024];
        let _ = client.read(&mut rest).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn who_has_connected_before_the_end_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connect = |_| std::net::TcpStream::connect(address).unwrap();
        let clients: Vec<_> = (0..20).map(connect).collect();
        let stop = CancellationToken::new();
        stop.cancel();
        tokio::spawn(serve(plain(listener), Router::new(), stop));
        for client in clients {
            client.set_nonblocking(true).unwrap();
            let mut client = TcpStream::from_std(client).unwrap();
            assert_eq!(ask(&mut client).await, "HTTP/1.1 404");
        }
    }

    #[tokio::test]
    async fn a_request_on_an_idle_connection_is_answered_after_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(plain(listener), Router::new(), stop.clone()));
        assert_eq!(ask(&mut client).await, "HTTP/1.1 404");
        stop.cancel();
        assert_eq!(ask(&mut client).await, "HTTP/1.1 404");
        drop(client);
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_speaks_is_answered() {
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        assert!(answer_to(request).await.starts_with("HTTP/1.1 404"));
    }

    fn encrypted(listener: TcpListener) -> Entrance {
        let tls = Tls::load(Certificates::make().files()).unwrap();
        entrance(listener, tls.acceptor(Audience::Clients), &Arc::default())
    }

    fn entrance(listener: TcpListener, acceptor: Acceptor, metrics: &Arc<Metrics>) -> Entrance {
        let tls = Encryption::new(acceptor, Listener::Public, Arc::clone(metrics));
        Entrance { listener, tls: Some(tls) }
    }

    #[tokio::test]
    async fn a_client_that_shakes_no_hands_keeps_nobody_waiting_and_does_not_hold_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(encrypted(listener), Router::new(), stop.clone()));
        let _silent = TcpStream::connect(address).await.unwrap();
        let mut config = unverified_client().unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = TcpStream::connect(address).await.unwrap();
        let mut client = connect(stream, config).await.unwrap();
        assert_eq!(ask(&mut client).await, "HTTP/1.1 404");
        stop.cancel();
        assert_eq!(ask(&mut client).await, "HTTP/1.1 404");
        drop(client);
        serving.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_shakes_no_hands_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(encrypted(listener), Router::new(), CancellationToken::new()));
        for said in [b"".as_slice(), b"GET / HTTP/1.1\r\n\r\n"] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(said).await.unwrap();
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer).await;
            assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        }
    }

    /// What a listener that asks for certificates counts when a client has said this, or has shaken
    /// hands without one.
    async fn counted_after(said: Option<&[u8]>) -> Vec<String> {
        let tls = Tls::load(Certificates::make().for_known_clients()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let metrics = Arc::<Metrics>::default();
        let entrance = entrance(listener, tls.acceptor(Audience::Clients), &metrics);
        tokio::spawn(serve(entrance, Router::new(), CancellationToken::new()));
        if let Some(said) = said {
            client.write_all(said).await.unwrap();
            let _ = client.read_to_end(&mut Vec::new()).await;
        } else {
            let mut client = connect(client, unverified_client().unwrap()).await.unwrap();
            assert!(client.read_to_end(&mut Vec::new()).await.is_err());
        }
        let text = metrics.render();
        let lines = text.lines().filter(|line| line.contains("tls_handshake_failures_total{"));
        lines.filter(|line| !line.ends_with(" 0")).map(str::to_owned).collect()
    }

    fn failed(reason: &str) -> [String; 1] {
        let name = "resnet_serve_tls_handshake_failures_total";
        [format!(r#"{name}{{listener="public",reason="{reason}"}} 1"#)]
    }

    #[tokio::test]
    async fn a_handshake_that_fails_is_counted_with_its_reason() {
        assert_eq!(counted_after(Some(b"GET / HTTP/1.1\r\n\r\n")).await, failed("protocol"));
        assert_eq!(counted_after(None).await, failed("no_certificate"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_takes_too_long_is_counted() {
        assert_eq!(counted_after(Some(b"")).await, failed("timed_out"));
    }
}
