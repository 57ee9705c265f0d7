//! What messages cost on their way in, and what is no message.

use std::convert::Infallible;
use std::io::Write as _;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{iter, pending};
use futures_util::{FutureExt as _, StreamExt as _};
use http_body_util::BodyExt as _;
use prost::Message;
use resnet_serve::grpc::proto::{InferTensorContents, ModelInferRequest};
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::{GREEN, INFER, RED, request, tensor};
use crate::support::{Service, Settings, until};

const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";
const LIVE: &str = "/inference.GRPCInferenceService/ServerLive";

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], length.as_slice(), message].concat()
}

fn plain(message: &impl Message) -> Vec<u8> {
    framed(0, &message.encode_to_vec())
}

fn gzip(message: &impl Message) -> Vec<u8> {
    gzip_bytes(&message.encode_to_vec())
}

fn gzip_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    framed(1, &encoder.finish().unwrap())
}

/// The body of a client that never ends its stream.
fn open(sent: Vec<u8>) -> Body {
    Body::from_stream(iter([Ok::<_, Infallible>(Bytes::from(sent))]).chain(pending()))
}

async fn send(grpc: Router, path: &str, body: Body) -> http::Response<Body> {
    let request = http::Request::post(path).header("content-type", "application/grpc");
    let request = request.header("grpc-encoding", "gzip").body(body).unwrap();
    grpc.oneshot(request).await.unwrap()
}

fn status(answer: &http::Response<Body>) -> &str {
    answer.headers()["grpc-status"].to_str().unwrap()
}

/// Bytes among typed contents, which are numbers once they are decoded.
fn typed(bytes: usize) -> ModelInferRequest {
    let mut message = tensor(&[GREEN]);
    message.raw_input_contents.clear();
    let contents = InferTensorContents { uint_contents: vec![9; bytes], ..Default::default() };
    message.inputs[0].contents = Some(contents);
    message
}

#[tokio::test]
async fn a_compressed_message_of_an_open_call_is_charged_what_it_is_inflated_to() {
    let service = Service::start();
    let large = request("image", "BYTES", &[1], [&996_u32.to_le_bytes(), &[0; 996][..]].concat());
    let inflated = large.encoded_len() as u64;
    let sent = gzip(&large);
    assert!(sent.len() < 200);
    let call = service.grpc.clone();
    let call = tokio::spawn(async move { send(call, INFER, open(sent)).await });
    let charged = || Settings::default().memory - service.memory.left();
    timeout(Duration::from_secs(30), until(|| charged() == inflated)).await.unwrap();
    call.abort();
    until(|| charged() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_message_would_become_is_refused_before_its_call_ends() {
    let service = Service::with(Settings { memory: 100_000, ..Settings::default() });
    let picture = request("image", "BYTES", &[1], vec![0; 200_000]);
    for sent in [gzip(&picture), gzip(&typed(30_000)), plain(&typed(30_000))] {
        assert!(sent.len() < 40_000);
        let answer = send(service.grpc.clone(), INFER, open(sent)).await;
        assert_eq!(status(&answer), "11");
    }
    let held = service.memory.charge(90_000);
    let answer = send(service.grpc.clone(), INFER, open(plain(&typed(3000)))).await;
    assert_eq!(status(&answer), "8");
    drop(held);
    assert_eq!(service.memory.left(), 100_000);
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_stream_that_stops_half_way_gives_its_memory_back() {
    let service = Service::start();
    let whole = plain(&tensor(&[GREEN]));
    for half in [1, 4, whole.len() - 1] {
        let answer = send(service.grpc.clone(), STREAM, open(whole[..half].to_vec())).await;
        let answer = answer.into_body().collect().await.unwrap();
        assert_eq!(answer.trailers().unwrap()["grpc-status"], "4", "{half} bytes of it came");
        assert_eq!(service.memory.left(), Settings::default().memory);
    }
}

#[tokio::test]
async fn messages_are_taken_apart_on_the_pool() {
    let service = Service::start();
    let no_message = gzip_bytes(b"\xff\xff\xff");
    for sent in [no_message, framed(0, b"\xff\xff\xff"), plain(&typed(7))] {
        let core = service.pool.lane().core().await;
        let mut call = Box::pin(send(service.grpc.clone(), INFER, Body::from(sent)));
        assert!(call.as_mut().now_or_never().is_none(), "the pool is busy");
        drop(core);
        assert_eq!(status(&call.await), "3");
    }
}

#[tokio::test]
async fn messages_may_come_in_any_parts() {
    let service = Service::start();
    let sent = [plain(&tensor(&[GREEN])), gzip(&tensor(&[RED])), plain(&tensor(&[RED]))].concat();
    for length in [1, 7, sent.len()] {
        let parts: Vec<_> = sent.chunks(length).map(Bytes::copy_from_slice).collect();
        let body = Body::from_stream(iter(parts.into_iter().map(Ok::<_, Infallible>)));
        let answer = send(service.grpc.clone(), STREAM, body).await;
        let answer = answer.into_body().collect().await.unwrap();
        assert_eq!(answer.trailers().unwrap()["grpc-status"], "0", "parts of {length}");
        let bytes = answer.to_bytes();
        let answers = bytes.windows(6).filter(|part| *part == b"logits").count();
        assert_eq!(answers, 3);
    }
    until(|| service.memory.left() == Settings::default().memory).await;
}

#[tokio::test]
async fn what_is_no_message_of_the_method_says_so() {
    let service = Service::start();
    let good = plain(&tensor(&[GREEN]));
    for (path, sent, due) in [
        (INFER, Vec::new(), "3"),
        (INFER, good[..3].to_vec(), "3"),
        (INFER, good[..good.len() - 1].to_vec(), "3"),
        (INFER, [good.clone(), good.clone()].concat(), "3"),
        (INFER, framed(2, b""), "3"),
        (INFER, framed(1, b"no gzip"), "3"),
        (INFER, framed(1, b""), "3"),
        (INFER, [&[0], u32::MAX.to_be_bytes().as_slice()].concat(), "11"),
        (LIVE, framed(0, &vec![0; 70_000]), "11"),
        (LIVE, gzip_bytes(&vec![0; 70_000]), "11"),
        (LIVE, framed(1, b"no gzip"), "3"),
    ] {
        let answer = send(service.grpc.clone(), path, Body::from(sent.clone())).await;
        assert_eq!(status(&answer), due, "{path} {:?}", answer.headers());
    }
    assert_eq!(service.memory.left(), Settings::default().memory);
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_compression_that_is_not_named_or_not_known_is_told() {
    let service = Service::start();
    for (coding, due) in [("identity", "13"), ("zstd", "12")] {
        let request = http::Request::post(INFER).header("content-type", "application/grpc");
        let request = request.header("grpc-encoding", coding);
        let request = request.body(Body::from(gzip(&tensor(&[GREEN])))).unwrap();
        let answer = service.grpc.clone().oneshot(request).await.unwrap();
        assert_eq!(status(&answer), due);
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_within_a_message_is_of_a_client_that_has_gone_away() {
    let service = Service::start();
    for sent in [&b""[..], b"\0\0", b"\0\0\0\x01\0half"] {
        // Hyper ends such a body as any other, but does not say that its end has come.
        let reset = Body::from_stream(iter([Ok::<_, Infallible>(Bytes::from_static(sent))]));
        drop(send(service.grpc.clone(), INFER, reset).await);
    }
    let line = format!(r#"resnet_serve_requests_total{{route="{INFER}",status="499"}}"#);
    assert!((service.metric(&line) - 3.0).abs() < 0.1);
}
