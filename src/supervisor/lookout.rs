//! Notices which programs of one kind run in a deploy, however short they live.
//!
//! Nobody tells a process what its descendants start. But an exec opens the program's file, and the
//! kernel tells of that: so every file is watched that is known to be such a program. Each time one
//! is opened, /proc is read for a while, because the process is still the old one when the file is
//! opened, and a version manager opens its own file first. What cannot be known beforehand is found
//! by a slow timer, and known from then on.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;
use tracing::warn;

use super::clock::Clock;
use super::grounds::{Found, Grounds, walk};
use super::held::{self, Held, Holdings};
use super::kernel::{Awaited, awaited};
use super::process::{self, Identity, Process, Programs, is_hidden};
use super::tree::descendants;
use crate::environment::Environment;

/// How often is looked where nothing tells of a new process.
const SLOW: Duration = Duration::from_secs(1);
/// How long is looked again and again once a program was opened: a version manager that is a shell
/// script takes a tenth of a second until it becomes what it manages.
const ATTENTION: Duration = Duration::from_millis(300);
/// The time between two such looks: no Terraform lives shorter than that.
const CLOSELY: Duration = Duration::from_millis(20);
/// The first of them.
const AT_ONCE: Duration = Duration::from_millis(1);
/// How many directories of a clone are watched for programs that arrive later: the kernel gives a user
/// only so many watches.
const DIRECTORIES: usize = 1_000;
/// What it takes to close a file.
const STACK: usize = 64 * 1024;

/// A process that runs a tool, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Tool(SeenTool),
    /// A tool of this name that does not let us see what it does.
    Hidden(String),
}

/// What decides what a tool does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenTool {
    pub(crate) program: PathBuf,
    /// The same, wherever its file goes.
    pub(crate) held: Option<Held>,
    /// The words with which it was started, its own name first.
    pub(crate) arguments: Vec<String>,
    pub(crate) directory: PathBuf,
    pub(crate) environment: Environment,
    /// Whether what it prints comes to us.
    pub(crate) is_heard: bool,
}

/// Watches one deploy.
pub(crate) struct Lookout {
    tools: Programs,
    inotify: Option<AsyncFd<Awaited<Inotify>>>,
    watched: HashMap<WatchDescriptor, Watched>,
    directories: usize,
    noticed: HashSet<(Identity, PathBuf, Vec<String>)>,
    held: Holdings,
    /// What had no environment yet, or has none.
    bare: HashSet<Identity>,
    /// What could not be looked at once.
    hidden: HashSet<Identity>,
    /// Whether it was said that the kernel gives no more watches.
    is_short_of_watches: bool,
}

/// What has happened to the files that are watched.
#[derive(Default)]
struct Happened {
    /// A tool may be about to run.
    may_run: bool,
    /// Something has happened of which the kernel could not tell.
    is_lost: bool,
}

enum Watched {
    Program,
    Directory(PathBuf),
}

impl Lookout {
    /// Watches for `tools`. Where the kernel gives no watches, only a slow timer is left: it is said.
    pub(crate) fn new(tools: &Programs) -> Self {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)
            .map_err(io::Error::from)
            .and_then(awaited);
        if let Err(error) = &inotify {
            warn_of_few_watches(error);
        }
        Self {
            tools: tools.clone(),
            is_short_of_watches: inotify.is_err(),
            inotify: inotify.ok(),
            watched: HashMap::new(),
            directories: 0,
            noticed: HashSet::new(),
            held: Holdings::default(),
            bare: HashSet::new(),
            hidden: HashSet::new(),
        }
    }

    /// Tells `notice` of each tool that runs below us, until this is dropped.
    pub(crate) async fn notice(
        &mut self,
        grounds: Grounds,
        mut notice: impl FnMut(Seen),
    ) -> Infallible {
        self.watch_path(&grounds.path);
        // A clone may hold many thousand files, and the deploy is not to wait for them.
        let tools = self.tools.clone();
        let walk_clone = || {
            let (clone, tools) = (grounds.clone.clone(), tools.clone());
            tokio::task::spawn_blocking(move || walk(&clone, &tools))
        };
        let (mut walk, mut is_walking, mut is_lost) = (walk_clone(), true, false);
        let (mut attentive_until, mut step) = (Instant::now() + ATTENTION, AT_ONCE);
        let clock = Clock::new();
        loop {
            let is_attentive = Instant::now() < attentive_until;
            tokio::select! {
                found = &mut walk, if is_walking => {
                    is_walking = false;
                    self.watch_found(&found.unwrap_or_default());
                }
                () = touched(self.inotify.as_ref()) => {}
                () = clock.wait(if is_attentive { step } else { SLOW }) => {}
            }
            step = (step * 2).min(CLOSELY);
            let happened = self.take_in();
            is_lost |= happened.is_lost;
            if is_lost && !is_walking {
                self.watch_path(&grounds.path);
                walk = walk_clone();
                (is_walking, is_lost) = (true, false);
            }
            if happened.may_run {
                step = AT_ONCE;
            }
            if self.look(&mut notice) || happened.may_run {
                attentive_until = Instant::now() + ATTENTION;
            }
        }
    }
}

/// To close what has watches keeps whoever does it waiting for 10 ms and more, as `bench/run start`
/// shows. There is better to be done then: to look at the lock.
impl Drop for Lookout {
    fn drop(&mut self) {
        if let Some(inotify) = self.inotify.take() {
            let Awaited(inotify) = inotify.into_inner();
            // Where there is no thread to be had, it is closed here.
            let _ = thread::Builder::new()
                .stack_size(STACK)
                .spawn(move || drop(inotify));
        }
    }
}

impl Lookout {
    /// Looks at all that runs below us, and tells of what was not noticed before.
    fn look(&mut self, notice: &mut impl FnMut(Seen)) -> bool {
        let mut is_news = false;
        for process in descendants().unwrap_or_default() {
            if let Some(seen) = self.see(&process) {
                is_news = true;
                notice(seen);
            }
        }
        is_news
    }

    /// What a process does, where it is a tool that was not noticed before.
    fn see(&mut self, process: &Process) -> Option<Seen> {
        let pid = process.identity.pid;
        let program = match held::path(pid) {
            Ok(program) => program,
            // What has just ended has nothing to tell; what is hidden from us may be a tool.
            Err(error) if !is_hidden(&error) => return None,
            Err(_) => return self.see_hidden(process),
        };
        if !self.tools.contain(&name_of(&program)) || process.only_forked {
            return None;
        }
        let arguments = process::words(&fs::read(format!("/proc/{pid}/cmdline")).ok()?);
        let key = (process.identity, program.clone(), arguments.clone());
        if self.noticed.contains(&key) {
            return None;
        }
        let environment = fs::read(format!("/proc/{pid}/environ"));
        let directory = fs::read_link(format!("/proc/{pid}/cwd"));
        let (environment, directory) = match (environment, directory) {
            (Ok(environment), Ok(directory)) => (environment, directory),
            (Err(error), _) | (_, Err(error)) if is_hidden(&error) => {
                return self.see_hidden(process);
            }
            _ => return None,
        };
        // Between the two halves of an exec, words and variables are not there yet.
        let is_bare = arguments.is_empty() || environment.is_empty();
        if is_bare && self.bare.insert(process.identity) {
            return None;
        }
        self.noticed.insert(key);
        self.watch_program(&program);
        Some(Seen::Tool(SeenTool {
            held: self.held.hold(pid),
            program,
            arguments,
            directory,
            environment: Environment::parse(&environment),
            is_heard: process::prints_to_us(pid),
        }))
    }

    /// In the midst of an exec a process may be hidden for a moment; another user's stays so.
    fn see_hidden(&mut self, process: &Process) -> Option<Seen> {
        let name = process.name();
        if !self.tools.contain(&name) || self.hidden.insert(process.identity) {
            return None;
        }
        let key = (process.identity, PathBuf::from(&name), Vec::new());
        let is_new = self.noticed.insert(key);
        is_new.then_some(Seen::Hidden(name))
    }

    fn watch_path(&mut self, path: &[PathBuf]) {
        for directory in path {
            self.watch_directory(directory);
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if self.tools.contain(&entry.file_name().to_string_lossy()) {
                    self.watch_program(&entry.path());
                }
            }
        }
    }

    fn watch_found(&mut self, found: &Found) {
        for directory in &found.directories {
            self.watch_directory(directory);
        }
        for program in &found.programs {
            self.watch_program(program);
        }
    }

    fn watch_program(&mut self, program: &Path) {
        if let Some(descriptor) = self.add(program, AddWatchFlags::IN_OPEN) {
            self.watched.insert(descriptor, Watched::Program);
        }
    }

    fn watch_directory(&mut self, directory: &Path) {
        let arrivals =
            AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR;
        if self.directories < DIRECTORIES
            && let Some(descriptor) = self.add(directory, arrivals)
        {
            let watched = Watched::Directory(directory.to_owned());
            if self.watched.insert(descriptor, watched).is_none() {
                self.directories += 1;
            }
        }
    }

    fn add(&mut self, path: &Path, events: AddWatchFlags) -> Option<WatchDescriptor> {
        let inotify = self.inotify.as_ref()?.get_ref();
        let added = inotify.0.add_watch(path, events);
        if added == Err(Errno::ENOSPC) && !self.is_short_of_watches {
            self.is_short_of_watches = true;
            warn_of_few_watches(&Errno::ENOSPC.into());
        }
        added.ok()
    }

    /// All that the kernel has to tell: one read takes only a few.
    fn events(&self) -> Vec<InotifyEvent> {
        let mut all = Vec::new();
        if let Some(inotify) = &self.inotify {
            while let Ok(events) = inotify.get_ref().0.read_events() {
                all.extend(events);
            }
        }
        all
    }

    /// Takes in what has happened to the files.
    fn take_in(&mut self) -> Happened {
        let mut happened = Happened::default();
        for event in self.events() {
            // Where much happens at once, the kernel drops the rest, and says only that.
            happened.is_lost |= event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
            happened.may_run |= happened.is_lost;
            let arrived = match (self.watched.get(&event.wd), &event.name) {
                (Some(Watched::Directory(directory)), Some(name)) => directory.join(name),
                (watched, _) => {
                    happened.may_run |= watched.is_some();
                    continue;
                }
            };
            if event.mask.contains(AddWatchFlags::IN_ISDIR) {
                self.watch_found(&walk(&arrived, &self.tools));
            } else if self.tools.contain(&name_of(&arrived)) {
                self.watch_program(&arrived);
                happened.may_run = true;
            }
        }
        happened
    }
}

fn warn_of_few_watches(error: &io::Error) {
    warn!(
        "The kernel gives no more watches on files ({error}), so a tool that runs for less than a \
         second may be missed. Raise fs.inotify.max_user_instances and max_user_watches."
    );
}

/// Waits until something happens to a watched file.
async fn touched(inotify: Option<&AsyncFd<Awaited<Inotify>>>) {
    match inotify {
        // An error would be one of the event loop itself; the slow timer is left then.
        Some(inotify) => match inotify.readable().await {
            Ok(mut ready) => ready.clear_ready(),
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::process::tests::process;
    use super::*;

    #[tokio::test]
    async fn only_what_stays_hidden_is_a_tool_that_does_not_let_us_see() {
        let own = process(std::process::id().cast_signed(), 1);
        let tools = Programs::new(vec![own.name()], &[]);
        let mut lookout = Lookout::new(&tools);
        assert_eq!(lookout.see_hidden(&own), None);
        let hidden = Seen::Hidden(own.name());
        assert_eq!(lookout.see_hidden(&own), Some(hidden));
        assert_eq!(lookout.see_hidden(&own), None, "it is told once");
    }

    #[tokio::test]
    async fn a_tool_that_arrives_among_many_files_is_known_at_once_and_so_is_what_was_lost() {
        let scratch = tempfile::tempdir().unwrap();
        let mut lookout = Lookout::new(&Programs::new(vec!["tool".to_owned()], &[]));
        lookout.watch_directory(scratch.path());
        let make = |name: &str| fs::write(scratch.path().join(name), "").unwrap();
        (0..500).for_each(|number| make(&format!("few-{number}")));
        make("tool");
        let happened = lookout.take_in();
        assert!(happened.may_run && !happened.is_lost);

        let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let most: usize = most.trim().parse().unwrap();
        // Two of a kind in a row would be told as one.
        let opened = ["few-0", "few-1"].map(|name| scratch.path().join(name));
        for path in &opened {
            lookout.watch_program(path);
        }
        for path in opened.iter().cycle().take(most + 1) {
            fs::File::open(path).unwrap();
        }
        let happened = lookout.take_in();
        assert!(happened.may_run && happened.is_lost);
    }
}
