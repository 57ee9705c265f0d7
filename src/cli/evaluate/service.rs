//! A running service that is asked over HTTP.

use std::io::Cursor;
use std::thread;
use std::time::Duration;

use image::{ImageFormat, RgbImage};
use serde::Deserialize;
use serde_json::Value;
use ureq::http::header::RETRY_AFTER;
use ureq::{Agent, RequestBuilder};

use super::answerer::Verdict;
use crate::cli::Failure;
use crate::client;
use crate::evaluation::score::TOP;
use crate::model::Label;
use crate::ranking::Ranked;

/// A service that is silent for longer hangs.
const SILENCE: Duration = Duration::from_mins(1);

/// Times that one picture is sent while the service has no room for it.
const WITHOUT_ROOM: u32 = 20;

/// Times that one picture is sent while the service cannot be reached: through a restart.
const UNREACHED: u32 = 5;

/// The longest wait between two of them, and that after a connection that failed.
const WAITS: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(1)];

/// `POST /classify` of one model.
pub(super) struct Service {
    agent: Agent,
    addresses: Addresses,
    headers: Vec<(String, String)>,
    /// As its answers describe it.
    model: Value,
    url: String,
    top_k: usize,
}

/// Where a service is asked.
#[derive(Debug, Eq, PartialEq)]
struct Addresses {
    /// For pictures, up to the value of `top_k`.
    classify: String,
    /// For the list of models.
    models: String,
}

#[derive(Deserialize)]
struct Answer {
    model: Value,
    results: Vec<Predictions>,
}

#[derive(Deserialize)]
struct Predictions {
    predictions: Vec<Prediction>,
}

#[derive(Deserialize)]
struct Prediction {
    class: usize,
    id: String,
    label: String,
    probability: f32,
}

/// What is read of `GET /models`.
#[derive(Deserialize)]
struct ModelList {
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
    classes: usize,
}

/// Why a picture has no answer.
enum Trouble {
    /// The service says when to come back.
    NoRoom(Duration, String),
    /// The service was not reached.
    Unreached(String),
    /// The picture is not one that is taken.
    Unreadable(String),
    /// The network failed on it.
    Failed(String),
    /// It would be the same for every picture.
    Fatal(String),
}

impl Service {
    /// Finds out which model answers and how its classes are called.
    pub(super) fn connect(url: &str, headers: &[String]) -> Result<(Self, Vec<Label>), Failure> {
        let mut service = Self {
            agent: client::agent(url, SILENCE).map_err(Failure::config)?,
            addresses: Addresses::of(url),
            headers: headers.iter().map(|header| split(header)).collect::<Result<_, _>>()?,
            model: Value::Null,
            url: url.to_owned(),
            top_k: 1,
        };
        let gray = gray().map_err(Failure::config)?;
        let failed = |trouble: Trouble| Failure::Incomplete(trouble.into_words());
        service.model = service.post(&gray).map_err(failed)?.model;
        service.top_k = service.classes()?;
        let all = service.post(&gray).map_err(failed)?;
        service.top_k = TOP.min(service.top_k);
        Ok((service, labels(all)))
    }

    /// The model that answers, and where.
    pub(super) fn description(&self) -> Value {
        let mut description = self.model.clone();
        description["url"] = self.url.as_str().into();
        description
    }

    /// Sends a picture, again and again while there is no room for it.
    ///
    /// # Errors
    ///
    /// When the next picture would fare no better.
    pub(super) fn ask(&self, picture: &[u8]) -> Result<Verdict, Failure> {
        let (mut without_room, mut unreached) = (0, 0);
        loop {
            let trouble = match self.post(picture) {
                // Half of one model and half of another is the accuracy of neither.
                Ok(answer) if answer.model != self.model => {
                    let (before, now) = (&self.model, answer.model);
                    Trouble::Fatal(format!("the service changed its model from {before} to {now}"))
                }
                Ok(answer) => return Ok(Verdict::Ranked(ranked(answer))),
                Err(trouble) => trouble,
            };
            match trouble {
                Trouble::NoRoom(wait, _) if without_room < WITHOUT_ROOM => {
                    without_room += 1;
                    thread::sleep(wait.min(WAITS[0]));
                }
                Trouble::Unreached(_) if unreached < UNREACHED => {
                    unreached += 1;
                    thread::sleep(WAITS[1]);
                }
                Trouble::Unreadable(reason) => return Ok(Verdict::Unreadable(reason)),
                Trouble::NoRoom(_, reason) | Trouble::Failed(reason) => {
                    return Ok(Verdict::Unanswered(reason));
                }
                Trouble::Unreached(reason) | Trouble::Fatal(reason) => {
                    return Err(Failure::Incomplete(reason));
                }
            }
        }
    }

    fn post(&self, picture: &[u8]) -> Result<Answer, Trouble> {
        let url = format!("{}{}", self.addresses.classify, self.top_k);
        let request = self.with_headers(self.agent.post(&url));
        let unreached = |cause: ureq::Error| Trouble::Unreached(format!("`{url}`: {cause}"));
        let mut response = request.send(picture).map_err(unreached)?;
        let status = response.status().as_u16();
        let wait =
            response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
        let text = response.body_mut().read_to_string().map_err(unreached)?;
        let said = || format!("`{url}` answered with status {status}: {}", detail(&text));
        match status {
            200 => serde_json::from_str(&text)
                .map_err(|cause| Trouble::Fatal(format!("`{url}` is no such service: {cause}"))),
            413 | 422 => Err(Trouble::Unreadable(detail(&text))),
            429 | 503 | 504 => Err(Trouble::NoRoom(Duration::from_secs(wait.unwrap_or(1)), said())),
            500.. => Err(Trouble::Failed(said())),
            _ => Err(Trouble::Fatal(said())),
        }
    }

    /// How many classes the model has.
    fn classes(&self) -> Result<usize, Failure> {
        let name = self.model["name"].as_str().unwrap_or_default();
        let url = &self.addresses.models;
        let failed = |cause: String| Failure::Incomplete(format!("`{url}`: {cause}"));
        let response = self.with_headers(self.agent.get(url)).call();
        let mut response = response.map_err(|cause| failed(cause.to_string()))?;
        let text = response.body_mut().read_to_string();
        let text = text.map_err(|cause| failed(cause.to_string()))?;
        let list: ModelList =
            serde_json::from_str(&text).map_err(|cause| failed(cause.to_string()))?;
        let model = list.models.into_iter().find(|model| model.name == name);
        model.map(|model| model.classes).ok_or_else(|| failed(format!("no model `{name}`")))
    }

    fn with_headers<T>(&self, request: RequestBuilder<T>) -> RequestBuilder<T> {
        let add = |request: RequestBuilder<T>, (name, value): &(String, String)| {
            request.header(name, value)
        };
        self.headers.iter().fold(request, add)
    }
}

impl Addresses {
    /// Of a service, or of its `/classify` with parameters.
    fn of(url: &str) -> Self {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let path = path.trim_end_matches('/');
        let base = path.strip_suffix("/classify").unwrap_or(path);
        let query = if query.is_empty() { String::new() } else { format!("{query}&") };
        Self {
            classify: format!("{base}/classify?{query}top_k="),
            models: format!("{base}/models"),
        }
    }
}

impl Trouble {
    fn into_words(self) -> String {
        match self {
            Self::NoRoom(_, words)
            | Self::Unreached(words)
            | Self::Unreadable(words)
            | Self::Failed(words)
            | Self::Fatal(words) => words,
        }
    }
}

fn ranked(answer: Answer) -> Vec<Ranked> {
    let predictions = answer.results.into_iter().flat_map(|result| result.predictions);
    let ranked = |one: Prediction| Ranked { class: one.class, probability: one.probability };
    predictions.map(ranked).collect()
}

/// Of an answer that names every class.
fn labels(answer: Answer) -> Vec<Label> {
    let predictions = answer.results.into_iter().flat_map(|result| result.predictions);
    let mut predictions: Vec<Prediction> = predictions.collect();
    predictions.sort_by_key(|prediction| prediction.class);
    predictions.into_iter().map(|one| Label { id: one.id, text: one.label }).collect()
}

/// The detail of a problem document, or the beginning of what it is instead.
fn detail(text: &str) -> String {
    let problem: Option<Value> = serde_json::from_str(text).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    detail.map_or_else(|| text.chars().take(200).collect(), str::to_owned)
}

/// A picture that shows nothing, to ask with.
fn gray() -> image::ImageResult<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(8, 8, [128; 3].into()).write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

fn split(header: &str) -> Result<(String, String), Failure> {
    let (name, value) = header
        .split_once(':')
        .ok_or_else(|| Failure::Config(format!("--header is `NAME: VALUE`, not `{header}`")))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests;
