//! All that comes before a deploy, or why none comes.

use tracing::warn;

use super::Story;
use super::past::LookedBack;
use super::unfinished::Weighed;
use crate::exit_code::Exit;
use crate::journal::{Past, Record};
use crate::story::conclusion::{Conclusion, Locks};
use crate::story::stage::Stage;
use crate::story::unfinished::Course;
use crate::story::warned::Warned;
use crate::supervisor::{Cost, Phase};
use crate::tools::Processes;
use crate::tools::recovering::Made;

/// What is known once nothing stands in the way of a deploy.
pub(super) struct Ready {
    pub(super) warned: Warned,
    /// How long a look takes here.
    pub(super) cost: Cost,
    /// Whether the state was found that is meant.
    pub(super) has_found_state: bool,
    /// Why nothing is known of the locks, as it was told.
    pub(super) told: Option<String>,
    /// What earlier deploys have left.
    pub(super) past: Past,
    /// How each record stands by now that is surely about this state.
    pub(super) records: Vec<Record>,
    pub(super) weighed: Weighed,
}

/// A deploy that did not begin.
pub(super) struct NotBegun {
    pub(super) conclusion: Conclusion,
    /// What earlier deploys have made and the state lacks, where that was looked at and stands in the way.
    pub(super) lacking: Option<Vec<Made>>,
}

impl From<Conclusion> for NotBegun {
    fn from(conclusion: Conclusion) -> Self {
        Self {
            conclusion,
            lacking: None,
        }
    }
}

impl<S: Stage> Story<'_, S> {
    /// All that comes before the deploy, or why none comes.
    pub(super) async fn get_ready(&self) -> Result<Ready, NotBegun> {
        let warned = self
            .ensure_access()
            .map_err(|why| Conclusion::not_begun(Exit::BadVariable, Locks::default(), why))?;
        self.clear_away();
        self.stage.enter(Phase::LookBefore);
        self.tool.introduce(self.stage).await;
        let mut before = self.free_before().await;
        let obstacle = before.obstacle.take();
        if let Some(stopped) = self.stopped_before(&before.locks).await {
            if let Some((_, why)) = obstacle {
                warn!("Nothing was deployed{why}");
            }
            return Err(stopped.into());
        }
        if let Some((exit, why)) = obstacle {
            return Err(Conclusion::not_begun(exit, before.locks, why).into());
        }

        let LookedBack {
            past,
            stored,
            records,
        } = self.past(&before).await;
        let weighed = self.weigh(&past, stored).await;
        if let Some(stopped) = self.stopped_before(&before.locks).await {
            return Err(stopped.into());
        }
        self.refuse(&weighed, &before.locks, &records).await?;
        Ok(Ready {
            warned,
            cost: before.cost,
            has_found_state: before.has_found_state,
            told: before.told,
            past,
            records,
            weighed,
        })
    }

    /// Lets no deploy begin where what earlier ones have left is to stop it.
    async fn refuse(
        &self,
        weighed: &Weighed,
        locks: &Locks,
        looked_back: &[Record],
    ) -> Result<(), NotBegun> {
        let Course::Stop(why) = weighed.course else {
            return Ok(());
        };
        let lacking = weighed.lacking();
        let mut looked_back = looked_back.to_vec();
        for record in &mut looked_back {
            record.heed(&lacking);
        }
        self.journal.write(self.stage, &looked_back).await;
        // Where nobody has looked, what an earlier deploy has written may be all that tells of it.
        let is_known = weighed.is_compared || !lacking.is_empty();
        Err(NotBegun {
            conclusion: Conclusion::unfinished(locks.clone(), why),
            lacking: is_known.then_some(lacking),
        })
    }

    /// Reports that nothing was begun, and why.
    pub(super) async fn turn_back(&self, not_begun: NotBegun) -> Conclusion {
        let NotBegun {
            conclusion,
            lacking,
        } = not_begun;
        let remains = self.remains_of_others(lacking.as_deref()).await;
        (self.report)(&conclusion, &remains);
        conclusion
    }

    /// How it ends where somebody has asked to stop before anything was begun.
    async fn stopped_before(&self, locks: &Locks) -> Option<Conclusion> {
        let interrupt = self.stage.interrupt()?;
        self.stage.kill_tree().await;
        let when = " before the deploy began";
        Some(Conclusion::stopped(interrupt.signal, when, locks.clone()))
    }
}
