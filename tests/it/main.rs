//! The program as its users meet it: the real binary, real sockets, real files.

mod check;
mod commands;
mod data;
mod faults;
mod golden;
mod lock;
mod pattoo;
mod prometheus;
mod run;
mod server;
mod service;
mod spool;
mod tree;
mod workspace;
