//! The program as its users meet it: the real binary, real sockets, real files.

mod check;
mod commands;
mod data;
#[cfg(feature = "lambda")]
mod deployment;
mod golden;
#[cfg(feature = "lambda")]
mod lambda;
#[cfg(feature = "lambda")]
mod lambda_api;
mod lock;
#[cfg(feature = "lambda")]
mod moto;
mod pattoo;
#[cfg(feature = "lambda")]
mod python;
mod run;
mod schedule;
mod server;
mod shards;
mod spool;
#[cfg(feature = "lambda")]
mod ssm;
mod tree;
mod workspace;
