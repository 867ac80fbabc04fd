//! The program as its users meet it: the real binary, real sockets, real files.

mod check;
mod commands;
mod data;
mod golden;
mod lock;
mod pattoo;
mod run;
mod schedule;
mod server;
mod shards;
mod spool;
mod tree;
mod workspace;
