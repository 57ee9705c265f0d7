//! Services that have no room, fail, or are something else.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use super::*;

const MODELS: &str = r#"{"models": [{"name": "birds", "classes": 2}]}"#;
const BOTH: &str = r#"{"model": {"name": "birds"}, "results": [{"predictions": [
    {"class": 1, "id": "n2", "label": "tench", "probability": 0.75},
    {"class": 0, "id": "n1", "label": "crane", "probability": 0.25}]}]}"#;

/// A server that gives these answers, one a connection.
fn server(answers: &[(&'static str, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers = answers.to_vec();
    thread::spawn(move || {
        for (head, body) in answers {
            let (mut client, _) = listener.accept().unwrap();
            read(&client);
            let length = body.len();
            let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}");
            client.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        }
    });
    url
}

/// Reads a request with its body.
fn read(client: &TcpStream) {
    let mut reader = BufReader::new(client);
    let mut length = 0;
    for line in reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()) {
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
}

/// A service that is connected, and what it says of a picture.
fn ask(answers: &[(&'static str, &'static str)]) -> Result<Verdict, String> {
    let greeting = [("200 OK", BOTH), ("200 OK", MODELS), ("200 OK", BOTH)];
    let (service, labels) = Service::connect(&server(&[&greeting, answers].concat()), &[])
        .map_err(|failure| words(&failure))?;
    assert_eq!(labels.iter().map(|label| label.id.as_str()).collect::<Vec<_>>(), ["n1", "n2"]);
    service.ask(b"picture").map_err(|failure| words(&failure))
}

fn words(failure: &Failure) -> String {
    failure.to_string()
}

#[test]
fn the_classes_are_learned_and_answers_ranked() {
    let Verdict::Ranked(ranked) = ask(&[("200 OK", BOTH)]).unwrap() else { panic!("no ranks") };
    assert_eq!(ranked.iter().map(|one| one.class).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn a_picture_comes_back_when_there_was_no_room_for_it() {
    let busy = ("503 Busy\r\nRetry-After: 0", r#"{"detail": "full"}"#);
    let late = ("504 Late\r\nRetry-After: 0", "");
    assert!(matches!(ask(&[busy, late, busy, ("200 OK", BOTH)]), Ok(Verdict::Ranked(_))));
}

#[test]
fn a_service_that_never_has_room_leaves_the_picture_unanswered() {
    let busy = ("503 Busy\r\nRetry-After: 0", r#"{"detail": "full"}"#);
    let verdict = ask(&vec![busy; 21]);
    assert!(matches!(verdict, Ok(Verdict::Unanswered(reason)) if reason.contains("full")));
}

#[test]
fn a_picture_that_is_none_is_unreadable_and_one_that_fails_unanswered() {
    let broken = ask(&[("422 Unprocessable", r#"{"detail": "no picture"}"#)]);
    assert!(matches!(broken, Ok(Verdict::Unreadable(reason)) if reason == "no picture"));
    assert!(matches!(ask(&[("500 Failed", "oh")]), Ok(Verdict::Unanswered(_))));
}

#[test]
fn what_would_be_the_same_for_every_picture_ends_the_evaluation() {
    let error = ask(&[("401 Unauthorized", r#"{"detail": "which key?"}"#)]).err().unwrap();
    assert!(error.contains("401") && error.contains("which key?"), "{error}");
    let error = Service::connect(&server(&[("200 OK", "<html>")]), &[]).err().unwrap();
    assert!(error.to_string().contains("is no such service"), "{error}");
}

#[test]
fn a_service_that_changes_its_model_is_not_measured_on() {
    let other = r#"{"model": {"name": "birds", "version": "2"}, "results": []}"#;
    let error = ask(&[("200 OK", other)]).err().unwrap();
    assert!(error.contains("changed its model"), "{error}");
}

#[test]
fn a_service_that_is_not_there_is_said_at_once() {
    let error = Service::connect("http://127.0.0.1:1", &[]).err().unwrap().to_string();
    assert!(error.contains("`http://127.0.0.1:1/classify?top_k=1`"), "{error}");
}

#[test]
fn an_address_may_have_a_path_and_parameters() {
    let of = |url| {
        let Addresses { classify, models } = Addresses::of(url);
        [classify, models]
    };
    assert_eq!(of("http://a"), ["http://a/classify?top_k=", "http://a/models"]);
    assert_eq!(of("http://a/b/"), ["http://a/b/classify?top_k=", "http://a/b/models"]);
    let with_model = ["http://a/classify?model=x&top_k=", "http://a/models"];
    assert_eq!(of("http://a/classify?model=x"), with_model);
}

#[test]
fn a_header_has_a_name_and_a_value() {
    assert_eq!(split("X-Key: a:b").unwrap(), ("X-Key".to_owned(), "a:b".to_owned()));
    assert!(split("key").is_err());
}
