//! The program as its users meet it: the real binary, real sockets, real files.

mod check;
mod commands;
mod cron;
mod data;
#[cfg(feature = "lambda")]
mod deployment;
mod faults;
mod golden;
mod graphite;
mod heartbeat;
mod history;
<<<<<<< HEAD
mod influxdb;
=======
mod install;
>>>>>>> 0ec70d2 (install: make a crontab, or a service and timer, for a configuration)
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
#[cfg(feature = "lambda")]
mod python;
mod run;
mod schedule;
mod server;
mod service;
mod shards;
mod spool;
mod spool_commands;
#[cfg(feature = "lambda")]
mod ssm;
mod tree;
mod workspace;
