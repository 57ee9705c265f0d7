//! What bad requests get: a clear error, and the service still answers afterwards.

use std::io;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::stream;
use image::ImageFormat;
use serde_json::json;

use crate::support::{Service, Settings, png};

const FORM: &str = "multipart/form-data; boundary=line";

/// A picture with some detail, so that its files are long enough to be cut.
fn picture(format: ImageFormat) -> Vec<u8> {
    let byte = |value: u32| u8::try_from(value % 256).unwrap();
    let pixel = |x: u32, y: u32| image::Rgb([x * 7, y * 5, x * y].map(byte));
    let mut bytes = io::Cursor::new(Vec::new());
    image::RgbImage::from_fn(64, 64, pixel).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// The head of a PNG of 60000×60000 pixels, and no pixel.
fn giant_png() -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend_from_slice(&60_000_u32.to_be_bytes());
    bytes.extend_from_slice(&60_000_u32.to_be_bytes());
    bytes.extend_from_slice(&[8, 2, 0, 0, 0]);
    bytes.extend_from_slice(&crc32(&bytes[12..]).to_be_bytes());
    bytes
}

/// PNG's checksum, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    !bytes.iter().fold(u32::MAX, byte)
}

#[tokio::test]
async fn a_body_without_an_image_is_an_invalid_request() {
    let service = Service::start();
    for (kind, body) in [
        ("", ""),
        ("image/jpeg", ""),
        (FORM, "--line--\r\n"),
        ("application/json", r#"{"images": []}"#),
        ("application/json", r#"{"image": ""}"#),
    ] {
        let detail = service.classify("", kind, body).await.problem(400, "invalid_request");
        assert!(detail.contains("no image"), "{kind} {body}: {detail}");
    }
    service.assert_still_answers().await;
}

#[tokio::test]
async fn what_is_no_picture_is_undecodable() {
    let service = Service::start();
    for body in ["hello, world", "<html></html>", "\u{feff}", "%PDF-1.7"] {
        service.classify("", "image/jpeg", body).await.problem(422, "undecodable_image");
    }
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_truncated_picture_is_undecodable() {
    let service = Service::start();
    let mut files = vec![picture(ImageFormat::Png), picture(ImageFormat::WebP)];
    files.push(include_bytes!("../fixtures/api/gradient.jpg").to_vec());
    for file in files {
        let whole = service.classify("", "", file.clone()).await;
        assert!(whole.status.is_success(), "{}", whole.text);
        for kept in [file.len() / 2, file.len() / 10] {
            let answer = service.classify("", "", file[..kept].to_vec()).await;
            answer.problem(422, "undecodable_image");
        }
    }
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_picture_that_claims_too_many_pixels_is_refused_with_both_numbers() {
    let service = Service::start();
    let detail = service.classify("", "", giant_png()).await.problem(422, "image_too_large");
    assert!(detail.contains("3600000000") && detail.contains("1000000"), "{detail}");
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_broken_form_is_an_invalid_request() {
    let service = Service::start();
    let head = "--line\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\n";
    let text = |name: &str, value: &str| {
        let head = "--line\r\nContent-Disposition: form-data; name=";
        format!("{head}\"{name}\"\r\n\r\n{value}\r\n--line--\r\n")
    };
    let unfilled = head.replace("\"b\"", "\"\"");
    for (kind, body, hint) in [
        (FORM, format!("{head}abc"), "broken"),
        (FORM, "--line".to_owned(), "broken"),
        (FORM, text("timeout_ms", "9"), "`timeout_ms` is no file"),
        (FORM, text("top_k", "many"), "`top_k` is `many`"),
        (FORM, text("top_k", "3"), "no image"),
        (FORM, format!("{unfilled}\r\n--line--\r\n"), "no image"),
        ("multipart/form-data", format!("{head}abc\r\n--line--"), "boundary"),
    ] {
        let detail = service.classify("", kind, body.clone()).await.problem(400, "invalid_request");
        assert!(detail.contains(hint), "{body:?}: {detail}");
    }
    service.assert_still_answers().await;
}

#[tokio::test]
async fn broken_json_is_an_invalid_request() {
    let service = Service::start();
    let image = BASE64_STANDARD.encode(png([1, 2, 3]));
    for (body, hint) in [
        ("{".to_owned(), "EOF"),
        ("[]".to_owned(), "array"),
        ("{}".to_owned(), "neither"),
        ("null".to_owned(), "null, expected an object with `image` or `images`"),
        (r#"{"top_k": "1"}"#.to_owned(), "\"1\", expected a whole number from 1 on for `top_k`"),
        (r#"{"top_k": -1}"#.to_owned(), "`-1`, expected a whole number from 1 on for `top_k`"),
        (json!({"image": image, "images": [image]}).to_string(), "exclude"),
        (json!({"image": image, "topk": 1}).to_string(), "unknown field `topk`"),
        (json!({"image": image, "top_k": 0}).to_string(), "`top_k` is `0`"),
        (json!({"image": image, "top_k": 1.5}).to_string(), "1.5"),
        (json!({"images": vec![image.as_str(); 10_000]}).to_string(), "10000 images"),
    ] {
        let answer = service.classify("", "application/json", body).await;
        let detail = answer.problem(400, "invalid_request");
        assert!(detail.contains(hint), "{hint}: {detail}");
    }
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_text_that_is_no_base64_is_a_bad_image_alone_and_among_others() {
    let service = Service::start();
    for body in [r#"{"image": "***"}"#, r#"{"images": ["***"]}"#] {
        let answer = service.classify("", "application/json", body).await;
        let detail = answer.problem(422, "undecodable_image");
        assert!(detail.contains("the image is not base64"), "{body}: {detail}");
    }
    let image = BASE64_STANDARD.encode(png([1, 2, 3]));
    let nothing = json!({"image": image, "top_k": null}).to_string();
    assert!(service.classify("", "application/json", nothing).await.status.is_success());
}

#[tokio::test]
async fn what_a_client_sends_is_not_repeated_at_length_nor_with_control_characters() {
    let service = Service::start();
    let body = json!({"images": "A".repeat(100_000)}).to_string();
    let answer = service.classify("", "application/json", body).await;
    assert!(answer.problem(400, "invalid_request").chars().count() < 400);
    let forged = service.classify("?model=a%0Aforged%1B%5B31m", "", png([0, 0, 9])).await;
    let detail = forged.problem(400, "invalid_request");
    assert!(!detail.contains(char::is_control), "{detail:?}");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_given_up() {
    let service = Service::start();
    let never = Body::from_stream(stream::pending::<Result<Bytes, io::Error>>());
    service.classify("?timeout_ms=30", "", never).await.problem(408, "request_timeout");
    assert_eq!(service.metrics.inflight_images.get(), 0);
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_parameter_that_cannot_be_is_an_invalid_request() {
    let service = Service::start();
    for query in [
        "?top_k=0",
        "?top_k=-1",
        "?top_k=1.5",
        "?top_k=x",
        "?top_k=7",
        "?top_k=1001",
        "?top_k=",
        "?timeout_ms=0",
        "?timeout_ms=-5",
        "?timeout_ms=soon",
        "?topk=3",
        "?top_k=1&top_k=2",
    ] {
        let answer = service.classify(query, "", png([0, 0, 9])).await;
        let detail = answer.problem(400, "invalid_request");
        let (name, value) = query.trim_start_matches('?').split_once('=').unwrap();
        assert!(detail.contains(&format!("`{name}`")), "{query}: {detail}");
        let told = detail.contains(&format!("`{value}`")) || detail.contains("parameter `top");
        assert!(told && !detail.contains("digit"), "{query}: {detail}");
    }
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large_declared_or_not() {
    let service = Service::with(Settings { max_body: 1000, ..Settings::default() });
    let declared = Request::post("/classify").header("content-length", "1001");
    let declared = declared.body(Body::empty()).unwrap();
    service.send(declared).await.problem(413, "payload_too_large");
    let chunks = stream::iter((0..20).map(|_| Ok::<_, io::Error>(Bytes::from_static(&[7; 100]))));
    let chunked = service.classify("", "", Body::from_stream(chunks)).await;
    let detail = chunked.problem(413, "payload_too_large");
    assert!(detail.contains("1000 bytes"), "{detail}");
    service.assert_still_answers().await;
}

#[tokio::test]
async fn what_curl_has_mangled_is_told_for_it_and_a_query_by_its_parameter() {
    let service = Service::start();
    let is_kept = |byte: &u8| !b"\r\n\0".contains(byte);
    let mangled: Vec<u8> = png([1, 2, 3]).into_iter().filter(is_kept).collect();
    let form = service.classify("", "application/x-www-form-urlencoded", mangled.clone()).await;
    let detail = form.problem(422, "undecodable_image");
    assert!(detail.contains("`--data-binary`"), "{detail}");
    for sent_as_it_is in ["no\rpicture", "no\npicture", "no\0picture"] {
        let answer = service.classify("", "application/x-www-form-urlencoded", sent_as_it_is).await;
        let detail = answer.problem(422, "undecodable_image");
        assert!(!detail.contains("--data-binary"), "{detail}");
    }
    let raw = service.classify("", "image/png", mangled).await.problem(422, "undecodable_image");
    assert!(!raw.contains("--data-binary"), "{raw}");
    let query = service.classify("?top_k=x", "", png([1, 2, 3])).await;
    let detail = query.problem(400, "invalid_request");
    assert!(detail.starts_with("`top_k` is `x`; it must be a whole number from 1 to "), "{detail}");
}

/// As curl asks before it sends more than a mebibyte.
#[tokio::test(start_paused = true)]
async fn a_client_that_asks_first_is_not_told_to_send_what_is_refused() {
    let service = Service::with(Settings { max_body: 1000, ..Settings::default() });
    let asks = Request::post("/classify").header("content-length", "1001");
    let asks = asks.header("expect", "100-continue");
    let never = stream::pending::<Result<Bytes, io::Error>>();
    let begun = tokio::time::Instant::now();
    let answer = service.send(asks.body(Body::from_stream(never)).unwrap()).await;
    answer.problem(413, "payload_too_large");
    assert!(begun.elapsed().is_zero(), "the body was waited for");
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing_behind() {
    let service = Service::start();
    let half = stream::iter([
        Ok(Bytes::from_static(b"\x89PNG")),
        Err(io::Error::from(io::ErrorKind::ConnectionReset)),
    ]);
    service.classify("", "", Body::from_stream(half)).await.problem(400, "invalid_request");
    assert!(service.metrics.render().contains("resnet_serve_inflight_images 0"));
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_content_type_that_is_not_taken_is_named() {
    let service = Service::start();
    for kind in ["text/plain", "text/html; charset=utf-8", "application/xml", "video/mp4"] {
        let detail =
            service.classify("", kind, png([0, 0, 9])).await.problem(415, "unsupported_media_type");
        assert!(detail.contains(kind.split(';').next().unwrap()), "{detail}");
    }
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_wrong_method_says_which_are_allowed() {
    let service = Service::start();
    for method in ["GET", "PUT", "DELETE", "TRACE", "PATCH"] {
        let request = Request::builder().method(method).uri("/classify");
        let answer = service.send(request.body(Body::empty()).unwrap()).await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), "POST", "{method}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let service = Service::start();
    for path in ["/classified", "/metrics", "/ready", "/live", "/classify/"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let detail = service.send(request).await.problem(404, "not_found");
        assert!(detail.contains(path), "{detail}");
    }
    let text = service.metrics.render();
    assert!(text.contains(r#"route="unmatched",status="404"} 5"#), "{text}");
}

#[tokio::test]
async fn an_explanation_is_refused_where_there_is_none_or_it_is_asked_for_wrongly() {
    let service = Service::start();
    for (query, hint) in [
        ("?explain=1", "cannot explain"),
        ("?explain=true", "`explain` is `true`; it must be 0 or 1"),
    ] {
        let answer = service.classify(query, "", png([0, 200, 0])).await;
        let detail = answer.problem(400, "invalid_request");
        assert!(detail.contains(hint), "{detail}");
    }
    service.assert_still_answers().await;
}
