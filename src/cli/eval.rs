//! `flightdeck eval`: answers recorded cases, line by line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::autoscaler::cases::Case;

/// A longer line is no case; it is passed over without being kept.
const LONGEST_LINE: u64 = 64 << 20;

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum EvalOutput {
    /// One JSON object per line: `id` and `expect`.
    #[default]
    Json,
    /// A report for people.
    Table,
}

/// Arguments of `flightdeck eval`.
#[derive(Debug, Clone, clap::Args)]
pub struct EvalArgs {
    /// Files of cases, one JSON object per line; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Add the explanation of every number
    #[arg(long)]
    pub explain: bool,
    /// How to print the answers
    #[arg(short, long, value_enum, default_value_t)]
    pub output: EvalOutput,
}

/// Answers all cases of all files. Exit code 1 if a file or a line could not be read; the others are answered still.
pub fn run(args: &EvalArgs) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut errors = io::stderr().lock();
    let result = eval(args, &mut io::stdin().lock(), &mut out, &mut errors).and_then(|good| out.flush().map(|()| good));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever reads the answers has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(errors, "the answers could not be written: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The same with all its channels; `Ok(false)` if something could not be read.
///
/// # Errors
/// If the answers or the errors cannot be written.
pub fn eval(args: &EvalArgs, stdin: &mut dyn BufRead, out: &mut dyn Write, errors: &mut dyn Write) -> io::Result<bool> {
    let mut good = true;
    for path in &args.files {
        let name = path.display().to_string();
        if name == "-" {
            good &= eval_lines("standard input", stdin, args, out, errors)?;
            continue;
        }
        match File::open(path) {
            Ok(file) => good &= eval_lines(&name, &mut BufReader::new(file), args, out, errors)?,
            Err(error) => {
                writeln!(errors, "{name}: {error}")?;
                good = false;
            }
        }
    }
    Ok(good)
}

/// One line at a time: memory does not grow with the number of cases.
fn eval_lines(
    name: &str,
    input: &mut dyn BufRead,
    args: &EvalArgs,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> io::Result<bool> {
    let mut good = true;
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        match input.take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                writeln!(errors, "{name}:{number}: {error}")?;
                return Ok(false);
            }
        }
        if line.len() as u64 == LONGEST_LINE && !line.ends_with(b"\n") {
            writeln!(errors, "{name}:{number}: $: the line is longer than {LONGEST_LINE} bytes and is not answered")?;
            good = false;
            // The memory of a monster is given back, too.
            line = Vec::new();
            if let Err(error) = input.skip_until(b'\n') {
                writeln!(errors, "{name}:{number}: {error}")?;
                return Ok(false);
            }
            continue;
        }
        if let Err(message) = eval_line(&line, args, out)? {
            writeln!(errors, "{name}:{number}: {message}")?;
            good = false;
        }
    }
    Ok(good)
}

/// Answers one line; the inner error says what is wrong with it.
fn eval_line(line: &[u8], args: &EvalArgs, out: &mut dyn Write) -> io::Result<Result<(), String>> {
    let text = match std::str::from_utf8(line) {
        Ok(text) if text.trim().is_empty() => return Ok(Ok(())),
        Ok(text) => text,
        Err(error) => return Ok(Err(format!("byte {}: not UTF-8", error.valid_up_to() + 1))),
    };
    let case = match Case::parse(text) {
        Ok(case) => case,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let answer = case.answer(args.explain);
    match args.output {
        EvalOutput::Json => {
            serde_json::to_writer(&mut *out, &answer.to_json())?;
            out.write_all(b"\n")?;
        }
        EvalOutput::Table => writeln!(out, "{}", case.report(&answer))?,
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests;
