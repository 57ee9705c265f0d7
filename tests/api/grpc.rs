//! The Open Inference Protocol over gRPC.

use std::collections::BTreeMap;

use axum::Router;
use bytes::Bytes;
use prost::Message;
use resnet_serve::grpc::proto::infer_parameter::ParameterChoice;
use resnet_serve::grpc::proto::model_infer_request::InferInputTensor;
use resnet_serve::grpc::proto::{InferParameter, ModelInferRequest, ModelInferResponse};
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::support::{Service, png};

mod calls;
mod contents;
mod errors;
mod keys;
mod messages;
mod requests;
mod streams;
mod traces;

const GREEN: [u8; 3] = [0, 200, 0];
const RED: [u8; 3] = [200, 0, 0];

/// A client on the other side of the router.
fn client(service: &Service) -> Grpc<Router> {
    Grpc::new(service.grpc.clone()).max_decoding_message_size(64 << 20)
}

/// One call of any method.
async fn call<Q, R>(
    service: &Service,
    path: &'static str,
    message: Q,
) -> Result<Response<R>, Status>
where
    Q: Message + 'static,
    R: Message + Default + 'static,
{
    call_with(&mut client(service), path, Request::new(message)).await
}

async fn call_with<Q, R>(
    client: &mut Grpc<Router>,
    path: &'static str,
    request: Request<Q>,
) -> Result<Response<R>, Status>
where
    Q: Message + 'static,
    R: Message + Default + 'static,
{
    let path = http::uri::PathAndQuery::from_static(path);
    client.ready().await.unwrap();
    client.unary(request, path, ProstCodec::default()).await
}

const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

async fn infer(
    service: &Service,
    message: ModelInferRequest,
) -> Result<ModelInferResponse, Status> {
    call(service, INFER, message).await.map(Response::into_inner)
}

/// Pictures of one colour each, behind their lengths.
fn pictures(colors: &[[u8; 3]]) -> ModelInferRequest {
    let with_length = |color: &[u8; 3]| {
        let bytes = png(*color);
        [u32::try_from(bytes.len()).unwrap().to_le_bytes().as_slice(), &bytes].concat()
    };
    let raw: Vec<u8> = colors.iter().flat_map(with_length).collect();
    request("image", "BYTES", &[colors.len()], raw)
}

/// The network's own input: pictures of 4×4 pixels of one colour each.
fn tensor(colors: &[[u8; 3]]) -> ModelInferRequest {
    let raw: Vec<u8> = colors.iter().flat_map(|color| color.repeat(16)).collect();
    request("input", "UINT8", &[colors.len(), 4, 4, 3], raw)
}

fn request(name: &str, datatype: &str, shape: &[usize], raw: Vec<u8>) -> ModelInferRequest {
    let input = InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.iter().map(|size| i64::try_from(*size).unwrap()).collect(),
        ..InferInputTensor::default()
    };
    ModelInferRequest {
        model_name: "colors".to_owned(),
        inputs: vec![input],
        raw_input_contents: vec![Bytes::from(raw)],
        ..ModelInferRequest::default()
    }
}

fn parameter(name: &str, choice: ParameterChoice) -> BTreeMap<String, InferParameter> {
    BTreeMap::from([(name.to_owned(), InferParameter { parameter_choice: Some(choice) })])
}

/// The numbers of an output.
fn numbers(response: &ModelInferResponse, output: &str) -> Vec<f32> {
    let index = response.outputs.iter().position(|found| found.name == output).unwrap();
    assert_eq!(response.outputs[index].datatype, "FP32");
    let (floats, rest) = response.raw_output_contents[index].as_chunks::<4>();
    assert!(rest.is_empty());
    floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// The network's answer to a picture of one colour.
fn logits(color: [u8; 3]) -> Vec<f32> {
    let [red, green, blue] = color.map(|channel| f32::from(channel) / 32.0);
    vec![red, green, blue, 0.0, 0.0, 0.0]
}

fn compressing(service: &Service, coding: CompressionEncoding) -> Grpc<Router> {
    client(service).send_compressed(coding).accept_compressed(coding)
}
