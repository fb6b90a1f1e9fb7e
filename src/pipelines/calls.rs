//! The calls in a script that take a lock or release one.

use std::rc::Rc;

use super::document::Position;
use super::misspelt::Mistake;
use super::target::Target;

/// A call that takes locks or releases them.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) position: Position,
    /// One for each lock that the call is seen to be about.
    pub(crate) targets: Vec<Rc<Target>>,
    pub(crate) what: What,
}

/// What a call does.
#[derive(Debug)]
pub(crate) enum What {
    Deploy(Box<Softstop>),
    Release(Box<Softstop>),
    /// Terraform without softstop.
    Bare(Box<Bare>),
}

/// A call of softstop.
#[derive(Debug)]
pub(crate) struct Softstop {
    pub(crate) means: Means,
    pub(crate) grace_period: Option<GracePeriod>,
    /// Whether it can ask Bitbucket about a step of another pipeline.
    pub(crate) has_token: bool,
    /// Whether it exchanges the token of its step for credentials of a cloud.
    pub(crate) exchanges_token: bool,
    pub(crate) mistakes: Vec<Mistake>,
}

impl What {
    /// The misspelt variables that were meant for this call.
    pub(crate) fn mistakes(&self) -> &[Mistake] {
        match self {
            Self::Deploy(softstop) | Self::Release(softstop) => &softstop.mistakes,
            Self::Bare(_) => &[],
        }
    }
}

/// A grace period that the file names.
#[derive(Debug)]
pub(crate) struct GracePeriod {
    pub(crate) position: Position,
    pub(crate) text: String,
    /// How to write a better one there.
    pub(crate) remedy: &'static str,
}

/// How softstop is called.
#[derive(Debug)]
pub(crate) enum Means {
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
pub(crate) struct Bare {
    /// Which of them, as people call it.
    pub(crate) program: &'static str,
    pub(crate) effect: Effect,
    /// How to call it.
    pub(crate) remedy: String,
    /// Whether the shell has nothing to do after it.
    pub(crate) can_be_last: bool,
}

/// What Terraform does besides taking the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes infrastructure.
    Changes,
    /// It changes none.
    Locks(&'static str),
    /// Only the running pipeline knows the subcommand.
    Unknown,
}
