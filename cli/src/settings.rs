// SPDX-License-Identifier: Apache-2.0
//! The options that every command has: one for each setting of the table, and where to write what was recorded. They
//! are shown by `--help`; `-h` shows a command's own.

use crate::exit::Exit;
use crate::progress::{Show, Wanted};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::path::PathBuf;
use std::time::Duration;
use storescope::config::{SETTINGS, Setting};
use storescope::{Client, Config};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How long the trace's last lines may take to be written.
const GRACE: Duration = Duration::from_secs(5);

/// The name of a setting's option, with `_` for `-`. `bench --trace` is a trace to be replayed.
fn option(setting: &Setting) -> &'static str {
    if setting.name == "trace" { "trace_out" } else { setting.name }
}

/// Settings given on the command line, over those of the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    given: Vec<(&'static str, String)>,
    scope_out: Option<PathBuf>,
    verbose: bool,
    progress: Option<Wanted>,
}

impl Settings {
    /// The environment's settings with these over them.
    pub(crate) fn config(&self) -> Result<Config, Exit> {
        let mut config = Config::from_env()?;
        for (name, text) in &self.given {
            config.set(name, text)?;
        }
        Ok(config)
    }

    /// A setting as it was given: on the command line, or by its own variable; else its default.
    pub(crate) fn text_of(&self, name: &str) -> String {
        let given = self.given.iter().rev().find(|(given, _)| *given == name);
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        let variable = || std::env::var(setting?.variable()).ok().filter(|text| !text.is_empty());
        let default = || setting.map(storescope::config::Setting::default).unwrap_or_default();
        given.map(|(_, text)| text.clone()).or_else(variable).unwrap_or_else(default)
    }

    /// Whether none was given on the command line.
    pub(crate) fn is_empty(&self) -> bool {
        self.given.is_empty()
            && self.scope_out.is_none()
            && !self.verbose
            && self.progress.is_none()
    }

    /// A client of these settings, on the runtime that is entered.
    pub(crate) fn client(&self) -> Result<Client, Exit> {
        Ok(Client::builder().config(self.config()?).build()?)
    }

    /// Writes what the client recorded: its trace, and `--scope-out`, if that was asked for.
    pub(crate) fn save(&self, client: &Client) -> Result<(), Exit> {
        Client::flush_traces(GRACE);
        let Some(file) = &self.scope_out else { return Ok(()) };
        std::fs::write(file, client.metrics().snapshot().to_hlog())
            .map_err(|e| Exit::failed(format!("cannot write {}: {e}", file.display())))
    }

    /// How progress is told.
    pub(crate) fn progress(&self) -> Show {
        Show::new(self.progress)
    }

    /// Warnings to standard error; with `-v`, every retry.
    pub(crate) fn start_log(&self) {
        let level = if self.verbose { tracing::Level::DEBUG } else { tracing::Level::WARN };
        // The emulator's S3 service calls every request that it refuses an error; its answer says so already.
        let s3s = if self.verbose { LevelFilter::DEBUG } else { LevelFilter::OFF };
        let targets = Targets::new().with_default(level).with_target("s3s", s3s);
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(|| {
                crate::progress::clear();
                crate::escape::Stderr
            })
            .with_target(false)
            .without_time()
            .compact()
            .finish()
            .with(targets)
            .init();
    }
}

impl clap::Args for Settings {
    fn augment_args(command: Command) -> Command {
        let heading = "Settings (docs/CONFIG.md; each is an environment variable, too)";
        let command =
            SETTINGS.iter().filter(|setting| !setting.secret).fold(command, |command, setting| {
                let variable = setting.variable();
                let default = setting.default();
                let default = if default.is_empty() {
                    String::new()
                } else {
                    format!(" [default: {default}]")
                };
                command.arg(
                    Arg::new(option(setting))
                        .long(option(setting).replace('_', "-"))
                        .value_name(setting.name.to_ascii_uppercase())
                        .help(format!("{} [env: {variable}]{default}", setting.doc))
                        .help_heading(heading)
                        .hide_short_help(true)
                        .global(true),
                )
            });
        command
            .arg(
                Arg::new("scope_out")
                    .long("scope-out")
                    .value_name("FILE")
                    .value_parser(clap::value_parser!(PathBuf))
                    .help("Write what was recorded, as an HdrHistogram log (.hlog)")
                    .hide_short_help(true)
                    .global(true),
            )
            .arg(
                Arg::new("verbose")
                    .long("verbose")
                    .short('v')
                    .action(ArgAction::SetTrue)
                    .help("Tell each retry")
                    .hide_short_help(true)
                    .global(true),
            )
            .arg(
                Arg::new("progress")
                    .long("progress")
                    .value_name("HOW")
                    .value_parser(clap::value_parser!(Wanted))
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("plain")
                    .help("Tell how far it is: also where standard error is no terminal, or as is said")
                    .hide_short_help(true)
                    .global(true),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Settings::augment_args(command)
    }
}

impl clap::FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Settings, clap::Error> {
        let mut settings = Settings::default();
        settings.update_from_arg_matches(matches)?;
        Ok(settings)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in SETTINGS.iter().filter(|setting| !setting.secret) {
            if let Some(text) = matches.get_one::<String>(option(setting)) {
                self.given.push((setting.name, text.clone()));
            }
        }
        self.scope_out = matches.get_one::<PathBuf>("scope_out").cloned();
        self.verbose = matches.get_flag("verbose");
        self.progress = matches.get_one::<Wanted>("progress").copied();
        Ok(())
    }
}
