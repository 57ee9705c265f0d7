//! v2 inference with binary data: the first two bytes say where the JSON ends.
#![no_main]

use std::sync::LazyLock;

use axum::http::Request;
use libfuzzer_sys::{Corpus, fuzz_target};
use resnet_serve_fuzz::{Target, fails_on_purpose, print_panics_once};

static TARGET: LazyLock<Target> = LazyLock::new(Target::start);

/// The header is left out, and the whole body is JSON.
const NO_HEAD: u16 = u16::MAX;

fuzz_target!(init: print_panics_once(), |data: &[u8]| -> Corpus {
    let Some((head, body)) = data.split_first_chunk::<2>() else { return Corpus::Reject };
    if fails_on_purpose(body) {
        return Corpus::Reject;
    }
    let mut request = Request::post("/v2/models/colors/infer");
    let head = u16::from_le_bytes(*head);
    if head != NO_HEAD {
        request = request.header("inference-header-content-length", head);
    }
    TARGET.send(request.body(body.to_vec().into()).expect("a request"));
    Corpus::Keep
});
