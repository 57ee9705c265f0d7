//! What every call passes on its way in and out.

use std::convert::Infallible;
use std::error::Error;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyStream, StreamBody};
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::service::Routes;
use tracing::Instrument as _;

use super::call::{Call, Method};
use super::intake::Intake;
use super::methods;
use super::record::{Caller, Record};
use super::status::{INTERNAL, no_room, status};
use crate::api::inflate::Coding;
use crate::keys::{Key, Place};
use crate::pipeline::ClassifyError;
use crate::serving::{App, RequestError};

/// The method whose stream its clients leave open, and which does not end by itself.
const REFLECTION: &str = "/ServerReflectionInfo";

/// The header in which a client says how it compresses.
const ENCODING: &str = "grpc-encoding";

/// Services and methods that no key is asked for: what probes ask, and the service's description.
const OPEN: [&str; 4] = [
    "/grpc.health.",
    "/grpc.reflection.",
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
];

/// Stands around every service.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) app: App,
    pub(super) stop: CancellationToken,
    pub(super) routes: Routes,
}

impl Door {
    /// Answers a call by its deadline, with its body charged as it comes, and writes it down.
    pub(super) async fn enter<B>(self, request: Request<B>) -> Result<Response<Body>, Infallible>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let metrics = self.app.metrics.clone();
        let mut record = Record::begin(request.uri().path(), request.headers(), metrics);
        let answer = match self.admit(&request, &mut record) {
            Ok((key, _place)) => {
                let answering = self.answer(request, (key, record.caller.clone()));
                answering.instrument(record.trace.span.clone()).await
            }
            Err(error) => {
                record.answered(Err(&error));
                Err(status(&error))
            }
        };
        let mut response = answer.unwrap_or_else(Status::into_http);
        record.name(response.headers_mut());
        // A response without a message ends with its headers, and only as long as its body stays.
        if record.note(response.headers()) {
            return Ok(response);
        }
        Ok(response.map(|body| watched(body, record)))
    }

    /// Finds whose call it is, and counts it against that key's quota.
    fn admit<B>(
        &self,
        request: &Request<B>,
        record: &mut Record,
    ) -> Result<(Option<Key>, Option<Place>), RequestError> {
        let path = request.uri().path();
        if OPEN.iter().any(|open| path.starts_with(open)) {
            return Ok((None, None));
        }
        let Some(key) = self.app.key(request.headers())? else { return Ok((None, None)) };
        record.caller.key = Some(key.name().clone());
        // Each message of a stream takes a place for itself.
        let place = if Method::of(path) == Method::StreamInfer { None } else { Some(key.take()?) };
        Ok((Some(key), place))
    }

    async fn answer<B>(
        mut self,
        mut request: Request<B>,
        (key, caller): (Option<Key>, Caller),
    ) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let method = Method::of(request.uri().path());
        if methods::known(request.uri().path()).is_none() {
            return Err(methods::unimplemented(request.uri().path()));
        }
        let gone = caller.gone.clone();
        let call = Call::new(&self.app, (method, request.headers()), (key, caller))?;
        let deadline = call.arrival.deadline;
        answer_as_asked(request.headers_mut());
        request.extensions_mut().insert(call.clone());
        let endless = request.uri().path().ends_with(REFLECTION);
        let intake = Intake {
            app: self.app.clone(),
            call,
            coding: take_coding(request.headers_mut()),
            end: if endless { self.stop.clone() } else { CancellationToken::new() },
            gone,
            charge: self.app.memory.charge(0).ok_or_else(|| no_room(&self.app, 0))?,
        };
        let request = request.map(|body| Body::new(StreamBody::new(intake.messages(body))));
        let answering = AssertUnwindSafe(self.routes.call(request)).catch_unwind();
        match timeout_at(deadline, answering).await {
            Ok(Ok(Ok(response))) => Ok(response),
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_panic)) => Err(Status::internal(INTERNAL)),
            Err(_) => Err(status(&RequestError::Image(ClassifyError::Expired))),
        }
    }
}

/// Most clients can inflate answers and few want them deflated: those do that compress themselves.
fn answer_as_asked(headers: &mut HeaderMap) {
    let compressed = headers.get(ENCODING).is_some_and(|coding| coding != "identity");
    if !compressed {
        headers.remove("grpc-accept-encoding");
    }
}

/// How messages are compressed, of which tonic knows nothing then; what is not known it refuses.
fn take_coding(headers: &mut HeaderMap) -> Option<Coding> {
    let coding = headers.get(ENCODING).and_then(|coding| Coding::named(coding.as_bytes()))?;
    headers.remove(ENCODING);
    Some(coding)
}

/// Notes how a call ends, which its trailers say.
fn watched(body: Body, mut record: Record) -> Body {
    let frames = BodyStream::new(body).inspect(move |frame| {
        if let Some(trailers) = frame.as_ref().ok().and_then(|frame| frame.trailers_ref()) {
            record.note(trailers);
        }
    });
    Body::new(StreamBody::new(frames))
}
