//! What is made from the command line's own definition: completions for shells, manual pages.

use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

const COMPLETION_HELP: &str = "\
What is printed is a script that the shell reads once:
  bash  redial completion bash > ~/.local/share/bash-completion/completions/redial
  zsh   redial completion zsh > DIRECTORY/_redial, in a directory of $fpath
  fish  redial completion fish > ~/.config/fish/completions/redial.fish";

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = COMPLETION_HELP)]
pub(crate) struct CompletionArgs {
    /// For which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Write manual pages, for packages
#[derive(Debug, Args)]
pub(crate) struct ManualArgs {
    /// Where the pages are written to; it must exist
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// A script of completions.
pub(crate) fn completion(args: &CompletionArgs) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "redial", &mut script);
    script
}

/// A page for redial itself and for each command, with its file's name.
pub(crate) fn manual() -> Vec<(String, Vec<u8>)> {
    let mut redial = Cli::command();
    redial.build();
    let mut pages = Vec::new();
    add_pages(&redial, &mut pages);
    pages
}

fn add_pages(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut page = Vec::new();
    // Writing to a `Vec` cannot fail.
    let _ = clap_mangen::Man::new(command.clone()).render(&mut page);
    pages.push((format!("{name}.1"), page));
    let below = command.get_subcommands();
    let shown = below.filter(|it| !it.is_hide_set() && it.get_name() != "help");
    shown.for_each(|below| add_pages(below, pages));
}
