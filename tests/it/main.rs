//! The program as its users meet it: the real binary, real sockets, real files.

mod check;
mod commands;
mod cron;
mod data;
mod faults;
mod golden;
mod heartbeat;
mod history;
mod influxdb;
mod kill;
mod lock;
mod matrix;
mod pattoo;
mod prometheus;
mod run;
mod schedule;
mod server;
mod service;
mod shards;
mod spool;
mod spool_commands;
mod tree;
mod workspace;
