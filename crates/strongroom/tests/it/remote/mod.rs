//! The command line as a client of a service.

mod account;
mod file;
mod hostile;
mod standin;
