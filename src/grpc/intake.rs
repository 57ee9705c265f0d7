//! A call's body, taken apart into its messages before tonic sees it.

use std::error::Error;
use std::pin::Pin;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Stream, stream};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::{Instrument as _, Span, info_span};

use super::call::{Call, Method};
use super::message::{Received, Sent, too_large};
use super::status::{INTERNAL, grow};
use crate::api::inflate::Coding;
use crate::memory::Charge;
use crate::serving::App;
use crate::telemetry::metrics::Stage;

/// Bytes in front of a message: whether it is compressed, and how long it is.
const HEADER: usize = 5;

/// Bytes of a message that is none for inference: a few names.
const SMALL: usize = 64 << 10;

/// Bytes that are allocated on a client's announcement.
const FIRST_ALLOCATION: usize = 1 << 20;

/// What is taken in for one call. tonic would inflate and decode on the threads that answer, and
/// without a look at the memory budget; so it is handed an empty message for each one for
/// inference, which itself waits in the call, and the few others inflated.
pub(super) struct Intake {
    pub(super) app: App,
    pub(super) call: Call,
    /// How messages are compressed, where they are.
    pub(super) coding: Option<Coding>,
    /// When no more is taken.
    pub(super) end: CancellationToken,
    /// Cancelled when the client breaks off.
    pub(super) gone: CancellationToken,
    /// What the bytes that have come hold of the memory budget.
    pub(super) charge: Charge,
}

/// A body of any kind.
type Parts = Pin<Box<dyn Body<Data = Bytes, Error = Box<dyn Error + Send + Sync>> + Send>>;

struct Reader {
    intake: Intake,
    body: Parts,
    buffer: BytesMut,
    /// What the last message holds of the memory budget, where it does not wait in the call.
    held: Charge,
    /// Messages that have come.
    messages: u64,
}

impl Intake {
    /// The messages of a body, as tonic gets them.
    pub(super) fn messages<B>(
        self,
        body: B,
    ) -> impl Stream<Item = Result<Frame<Bytes>, Status>> + Send
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let body: Parts = Box::pin(body.map_err(Into::into));
        let reader = Reader {
            intake: self,
            body,
            buffer: BytesMut::new(),
            held: Charge::nothing(),
            messages: 0,
        };
        stream::try_unfold(reader, |mut reader| async move {
            Ok(reader.next().await?.map(|message| (Frame::data(message), reader)))
        })
    }

    /// Takes a message apart, on the pool, which all models share.
    async fn receive(&self, sent: Sent) -> Result<Received, Status> {
        let app = self.app.clone();
        let arrival = self.call.message_arrival(&app);
        let model = app.models.get(None).ok_or_else(|| Status::internal(INTERNAL))?;
        let core = model.pipeline.pool().lane().core().await;
        let receiving = core.run(move || sent.received(&app, arrival));
        receiving.await.unwrap_or_else(|_| Err(Status::internal(INTERNAL)))
    }
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(sent) = self.message().await? else { return Ok(None) };
        self.messages += 1;
        let app = &self.intake.app;
        if self.intake.call.method == Method::Other {
            // What is small is inflated at once, and charged until the next one comes.
            let sent = sent.inflated(app, self.limit())?;
            let framed = framed(&sent.bytes);
            self.held = sent.charge;
            return Ok(Some(framed));
        }
        if self.messages > 1 && self.intake.call.method == Method::Infer {
            return Err(Status::invalid_argument("the method takes one message"));
        }
        let received = self.intake.receive(sent).await?;
        self.intake.call.put(received);
        Ok(Some(framed(&[])))
    }

    /// The next message as it was sent; none behind the last. It may be long in coming, but once it
    /// has begun it holds memory, and has the time of a request.
    async fn message(&mut self) -> Result<Option<Sent>, Status> {
        if !self.fill(1).await? {
            let missing = self.messages == 0 && self.intake.call.method == Method::Infer;
            return if missing { Err(self.cut_off()) } else { Ok(None) };
        }
        let deadline = self.intake.call.message_arrival(&self.intake.app).deadline;
        let late = |_| Err(Status::deadline_exceeded("the message came too slowly"));
        // Of a stream the message's span begins when the message is there.
        let one = self.intake.call.method == Method::Infer;
        let span = if one { info_span!("read") } else { Span::none() };
        let started = Instant::now();
        let sent = timeout_at(deadline, self.begun()).instrument(span).await;
        let sent = sent.unwrap_or_else(late)?;
        if self.intake.call.method != Method::Other {
            self.intake.app.metrics.observe_stage(Stage::Read, started.elapsed());
        }
        Ok(Some(sent))
    }

    /// A message of which the first byte is there.
    async fn begun(&mut self) -> Result<Sent, Status> {
        if !self.fill(HEADER).await? {
            return Err(self.cut_off());
        }
        let coding = self.coding()?;
        let length = self.buffer.get_u32() as usize;
        if length > self.limit() {
            return Err(too_large(self.limit()));
        }
        self.buffer.reserve(length.min(FIRST_ALLOCATION).saturating_sub(self.buffer.len()));
        if !self.fill(length).await? {
            return Err(self.cut_off());
        }
        let bytes = self.buffer.split_to(length).freeze();
        let mut charge = self.intake.charge.take();
        charge.shrink_to(length as u64);
        // What has come of the next one is its own.
        self.grow(self.buffer.len())?;
        Ok(Sent { coding, bytes, charge })
    }

    /// Reads on until so many bytes are there, if they come; each part is charged before it is kept.
    async fn fill(&mut self, bytes: usize) -> Result<bool, Status> {
        while self.buffer.len() < bytes {
            let frame = self.intake.end.run_until_cancelled(self.body.frame()).await;
            let Some(frame) = frame.flatten() else { return Ok(false) };
            let frame = frame.map_err(|cause| self.broken_off(&cause.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            self.grow(data.len())?;
            self.buffer.extend_from_slice(&data);
        }
        Ok(true)
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Status> {
        grow(&self.intake.app, &mut self.intake.charge, bytes as u64)
    }

    /// How the message is compressed that begins here.
    fn coding(&mut self) -> Result<Option<Coding>, Status> {
        match (self.buffer.get_u8(), self.intake.coding) {
            (0, _) => Ok(None),
            (1, Some(coding)) => Ok(Some(coding)),
            // As the protocol has it.
            (1, None) => {
                Err(Status::internal("a message is compressed, and no `grpc-encoding` given"))
            }
            (flag, _) => Err(Status::invalid_argument(format!("a message begins with {flag}"))),
        }
    }

    fn limit(&self) -> usize {
        let limit = self.intake.app.limits.max_body;
        if self.intake.call.method == Method::Other { limit.min(SMALL) } else { limit }
    }

    /// A body that ends too early was either sent so, or its stream was reset.
    fn cut_off(&self) -> Status {
        if self.body.is_end_stream() || self.intake.end.is_cancelled() {
            return Status::invalid_argument("the body ends before its message does");
        }
        self.broken_off("the stream was reset")
    }

    fn broken_off(&self, cause: &str) -> Status {
        self.intake.gone.cancel();
        Status::cancelled(format!("the client went away: {cause}"))
    }
}

/// A message with its header, not compressed.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], length.to_be_bytes().as_slice(), message].concat().into()
}
