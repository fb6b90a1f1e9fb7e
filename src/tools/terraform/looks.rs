//! Looks at a lock through Terraform, and releases it.

use std::future;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::by_hand;
use super::diagnostics::{is_own_look, lacks_table, lock_info, names_nobody};
use super::expired::expired;
use super::lock_view::LockView;
use super::operations::OF_A_LOOK;
use super::own_look::{TO_GIVE_BACK, ended_within, kept};
use super::strategy::{ByTerraform, WrongId};
use crate::identity::Neighbours;
use crate::lock::{Holder, LockInfo};
use crate::printable::is_printable;
use crate::supervisor::{Helped, HelperError};
use crate::tools::error::ToolError;
use crate::tools::host::Host;
use crate::tools::locking::{ByHand, End, Locked, Look, Reply};
use crate::tools::processes::Processes;
use crate::tools::quoted::quoted;
use crate::tools::signing::Signing;

/// How long a release may take, at a backend that has just answered.
const LIMIT_OF_RELEASE: Duration = Duration::from_secs(20);
/// What is the ID of no lock.
const NO_ID: &str = "0";
/// What the programs say where they could not even open the state. On gcs, azurerm and kubernetes whatever
/// opens one that is not there makes it, under its lock, and so no program gets past a lock without a
/// state (`a_lock_without_a_state_is_told_and_gone_once_what_is_named_is_removed`).
const NOT_OPENED: [&str; 2] = ["Failed to load state", "Failed to load the state"];
/// An address that no state holds, for a look by `untaint`.
const NO_RESOURCE: &str = "softstop_look.none";
/// What `untaint -allow-missing` says of it once it had the lock.
const NOT_FOUND: &str = "No such resource instance";
/// What it says where it could not give the lock back, in older Terraforms with an exclamation mark.
const NOT_RELEASED: &str = "Error releasing the state lock";

/// What `untaint` has shown.
enum Untaint {
    Done(Look),
    /// It has named itself: somebody holds the lock, as pg tells it, or it has met its own lock, or could
    /// not give it back.
    OwnLook(LockInfo),
}

impl Untaint {
    fn into_look(self) -> Look {
        match self {
            Self::Done(look) => look,
            Self::OwnLook(_) => Look::HeldBySomebody,
        }
    }
}

impl<H: Host> Locked for LockView<'_, H> {
    async fn look(&self) -> Result<Look, ToolError> {
        self.began.set(Instant::now());
        self.is_shut_out.set(false);
        if !self.has_state().await? {
            return Ok(Look::Free);
        }
        let look = self.look_by_strategy().await;
        match &look {
            // It may be the directory that Terraform does not like.
            Err(ToolError::Failed { .. }) if !self.is_accepted.get() => {
                self.initialise().await?;
                return self.look_by_strategy().await;
            }
            Ok(_) => self.is_accepted.set(true),
            Err(_) => {}
        }
        look
    }

    async fn release(&self, lock: &LockInfo) -> Result<Reply, ToolError> {
        let unlock = self.unlock(&lock.id);
        let helped = self.host.run_helper(unlock, LIMIT_OF_RELEASE).await?;
        if helped.status.success() {
            return Ok(Reply::Released);
        }
        let command = format!("{} force-unlock {}", by_hand::program(&self.place), lock.id);
        let secrets = self.secrets();
        if let Some(error) = expired(&command, &helped.stderr, &secrets) {
            return Ok(Reply::Changed(error.to_string()));
        }
        let output = secrets.essence(&helped.stderr);
        let refused = format!("{command} did not release the lock. It said: {output}");
        Ok(if self.strategy.says_half(&helped.stderr) {
            Reply::Half(format!(
                "{command} released one half of the lock, and not the other one. It said: {output}"
            ))
        } else if self
            .strategy
            .says_free(&helped.stderr, self.place.is_opentofu)
        {
            Reply::Gone(refused)
        } else {
            Reply::Changed(refused)
        })
    }

    fn end(&self) -> End {
        self.strategy.end()
    }

    /// A lock's ID may begin with a dash. One that a screen does not show as it is, nobody can paste.
    fn release_by_hand(&self, lock: &LockInfo) -> ByHand {
        if self.is_shut_out.get()
            && let Some(removal) = self.removal()
        {
            return ByHand::Words(format!(
                "{removal}: there is no state, and `force-unlock` needs one"
            ));
        }
        if is_printable(&lock.id) {
            let command = format!("force-unlock -force -- {}", quoted(&lock.id));
            return ByHand::Paste(by_hand::in_place(&self.place, &command));
        }
        let why = "its ID has control characters in it, with which no command can be pasted";
        ByHand::Words(match self.removal() {
            Some(removal) => format!("{removal}: {why}"),
            None => format!("delete the lock itself at the backend: {why}"),
        })
    }

    fn unnamed_by_hand(&self) -> ByHand {
        self.removal().map_or(ByHand::Unknown, ByHand::Words)
    }
}

impl<H: Host> LockView<'_, H> {
    async fn look_by_strategy(&self) -> Result<Look, ToolError> {
        match self.strategy {
            ByTerraform::WrongId(words) => self.look_by_wrong_id(words).await,
            ByTerraform::Untaint(_) | ByTerraform::Watch => self.look_by_untaint().await,
        }
    }

    async fn look_by_wrong_id(&self, words: WrongId) -> Result<Look, ToolError> {
        let helped = self.ask(self.unlock(NO_ID)).await;
        let helped = helped.map_err(|error| self.unanswered(error))?;
        let is_opentofu = self.place.is_opentofu;
        if let Some(lock) = lock_info(&helped.stderr) {
            self.is_shut_out.set(is_not_opened(&helped));
            Ok(Look::Held(lock))
        } else if helped.status.success() {
            // Nothing has that ID, so a program that has unlocked it was not asking.
            Err(self.failed("force-unlock", &helped))
        } else if words.says_free(&helped.stderr, is_opentofu) {
            self.is_accepted.set(true);
            if words.hides_unnamed && !is_opentofu {
                self.look_by_untaint().await
            } else {
                Ok(Look::Free)
            }
        } else if self.is_accepted.get() {
            self.look_by_untaint().await
        } else {
            Err(self.failed("force-unlock", &helped))
        }
    }

    /// Looks by `untaint`, which may meet a lock that it has taken itself: where the answer to that is
    /// lost, the SDK asks again. Nothing else gives that lock back.
    ///
    /// Once nobody needs the answer, the little time that is left is too short to give it back.
    async fn look_by_untaint(&self) -> Result<Look, ToolError> {
        if self.host.is_in_vain() {
            return Err(ToolError::InVain);
        }
        match self.untaint().await? {
            // A release that compares nothing might take somebody else's.
            Untaint::OwnLook(lock) if !self.is_watched() && !self.end().is_blind() => {
                match self.give_back(&lock).await {
                    Ok(Untaint::Done(Look::Held(left))) if left.id == lock.id => {
                        Err(kept(&left, "it is still there"))
                    }
                    Ok(Untaint::Done(look)) => Ok(look),
                    Ok(Untaint::OwnLook(next)) => Err(kept(&next, "it is still there")),
                    Err(error) if error.may_act_yet() => Err(error),
                    Err(error) => Err(kept(&lock, &error.to_string())),
                }
            }
            untaint => Ok(untaint.into_look()),
        }
    }

    /// Releases a lock that only a look of ours can have taken: another `untaint` of the same name
    /// would have ended by now.
    async fn give_back(&self, own: &LockInfo) -> Result<Untaint, ToolError> {
        let is_signed = Holder::of(own).is_some();
        let neighbours = self.host.neighbours(&self.place.programs()).ok();
        let Some(within) = ended_within(is_signed, neighbours) else {
            return Err(kept(
                own,
                "somebody else may have taken it under the same name",
            ));
        };
        // Where the grace period ends before it, so does the next question, and nothing is released.
        self.host.limited(within, future::pending::<()>()).await;
        match self.untaint().await? {
            Untaint::Done(Look::Held(lock)) if lock.id == own.id => {
                // Whatever the release says of itself, a look says what is there.
                self.release(own).await?;
                self.untaint().await
            }
            untaint => Ok(untaint),
        }
    }

    /// Releases the lock of a look that was killed, where a wrong ID shows it, and nobody else can have
    /// taken it meanwhile.
    async fn take_back(&self, look_began: Timestamp, why: HelperError) -> ToolError {
        let amend = async |command| self.host.run_amends(command, LIMIT_OF_RELEASE).await.ok();
        if let ByTerraform::WrongId(_) = self.strategy
            && let Some(shown) = amend(self.unlock(NO_ID)).await
            && let Some(lock) = lock_info(&shown.stderr)
            && is_own_look(&lock, look_began)
            && self.is_ours(&lock)
            && self.is_nobody_elses(&lock)
            && let Some(released) = amend(self.unlock(&lock.id)).await
            && released.status.success()
        {
            return ToolError::Helper(why);
        }
        ToolError::CutShort(why)
    }

    fn unlock(&self, id: &str) -> Command {
        self.state_command(&["force-unlock", "-no-color", "-force", "--", id])
    }

    async fn untaint(&self) -> Result<Untaint, ToolError> {
        let command = self.state_command(&[
            OF_A_LOOK,
            "-no-color",
            "-allow-missing",
            "-lock-timeout=0s",
            NO_RESOURCE,
        ]);
        let began = Timestamp::now();
        let helped = match self.ask_with(command, TO_GIVE_BACK).await {
            Err(error @ (HelperError::TimedOut { .. } | HelperError::Killed { .. }))
                if !self.is_watched() =>
            {
                return Err(self.take_back(began, error).await);
            }
            helped => helped?,
        };
        // Terraform ends well although it could not give the lock back: it does that last of all.
        let is_kept = !self.is_watched() && says_not_released(&helped);
        // A program that ends well and says nothing of what Terraform says has not looked.
        if helped.status.success() && helped.stdout.contains(NOT_FOUND) && !is_kept {
            return Ok(Untaint::Done(Look::Free));
        }
        match lock_info(&helped.stderr).or_else(|| lock_info(&helped.stdout)) {
            Some(lock) if is_own_look(&lock, began) && self.is_ours(&lock) => {
                Ok(Untaint::OwnLook(lock))
            }
            Some(lock) => {
                // On consul, whoever opens a state of a workspace locks it, whether it is there or not.
                let is_made = self.backend.is_made_by_asking();
                self.is_shut_out.set(is_made && is_not_opened(&helped));
                Ok(Untaint::Done(Look::Held(lock)))
            }
            None if is_kept => Err(self.kept_by_look(&helped)),
            None if names_nobody(&helped.stderr) => Ok(Untaint::Done(Look::HeldBySomebody)),
            None if lacks_table(&helped.stderr) => self.without_state().map(Untaint::Done),
            None if self.backend.says_unread(&helped.stderr) => Ok(Untaint::Done(Look::Free)),
            None => Err(self.failed(OF_A_LOOK, &helped)),
        }
    }

    /// Whether a look with this name can be none but ours: a build has signed it, and none but us runs
    /// under its name.
    fn is_nobody_elses(&self, look: &LockInfo) -> bool {
        let neighbours = self.host.neighbours(&self.place.programs());
        let is_alone = matches!(
            neighbours,
            Ok(Neighbours::NonePossible | Neighbours::NoneHere)
        );
        Holder::of(look).is_some() && is_alone
    }

    /// Whether a look that the program names is the one that it was asked for: pg names no other.
    fn is_ours(&self, look: &LockInfo) -> bool {
        self.is_watched() || look.who == self.place.signature()
    }

    /// What it means that the database has no table of states, without which nobody can lock one.
    fn without_state(&self) -> Result<Look, ToolError> {
        if self.place.is_seen {
            Ok(Look::Free)
        } else {
            Err(ToolError::NoState(
                "the database has no table of states, so nobody has deployed there yet, or \
                 `conn_str` or `schema_name` is misspelt"
                    .to_owned(),
            ))
        }
    }

    /// Why a look has no answer that has the lock yet and does not say which one.
    fn kept_by_look(&self, helped: &Helped) -> ToolError {
        let said = [&helped.stderr, &helped.stdout];
        let said = said.iter().find(|said| said.contains(NOT_RELEASED));
        let said = said.map_or_else(String::new, |said| self.secrets().essence(said));
        let program = by_hand::program(&self.place);
        ToolError::KeptByLook {
            reason: format!("{program} {OF_A_LOOK} said: {said}"),
        }
    }

    fn is_watched(&self) -> bool {
        self.strategy == ByTerraform::Watch
    }
}

fn is_not_opened(helped: &Helped) -> bool {
    NOT_OPENED.iter().any(|said| helped.stderr.contains(said))
}

/// Whether `untaint` had the lock, and could not give it back. Older Terraforms say so on their standard
/// output.
fn says_not_released(helped: &Helped) -> bool {
    let said = [&helped.stderr, &helped.stdout];
    said.iter().any(|said| said.contains(NOT_RELEASED))
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use serde_json::json;

    use super::super::backend::tests::backend;
    use super::*;

    #[test]
    fn who_could_not_read_the_state_had_the_lock_only_where_it_is_known() {
        let other_content =
            "Failed to load state: state data in S3 does not have the\nexpected content.";
        for (stderr, expected) in [
            (other_content, true),
            ("Failed to load state: dial tcp: connection refused", false),
            ("Failed to load state: ExpiredToken", false),
            (
                "Failed to load state: failed to lock state in Consul: Lock Info:\n  ID: 4711",
                false,
            ),
        ] {
            let s3 = backend("s3", &json!({}));
            assert_eq!(s3.says_unread(stderr), expected, "{stderr}");
        }
        // Of another backend it says nothing of the kind.
        for kind in ["gcs", "pg", "cloud"] {
            assert!(!backend(kind, &json!({})).says_unread(other_content));
        }
    }

    #[test]
    fn each_program_says_in_one_of_its_outputs_that_it_could_not_give_the_lock_back() {
        let missing = "Warning: No such resource instance\n";
        let of_today = "Error: Error releasing the state lock\n\nError message: AccessDenied\n";
        let of_old = "Error releasing the state lock!\n\nError message: AccessDenied\n";
        for (stdout, stderr, expected) in [
            (missing, "", false),
            (missing, "Error: Error acquiring the state lock\n", false),
            (missing, of_today, true),
            (of_old, "", true),
        ] {
            let helped = Helped {
                status: ExitStatus::default(),
                stdout: stdout.to_owned(),
                stderr: stderr.to_owned(),
            };
            assert_eq!(says_not_released(&helped), expected, "{helped:?}");
        }
    }
}
