//! A load client that does not leave out what it could not send in time.
//!
//! `cargo run --release --example load -- --photos DIR --rate 100 http://127.0.0.1:8080/classify`
//!
//! With `--rate` it is an open loop: requests are due at times drawn beforehand (a Poisson
//! process), whatever the server does, and a latency counts from the time at which its request was
//! due. With `--clients` it is a closed loop: each client sends its next request when it has the
//! answer to the last. What came of it is printed as JSON.
#![expect(clippy::print_stdout, reason = "the report is what the program is for")]

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

mod report;
mod schedule;
mod sender;

use report::Report;
use schedule::Schedule;
use sender::{Sender, Settings};

/// Sends pictures to an image classification server and reports what became of them
#[derive(Parser)]
struct Arguments {
    /// Where to `POST` to
    url: String,
    /// A folder of pictures; they are sent in turn
    #[arg(long, value_name = "DIR")]
    photos: PathBuf,
    /// Open loop: requests per second, on average
    #[arg(long, value_name = "N", conflicts_with = "clients", required_unless_present = "clients")]
    rate: Option<f64>,
    /// Closed loop: clients that each wait for their answer
    #[arg(long, value_name = "N")]
    clients: Option<usize>,
    /// For how many seconds requests are sent; answers to the last are waited for
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    duration: f64,
    /// An answer that takes longer is late; also sent to the server as `timeout_ms`
    #[arg(long, value_name = "N")]
    timeout_ms: Option<u64>,
    /// Leave `timeout_ms` out of the query, for servers that do not know it
    #[arg(long)]
    no_query: bool,
    /// Send each picture as a file of a form instead of a raw body
    #[arg(long)]
    form: bool,
    /// Connections at a time; a request that finds none waits, and that counts in its latency
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_connections: usize,
    /// The share of requests whose client hangs up before the answer
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    hang_up_share: f64,
    /// After how many milliseconds it does
    #[arg(long, value_name = "N", default_value_t = 20)]
    hang_up_after_ms: u64,
    /// For the times of the arrivals and for who hangs up
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(report) => {
            println!("{:#}", report.to_json(arguments.timeout_ms.map(Duration::from_millis)));
            ExitCode::SUCCESS
        }
        Err(cause) => {
            println!("error: {cause}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Report, String> {
    if arguments.rate.is_some_and(|rate| rate.is_nan() || rate <= 0.0) {
        return Err("--rate must be above 0".to_owned());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|cause| cause.to_string())?;
    let sender = Sender::new(settings(arguments)?)?;
    let duration = Duration::from_secs_f64(arguments.duration);
    let schedule = Schedule::new(arguments.seed, arguments.hang_up_share);
    Ok(runtime.block_on(async {
        match (arguments.rate, arguments.clients) {
            (Some(rate), _) => sender.open_loop(schedule.arrivals(rate, duration)).await,
            (None, clients) => sender.closed_loop(clients.unwrap_or(1), duration).await,
        }
    }))
}

fn settings(arguments: &Arguments) -> Result<Settings, String> {
    let timeout = arguments.timeout_ms.filter(|_| !arguments.no_query);
    let url = match timeout {
        Some(milliseconds) => format!("{}?timeout_ms={milliseconds}", arguments.url),
        None => arguments.url.clone(),
    };
    Ok(Settings {
        url,
        pictures: pictures(&arguments.photos)?,
        form: arguments.form,
        max_connections: arguments.max_connections,
        hang_up_after: Duration::from_millis(arguments.hang_up_after_ms),
    })
}

fn pictures(folder: &PathBuf) -> Result<Vec<Vec<u8>>, String> {
    let failed = |cause| format!("{}: {cause}", folder.display());
    let entries = fs::read_dir(folder).map_err(failed)?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.is_file());
    // In the same order on every machine.
    files.sort();
    if files.is_empty() {
        return Err(format!("{}: there is no file in it", folder.display()));
    }
    files.iter().map(|file| fs::read(file).map_err(failed)).collect()
}
