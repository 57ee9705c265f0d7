//! What becomes of a download, whatever the server does.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;
use crate::model::digest::sha256_of;

const CONTENT: &[u8] = b"a graph and its weights";

/// A server that gives one answer a connection, in order, and the ranges that it was asked for.
struct Server {
    url: String,
    ranges: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answers: &[Vec<u8>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/model.onnx", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let (seen, answers) = (Arc::clone(&ranges), answers.to_vec());
        thread::spawn(move || {
            for answer in answers {
                let (mut client, _) = listener.accept().unwrap();
                seen.lock().unwrap().push(range(&client));
                client.write_all(&answer).unwrap();
            }
        });
        Self { url, ranges }
    }

    fn ranges(&self) -> Vec<String> {
        self.ranges.lock().unwrap().clone()
    }
}

/// Reads a request's head.
fn range(client: &TcpStream) -> String {
    let lines = BufReader::new(client).lines().map(Result::unwrap);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let range = head.iter().find_map(|line| line.strip_prefix("range: "));
    range.unwrap_or("all").to_owned()
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// The whole file is announced, and so much of it is sent.
fn whole(sent: usize) -> Vec<u8> {
    let length = format!("Content-Length: {}\r\n", CONTENT.len());
    answer("200 OK", &length, &CONTENT[..sent])
}

/// The rest of the file is announced, and it is sent up to there.
fn rest(from: usize, to: usize) -> Vec<u8> {
    let total = CONTENT.len();
    let headers = format!(
        "Content-Length: {}\r\nContent-Range: bytes {from}-{}/{total}\r\n",
        total - from,
        total - 1
    );
    answer("206 Partial Content", &headers, &CONTENT[from..to])
}

/// What a watcher has seen.
#[derive(Default)]
struct Seen {
    at: RefCell<Vec<(u64, Option<u64>)>>,
    interruptions: RefCell<usize>,
}

impl Watcher for Seen {
    fn at(&self, bytes: u64, total: Option<u64>) {
        self.at.borrow_mut().push((bytes, total));
    }

    fn interrupted(&self, _cause: &FetchError) {
        *self.interruptions.borrow_mut() += 1;
    }
}

/// A folder that is to hold the file.
struct Place {
    folder: TempDir,
    seen: Seen,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), seen: Seen::default() }
    }

    fn with_part(bytes: &[u8]) -> Self {
        let place = Self::new();
        fs::create_dir(place.folder.path().join("model")).unwrap();
        fs::write(place.folder.path().join("model/model.onnx.part"), bytes).unwrap();
        place
    }

    fn fetch(&self, server: &Server) -> Result<Fetched, FetchError> {
        self.fetch_wanted(&Wanted {
            url: server.url.clone(),
            sha256: Some(sha256_of(CONTENT).try_into().unwrap()),
            bytes: Some(CONTENT.len() as u64),
        })
    }

    fn fetch_wanted(&self, wanted: &Wanted) -> Result<Fetched, FetchError> {
        let patience =
            Patience { interruptions: 2, pause: Duration::ZERO, silence: Duration::from_secs(10) };
        fetch(wanted, &self.folder.path().join("model/model.onnx"), (patience, &self.seen))
    }

    /// Names and contents of the files.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let Ok(entries) = fs::read_dir(self.folder.path().join("model")) else { return Vec::new() };
        let file = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        };
        entries.map(|entry| file(entry.unwrap())).collect()
    }

    fn assert_whole(&self) {
        assert_eq!(self.files(), [("model.onnx".to_owned(), CONTENT.to_vec())]);
    }

    /// Not even the folder that was made for it.
    fn assert_nothing(&self) {
        assert_eq!(fs::read_dir(self.folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_file_is_fetched_and_nothing_is_left_beside_it() {
    let (place, server) = (Place::new(), Server::start(&[whole(CONTENT.len())]));
    let fetched = place.fetch(&server).unwrap();
    assert_eq!(fetched, Fetched { bytes: 23, sha256: sha256_of(CONTENT) });
    place.assert_whole();
    let seen = place.seen.at.borrow();
    assert_eq!((seen.first(), seen.last()), (Some(&(0, Some(23))), Some(&(23, Some(23)))));
}

#[test]
fn a_part_is_gone_on_with() {
    let (place, server) =
        (Place::with_part(&CONTENT[..7]), Server::start(&[rest(7, CONTENT.len())]));
    place.fetch(&server).unwrap();
    assert_eq!(server.ranges(), ["bytes=7-"]);
    place.assert_whole();
}

#[test]
fn a_part_that_is_all_there_needs_no_server() {
    let (place, server) = (Place::with_part(CONTENT), Server::start(&[]));
    place.fetch(&server).unwrap();
    place.assert_whole();
}

#[test]
fn a_server_that_knows_no_ranges_is_asked_for_all() {
    let (place, server) = (Place::with_part(&CONTENT[..7]), Server::start(&[whole(CONTENT.len())]));
    place.fetch(&server).unwrap();
    place.assert_whole();
}

#[test]
fn a_connection_that_is_cut_again_and_again_is_gone_on_with() {
    let answers = [whole(3), rest(3, 9), rest(9, 10), rest(10, 11), rest(11, CONTENT.len())];
    let (place, server) = (Place::new(), Server::start(&answers));
    place.fetch(&server).unwrap();
    assert_eq!(server.ranges(), ["all", "bytes=3-", "bytes=9-", "bytes=10-", "bytes=11-"]);
    assert_eq!(*place.seen.interruptions.borrow(), 4);
    place.assert_whole();
}

#[test]
fn a_connection_that_brings_nothing_any_more_is_given_up_and_the_part_is_kept() {
    let answers = [whole(3), rest(3, 3), rest(3, 3), rest(3, 3)];
    let (place, server) = (Place::new(), Server::start(&answers));
    let error = place.fetch(&server).unwrap_err().to_string();
    assert!(error.contains("after 3 bytes") && error.contains("goes on from"), "{error}");
    assert_eq!(place.files(), [("model.onnx.part".to_owned(), CONTENT[..3].to_vec())]);
    let server = Server::start(&[rest(3, CONTENT.len())]);
    place.fetch(&server).unwrap();
    place.assert_whole();
}

#[test]
fn a_wrong_hash_leaves_nothing() {
    let other = answer("200 OK", "Content-Length: 23\r\n", b"a graph and its WEIGHTS");
    let (place, server) = (Place::new(), Server::start(&[other]));
    let error = place.fetch(&server).unwrap_err().to_string();
    assert!(error.contains(&sha256_of(CONTENT)), "{error}");
    assert!(error.contains(&sha256_of(b"a graph and its WEIGHTS")), "{error}");
    place.assert_nothing();
}

#[test]
fn a_part_of_another_version_is_thrown_away() {
    let answers = [rest(7, CONTENT.len()), whole(CONTENT.len())];
    let (place, server) = (Place::with_part(b"another"), Server::start(&answers));
    place.fetch(&server).unwrap();
    assert_eq!(server.ranges(), ["bytes=7-", "all"]);
    place.assert_whole();
}

#[test]
fn a_part_that_is_longer_than_the_file_is_thrown_away() {
    let answers = [answer("416 Range Not Satisfiable", "", b""), whole(CONTENT.len())];
    let (place, server) = (Place::with_part(&[7; 100]), Server::start(&answers));
    place.fetch(&server).unwrap();
    place.assert_whole();
}

#[test]
fn a_status_that_is_no_file_is_said_with_what_to_do() {
    for (status, hint) in [("404 Not Found", "--url names another place"), ("403 X", "everyone")] {
        let (place, server) = (Place::new(), Server::start(&[answer(status, "", b"<html>")]));
        let error = place.fetch(&server).unwrap_err().to_string();
        assert!(error.contains(&status[..3]) && error.contains(hint), "{error}");
        assert!(error.contains(&server.url), "{error}");
        place.assert_nothing();
    }
}

#[test]
fn a_server_that_recovers_is_asked_again() {
    let answers = [answer("503 Busy", "", b""), whole(CONTENT.len())];
    let (place, server) = (Place::new(), Server::start(&answers));
    place.fetch(&server).unwrap();
    place.assert_whole();
}

#[test]
fn a_page_in_place_of_the_file_is_no_file_and_costs_no_part() {
    let page = answer("200 OK", "Content-Type: text/html; charset=utf-8\r\n", b"<html>Log in");
    let (place, server) = (Place::with_part(&CONTENT[..7]), Server::start(&[page]));
    let error = place.fetch(&server).unwrap_err().to_string();
    assert!(error.contains("text/html"), "{error}");
    assert_eq!(place.files(), [("model.onnx.part".to_owned(), CONTENT[..7].to_vec())]);
}

#[test]
fn a_file_of_another_size_is_refused_before_it_is_downloaded() {
    let other = answer("200 OK", "Content-Length: 1000000\r\n", b"");
    let (place, server) = (Place::new(), Server::start(&[other]));
    let error = place.fetch(&server).unwrap_err().to_string();
    assert!(error.contains("1000000 bytes where 23 are due"), "{error}");
    place.assert_nothing();
}

#[test]
fn a_server_that_does_not_stop_is_stopped() {
    let endless = answer("200 OK", "", &[7; 1000]);
    let (place, server) = (Place::new(), Server::start(&[endless]));
    let error = place.fetch(&server).unwrap_err().to_string();
    assert!(error.contains("where 23 are due"), "{error}");
    place.assert_nothing();
}

#[test]
fn a_file_of_which_nothing_is_known_is_taken_as_it_is() {
    let (place, server) = (Place::new(), Server::start(&[answer("200 OK", "", CONTENT)]));
    let wanted = Wanted { url: server.url.clone(), sha256: None, bytes: None };
    assert_eq!(place.fetch_wanted(&wanted).unwrap().sha256, sha256_of(CONTENT));
    place.assert_whole();
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let place = Place::new();
    // Port 1 is nobody's.
    let wanted = Wanted { url: "http://127.0.0.1:1/x".to_owned(), sha256: None, bytes: None };
    let error = place.fetch_wanted(&wanted).unwrap_err().to_string();
    assert!(error.starts_with("cannot reach `http://127.0.0.1:1/x`"), "{error}");
    place.assert_nothing();
}

#[test]
fn two_do_not_write_to_one_part() {
    let place = Place::with_part(&CONTENT[..7]);
    let target = place.folder.path().join("model/model.onnx");
    let held = Part::open(&target).unwrap();
    let error = place.fetch(&Server::start(&[])).unwrap_err().to_string();
    assert!(error.contains("by another process"), "{error}");
    drop(held);
    assert_eq!(place.files().len(), 1);
}
