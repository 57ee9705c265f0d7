//! The gRPC listener of a running service.

use std::net::TcpStream;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message;
use reqwest::Client;
use resnet_serve::grpc::proto::model_infer_request::{
    InferInputTensor, InferRequestedOutputTensor,
};
use resnet_serve::grpc::proto::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use serde_json::Value;

use crate::support::{Service, SmallModel, png};

/// One call as it goes over the wire: a message behind its length, both ways.
pub(crate) async fn infer(service: &Service, message: &ModelInferRequest) -> ModelInferResponse {
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}/inference.GRPCInferenceService/ModelInfer", service.grpc);
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut frame).unwrap();
    let request =
        client.post(url).header("content-type", "application/grpc").header("te", "trailers");
    let response = request.body(frame.freeze()).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let answer: Bytes = response.bytes().await.unwrap();
    ModelInferResponse::decode(&answer[5..]).unwrap()
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
