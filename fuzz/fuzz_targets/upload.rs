//! `POST /classify`: every form of a body, through decoding to the answer. The first byte is the form.
#![no_main]

use std::sync::LazyLock;

use axum::http::Request;
use libfuzzer_sys::{Corpus, fuzz_target};
use resnet_serve_fuzz::{Target, print_panics_once};

static TARGET: LazyLock<Target> = LazyLock::new(Target::start);

/// Content type and content encoding.
const FORMS: [(&str, &str); 6] = [
    ("image/png", "identity"),
    ("multipart/form-data; boundary=line", "identity"),
    ("application/json", "identity"),
    ("application/octet-stream", "gzip"),
    ("application/octet-stream", "deflate"),
    ("application/json", "gzip"),
];

fuzz_target!(init: print_panics_once(), |data: &[u8]| -> Corpus {
    let Some((form, body)) = data.split_first() else { return Corpus::Reject };
    let Some((kind, coding)) = FORMS.get(usize::from(*form)) else { return Corpus::Reject };
    let request = Request::post("/classify?top_k=2")
        .header("content-type", *kind)
        .header("content-encoding", *coding);
    TARGET.send(request.body(body.to_vec().into()).expect("a request"));
    Corpus::Keep
});
