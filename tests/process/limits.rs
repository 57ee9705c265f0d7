//! What a request's head may hold, over HTTP/1.1 and HTTP/2.

use reqwest::{Client, RequestBuilder, StatusCode};

use crate::support::{Service, SmallModel};

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_and_others_are_answered() {
    let model = SmallModel::build();
    let service = Service::start(&model.path(), &[]);
    let first = Client::builder().http1_only().build().unwrap();
    let second = Client::builder().http2_prior_knowledge().build().unwrap();
    let url = service.url("/models");
    let large = "x".repeat(70 << 10);
    for client in [&first, &second] {
        let refused = status(client.get(&url).header("x-large", &large)).await;
        assert_eq!(refused, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "{client:?}");
        let taken = status(client.get(&url).header("x-large", &large[..8 << 10])).await;
        assert_eq!(taken, StatusCode::OK, "{client:?}");
    }
    let many =
        (0..101).fold(first.get(&url), |request, index| request.header(format!("x-{index}"), "y"));
    assert_eq!(status(many).await, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}
