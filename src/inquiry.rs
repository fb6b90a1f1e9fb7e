//! Gathers what is known of the holder of a lock, and asks nobody for what is not needed.

mod given;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::bitbucket::ApiError;
use crate::bitbucket::api::{Api, MOST_REQUESTS, Question};
use crate::bitbucket::build::{Build, STEP_RUN_NUMBER, STEP_UUID};
use crate::bitbucket::log::REQUESTS_FOR_A_LOG;
use crate::docker::{Container, Daemon};
use crate::identity::{Left, Mark, Neighbours};
use crate::lock::{
    Answer, Doubt, Evidence, Holder, Life, LockInfo, Others, Owner, Presence, Run, Siblings,
    StepReport, Verdict, judge, judge_own, judge_unasked,
};
use crate::pipelines::releases;
use crate::recovery::pace::Allowance;
use crate::tools::{Host, Processes, Signing, Tool, ToolError};
use given::Given;

/// Marks every process of a deploy with the stamp of its locks without the commit, so that one that is
/// left can be found.
pub(crate) const STAMP: &str = "SOFTSTOP_STAMP";
/// The pipelines file, in the clone.
const PIPELINES_FILE: &str = "bitbucket-pipelines.yml";
/// Why Bitbucket is not asked although there is a token.
const NOT_ASKED: &str = "Bitbucket wants to be left alone, or was asked as often as one run may";
/// How long Bitbucket and Docker may take, all retries included.
const LIMIT_OF_A_QUESTION: Duration = Duration::from_secs(20);

/// Who asks, from where, and whom there is to ask.
pub(crate) struct Inquiry<'a, H> {
    host: &'a H,
    pub(crate) build: Option<Build>,
    /// Nothing where there is no token.
    api: Option<Api>,
    daemon: Daemon,
    /// Whether this is a `release`, a step of its own that the pipeline runs after the others, or a
    /// `status`, which tells what a release would do.
    is_for_release: bool,
    began: Timestamp,
    answers: RefCell<HashMap<String, Rc<Mutex<Option<Given>>>>>,
    allowance: RefCell<Allowance>,
    has_told_of_lost_name: Cell<bool>,
    /// Whether a log was waited for in vain: nobody waits for a second one.
    waits_for_no_log: Cell<bool>,
}

impl<'a, H: Host> Inquiry<'a, H> {
    pub(crate) fn new(
        host: &'a H,
        build: Option<Build>,
        api: Option<Api>,
        daemon: Daemon,
        is_for_release: bool,
    ) -> Self {
        Self {
            host,
            build,
            api,
            daemon,
            is_for_release,
            began: Timestamp::now(),
            answers: RefCell::default(),
            allowance: RefCell::default(),
            has_told_of_lost_name: Cell::default(),
            waits_for_no_log: Cell::default(),
        }
    }

    /// Judges whether the holder of `lock` is over.
    pub(crate) async fn judge(&self, tool: &Tool, lock: &LockInfo) -> Result<Verdict, ToolError> {
        let signature = tool.signature();
        let holder = Holder::of(lock);
        let build = self.build.as_ref();
        let evidence = Evidence {
            signature: &signature,
            others: if lock.who == signature {
                self.others(tool).map_err(ToolError::Hidden)?
            } else {
                Others::Hidden
            },
            asker: build.map(|build| &build.owner),
            siblings: match &holder {
                Some(holder) => self.siblings(&holder.owner),
                None => Siblings::Open { reason: None },
            },
            began: self.began,
            sighting: match &holder {
                _ if self.is_own_look(lock, &signature) => Presence::Alive(Life::OwnLook),
                Some(holder) => self.look_for(tool, holder, &signature).await,
                None => Presence::Nothing,
            },
        };
        let answer = match (judge_unasked(lock, &evidence), &holder) {
            (None, Some(holder)) => self.answer(holder).await,
            _ => Answer::NoToken,
        };
        let verdict = judge(lock, &evidence, &answer);
        debug!("{lock}.\n  {evidence}\n  Bitbucket: {answer}.\n  So {verdict}.");
        Ok(verdict)
    }

    /// What the order of steps says of the step that holds the lock.
    ///
    /// Nobody has confirmed that a pipe learns that it runs beside others, so a release trusts the
    /// pipelines file too. One that the file hides in a script runs in the build container, where
    /// that is documented to be known.
    fn siblings(&self, holder: &Owner) -> Siblings {
        let open = |reason: String| Siblings::Open {
            reason: Some(reason),
        };
        let is_sibling = |build: &&Build| holder.is_in_pipeline_of(&build.owner);
        let Some(build) = self.build.as_ref().filter(is_sibling) else {
            return Siblings::Open { reason: None };
        };
        if !self.is_for_release {
            return Siblings::Open { reason: None };
        }
        if build.is_parallel {
            return open("this step runs beside others".to_owned());
        }
        let Some(clone) = &build.clone else {
            return open("BITBUCKET_CLONE_DIR names no clone with a pipelines file".to_owned());
        };
        match releases::run_alone(&clone.join(PIPELINES_FILE), build.sections) {
            Ok(()) => Siblings::Over,
            Err(reason) => open(reason.to_string()),
        }
    }

    /// Whether a look of our own holds the lock, at the same state from another directory; a build need not
    /// have signed it.
    fn is_own_look(&self, lock: &LockInfo, signature: &str) -> bool {
        lock.is_of_a_look && lock.who == signature && lock.created > Some(self.began)
    }

    /// Looks for the holder itself: among the processes that can be seen, and among the containers
    /// of a Docker daemon in reach. A daemon that does not know the container proves nothing: it
    /// may be another machine's.
    async fn look_for(&self, tool: &Tool, holder: &Holder, signature: &str) -> Presence {
        let is_here = signature.ends_with(&format!("@{}", holder.host));
        match self.left_of(tool, &holder.owner) {
            Ok(Left::Somebody) => return Presence::Alive(Life::StillHere),
            Ok(Left::Perhaps) if is_here => return Presence::Unclear(Doubt::PerhapsHere),
            Err(error) if is_here => {
                let reason = error.to_string();
                return Presence::Unclear(Doubt::ProcessesHidden { reason });
            }
            _ if is_here => return Presence::Nothing,
            // Whoever is here and does not say whose he is, is not on the holder's host.
            _ => {}
        }
        let Some(id) = holder.container() else {
            return Presence::Nothing;
        };
        let found = self
            .host
            .limited(LIMIT_OF_A_QUESTION, self.daemon.look_for(id))
            .await;
        if let Some(found) = &found {
            debug!("Docker was asked about the container {id}: {found}.");
        }
        let reason = match found {
            Some(Container::Running) => return Presence::Alive(Life::Container),
            Some(Container::NotRunning | Container::NoDaemon) => return Presence::Nothing,
            Some(Container::Unknown(reason)) => reason,
            None => "there was no time left to ask Docker".to_owned(),
        };
        Presence::Unclear(Doubt::DockerSilent { reason })
    }

    async fn answer(&self, holder: &Holder) -> Answer {
        let Some(api) = &self.api else {
            return Answer::NoToken;
        };
        let run = holder.owner.name_of_run();
        let given = Rc::clone(self.answers.borrow_mut().entry(run).or_default());
        let holders = self.answers.borrow().len();
        // Whoever comes with the same question while it is being asked waits for the answer.
        let mut given = given.lock().await;
        let now = Instant::now();
        if let Some(given) = given.as_ref().filter(|given| given.is_fresh(now, holders)) {
            return given.answer.clone();
        }
        let requests = if given.is_some() { 1 } else { MOST_REQUESTS };
        if !self.allowance.borrow_mut().covers(requests, now) {
            return given
                .as_ref()
                .map_or_else(not_asked, |given| given.answer.clone());
        }
        let answer = self.ask(api, holder, given.is_none()).await;
        let next = Given::after(given.take(), answer, now);
        given.insert(next).answer.clone()
    }

    /// Whom to ask, where there is a token.
    pub(crate) fn api(&self) -> Option<&Api> {
        self.api.as_ref()
    }

    /// The end of the log of a step that is over, where there is a token to ask for it with. It is asked
    /// for once.
    pub(crate) async fn log_of(&self, owner: &Owner) -> Option<Vec<u8>> {
        let api = self.api.as_ref()?;
        let (pipeline, step) = (owner.pipeline().to_string(), owner.step().to_string());
        let question = Question {
            workspace: owner.workspace(),
            repository: owner.repository(),
            pipeline: &pipeline,
            step: &step,
        };
        if self.waits_for_no_log.get() {
            return None;
        }
        let (requests, now) = (REQUESTS_FOR_A_LOG, Instant::now());
        if !self.allowance.borrow_mut().covers(requests, now) {
            debug!("The log of the step is not asked for: {NOT_ASKED}.");
            return None;
        }
        let said = self.host.limited(LIMIT_OF_A_QUESTION, api.log(question));
        let said = said.await;
        self.count(api, said.as_ref().and_then(|said| said.as_ref().err()));
        if matches!(said, None | Some(Err(ApiError::TimedOut { .. }))) {
            self.waits_for_no_log.set(true);
        }
        match said? {
            Ok(log) => Some(log),
            Err(error) => {
                debug!("The log of the step cannot be read: {error}.");
                None
            }
        }
    }

    /// Asks Bitbucket: for the first time with patience, since there is no answer yet that could stand.
    async fn ask(&self, api: &Api, holder: &Holder, is_first: bool) -> Answer {
        let (pipeline, step) = (
            holder.owner.pipeline().to_string(),
            holder.owner.step().to_string(),
        );
        let question = Question {
            workspace: holder.owner.workspace(),
            repository: holder.owner.repository(),
            pipeline: &pipeline,
            step: &step,
        };
        let asked = async {
            if is_first {
                api.step(question).await
            } else {
                api.step_at_once(question).await
            }
        };
        let said = self.host.limited(LIMIT_OF_A_QUESTION, asked).await;
        self.count(api, said.as_ref().and_then(|said| said.as_ref().err()));
        answer_of(said)
    }

    /// Counts what was sent, and stays quiet where Bitbucket wants to be left alone.
    fn count(&self, api: &Api, error: Option<&ApiError>) {
        let mut allowance = self.allowance.borrow_mut();
        allowance.take(api.take_sent(), Instant::now());
        if let Some(time) = error.and_then(ApiError::quiet_time) {
            allowance.be_quiet(time, Instant::now());
        }
    }

    /// Judges whether `lock` is what a run has left behind that has ended here.
    pub(crate) async fn judge_finished(
        &self,
        tool: &Tool,
        lock: &LockInfo,
        finished: &Finished<'_>,
    ) -> Result<Verdict, ToolError> {
        let signature = tool.signature();
        self.tell_of_lost_name(lock, &signature);
        let version = tool.version(self.host).await?;
        let run = Run {
            who: &signature,
            version: &version,
            started: finished.started,
            ended: finished.ended,
            processes_gone: finished.tree_gone,
            tool_was_killed: finished.tool_was_killed,
            operations: finished.operations,
            others: self.others(tool).map_err(ToolError::Hidden)?,
        };
        let verdict = judge_own(lock, &run);
        debug!("{lock}.\n  {run}\n  So {verdict}.");
        Ok(verdict)
    }

    /// A program that is built with cgo asks the C library for its user, and signs as nobody where
    /// /etc/passwd has no entry, whatever USER says.
    fn tell_of_lost_name(&self, lock: &LockInfo, signature: &str) {
        let is_nobodys = lock.who.starts_with('@') && lock.who != signature;
        let is_lost = is_nobodys && signature.ends_with(&lock.who);
        if is_lost && !self.has_told_of_lost_name.replace(true) {
            warn!(
                "The lock {} is signed as {:?}, and not as {signature:?}: a program that is built with \
                 cgo does not take its user's name from USER. Its locks cannot be told from another \
                 one's. Use one that is built without cgo, as those that are published, or give the \
                 user an entry in /etc/passwd.",
                lock.id, lock.who
            );
        }
    }

    /// What is left of a deploy among the processes that can be seen.
    fn left_of(&self, tool: &Tool, owner: &Owner) -> io::Result<Left> {
        let (stamp, step, run) = (
            owner.name_of_run(),
            owner.step().to_string(),
            owner.run().to_string(),
        );
        let mark = |variable, value| Mark { variable, value };
        let job = [mark(STEP_UUID, &*step), mark(STEP_RUN_NUMBER, &*run)];
        self.host
            .left_of(&tool.programs(), mark(STAMP, &stamp), &job)
    }

    /// Who else can sign as we do.
    fn others(&self, tool: &Tool) -> io::Result<Others> {
        Ok(match self.host.neighbours(&tool.programs())? {
            Neighbours::NonePossible => Others::Impossible,
            Neighbours::NoneHere => Others::NotHere,
            Neighbours::Some => Others::Running,
            Neighbours::Hidden => Others::Hidden,
        })
    }
}

fn answer_of(said: Option<Result<StepReport, ApiError>>) -> Answer {
    match said {
        Some(Ok(step)) => Answer::Step(step),
        Some(Err(error)) if error.is_silence() => Answer::Silence {
            reason: error.to_string(),
            was_asked: error.is_an_answer(),
        },
        Some(Err(error)) => Answer::Unusable {
            reason: error.to_string(),
        },
        None => Answer::Silence {
            reason: "there was no time left to ask Bitbucket".to_owned(),
            was_asked: false,
        },
    }
}

fn not_asked() -> Answer {
    Answer::Silence {
        reason: NOT_ASKED.to_owned(),
        was_asked: false,
    }
}

/// What is known of a run that is over.
pub(crate) struct Finished<'a> {
    pub(crate) started: Timestamp,
    pub(crate) ended: Timestamp,
    pub(crate) tree_gone: bool,
    pub(crate) tool_was_killed: bool,
    /// The operations for which it can hold a lock.
    pub(crate) operations: &'a [&'a str],
}
