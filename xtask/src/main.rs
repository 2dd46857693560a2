//! The project's chores. `cargo xtask help` lists them.

mod artifacts;
mod bench;
mod beside;
mod dispositions;
mod dist;
mod failures;
mod ordinary;
mod packages;
mod picture;
mod processes;
mod report;
mod stage;
mod supply;
mod tally;
mod test;
mod torture;
mod vm;
mod watch;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask CHORE

  test               Debian packages (as root), format, all tests; as root, a second
                     time as an ordinary user; lints and docs beside them
  bench [ARGS]       the figures of docs/performance.md; --quick for a short run,
                     --write to keep them there
  torture --minutes N [--seed S] [--scale X]
                     jobs of all kinds while lines are cut, fronts and clients killed,
                     servers replaced; --scale: the numbered checks of
                     docs/reliability.md too, 1 for their full size
  torture [--count N]
                     very many commands (200,000), then a look for what is left behind
  dist               what is given to others, in target/packages: a Debian package, an archive,
                     a bill of materials, checksums
  vm [PROGRAM]       the package in a guest of its own (qemu), with systemd, cgroups and users:
                     installed, used, upgraded under load, purged; PROGRAM: another
                     than the one that is shipped. Needs root, two minutes
  picture [--redraw] a run of `redial demo drop`, recorded and drawn as
                     docs/demo-drop.svg; --redraw: from the last recording
  help               this text

What `test` does, step by step, and what a test must keep to: CONTRIBUTING.md.";

fn main() -> ExitCode {
    dispositions::take_back();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (chore, rest) = match arguments.split_first() {
        Some((chore, rest)) => (chore.as_str(), rest),
        None => ("help", &[][..]),
    };
    let done = match (chore, rest) {
        ("help" | "--help" | "-h", _) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        ("test", []) => Ok(test::run(&root())),
        ("bench", arguments) => bench::run(&root(), &[], arguments),
        ("torture", arguments) if torture::is_asked(arguments) => torture::run(&root(), arguments),
        ("torture", arguments) => bench::run(&root(), &["torture"], arguments),
        ("dist", []) => dist::run(&root()),
        ("vm", []) => vm::run(&root(), None),
        ("vm", [program]) => vm::run(&root(), Some(program)),
        ("picture", []) => picture::record(&root()).and_then(|()| picture::redraw(&root())),
        ("picture", [flag]) if flag == "--redraw" => picture::redraw(&root()),
        _ => {
            eprintln!("xtask: no chore `{}`\n\n{HELP}", arguments.join(" "));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The cargo that runs us, at the root of the repository.
fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// The repository's root: the directory above this crate's.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
