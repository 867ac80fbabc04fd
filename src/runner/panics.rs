//! Panics of jobs: caught, told once in the report, and not printed by the panic hook.

use std::any::Any;
use std::cell::RefCell;
use std::panic;

use super::pool::THREAD_NAME;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the default hook from printing the panics of jobs; they stand in the report. Others print as ever.
pub fn quiet_job_panics() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() == Some(THREAD_NAME) {
            PLACE.with_borrow_mut(|place| *place = info.location().map(ToString::to_string));
        } else {
            default(info);
        }
    }));
}

/// What a caught panic said, and where.
pub(crate) fn describe(payload: &(dyn Any + Send)) -> String {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    match PLACE.with_borrow_mut(Option::take) {
        Some(place) => format!("{message} (at {place})"),
        None => message,
    }
}
