//! The `baton` binary.
#![forbid(unsafe_code)]

mod cli;
mod config;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().command {
        cli::Command::Check { file } => cli::check(&file),
        cli::Command::Serve(_) | cli::Command::Demo(_) => ExitCode::FAILURE,
    }
}
