//! The gRPC listener of a running service.

use std::net::TcpStream;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message;
use reqwest::Client;
use resnet_serve::grpc::proto::model_infer_request::{
    InferInputTensor, InferRequestedOutputTensor,
};
use resnet_serve::grpc::proto::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use serde_json::{Value, json};

use crate::support::{Service, SmallModel, png};

/// One call as it goes over the wire: a message behind its length, both ways.
pub(crate) async fn infer(service: &Service, message: &ModelInferRequest) -> ModelInferResponse {
    let answer = call(service, "ModelInfer", &[message]).await;
    ModelInferResponse::decode(&answer[5..]).unwrap()
}

/// A call of any number of messages, which its client names `mine`.
async fn call(service: &Service, method: &str, messages: &[&ModelInferRequest]) -> Bytes {
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}/inference.GRPCInferenceService/{method}", service.grpc);
    let mut frames = BytesMut::new();
    for message in messages {
        frames.put_u8(0);
        frames.put_u32(u32::try_from(message.encoded_len()).unwrap());
        message.encode(&mut frames).unwrap();
    }
    let request =
        client.post(url).header("content-type", "application/grpc").header("te", "trailers");
    let request = request.header("x-request-id", "mine").body(frames.freeze());
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc");
    response.bytes().await.unwrap()
}

pub(crate) fn picture() -> ModelInferRequest {
    let contents = InferTensorContents { bytes_contents: vec![png().into()], ..Default::default() };
    let input = InferInputTensor {
        name: "image".to_owned(),
        datatype: "BYTES".to_owned(),
        shape: vec![1],
        contents: Some(contents),
        ..Default::default()
    };
    let model_name = "cifar-resnet20".to_owned();
    ModelInferRequest { model_name, inputs: vec![input], ..Default::default() }
}

/// The same request for these outputs.
pub(crate) fn asking(request: ModelInferRequest, names: &[&str]) -> ModelInferRequest {
    let output =
        |name: &&str| InferRequestedOutputTensor { name: (*name).to_owned(), ..Default::default() };
    ModelInferRequest { outputs: names.iter().map(output).collect(), ..request }
}

#[tokio::test]
async fn a_picture_gets_the_same_probabilities_from_both_doors() {
    let model = SmallModel::build();
    let service = Service::start(&model.path(), &[]);
    let answer = infer(&service, &picture()).await;
    let place = answer.outputs.iter().position(|output| output.name == "probabilities").unwrap();
    let (floats, _) = answer.raw_output_contents[place].as_chunks::<4>();
    let request = Client::new().post(service.url("/classify?top_k=10")).body(png());
    let classified: Value = request.send().await.unwrap().json().await.unwrap();
    let predictions = classified["results"][0]["predictions"].as_array().unwrap().clone();
    assert_eq!(predictions.len(), floats.len());
    for prediction in predictions {
        let class = usize::try_from(prediction["class"].as_u64().unwrap()).unwrap();
        let probability = f64::from(f32::from_le_bytes(floats[class]));
        assert!((probability - prediction["probability"].as_f64().unwrap()).abs() < 1e-5);
    }
}

#[tokio::test]
async fn a_drain_ends_both_doors_and_a_connection_that_is_open_does_not_hold_it() {
    let model = SmallModel::build();
    let mut service = Service::start(&model.path(), &["--drain-delay=300ms"]);
    infer(&service, &picture()).await;
    service.signal("-TERM");
    service.wait_for("draining");
    infer(&service, &picture()).await;
    let address = service.grpc;
    let (status, log) = service.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("drained"), "{log}");
    assert!(TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn each_message_of_a_stream_has_a_line_in_the_log_and_its_stream_one_at_its_end() {
    let model = SmallModel::build();
    let mut service = Service::start(&model.path(), &[]);
    let named = |id: &str, model_name: &str| {
        let (id, model_name) = (id.to_owned(), model_name.to_owned());
        ModelInferRequest { id, model_name, ..picture() }
    };
    let known = "cifar-resnet20";
    let messages = [named("a", known), named("b\n", "other"), named("", known)];
    call(&service, "ModelStreamInfer", &messages.each_ref()).await;
    let mut lines: Vec<Value> = (0..3).map(|_| service.wait_for("request")).collect();
    lines.push(service.wait_for("stream"));
    let fields = ["message_id", "status", "grpc_status"];
    let found: Vec<_> = lines.iter().map(|line| fields.map(|field| line[field].clone())).collect();
    let due =
        json!([["a", 200, "Ok"], ["b ", 404, "NotFound"], [null, 200, "Ok"], [null, 200, "Ok"],]);
    assert_eq!(json!(found), due);
    for line in &lines {
        assert_eq!(line["request_id"], "mine");
        assert_eq!(line["route"], "/inference.GRPCInferenceService/ModelStreamInfer");
        assert!(line["milliseconds"].is_number());
    }
    assert!(lines[1]["error"].as_str().unwrap().contains("no model `other`"), "{}", lines[1]);
}
