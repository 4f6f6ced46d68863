//! The composition root: the command line, one file per subcommand.
//!
//! The only room that knows the embedded cluster, the control loop and the screens together, and the one that starts logging.
//! It holds no logic that a user of the library would want.

pub mod args;
pub mod config;
pub mod contexts;
pub mod decisions;
pub mod demo;
pub mod document;
pub mod eval;
pub mod exit;
pub mod get;
pub mod journal;
pub mod log;
pub mod op;
pub mod ownership;
pub mod reach;
pub mod screens;
pub mod sim;
pub mod sources;
pub mod start;
pub mod table;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, Parser};

use crate::clock::{Clock, SystemClock};
use crate::config::paths;
use args::{Cli, Command, DecisionCommand, Global, Reach, What};
use exit::{Done, Failure};
use reach::{Loop, Reached};

/// Runs the program for the arguments of the process.
pub fn main() -> ExitCode {
    crate::flink::install_crypto_provider();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(run(cli));
            // Tasks that still wait for an answer must not hold up the end.
            runtime.shutdown_timeout(Duration::from_millis(200));
            done
        }
        Err(error) => Err(Failure::Failed(format!("cannot start the runtime: {error}"))),
    };
    match done {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let done = match cli.command {
        None => {
            let settings = start::settings(&cli.global)?;
            screens::run(&settings).await
        }
        Some(Command::Demo(args)) => demo::run(&cli.global, &args).await,
        Some(Command::Sim(args)) => sim::run(&args).await.map_err(Failure::from),
        Some(Command::Get(args)) => {
            let wait = args.reach.wait.or((args.what != What::Decisions).then_some(Duration::ZERO));
            let reach = Reach { wait, ..args.reach.clone() };
            with_loop(&cli.global, &reach, async |reached| get::run(&args, reached).await).await
        }
        Some(Command::Decisions(command)) => {
            let (DecisionCommand::Show { reach, .. }
            | DecisionCommand::Approve { reach, .. }
            | DecisionCommand::Reduce { reach, .. }
            | DecisionCommand::Reject { reach, .. }) = &command;
            with_loop(&cli.global, reach, async |reached| decisions::run(&command, reached).await).await
        }
        Some(Command::Ownership(command)) => {
            let reach = Reach { wait: command.reach().wait.or(Some(Duration::ZERO)), ..command.reach().clone() };
            with_loop(&cli.global, &reach, async |reached| ownership::run(&command, reached).await).await
        }
        Some(Command::Op(command)) => {
            let reach = Reach { wait: command.reach().wait.or(Some(Duration::ZERO)), ..command.reach().clone() };
            with_loop(&cli.global, &reach, async |reached| op::run(&command, reached).await).await
        }
        Some(Command::Eval(args)) => return Ok(eval::run(&args)),
        Some(Command::Journal(command)) => journal::run(&command),
        Some(Command::Config(args)) => config::run(&args, &start::settings(&cli.global)?),
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Cli::command(), "flightdeck", &mut std::io::stdout());
            Ok(())
        }
        Some(Command::Man) => clap_mangen::Man::new(Cli::command())
            .render(&mut std::io::stdout())
            .map_err(|e| Failure::Failed(format!("cannot write the manual page: {e}"))),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Attaches to a running process, or runs the loop here where `--wait` (or a plain look) allows it.
async fn with_loop(global: &Global, reach: &Reach, then: impl AsyncFnOnce(&Reached) -> Done) -> Done {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    // Sources that are named on the command line are asked themselves; a process that runs elsewhere may know others.
    let explicit = !global.flink.is_empty() || reach.wait.is_some_and(|w| !w.is_zero());
    let elsewhere = match paths::runtime_dir(&start::env) {
        Some(folder) if !explicit || reach.attach.is_some() => reach::running(&folder, reach.attach).await?,
        _ => None,
    };
    if let Some(running) = elsewhere {
        return then(&Reached::new(Loop::There(running), clock, Duration::ZERO)).await;
    }
    let Some(wait) = reach.wait else {
        return Err(Failure::Failed(
            "no flightdeck runs on this machine for this user; start one, or add --wait DURATION to run the loop here"
                .to_owned(),
        ));
    };
    let mut settings = start::settings(global)?;
    start::disarm(&mut settings);
    log::to_stderr(&settings)?;
    let sources = start::sources(&settings, None, &clock).await?;
    let started = start::start(&settings, sources, Vec::new(), Arc::clone(&clock))?;
    then(&Reached::new(Loop::Here(started.handle.clone()), clock, wait)).await
}
