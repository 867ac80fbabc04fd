//! The log: one JSON object a line, as Lambda's own lines are, with the request's id.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;

/// The request that is served now.
static REQUEST: Mutex<String> = Mutex::new(String::new());

/// Starts the log. The function's log level counts (`AWS_LAMBDA_LOG_LEVEL`), and `COLLECTOR_LOG` before it.
pub(super) fn start() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default();
    let level = match level.to_ascii_uppercase().as_str() {
        "TRACE" => log::LevelFilter::Trace,
        "DEBUG" => log::LevelFilter::Debug,
        "WARN" => log::LevelFilter::Warn,
        "ERROR" | "FATAL" => log::LevelFilter::Error,
        _ => log::LevelFilter::Info,
    };
    crate::logs::start(level, |out, record| {
        let line = json!({
            "timestamp": format!("{:.3}", jiff::Timestamp::now()),
            "level": record.level().as_str(),
            "requestId": *request(),
            "message": record.args().to_string(),
        });
        writeln!(out, "{line}")
    });
}

/// From now on lines are about this request.
pub(super) fn of_request(id: &str) {
    id.clone_into(&mut request());
}

fn request() -> MutexGuard<'static, String> {
    REQUEST.lock().unwrap_or_else(PoisonError::into_inner)
}
