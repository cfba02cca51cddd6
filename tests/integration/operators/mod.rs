//! What operators do and see: the command line, settings, addresses, health, data directories, the demo.

mod addresses;
mod admin;
mod cli;
mod cli_data;
mod demo;
mod formats;
mod settings;
mod signs;
mod watching;
