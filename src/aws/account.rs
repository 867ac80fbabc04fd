//! Who we are to AWS, and the async runtime that the SDK runs on.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::runtime::{self, Runtime};

use crate::report::chain;

/// How long it may take to connect, to be answered once, and to be answered with all that is tried again.
const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(5);
const OPERATION: Duration = Duration::from_secs(15);

/// Credentials that end sooner are renewed.
const RENEWAL: Duration = Duration::from_secs(300);

/// Why AWS cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The kernel refuses what the async runtime needs.
    #[error("cannot start the AWS client")]
    Runtime(#[source] io::Error),
    /// Nothing says where.
    #[error("no AWS region is known; `AWS_REGION` sets it")]
    NoRegion,
    /// Nothing says who.
    #[error("no AWS credentials: {0}")]
    NoCredentials(String),
}

/// Region, credentials and connections. One for the life of the process, so that a warm function has them at hand.
pub(super) struct Account {
    runtime: Runtime,
    config: SdkConfig,
    /// Parameter Store.
    pub(super) ssm: aws_sdk_ssm::Client,
    /// Where we are, where something says.
    pub(super) region: Option<String>,
    /// Who we are, as long as that lasts.
    credentials: Mutex<Option<Credentials>>,
}

impl Account {
    /// The account of this process.
    pub(super) fn open() -> Result<Arc<Self>, Unavailable> {
        static ACCOUNT: Mutex<Option<Arc<Account>>> = Mutex::new(None);
        // Whoever panicked with it had not set it. Others wait for the one that asks where we are.
        let mut account = ACCOUNT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = account.as_ref() {
            return Ok(Arc::clone(account));
        }
        let opened = Arc::new(Self::new()?);
        Ok(Arc::clone(account.insert(opened)))
    }

    fn new() -> Result<Self, Unavailable> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Unavailable::Runtime)?;
        // ring, as everywhere else in the program.
        let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(OPERATION);
        let load = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts.build())
            .load();
        let config = runtime.block_on(load);
        let region = config.region().map(ToString::to_string);
        let ssm = aws_sdk_ssm::Client::new(&config);
        Ok(Self { runtime, config, ssm, region, credentials: Mutex::default() })
    }

    /// Waits for an answer.
    pub(super) fn wait<F: Future>(&self, answer: F) -> F::Output {
        self.runtime.block_on(answer)
    }

    /// Who we are now: credentials of a role end, and are renewed.
    pub(super) fn credentials(&self) -> Result<Credentials, Unavailable> {
        // Others wait for the one that asks.
        let mut known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| is_fresh(known)) {
            return Ok(known.clone());
        }
        let found = self.ask_who_we_are()?;
        Ok(known.insert(found).clone())
    }

    fn ask_who_we_are(&self) -> Result<Credentials, Unavailable> {
        let missing = || Unavailable::NoCredentials("nothing provides any".to_owned());
        let provider = self.config.credentials_provider().ok_or_else(missing)?;
        // The timer needs the runtime already when it is made.
        let ask = async { tokio::time::timeout(OPERATION, provider.provide_credentials()).await };
        let found = self.wait(ask);
        match found {
            Ok(found) => found.map_err(|error| Unavailable::NoCredentials(chain(&error))),
            Err(_) => Err(Unavailable::NoCredentials("whoever gives them does not answer".into())),
        }
    }
}

fn is_fresh(credentials: &Credentials) -> bool {
    credentials.expiry().is_none_or(|end| end > SystemTime::now() + RENEWAL)
}
