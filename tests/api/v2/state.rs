//! What the server and its models say of themselves.

use insta::assert_json_snapshot;
use resnet_serve::readiness::State;
use serde_json::json;

use super::get;
use crate::support::{Service, Settings};

#[tokio::test]
async fn the_server_says_what_it_is() {
    let answer = get(&Service::start(), "/v2").await;
    let version = env!("CARGO_PKG_VERSION");
    let extensions = ["classification", "binary_tensor_data", "model_configuration"];
    let expected = json!({"name": "resnet-serve", "version": version, "extensions": extensions});
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn a_model_says_what_it_takes_and_gives() {
    assert_json_snapshot!(get(&Service::start(), "/v2/models/colors").await.json());
}

#[tokio::test]
async fn a_model_has_a_configuration_as_triton_writes_it() {
    assert_json_snapshot!(get(&Service::start(), "/v2/models/colors/config").await.json());
}

#[tokio::test]
async fn the_type_and_layout_of_the_input_are_the_networks_own() {
    for (input, datatype, data_type) in
        [("float32", "FP32", "TYPE_FP32"), ("float16", "FP16", "TYPE_FP16")]
    {
        let service = Service::with(Settings { input, ..Settings::default() });
        let metadata = get(&service, "/v2/models/colors").await.json();
        assert_eq!(metadata["inputs"][0]["datatype"], datatype);
        assert_eq!(metadata["inputs"][0]["shape"], json!([-1, 3, 4, 4]));
        assert_eq!(metadata["inputs"][1]["shape"], json!([-1, 1]));
        let config = get(&service, "/v2/models/colors/config").await.json();
        assert_eq!(config["input"][0]["data_type"], data_type);
        assert_eq!(config["input"][0]["format"], "FORMAT_NCHW");
    }
}

#[tokio::test]
async fn every_path_of_a_model_may_name_its_version() {
    let service = Service::start();
    service.readiness.advance(State::Ready);
    for rest in ["", "/config", "/ready"] {
        let plain = get(&service, &format!("/v2/models/colors{rest}")).await;
        let versioned = get(&service, &format!("/v2/models/colors/versions/7{rest}")).await;
        assert_eq!(plain.status, 200, "{rest}");
        assert_eq!(plain.json(), versioned.json());
    }
}

#[tokio::test]
async fn the_server_and_its_models_are_ready_between_start_and_drain() {
    let service = Service::start();
    let states = async || {
        let server = get(&service, "/v2/health/ready").await;
        let model = get(&service, "/v2/models/colors/ready").await;
        assert_eq!(server.json()["ready"], server.status == 200);
        let expected = json!({"name": "colors", "ready": model.status == 200});
        assert_eq!(model.json(), expected);
        (server.status.as_u16(), model.status.as_u16())
    };
    assert_eq!(states().await, (503, 503));
    service.readiness.advance(State::Ready);
    assert_eq!(states().await, (200, 200));
    service.readiness.advance(State::Draining);
    assert_eq!(states().await, (503, 503));
    let live = get(&service, "/v2/health/live").await;
    assert_eq!((live.status.as_u16(), live.json()), (200, json!({"live": true})));
}
