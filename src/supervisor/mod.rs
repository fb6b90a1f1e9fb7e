//! Processes, signals, output and time. Knows no Terraform and no Bitbucket.
//!
//! One thread owns all processes: it spawns them, and it alone reaps them. The same thread hears
//! the signals, so nothing here needs a lock; only the bytes of the deploy are moved by others.

mod budget;
mod children;
mod clock;
mod ending;
mod first_process;
mod freeze;
mod grounds;
mod guard;
mod held;
mod helper;
mod kernel;
mod last_words;
mod limits;
mod lines;
mod lookout;
mod memory;
mod output;
mod pipes;
mod process;
mod run;
mod running;
mod secrets;
mod send;
mod signals;
mod state;
mod stop;
#[cfg(test)]
mod stop_table;
mod tree;
mod words;

pub(crate) use budget::{Cost, Phase, Reserve};
pub(crate) use first_process::shell_in_between;
pub(crate) use grounds::Grounds;
pub(crate) use guard::{Guarded, guarded};
pub(crate) use held::Held;
pub(crate) use helper::{Helped, HelperError, text_of_output};
pub(crate) use kernel::set_variable;
pub(crate) use limits::ensure_files;
pub(crate) use lines::{Audience, Listener};
pub(crate) use lookout::{Lookout, Seen, SeenTool};
pub(crate) use output::Outlet;
pub(crate) use pipes::are_one_file;
pub(crate) use process::{Process, Programs};
pub(crate) use run::Ending;
pub(crate) use secrets::{forget, hide_ourselves, remember};
pub(crate) use signals::{Interrupt, hold_signals, let_signals_through};
pub(crate) use state::Supervisor;
