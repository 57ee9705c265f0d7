//! What good calls get.

use bytes::Bytes;
use resnet_serve::grpc::proto::infer_parameter::ParameterChoice;
use resnet_serve::grpc::proto::model_infer_request::InferRequestedOutputTensor;
use resnet_serve::grpc::proto::{
    DataType, InferTensorContents, ModelConfigRequest, ModelConfigResponse, ModelInferResponse,
    ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse,
    ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
    ServerReadyRequest, ServerReadyResponse,
};
use resnet_serve::readiness::State;
use tonic::codec::CompressionEncoding::{Deflate, Gzip};
use tonic::{Request, Response};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::{
    GREEN, INFER, RED, call, call_with, client, compressing, infer, logits, numbers, parameter,
    pictures, request, tensor,
};
use crate::support::{Service, Settings, png};

#[tokio::test]
async fn the_server_and_its_models_are_ready_between_start_and_drain() {
    let service = Service::start();
    let states = async || {
        let path = "/inference.GRPCInferenceService/ServerReady";
        let server: Response<ServerReadyResponse> =
            call(&service, path, ServerReadyRequest {}).await.unwrap();
        let path = "/inference.GRPCInferenceService/ModelReady";
        let model = ModelReadyRequest { name: "colors".to_owned(), version: "7".to_owned() };
        let model: Response<ModelReadyResponse> = call(&service, path, model).await.unwrap();
        let health = HealthCheckRequest { service: "inference.GRPCInferenceService".to_owned() };
        let health: Response<HealthCheckResponse> =
            call(&service, "/grpc.health.v1.Health/Check", health).await.unwrap();
        (server.get_ref().ready, model.get_ref().ready, health.get_ref().status)
    };
    assert_eq!(states().await, (false, false, 2));
    service.readiness.advance(State::Ready);
    assert_eq!(states().await, (true, true, 1));
    service.readiness.advance(State::Draining);
    assert_eq!(states().await, (false, false, 2));
    let path = "/inference.GRPCInferenceService/ServerLive";
    let live: Response<ServerLiveResponse> =
        call(&service, path, ServerLiveRequest {}).await.unwrap();
    assert!(live.get_ref().live);
}

#[tokio::test]
async fn a_model_or_version_that_there_is_not_is_not_ready() {
    let service = Service::start();
    service.readiness.advance(State::Ready);
    let path = "/inference.GRPCInferenceService/ModelReady";
    for (name, version, due) in
        [("colors", "", true), ("colors", "7", true), ("colors", "8", false), ("shapes", "", false)]
    {
        let model = ModelReadyRequest { name: name.to_owned(), version: version.to_owned() };
        let model: Response<ModelReadyResponse> = call(&service, path, model).await.unwrap();
        assert_eq!(model.get_ref().ready, due, "{name} {version}");
    }
}

#[tokio::test]
async fn the_server_and_its_models_say_what_they_say_over_http() {
    let service = Service::start();
    let path = "/inference.GRPCInferenceService/ServerMetadata";
    let server: Response<ServerMetadataResponse> =
        call(&service, path, ServerMetadataRequest {}).await.unwrap();
    assert_eq!(server.get_ref().name, "resnet-serve");
    assert!(server.get_ref().extensions.contains(&"classification".to_owned()));
    let name = "colors".to_owned();
    let path = "/inference.GRPCInferenceService/ModelMetadata";
    let metadata = ModelMetadataRequest { name: name.clone(), version: String::new() };
    let metadata: Response<ModelMetadataResponse> = call(&service, path, metadata).await.unwrap();
    let metadata = metadata.into_inner();
    assert_eq!((metadata.name, metadata.versions), (name.clone(), vec!["7".to_owned()]));
    let inputs: Vec<_> = metadata.inputs.iter().map(|one| (&one.datatype, &one.shape)).collect();
    assert_eq!(
        inputs,
        [(&"UINT8".to_owned(), &vec![-1, 4, 4, 3]), (&"BYTES".to_owned(), &vec![-1, 1])]
    );
    let path = "/inference.GRPCInferenceService/ModelConfig";
    let config = ModelConfigRequest { name, version: String::new() };
    let config: Response<ModelConfigResponse> = call(&service, path, config).await.unwrap();
    let config = config.into_inner().config.unwrap();
    assert_eq!(config.max_batch_size, 64);
    assert_eq!(config.input[0].data_type(), DataType::TypeUint8);
    assert_eq!(config.input[1].data_type(), DataType::TypeString);
    assert_eq!(config.output[0].dims, [6]);
    assert_eq!(config.parameters["trained"].string_value, "true");
}

#[tokio::test]
async fn pictures_and_tensors_get_the_same_answers_raw_and_typed() {
    let service = Service::start();
    let colors = [RED, GREEN];
    let mut typed_pictures = pictures(&colors);
    let files = colors.map(|color| Bytes::from(png(color))).to_vec();
    let contents = InferTensorContents { bytes_contents: files, ..Default::default() };
    typed_pictures.inputs[0].contents = Some(contents);
    let mut typed_tensor = tensor(&colors);
    let bytes = colors.iter().flat_map(|color| color.repeat(16)).map(u32::from).collect();
    let contents = InferTensorContents { uint_contents: bytes, ..Default::default() };
    typed_tensor.inputs[0].contents = Some(contents);
    for typed in [&mut typed_pictures, &mut typed_tensor] {
        typed.raw_input_contents.clear();
    }
    for message in [pictures(&colors), tensor(&colors), typed_pictures, typed_tensor] {
        let answer = infer(&service, message).await.unwrap();
        assert_eq!(answer.outputs[0].shape, [2, 6]);
        assert_eq!(numbers(&answer, "logits"), [logits(RED), logits(GREEN)].concat());
        let sum: f32 = numbers(&answer, "probabilities").iter().sum();
        assert!((sum - 2.0).abs() < 1e-5);
    }
}

#[tokio::test]
async fn floats_are_taken_raw_and_typed() {
    let service = Service::with(Settings { input: "float32", ..Settings::default() });
    let values: Vec<f32> = (0..48).map(|index: u8| f32::from(index) * 0.5 - 1.0).collect();
    let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let raw = request("input", "FP32", &[1, 3, 4, 4], raw);
    let mut typed = raw.clone();
    typed.raw_input_contents.clear();
    let contents = InferTensorContents { fp32_contents: values, ..Default::default() };
    typed.inputs[0].contents = Some(contents);
    for message in [raw, typed] {
        let answer = infer(&service, message).await.unwrap();
        assert_eq!(numbers(&answer, "logits")[..3], [-1.0, -0.5, 0.0].map(|value| value / 32.0));
    }
}

#[tokio::test]
async fn an_answer_says_whose_it_is_and_gives_what_is_asked_for() {
    let service = Service::start();
    let mut message = tensor(&[GREEN]);
    message.id = "mine".to_owned();
    message.model_version = "7".to_owned();
    message.parameters = parameter("priority", ParameterChoice::Uint64Param(1));
    let parameters = parameter("classification", ParameterChoice::Int64Param(1));
    message.outputs = vec![InferRequestedOutputTensor { name: "logits".to_owned(), parameters }];
    let answer = infer(&service, message).await.unwrap();
    assert_eq!((answer.id.as_str(), answer.model_name.as_str()), ("mine", "colors"));
    assert_eq!(answer.model_version, "7");
    let trained = answer.parameters["trained"].parameter_choice.clone();
    assert_eq!(trained, Some(ParameterChoice::BoolParam(true)));
    assert_eq!((answer.outputs.len(), answer.outputs[0].datatype.as_str()), (1, "BYTES"));
    assert_eq!(answer.raw_output_contents[0], &b"\x0c\0\0\x006.25:1:green"[..]);
}

#[tokio::test]
async fn messages_may_be_compressed_and_only_then_are_answers() {
    let service = Service::start();
    for coding in [Gzip, Deflate] {
        let mut client = compressing(&service, coding);
        let request = Request::new(pictures(&[GREEN]));
        let answer: Response<ModelInferResponse> =
            call_with(&mut client, INFER, request).await.unwrap();
        assert!(answer.metadata().contains_key("grpc-encoding"), "{coding:?}");
        assert_eq!(numbers(answer.get_ref(), "logits"), logits(GREEN));
    }
    let mut client = client(&service).accept_compressed(Gzip);
    let request = Request::new(pictures(&[GREEN]));
    let answer: Response<ModelInferResponse> =
        call_with(&mut client, INFER, request).await.unwrap();
    assert!(!answer.metadata().contains_key("grpc-encoding"));
}

#[tokio::test]
async fn a_call_is_named_counted_and_given_back_its_memory() {
    let service = Service::start();
    let mut named = Request::new(tensor(&[RED, GREEN]));
    named.metadata_mut().insert("x-request-id", "mine".parse().unwrap());
    let answer: Response<ModelInferResponse> =
        call_with(&mut client(&service), INFER, named).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "mine");
    drop(answer);
    for (metric, due) in [
        (r#"resnet_serve_images_total{outcome="classified"}"#.to_owned(), 2.0),
        (format!(r#"resnet_serve_requests_total{{route="{INFER}",status="200"}}"#), 1.0),
        ("resnet_serve_inflight_images".to_owned(), 0.0),
    ] {
        assert!((service.metric(&metric) - due).abs() < 0.1, "{metric}");
    }
    assert_eq!(service.memory.left(), Settings::default().memory);
}
