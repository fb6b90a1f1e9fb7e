//! A Terraform provider for tests: its resources take as long as the test wants, and ignore Stop
//! where they are not told to give up.
//!
//! A gate is a file: the provider makes `GATE.reached` when it comes to it, and goes on when the
//! test makes `GATE`.

mod object;
mod stop;
mod texts;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tf_provider::schema::{AttributeConstraint, Schema};
use tf_provider::value::{Value, ValueEmpty, ValueString};
use tf_provider::{
    AttributePath, Diagnostics, DynamicDataSource, DynamicResource, Provider, Resource, map, serve,
};

use object::{Object, WORLD};
use texts::texts;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct State<'a> {
    #[serde(borrow = "'a")]
    name: ValueString<'a>,
    plan_gate: ValueString<'a>,
    create_gate: ValueString<'a>,
    /// In milliseconds.
    create_time: ValueString<'a>,
    /// A file that is there once the resource is, whatever Terraform knows of it.
    record: ValueString<'a>,
}

/// How long the last answer may take to be sent.
const TO_ANSWER: Duration = Duration::from_millis(300);
/// How often is looked whether something has come to pass.
const MOMENT: Duration = Duration::from_millis(5);
/// How many resources take their time, or did until TO_ANSWER ago.
static BUSY: AtomicUsize = AtomicUsize::new(0);

async fn pass(gate: &ValueString<'_>) {
    let Value::Value(gate) = gate else { return };
    let gate = Path::new(gate.as_ref());
    busy(async {
        fs::write(gate.with_extension("reached"), "").expect("the test made the directory");
        while !gate.exists() {
            tokio::time::sleep(MOMENT).await;
        }
    })
    .await;
}

async fn take(time: &ValueString<'_>) {
    let Value::Value(time) = time else { return };
    let time = time.parse().expect("a number of milliseconds");
    busy(tokio::time::sleep(Duration::from_millis(time))).await;
}

/// Does what takes time, and answers for it also where the library is told to end meanwhile.
async fn busy(work: impl Future<Output = ()>) {
    let _busy = Busy::begin();
    work.await;
}

/// Somebody who is busy until TO_ANSWER after the end of it, also where that is given up.
struct Busy;

impl Busy {
    fn begin() -> Self {
        BUSY.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        tokio::spawn(async {
            tokio::time::sleep(TO_ANSWER).await;
            BUSY.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

struct Thing;

#[async_trait]
impl Resource for Thing {
    type State<'a> = State<'a>;
    type PrivateState<'a> = ValueEmpty;
    type ProviderMetaState<'a> = ValueEmpty;

    fn schema(&self, _: &mut Diagnostics) -> Option<Schema> {
        Some(texts(
            "Takes as long as the test wants",
            [
                ("name", AttributeConstraint::Required),
                ("plan_gate", AttributeConstraint::Optional),
                ("create_gate", AttributeConstraint::Optional),
                ("create_time", AttributeConstraint::Optional),
                ("record", AttributeConstraint::Optional),
            ],
        ))
    }

    async fn read<'a>(
        &self,
        _: &mut Diagnostics,
        state: State<'a>,
        private_state: ValueEmpty,
        _: ValueEmpty,
    ) -> Option<(State<'a>, ValueEmpty)> {
        Some((state, private_state))
    }

    async fn plan_create<'a>(
        &self,
        _: &mut Diagnostics,
        proposed_state: State<'a>,
        _: State<'a>,
        _: ValueEmpty,
    ) -> Option<(State<'a>, ValueEmpty)> {
        pass(&proposed_state.plan_gate).await;
        Some((proposed_state, ValueEmpty::default()))
    }

    async fn plan_update<'a>(
        &self,
        _: &mut Diagnostics,
        _: State<'a>,
        proposed_state: State<'a>,
        _: State<'a>,
        private_state: ValueEmpty,
        _: ValueEmpty,
    ) -> Option<(State<'a>, ValueEmpty, Vec<AttributePath>)> {
        Some((proposed_state, private_state, Vec::new()))
    }

    async fn plan_destroy<'a>(
        &self,
        _: &mut Diagnostics,
        _: State<'a>,
        private_state: ValueEmpty,
        _: ValueEmpty,
    ) -> Option<ValueEmpty> {
        Some(private_state)
    }

    async fn create<'a>(
        &self,
        _: &mut Diagnostics,
        planned_state: State<'a>,
        _: State<'a>,
        private_state: ValueEmpty,
        _: ValueEmpty,
    ) -> Option<(State<'a>, ValueEmpty)> {
        pass(&planned_state.create_gate).await;
        take(&planned_state.create_time).await;
        if let Value::Value(record) = &planned_state.record {
            fs::write(record.as_ref(), "").expect("the test made the directory");
        }
        Some((planned_state, private_state))
    }

    async fn update<'a>(
        &self,
        _: &mut Diagnostics,
        _: State<'a>,
        planned_state: State<'a>,
        _: State<'a>,
        private_state: ValueEmpty,
        _: ValueEmpty,
    ) -> Option<(State<'a>, ValueEmpty)> {
        Some((planned_state, private_state))
    }

    async fn destroy<'a>(
        &self,
        _: &mut Diagnostics,
        _: State<'a>,
        _: ValueEmpty,
        _: ValueEmpty,
    ) -> Option<()> {
        Some(())
    }
}

struct Slow;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Config<'a> {
    /// The file of what there is, see [`object`].
    #[serde(borrow = "'a")]
    world: ValueString<'a>,
}

#[async_trait]
impl Provider for Slow {
    type Config<'a> = Config<'a>;
    type MetaState<'a> = ValueEmpty;

    fn schema(&self, _: &mut Diagnostics) -> Option<Schema> {
        Some(texts("", [("world", AttributeConstraint::Optional)]))
    }

    async fn configure<'a>(
        &self,
        _: &mut Diagnostics,
        _: String,
        config: Config<'a>,
    ) -> Option<()> {
        if let Value::Value(world) = &config.world {
            // There is one configuration of it in a test.
            let _ = WORLD.set(world.to_string());
        }
        Some(())
    }

    fn get_resources(
        &self,
        _: &mut Diagnostics,
    ) -> Option<HashMap<String, Box<dyn DynamicResource>>> {
        let mut resources: HashMap<String, Box<dyn DynamicResource>> = map! { "thing" => Thing };
        for (name, has_import) in [("object", true), ("rooted", false)] {
            resources.insert(name.to_owned(), Box::new(Object { has_import }));
        }
        Some(resources)
    }

    fn get_data_sources(
        &self,
        _: &mut Diagnostics,
    ) -> Option<HashMap<String, Box<dyn DynamicDataSource>>> {
        Some(map! {})
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    stop::listen();
    let served = serve("slow", Slow).await;
    // On Stop the library closes its server, and would end before what is being made is answered
    // for. A real provider goes on, and so does this one.
    while BUSY.load(Ordering::SeqCst) > 0 {
        tokio::time::sleep(MOMENT).await;
    }
    served
}
