//! The benchmark: runs the workloads that the README lists, against a real cluster and a real receiver.
//!
//! `bench [NUMBER…] [--out FOLDER]` runs the workloads with these numbers, or all. The result of a workload is one or
//! more *rows*. Most rows have a ratio: a figure, divided by the figure that it is compared with. The two figures are
//! the *sides* of the ratio. They are measured in the same run, in turn. The bench is not a test: a missed target is
//! reported, and the program does not fail.
//!
//! A full run writes results and charts to `docs/performance/`. A run of some workloads writes them only if a folder is
//! given.
//!
//! | file | content |
//! |---|---|
//! | `workloads/` | what is measured |
//! | `bed`, `cost` | a server to measure on, and the processor time, memory and WAL that it uses |
//! | `receiver`, `raw_client`, `socket`, `http` | the receiver of the requests, and its capacity |
//! | `bare_sender`, `plain_ureq` | the sender without a database, and an HTTP client that it is compared with |
//! | `pulse` | how fast the machine is during a measurement |
//! | `pairs`, `report`, `chart`, `svg`, `machine` | ratios, table, charts, and the description of the machine |

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use report::Report;
use workloads::Workload;

mod bare_sender;
mod bed;
mod chart;
mod cost;
mod http;
mod machine;
mod pairs;
mod plain_ureq;
mod pulse;
mod raw_client;
mod receiver;
mod report;
mod socket;
mod svg;
mod workloads;

const RESULTS: &str = "docs/performance";

struct Order {
    numbers: Vec<String>,
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    let order = match Order::from_arguments(env::args().skip(1)) {
        Ok(order) => order,
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    pulse::start();
    let mut report = Report::default();
    for workload in workloads::ALL.iter().filter(|workload| order.wants(workload)) {
        eprintln!("==> {}", workload.name);
        (workload.run)(&mut report);
    }
    report.compare_rows();
    println!("\n{}\n{}", report.table(), report.summary());
    if let Some(folder) = order.folder() {
        write(&report, &folder);
    }
    ExitCode::SUCCESS
}

/// What is wrong with the arguments.
enum UsageError {
    NoFolder,
    UnknownWorkload(String),
}

impl Display for UsageError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::NoFolder => write!(f, "--out needs a folder"),
            UsageError::UnknownWorkload(number) => {
                let known: Vec<&str> = workloads::ALL.iter().flat_map(|workload| workload.numbers).copied().collect();
                write!(f, "there is no workload {number}; there are {}", known.join(", "))
            }
        }
    }
}

impl Order {
    fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Self, UsageError> {
        let mut order = Self { numbers: Vec::new(), folder: None };
        while let Some(argument) = arguments.next() {
            if argument == "--out" {
                order.folder = Some(arguments.next().ok_or(UsageError::NoFolder)?.into());
            } else if workloads::ALL.iter().any(|workload| workload.numbers.contains(&argument.as_str())) {
                order.numbers.push(argument);
            } else {
                return Err(UsageError::UnknownWorkload(argument));
            }
        }
        Ok(order)
    }

    fn wants(&self, workload: &Workload) -> bool {
        let named = workload.numbers.iter().any(|number| self.numbers.iter().any(|wanted| wanted == number));
        named || self.numbers.is_empty() && workload.in_full_run
    }

    /// Returns the folder for the results. A run of some workloads must not replace the results of a full run.
    fn folder(&self) -> Option<PathBuf> {
        let usual = || self.numbers.is_empty().then(|| RESULTS.into());
        self.folder.clone().or_else(usual)
    }
}

fn write(report: &Report, folder: &Path) {
    fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let results = format!("{:#}\n", report.to_json(&machine::describe()));
    for (name, text) in chart::draw(&report.rows).into_iter().chain([("results.json", results)]) {
        let file = folder.join(name);
        fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        eprintln!("wrote {}", file.display());
    }
}
