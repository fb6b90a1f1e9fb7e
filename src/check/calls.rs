//! The calls in a script that take a lock or release one.

use std::rc::Rc;

use super::document::Position;
use super::misspelt::Mistake;
use super::target::Target;

/// A call that takes locks or releases them.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) position: Position,
    /// One for each lock that the call is seen to be about.
    pub(super) targets: Vec<Rc<Target>>,
    pub(super) what: What,
}

/// What a call does.
#[derive(Debug)]
pub(super) enum What {
    Deploy(Box<Softstop>),
    Release(Box<Softstop>),
    /// Terraform without softstop.
    Bare(Box<Bare>),
}

/// A call of softstop.
#[derive(Debug)]
pub(super) struct Softstop {
    pub(super) means: Means,
    pub(super) grace_period: Option<GracePeriod>,
    /// Whether it can ask Bitbucket about a step of another pipeline.
    pub(super) has_token: bool,
    pub(super) mistakes: Vec<Mistake>,
}

impl What {
    /// The misspelt variables that were meant for this call.
    pub(super) fn mistakes(&self) -> &[Mistake] {
        match self {
            Self::Deploy(softstop) | Self::Release(softstop) => &softstop.mistakes,
            Self::Bare(_) => &[],
        }
    }
}

/// A grace period that the file names.
#[derive(Debug)]
pub(super) struct GracePeriod {
    pub(super) position: Position,
    pub(super) text: String,
    /// How to write a better one there.
    pub(super) remedy: &'static str,
}

/// How softstop is called.
#[derive(Debug)]
pub(super) enum Means {
    Pipe {
        name: String,
        variables: Vec<(String, Vec<String>)>,
    },
    Command {
        is_piped: bool,
        /// The Terraform program, where the options name one.
        program: Option<String>,
        /// How to write it where the shell stays, but has nothing more to do.
        with_exec: Option<String>,
    },
}

/// A call of Terraform, OpenTofu or Terragrunt without softstop.
#[derive(Debug)]
pub(super) struct Bare {
    /// Which of them, as people call it.
    pub(super) program: &'static str,
    pub(super) effect: Effect,
    /// How to call it.
    pub(super) remedy: String,
    /// Whether the shell has nothing to do after it.
    pub(super) can_be_last: bool,
}

/// What Terraform does besides taking the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It changes infrastructure.
    Changes,
    /// It changes none.
    Locks(&'static str),
    /// Only the running pipeline knows the subcommand.
    Unknown,
}
