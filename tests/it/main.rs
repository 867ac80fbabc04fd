//! The program as its users meet it: the real binary, real sockets, real files.

mod check;
mod commands;
mod cron;
mod damage;
mod data;
#[cfg(feature = "lambda")]
mod deployment;
mod everywhere;
mod faults;
mod golden;
mod graphite;
mod heartbeat;
mod history;
mod influxdb;
mod install;
mod kill;
#[cfg(feature = "lambda")]
mod lambda;
#[cfg(feature = "lambda")]
mod lambda_api;
mod lock;
mod matrix;
#[cfg(feature = "lambda")]
mod moto;
mod otlp;
mod pattoo;
mod prometheus;
mod python;
#[cfg(feature = "lambda")]
mod relay;
mod run;
mod schedule;
mod server;
mod service;
mod shards;
#[cfg(feature = "lambda")]
mod sigv4;
mod spool;
mod spool_commands;
#[cfg(feature = "lambda")]
mod ssm;
#[cfg(feature = "lambda")]
mod store;
#[cfg(feature = "lambda")]
mod store_faults;
mod telemetry;
mod tree;
mod webhook;
mod workspace;
