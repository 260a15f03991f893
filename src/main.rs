//! The `baton` binary.
#![deny(unsafe_code)]

mod bench;
mod capture;
mod cli;
mod client;
mod clock;
mod config;
mod console;
mod demo;
mod engine;
mod fetch;
mod import;
mod journal;
mod keeper;
mod latency;
mod logs;
mod memory;
mod metrics;
mod precedence;
mod probe;
mod record;
mod replay;
mod resolve;
mod serve;
mod sim;
mod supervise;
mod telemetry;
mod tls;
mod transcribe;
mod voice;
mod watchdog;
mod webhook;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().command {
        cli::Command::Check { file } => cli::check(&file),
        cli::Command::Serve(args) => {
            logs::begin();
            match cli::config(args.config.as_deref()) {
                Ok(_) if args.supervised => supervise::run(args.config),
                Ok(config) => serve::serve(config, args.config.as_deref()),
                Err(code) => code,
            }
        }
        cli::Command::Demo(args) => demo::run(args),
        cli::Command::Fixture(args) => import::run(&args),
        cli::Command::Probe(args) => probe::run(&args),
        cli::Command::Replay(args) => replay::run(args),
        cli::Command::Sim(args) => sim::run(&args),
        cli::Command::Bench(args) => bench::run(args),
        cli::Command::Tool(tool) => console::run(tool),
    }
}
