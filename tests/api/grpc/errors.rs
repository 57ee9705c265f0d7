//! What cannot be answered: a status with words, and when to come back.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{iter, pending};
use http_body_util::BodyExt as _;
use resnet_serve::grpc::proto::infer_parameter::ParameterChoice;
use resnet_serve::grpc::proto::model_infer_request::InferRequestedOutputTensor;
use resnet_serve::grpc::proto::{
    InferTensorContents, ModelInferRequest, ModelInferResponse, ModelMetadataRequest,
    ModelMetadataResponse, ServerLiveRequest, ServerLiveResponse,
};
use resnet_serve::inference::fake::POISON;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use super::{
    GREEN, INFER, RED, call, call_with, client, compressing, infer, parameter, pictures, request,
    tensor,
};
use crate::support::{Service, Settings, spawn, until};

/// A request with something changed.
fn changed(
    mut message: ModelInferRequest,
    change: fn(&mut ModelInferRequest),
) -> ModelInferRequest {
    change(&mut message);
    message
}

async fn refused(service: &Service, message: ModelInferRequest) -> Status {
    infer(service, message).await.unwrap_err()
}

#[tokio::test]
async fn what_does_not_fit_the_model_is_an_invalid_argument() {
    let service = Service::start();
    for (message, hint) in [
        (changed(tensor(&[GREEN]), |one| one.inputs[0].name = "x".into()), "no input `x`"),
        (changed(tensor(&[GREEN]), |one| one.inputs[0].datatype = "FP32".into()), "`FP32`, not"),
        (changed(tensor(&[GREEN]), |one| one.inputs[0].shape = vec![1, 3, 4, 4]), "not [n, 4, 4"),
        (changed(tensor(&[GREEN]), |one| one.inputs.clear()), "1 entries, inputs are 0"),
        (changed(tensor(&[GREEN]), |one| one.raw_input_contents.clear()), "0 bytes, its shape"),
        (
            changed(tensor(&[GREEN]), |one| {
                one.inputs[0].contents = Some(InferTensorContents::default());
            }),
            "exclude each other",
        ),
        (
            changed(tensor(&[GREEN]), |one| {
                one.outputs.push(InferRequestedOutputTensor::default());
            }),
            "no output ``",
        ),
        (
            changed(tensor(&[GREEN]), |one| {
                one.parameters = parameter("timeout", ParameterChoice::Int64Param(-1));
            }),
            "`timeout` is no whole number",
        ),
        (
            changed(tensor(&[GREEN]), |one| {
                let region = ParameterChoice::StringParam("r".into());
                one.inputs[0].parameters = parameter("shared_memory_region", region);
            }),
            "shared memory",
        ),
        (request("image", "BYTES", &[1], b"\x0a\0\0\0no picture".to_vec()), ""),
        (request("image", "BYTES", &[1], b"\x0b\0\0\0no picture".to_vec()), "11 bytes announced"),
    ] {
        let status = refused(&service, message).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{hint}: {status}");
        assert!(status.message().contains(hint), "{hint}: {status}");
    }
    assert!(service.engine.batches().is_empty());
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_model_or_version_that_there_is_not_is_said_so() {
    let service = Service::start();
    let unknown = changed(tensor(&[GREEN]), |one| one.model_name = "shapes".into());
    let other = changed(tensor(&[GREEN]), |one| one.model_version = "8".into());
    for message in [unknown, other] {
        assert_eq!(refused(&service, message).await.code(), Code::NotFound);
    }
    let path = "/inference.GRPCInferenceService/ModelMetadata";
    let metadata: Result<Response<ModelMetadataResponse>, _> =
        call(&service, path, ModelMetadataRequest::default()).await;
    assert!(metadata.unwrap_err().message().contains("there is `colors`"));
}

#[tokio::test]
async fn a_method_that_there_is_not_is_named_with_what_there_is_in_its_place() {
    let service = Service::start();
    let triton = |method| format!("/inference.GRPCInferenceService/{method}");
    for (path, words) in [
        (triton("ModelStatistics"), "`GET /metrics` of the admin listener"),
        (triton("RepositoryIndex"), "`GET /models` of the HTTP listener"),
        (triton("RepositoryModelLoad"), "`POST /models/reload` to the admin listener"),
        (triton("LogSettings"), "`PUT /log-level` to the admin listener"),
        (triton("SystemSharedMemoryStatus"), "sent in the message"),
        (triton("modelinfer"), "there is no method"),
        ("/other.Service/Method".to_owned(), "there is no method"),
        ("/grpc.health.v1.Health/List".to_owned(), "there is no method"),
        ("/".to_owned(), "there is no method"),
    ] {
        let request = axum::http::Request::post(&path).header("content-type", "application/grpc");
        let answer = service.grpc.clone().oneshot(request.body(Body::empty()).unwrap()).await;
        let answer = answer.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
        for words in [words, &format!("`{}`", &path[1..])] {
            assert!(status.message().contains(words), "{words}: {status}");
        }
    }
    let unmatched = r#"resnet_serve_requests_total{route="unmatched",status="501"}"#;
    assert!((service.metric(unmatched) - 9.0).abs() < 0.1);
}

#[tokio::test]
async fn the_name_of_a_method_that_there_is_not_may_be_anything() {
    let service = Service::start();
    let path = format!("/a/{}", "%F0%9F%92%A9".repeat(400));
    let request = axum::http::Request::post(path).header("content-type", "application/grpc");
    let answer = service.grpc.clone().oneshot(request.body(Body::empty()).unwrap()).await;
    let status = Status::from_header_map(answer.unwrap().headers()).unwrap();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().len() < 400, "{status}");
}

#[tokio::test]
async fn an_image_that_fails_in_the_network_is_an_internal_error_and_named() {
    let service = Service::start();
    let status = refused(&service, tensor(&[GREEN, POISON])).await;
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().starts_with("image 1: "), "{status}");
    service.assert_still_answers().await;
}

#[tokio::test]
async fn overload_says_when_to_come_back_to_programs_and_to_grpc_itself() {
    let service = Service::with(Settings { queue_capacity: 1, ..Settings::default() });
    service.engine.hold();
    let first = spawn(&service, "", GREEN);
    until(|| service.metrics.inflight_images.get() == 1).await;
    let status = refused(&service, tensor(&[GREEN])).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    assert_eq!(pushback.to_str().unwrap(), delay.as_millis().to_string());
    service.engine.release();
    assert_eq!(first.await.unwrap(), 200);
    let rejected = r#"resnet_serve_images_total{outcome="rejected"}"#;
    assert!((service.metric(rejected) - 1.0).abs() < 0.1);
}

#[tokio::test]
async fn a_drained_service_is_unavailable() {
    let service = Service::start();
    service.queue.close();
    let status = refused(&service, tensor(&[GREEN])).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn the_deadline_is_the_calls_or_the_requests() {
    let service = Service::start();
    service.engine.hold();
    let mut call = Request::new(tensor(&[GREEN]));
    call.set_timeout(Duration::from_millis(20));
    let answer: Result<Response<ModelInferResponse>, _> =
        call_with(&mut client(&service), INFER, call).await;
    assert_eq!(answer.unwrap_err().code(), Code::DeadlineExceeded);
    let message = changed(tensor(&[GREEN]), |one| {
        one.parameters = parameter("timeout", ParameterChoice::Int64Param(20_000));
    });
    assert_eq!(refused(&service, message).await.code(), Code::DeadlineExceeded);
    until(|| service.metric(r#"resnet_serve_images_total{outcome="expired"}"#) > 1.5).await;
    let mut call = Request::new(ServerLiveRequest {});
    call.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    let path = "/inference.GRPCInferenceService/ServerLive";
    let answer: Result<Response<ServerLiveResponse>, _> =
        call_with(&mut client(&service), path, call).await;
    assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument);
    service.engine.release();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_come_is_given_up() {
    let service = Service::start();
    let never = Body::from_stream(pending::<Result<Bytes, std::io::Error>>());
    let request = axum::http::Request::post(INFER).header("content-type", "application/grpc");
    let answer = service.grpc.clone().oneshot(request.body(never).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "4");
}

#[tokio::test]
async fn a_client_that_goes_away_is_not_worked_for_and_written_down() {
    let service = Service::start();
    service.engine.hold();
    let mut going = client(&service);
    let gone = tokio::spawn(async move {
        let _: Result<Response<ModelInferResponse>, _> =
            call_with(&mut going, INFER, Request::new(tensor(&[GREEN]))).await;
    });
    until(|| service.engine.batches().len() == 1).await;
    gone.abort();
    until(|| service.metric(r#"resnet_serve_images_total{outcome="abandoned"}"#) > 0.5).await;
    service.engine.release();
    let line = format!(r#"resnet_serve_requests_total{{route="{INFER}",status="499"}}"#);
    until(|| service.metrics.render().contains(&line)).await;
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_client_that_breaks_off_its_upload_has_gone_away() {
    let service = Service::start();
    for path in [INFER, "/inference.GRPCInferenceService/ModelStreamInfer"] {
        let reset = std::io::Error::other("the stream was reset");
        let parts = [Ok(Bytes::from_static(b"\0\0\0\x01\0half")), Err(reset)];
        let request = axum::http::Request::post(path).header("content-type", "application/grpc");
        let request = request.body(Body::from_stream(iter(parts))).unwrap();
        let answer = service.grpc.clone().oneshot(request).await.unwrap();
        let _ = answer.into_body().collect().await;
        let line = format!(r#"resnet_serve_requests_total{{route="{path}",status="499"}}"#);
        assert!((service.metric(&line) - 1.0).abs() < 0.1);
    }
    service.assert_still_answers().await;
}

#[tokio::test]
async fn the_limits_hold_for_what_a_message_is_inflated_and_decoded_to() {
    let service = Service::with(Settings { max_body: 100_000, ..Settings::default() });
    let large = || request("image", "BYTES", &[1], vec![0; 200_000]);
    assert_eq!(refused(&service, large()).await.code(), Code::OutOfRange);
    let bomb = call_with(&mut compressing(&service, Gzip), INFER, Request::new(large())).await;
    let bomb: Result<Response<ModelInferResponse>, _> = bomb;
    assert_eq!(bomb.unwrap_err().code(), Code::OutOfRange);
    let outputs = vec![InferRequestedOutputTensor::default(); 30_000];
    let many = ModelInferRequest { outputs, ..tensor(&[GREEN]) };
    let status = refused(&service, many).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("the message would take"), "{status}");
    service.assert_still_answers().await;
}

#[tokio::test]
async fn what_comes_is_charged_to_the_memory_budget_and_given_back() {
    let memory = 20_000;
    let service = Service::with(Settings { memory, ..Settings::default() });
    let large = request("image", "BYTES", &[1], vec![0; 30_000]);
    let status = refused(&service, large.clone()).await;
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(status.get_details_retry_info().is_none());
    let inflated = call_with(&mut compressing(&service, Gzip), INFER, Request::new(large)).await;
    let inflated: Result<Response<ModelInferResponse>, _> = inflated;
    assert_eq!(inflated.unwrap_err().code(), Code::OutOfRange);
    let mut typed = tensor(&[RED; 60]);
    typed.raw_input_contents.clear();
    let contents = InferTensorContents { uint_contents: vec![9; 60 * 48], ..Default::default() };
    typed.inputs[0].contents = Some(contents);
    assert_eq!(refused(&service, typed).await.code(), Code::OutOfRange);
    let held = service.memory.charge(15_000);
    let status = refused(&service, request("image", "BYTES", &[1], vec![0; 10_000])).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.get_details_retry_info().is_some());
    drop(held);
    infer(&service, tensor(&[GREEN])).await.unwrap();
    until(|| service.memory.left() == memory).await;
}

#[tokio::test]
async fn bytes_that_are_no_message_are_an_invalid_argument() {
    let service = Service::start();
    for message in [&b"\xff\xff\xff"[..], b"\x2a\x7f", b"\x0a\x02\xff\xfe"] {
        let mut frame = vec![0];
        frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(message);
        let request = axum::http::Request::post(INFER).header("content-type", "application/grpc");
        let answer = service.grpc.clone().oneshot(request.body(Body::from(frame)).unwrap()).await;
        assert_eq!(answer.unwrap().headers()["grpc-status"], "3");
    }
    let empty: BTreeMap<String, _> = BTreeMap::new();
    assert_eq!(ModelInferRequest::default().parameters, empty);
    let status = refused(&service, pictures(&[])).await;
    assert!(status.message().contains("0 images"), "{status}");
}
