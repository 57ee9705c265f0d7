//! A web server with one file, which can be made to misbehave.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the server does with each request.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// The file, or the range of it that is asked for.
    Correct,
    /// So many bytes of what it has announced.
    Cut(usize),
    /// This status line, and a page.
    Page(&'static str),
}

/// Serves until the test ends.
pub(crate) struct FileServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FileServer {
    /// The manners of the first requests; all further ones are treated as the last.
    pub(crate) fn start(content: &[u8], manners: &[Manner]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, content, manners) = (Arc::clone(&requests), content.to_vec(), manners.to_vec());
        thread::spawn(move || {
            for (index, client) in listener.incoming().enumerate() {
                let client = client.unwrap();
                let mut head = read_head(&client);
                if head.starts_with("CONNECT ") {
                    // As a proxy: from here on the client speaks to the server, which this is too.
                    (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                    head = format!("{head}\n{}", read_head(&client));
                }
                let manner = manners[index.min(manners.len() - 1)];
                let answer = answer(manner, &content, first_byte(&head));
                seen.lock().unwrap().push(head);
                // A client that has seen enough has hung up.
                let _ = (&client).write_all(&answer);
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/model.onnx", self.address)
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn read_head(client: &TcpStream) -> String {
    let lines = BufReader::new(client).lines().map(Result::unwrap);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Of the range that is asked for.
fn first_byte(head: &str) -> Option<usize> {
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="))?;
    Some(range.trim_end_matches('-').parse().unwrap())
}

fn answer(manner: Manner, content: &[u8], first: Option<usize>) -> Vec<u8> {
    let begin = first.unwrap_or(0);
    let (status, range) = match first {
        Some(first) => {
            let range = format!("bytes {first}-{}/{}", content.len() - 1, content.len());
            ("206 Partial Content", format!("Content-Range: {range}\r\n"))
        }
        None => ("200 OK", String::new()),
    };
    let (status, kind, body, length) = match manner {
        Manner::Correct => (status, "application/octet-stream", &content[begin..], None),
        Manner::Cut(bytes) => {
            let end = (begin + bytes).min(content.len());
            let announced = content.len() - begin;
            (status, "application/octet-stream", &content[begin..end], Some(announced))
        }
        Manner::Page(status) => (status, "text/html", &b"<html>no file</html>"[..], None),
    };
    let length = length.unwrap_or(body.len());
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{range}\
         Connection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}
