//! Locks, and what speaks for and against their release, in words.

use std::fmt;

use super::evidence::{Answer, Evidence, Others, Presence, Siblings};
use super::info::LockInfo;
use super::own_run::Run;
use super::owner::Holder;
use super::reasons::{Doubt, Life, Proof};
use super::verdict::Verdict;
use crate::printable::one_line;

impl fmt::Display for LockInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_unknown = |text: &str| match text {
            "" => "unknown".to_owned(),
            text => text.to_owned(),
        };
        let name =
            Holder::of(self).map_or_else(|| or_unknown(&self.who), |holder| holder.to_string());
        let since = self.created.map_or_else(
            || "an unknown time".to_owned(),
            |created| format!("{created:.0}"),
        );
        let (id, operation) = (&self.id, or_unknown(&self.operation));
        let said = format!("Lock {id}, held by {name} for {operation} since {since}");
        formatter.write_str(&one_line(&said))
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnRun => {
                formatter.write_str("it was this run's own, and every process of the run is gone")
            }
            Self::NobodyLeftHere => formatter.write_str(
                "it was signed on this very host, and no deploy that could have signed it is left here",
            ),
            Self::EarlierRun => {
                formatter.write_str("an earlier run of this very step took it, and that is over")
            }
            Self::PipelineMovedOn { silence } => {
                formatter.write_str(
                    "another step of this very pipeline took it, and the pipeline has moved on",
                )?;
                match silence {
                    Some(reason) => write!(formatter, " (Bitbucket could not tell: {reason})"),
                    None => Ok(()),
                }
            }
            Self::StepCompleted { result: None } => {
                formatter.write_str("Bitbucket says that its step is COMPLETED")
            }
            Self::StepCompleted {
                result: Some(result),
            } => write!(
                formatter,
                "Bitbucket says that its step is COMPLETED ({result})"
            ),
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StillHere => {
                formatter.write_str("processes of that deploy are still running here")
            }
            Self::OwnLook => formatter.write_str("a look of softstop's own holds it"),
            Self::Container => {
                formatter.write_str("the container that holds it still runs, by the word of Docker")
            }
            Self::Step { state } => {
                write!(formatter, "Bitbucket says that its step is {state}")
            }
            Self::Process => {
                formatter.write_str("such a lock dies with its process, so the process is alive")
            }
            Self::ChangesHands => {
                formatter.write_str("it changed hands whenever softstop looked at it")
            }
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ProcessesRemain => "processes of this run are still alive",
            Self::OlderThanTheRun => "it was taken before this run started",
            Self::YoungerThanTheRun => "it was taken after this run had ended",
            Self::SomebodyElse => "another user or host holds it",
            Self::OtherVersion => "another version of the tool took it",
            Self::OtherOperation => "it was taken for something that this run does not do",
            Self::UnknownTime => "it does not say when it was taken",
            Self::ToolEndedByItself => {
                "the tool of this run ended by itself, and so has given its lock back"
            }
            Self::OthersRun => "another deploy is running that signs its locks as this run does",
            Self::OthersHidden => {
                "the host name is not this container's alone, so another deploy may have taken it"
            }
            Self::UnknownHolder => "the backend does not say who holds it",
            Self::NoBuild => {
                "its holder is no build that softstop has signed for, so nobody can tell whether \
                 it is over"
            }
            Self::PerhapsHere => {
                "a deploy is running on its host that does not say, or does not show, whose it is"
            }
            Self::ProcessesHidden { reason } => {
                return write!(formatter, "the processes of its host are hidden: {reason}");
            }
            Self::DockerSilent { reason } => {
                return write!(
                    formatter,
                    "{reason}, so nobody can tell whether its container runs. Make the daemon of \
                     DOCKER_HOST answer. Where no deploy can run in a container there, unset it; a \
                     pipe is told so by `DOCKER_HOST: \"\"` among its variables"
                );
            }
            Self::ThisStep => {
                "this very run of the step has taken it, elsewhere, and only a later step or run can \
                 tell whether that is over"
            }
            Self::NoToken { order } => {
                formatter.write_str(
                    "there is no token to ask Bitbucket about its step: set \
                     BITBUCKET_ACCESS_TOKEN, or ATLASSIAN_ACCOUNT_EMAIL and ATLASSIAN_API_TOKEN",
                )?;
                return match order {
                    Some(reason) => {
                        write!(formatter, " (nor can its step be told to be over: {reason})")
                    }
                    None => Ok(()),
                };
            }
            Self::NoAnswer { reason, .. } => reason,
            Self::UnknownState { state } => {
                return write!(
                    formatter,
                    "Bitbucket says that its step is {state:?}, which softstop does not know"
                );
            }
            Self::OtherRun => {
                "Bitbucket's answer is about an earlier run of its step, and not about the one that \
                 holds the lock"
            }
            Self::LaterRun => {
                "it was taken in a later run of this very pipeline than the one that asks"
            }
            Self::NeverRan => "Bitbucket says that its step was never run, so it is not the holder",
            Self::NoEnd => {
                "Bitbucket says that its step is COMPLETED, but its answer has no `completed_on` \
                 that can be read, so nobody can tell whether the lock was taken before that"
            }
            Self::OutlivesItsStep => {
                "it was taken after its step had ended, so something has outlived the step"
            }
        })
    }
}

/// What is known of a holder, one piece a line.
impl fmt::Display for Evidence<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asker = self
            .asker
            .map_or_else(|| "no step".to_owned(), ToString::to_string);
        write!(
            formatter,
            "Asked by {asker}, which signs as {}. Who else does so: {}.\n  Processes and containers: {}.\n  \
             Order of steps: {}.",
            self.signature, self.others, self.sighting, self.siblings
        )
    }
}

impl fmt::Display for Others {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Impossible => "nobody anywhere",
            Self::NotHere => "nobody here",
            Self::Running => "another deploy that runs",
            Self::Hidden => "not known",
        })
    }
}

impl fmt::Display for Presence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => formatter.write_str("nothing was seen of the holder"),
            Self::Alive(life) => life.fmt(formatter),
            Self::Unclear(doubt) => doubt.fmt(formatter),
        }
    }
}

impl fmt::Display for Siblings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over => formatter.write_str("all others of this pipeline are over"),
            Self::Open { reason: None } => formatter.write_str("it tells nothing"),
            Self::Open {
                reason: Some(reason),
            } => write!(formatter, "it tells nothing: {reason}"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken => formatter.write_str("it was not asked"),
            Self::Silence { reason, .. } => write!(formatter, "no answer: {reason}"),
            Self::Unusable { reason } => write!(formatter, "no answer that can be used: {reason}"),
            Self::Step(step) => {
                write!(formatter, "the step is {}", step.state)?;
                let result = step.result.iter().chain(&step.stage);
                for detail in result {
                    write!(formatter, ", {detail}")?;
                }
                if let Some(run) = step.run {
                    write!(formatter, ", run {run}")?;
                }
                match step.completed {
                    Some(completed) => write!(formatter, ", completed on {completed}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Run<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (gone, killed) = (
            if self.processes_gone { "gone" } else { "alive" },
            if self.tool_was_killed {
                "was killed"
            } else {
                "ended by itself"
            },
        );
        write!(
            formatter,
            "This run signs as {}, version {}. Who else does so: {}.\n  It went from {} to {}, its tool {killed}, \
             its processes are {gone}.",
            self.who, self.version, self.others, self.started, self.ended
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(proof) => write!(formatter, "release it, because {proof}"),
            Self::Wait(life) => write!(formatter, "wait for it, because {life}"),
            Self::Refuse(doubt) => write!(formatter, "leave it alone, because {doubt}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::owner::tests::STAMP;
    use super::*;

    #[test]
    fn a_lock_that_says_little_is_still_described() {
        let lock = LockInfo {
            id: "7".to_owned(),
            ..LockInfo::default()
        };
        assert_eq!(
            lock.to_string(),
            "Lock 7, held by unknown for unknown since an unknown time"
        );
    }

    #[test]
    fn a_lock_of_a_build_is_described_by_its_build() {
        let lock = LockInfo {
            id: "7".to_owned(),
            operation: "OperationTypeApply".to_owned(),
            who: format!("{STAMP}@d5c1f0a2b3c4"),
            created: Some("2026-11-23T00:09:13.153341218Z".parse().unwrap()),
            ..LockInfo::default()
        };
        assert_eq!(
            lock.to_string(),
            "Lock 7, held by build 42 of acme/infra on d5c1f0a2b3c4 for OperationTypeApply since \
             2026-11-23T00:09:13Z"
        );
    }
}
