//! The receiver of the tests as a program, for the demo and tests/torture.
//!
//! It prints one line for each request: whether the signature is genuine, the status of the answer, event, entity and
//! delivery id.

use std::fmt::{self, Display, Formatter};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use testkit::receiver::{Answer, Options, Receiver, Recording, Seen, Signature};

const USAGE: &str = "\
Usage: receiver [--listen ADDRESS:PORT] [--port-file FILE] [--secrets FILE] [--log FILE]
                [--fail PATH=COUNT:STATUS]... [--answer PATH=STATUS]... [--quiet]

  --listen     where to listen (default 127.0.0.1:0, a free port of loopback)
  --port-file  written with the port once the receiver listens
  --secrets    lines `PATH SECRET`; read again when a path is not in it, or a signature does not fit
  --log        appends `epoch_ms path delivery_id event entity_id body_sha256 verified|refused|unchecked status`
  --fail       the first COUNT requests on PATH are answered with STATUS, the later ones with 200
  --answer     all requests on PATH are answered with STATUS
  --quiet      prints nothing";

#[derive(Default)]
struct Arguments {
    listen: Option<String>,
    port_file: Option<PathBuf>,
    secrets: Option<PathBuf>,
    log: Option<PathBuf>,
    fail: Vec<(String, usize, u16)>,
    answer: Vec<(String, u16)>,
    quiet: bool,
    help: bool,
}

fn main() -> ExitCode {
    match arguments(env::args().skip(1)) {
        Err(error) => {
            eprintln!("receiver: {error}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Ok(Arguments { help: true, .. }) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(arguments) => match run(arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("receiver: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

/// What is wrong with the arguments.
enum UsageError {
    NoValue(String),
    NotAFailure(String),
    NotAnAnswer(String),
    Unknown(String),
}

impl Display for UsageError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::NoValue(argument) => write!(f, "{argument} needs a value"),
            UsageError::NotAFailure(text) => write!(f, "{text:?} is not PATH=COUNT:STATUS"),
            UsageError::NotAnAnswer(text) => write!(f, "{text:?} is not PATH=STATUS"),
            UsageError::Unknown(argument) => write!(f, "there is no argument {argument}"),
        }
    }
}

fn arguments(mut words: impl Iterator<Item = String>) -> Result<Arguments, UsageError> {
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| UsageError::NoValue(word.clone()));
        match word.as_str() {
            "--listen" => arguments.listen = Some(value()?),
            "--port-file" => arguments.port_file = Some(value()?.into()),
            "--secrets" => arguments.secrets = Some(value()?.into()),
            "--log" => arguments.log = Some(value()?.into()),
            "--fail" => {
                let text = value()?;
                let failure = failure(&text).ok_or(UsageError::NotAFailure(text))?;
                arguments.fail.push(failure);
            }
            "--answer" => {
                let text = value()?;
                let answer = text.rsplit_once('=').and_then(|(path, status)| Some((path.into(), status.parse().ok()?)));
                arguments.answer.push(answer.ok_or(UsageError::NotAnAnswer(text))?);
            }
            "--quiet" => arguments.quiet = true,
            "--help" | "-h" => arguments.help = true,
            _ => return Err(UsageError::Unknown(word)),
        }
    }
    Ok(arguments)
}

fn failure(text: &str) -> Option<(String, usize, u16)> {
    let (path, rest) = text.rsplit_once('=')?;
    let (count, status) = rest.split_once(':')?;
    Some((path.into(), count.parse().ok()?, status.parse().ok()?))
}

fn run(arguments: Arguments) -> io::Result<()> {
    let mut options = Options { recording: Recording::Count, ..Options::default() };
    if let Some(file) = arguments.secrets {
        options.find_secrets = Some(Box::new(move |path| secrets(&file, path)));
    }
    if !arguments.quiet {
        options.observer = Some(printer());
    }
    let receiver = Receiver::start_with(arguments.listen.as_deref().unwrap_or("127.0.0.1:0"), options)?;
    if let Some(log) = &arguments.log {
        receiver.log_to(log)?;
    }
    for (path, status) in arguments.answer {
        receiver.answer(&path, Answer::status(status));
    }
    for (path, count, status) in arguments.fail {
        receiver.answer_first(&path, count, Answer::status(status));
    }
    // Written last and renamed when complete: when this file exists, the receiver is ready.
    if let Some(file) = arguments.port_file {
        let draft = file.with_extension("new");
        fs::write(&draft, format!("{}\n", receiver.address().port()))?;
        fs::rename(draft, file)?;
    }
    receiver.join();
    Ok(())
}

/// Reads the secrets in a file. A file that does not exist yet has no secrets.
fn secrets(file: &Path, path: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.filter(|(of, _)| *of == path).map(|(_, secret)| secret.trim().to_owned()).collect()
}

fn printer() -> Box<dyn Fn(&Seen<'_>) + Send + Sync> {
    let colours = io::stdout().is_terminal();
    Box::new(move |seen| {
        let (verdict, colour, why) = match seen.signature {
            Signature::Verified => ("verified", "32", ""),
            Signature::Unchecked => ("unchecked", "33", ""),
            Signature::Refused(why) => ("REFUSED", "31", why),
        };
        // The word is padded first, because padding would count the bytes of the colours.
        let verdict = format!("{verdict:<9}");
        let verdict = if colours { format!("\x1b[{colour}m{verdict}\x1b[0m") } else { verdict };
        let entity = match seen.entity_type {
            "-" => seen.entity_id.to_owned(),
            of => format!("{of}/{}", seen.entity_id),
        };
        let Seen { status, event, delivery, path, .. } = seen;
        let line = format!("{verdict} {status:>3}  {event:<26} {entity:<24} {delivery:<36}  {path}  {why}");
        // Each line is one write, because connections print at the same time. A closed output does not end the program.
        let _ = writeln!(io::stdout(), "{}", line.trim_end());
    })
}
