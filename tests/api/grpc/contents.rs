//! Typed contents: each datatype has a list of its own.

use bytes::Bytes;
use resnet_serve::grpc::proto::{InferTensorContents, ModelInferRequest};
use tonic::{Code, Status};

use super::{GREEN, infer, pictures, request, tensor};
use crate::support::{Service, Settings, png};

fn typed(
    (message, datatype): (ModelInferRequest, &str),
    contents: InferTensorContents,
) -> ModelInferRequest {
    let mut message = ModelInferRequest { raw_input_contents: Vec::new(), ..message };
    datatype.clone_into(&mut message.inputs[0].datatype);
    message.inputs[0].contents = Some(contents);
    message
}

async fn refused(service: &Service, message: ModelInferRequest) -> Status {
    let status = infer(service, message).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    status
}

/// Every list of typed contents with one element, with its name and the datatypes that it is for.
fn lists() -> [(&'static str, &'static [&'static str], InferTensorContents); 8] {
    let none = InferTensorContents::default;
    let picture = vec![Bytes::from(png(GREEN))];
    [
        ("bool_contents", &["BOOL"], InferTensorContents { bool_contents: vec![true], ..none() }),
        (
            "int_contents",
            &["INT8", "INT16", "INT32"],
            InferTensorContents { int_contents: vec![1], ..none() },
        ),
        ("int64_contents", &["INT64"], InferTensorContents { int64_contents: vec![1], ..none() }),
        (
            "uint_contents",
            &["UINT8", "UINT16", "UINT32"],
            InferTensorContents { uint_contents: vec![1], ..none() },
        ),
        (
            "uint64_contents",
            &["UINT64"],
            InferTensorContents { uint64_contents: vec![1], ..none() },
        ),
        ("fp32_contents", &["FP32"], InferTensorContents { fp32_contents: vec![1.0], ..none() }),
        ("fp64_contents", &["FP64"], InferTensorContents { fp64_contents: vec![1.0], ..none() }),
        ("bytes_contents", &["BYTES"], InferTensorContents { bytes_contents: picture, ..none() }),
    ]
}

#[tokio::test]
async fn a_list_that_is_not_the_datatypes_is_named() {
    let service = Service::start();
    for (due, datatypes, _) in lists() {
        for (found, _, contents) in lists().into_iter().filter(|(found, ..)| *found != due) {
            for datatype in datatypes {
                let message = typed((tensor(&[GREEN]), datatype), contents.clone());
                let status = refused(&service, message).await;
                let words = format!("has `{found}`, but elements of `{datatype}` stand in `{due}`");
                assert!(status.message().contains(&words), "{words}: {status}");
            }
        }
    }
    assert!(service.engine.batches().is_empty());
}

#[tokio::test]
async fn two_lists_are_one_too_many() {
    let service = Service::start();
    let bytes = vec![9; 48];
    let two = InferTensorContents {
        uint_contents: bytes,
        fp32_contents: vec![1.0],
        ..InferTensorContents::default()
    };
    let status = refused(&service, typed((tensor(&[GREEN]), "UINT8"), two)).await;
    assert!(status.message().contains("`input` has `fp32_contents`, but"), "{status}");
    let picture = vec![Bytes::from(png(GREEN))];
    let two = InferTensorContents {
        uint_contents: vec![9],
        bytes_contents: picture,
        ..InferTensorContents::default()
    };
    let status = refused(&service, typed((pictures(&[GREEN]), "BYTES"), two)).await;
    assert!(status.message().contains("`image` has `uint_contents`, but"), "{status}");
}

#[tokio::test]
async fn half_precision_is_sent_raw() {
    let service = Service::with(Settings { input: "float16", ..Settings::default() });
    let halves = InferTensorContents { fp32_contents: vec![0.0; 48], ..Default::default() };
    let raw = request("input", "FP16", &[1, 3, 4, 4], vec![0; 96]);
    let status = refused(&service, typed((raw.clone(), "FP16"), halves)).await;
    assert!(status.message().contains("`FP16` stand in `raw_input_contents`"), "{status}");
    infer(&service, raw).await.unwrap();
}

#[tokio::test]
async fn a_datatype_that_the_model_does_not_take_or_nobody_has_is_named_itself() {
    let service = Service::start();
    for (_, datatypes, contents) in lists() {
        for datatype in datatypes.iter().filter(|datatype| **datatype != "UINT8").chain([&"FLOAT"])
        {
            let message = typed((tensor(&[GREEN]), datatype), contents.clone());
            let status = refused(&service, message).await;
            let words = format!("has the datatype `{datatype}`, not `UINT8`");
            assert!(status.message().contains(&words), "{words}: {status}");
        }
    }
}
