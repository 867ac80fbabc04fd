//! The Lambda function: one invocation is one run. The async edge; the run itself blocks, in a thread of its own.
//!
//! Nothing is read before the first invocation, so that whatever is wrong is the answer to it and not a dead process.
//! Each invocation decodes the configuration anew and makes its own jobs, so nothing that a thread left behind by an
//! earlier one still does can reach it. What is fetched is remembered below: the text of a configuration in AWS, secrets,
//! connections.

mod answer;
mod event;
mod failure;
mod ground;
mod invocation;
mod lines;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lambda_runtime::{Context, LambdaEvent, Runtime, service_fn};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::report::{Status, chain};
use failure::Failure;
use invocation::Invocation;

/// The variable that says that this is Lambda, and where its runtime API is.
pub const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";
/// What else Lambda sets, and the runtime cannot do without.
const NEEDED: [&str; 3] =
    ["AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION"];
/// When an invocation that has not ended is answered for: so long before Lambda ends it without a word.
const LAST_WORD: Duration = Duration::from_millis(100);
/// Emulators give a deadline that is long past where they know none.
const LONG_PAST_MS: u64 = 1_000_000_000_000;

/// The program as a Lambda function. Ends only when the runtime API does.
pub fn main() -> ExitCode {
    lines::start();
    crate::runner::quiet_job_panics();
    let missing: Vec<&str> =
        NEEDED.into_iter().filter(|name| std::env::var_os(name).is_none()).collect();
    if !missing.is_empty() {
        log::error!("{RUNTIME_API} is set, but not {}: this is no Lambda", missing.join(", "));
        return Status::Usage.code().into();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime
        .map_err(|error| format!("cannot start the async runtime: {error}"))
        .and_then(|runtime| {
            let serve = Runtime::new(service_fn(handle)).run();
            runtime.block_on(serve).map_err(|error| format!("the runtime API: {error}"))
        });
    match served {
        Ok(()) => Status::Success.code().into(),
        Err(error) => {
            log::error!("{error}");
            Status::Bug.code().into()
        }
    }
}

async fn handle(event: LambdaEvent<Value>) -> Result<Box<RawValue>, Failure> {
    let LambdaEvent { payload, context } = event;
    lines::of_request(&context.request_id);
    let started = Instant::now();
    let deadline = deadline(&context, started);
    let invocation = Invocation {
        event: payload,
        started,
        deadline,
        function: context.env_config.function_name.clone(),
        arn: context.invoked_function_arn,
    };
    if let Err(failure) = invocation.check_time() {
        log::error!("{failure}");
        return Err(failure);
    }
    let run = tokio::task::spawn_blocking(move || invocation.run());
    let last = deadline.map(|deadline| deadline.checked_sub(LAST_WORD).unwrap_or(started));
    let ended = match last {
        Some(last) => tokio::time::timeout_at(last.into(), run).await,
        None => Ok(run.await),
    };
    let result = match ended {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(Failure::Bug(panic.to_string())),
        Err(_) => Err(Failure::Late(started.elapsed())),
    };
    result.inspect_err(|failure| log::error!("{}", chain(failure)))
}

/// When Lambda ends the invocation, as far as it says.
fn deadline(context: &Context, started: Instant) -> Option<Instant> {
    if context.deadline < LONG_PAST_MS {
        return None;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_millis(context.deadline).saturating_sub(now);
    Some(started + left)
}
