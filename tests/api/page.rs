//! The page for people.

use axum::body::Body;
use axum::http::Request;

use crate::support::{Answer, Service};

async fn get(service: &Service, path: &str) -> Answer {
    service.send(Request::get(path).body(Body::empty()).unwrap()).await
}

/// What stands in quotes after `before`.
fn quoted<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The page's own files, found from the page on.
async fn files(service: &Service) -> Vec<(String, Answer)> {
    let mut found: Vec<(String, Answer)> = Vec::new();
    for path in ["/", "/docs"] {
        found.push((path.to_owned(), get(service, path).await));
    }
    let mut index = 0;
    while index < found.len() {
        let text = found[index].1.text.clone();
        let named = ["href=\"", "src=\""].iter().flat_map(|before| quoted(&text, before));
        let named = named.filter_map(|path| path.strip_prefix("assets/"));
        let imported = quoted(&text, "from \"./");
        for name in named.chain(imported) {
            let path = format!("/assets/{name}");
            if !found.iter().any(|(known, _)| *known == path) {
                let answer = get(service, &path).await;
                found.push((path, answer));
            }
        }
        index += 1;
    }
    found
}

#[tokio::test]
async fn the_page_and_all_that_it_names_is_served_from_here_alone() {
    let service = Service::start();
    let files = files(&service).await;
    let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    for name in ["page.css", "page.js", "words.js", "icon.svg", "docs.css", "schema.js"] {
        let name = format!("/assets/{name}");
        assert!(names.contains(&name.as_str()), "{names:?}");
    }
    for (path, answer) in &files {
        assert_eq!(answer.status, 200, "{path}");
        let text = answer.text.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("http://") && !text.contains("https://"), "{path} names an address");
    }
}

#[tokio::test]
async fn a_browser_is_told_to_run_nothing_else() {
    let service = Service::start();
    for (path, answer) in files(&service).await {
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        let inline = [" style=", "<style", " onclick=", "<script>", "innerHTML", "eval("];
        assert!(inline.iter().all(|way| !answer.text.contains(way)), "{path} is not of one piece");
    }
}

#[tokio::test]
async fn what_a_browser_has_already_is_not_sent_again() {
    let service = Service::start();
    for (path, answer) in files(&service).await {
        let tag = answer.header("etag").to_owned();
        assert_eq!(answer.header("cache-control"), "no-cache");
        for (known, status) in [(format!("\"x\", {tag}"), 304), ("\"x\"".to_owned(), 200)] {
            let request = Request::get(&path).header("if-none-match", known);
            let again = service.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(again.status, status, "{path}");
            assert_eq!(again.header("etag"), tag);
            assert_eq!(again.text.is_empty(), status == 304);
        }
    }
}

#[tokio::test]
async fn a_file_that_the_page_has_not_is_not_found() {
    let service = Service::start();
    for path in ["/assets/other.js", "/assets/", "/assets/..%2Fpage.js", "/page.js"] {
        get(&service, path).await.problem(404, "not_found");
    }
}
