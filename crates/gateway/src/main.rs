//! The program `hydra-gateway`.

use std::process::ExitCode;
use std::thread::available_parallelism;
use std::{io, panic};

use clap::Parser;
use gateway::mcp::stdio;
use gateway::options::{Command, Options};
use gateway::program;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::Builder;

/// More do not make it faster: most of the work is done by the database, which is often on the same machine.
const MOST_THREADS: usize = 4;

fn main() -> ExitCode {
    let options = Options::parse();
    raise_file_limit();
    // The place is enough to find the fault, and a message might have a part of a request.
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("{{\"level\":\"error\",\"event\":\"panic\",\"place\":\"{place}\"}}");
    }));
    let threads = available_parallelism().map_or(1, |processors| processors.get() / 2).clamp(1, MOST_THREADS);
    let runtime = match Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("hydra-gateway: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = match &options.command {
        None => runtime.block_on(program::run(&options)),
        Some(Command::Mcp(relay)) => match runtime.block_on(stdio::run(relay)) {
            Ok(()) => Ok(true),
            Err(fault) => Err(io::Error::other(format!("{}. {}", fault.error, fault.hint))),
        },
    };
    // Not waiting for the thread that reads standard input.
    runtime.shutdown_background();
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hydra-gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A connection needs a descriptor, and the usual soft limit is below the number of connections that are permitted.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
