//! A resource that has an id, and that is there whatever Terraform knows of it.
//!
//! What there is stands in the world: a file to which every making, change and end adds a line, so
//! that also a provider that was left behind can write while the next one does.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tf_provider::schema::{AttributeConstraint, Schema};
use tf_provider::value::{Value, ValueEmpty, ValueString};
use tf_provider::{AttributePath, Diagnostics, Resource};

use crate::stop::is_stopped;
use crate::texts::texts;
use crate::{pass, take};

/// Where the world is, as the configuration of the provider says.
pub(crate) static WORLD: OnceLock<String> = OnceLock::new();
/// How many this process has made.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// An object, and what shall happen to it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct State<'a> {
    /// Not known before the object is there.
    #[serde(borrow = "'a")]
    id: ValueString<'a>,
    name: ValueString<'a>,
    /// Another one needs another object.
    kind: ValueString<'a>,
    /// Another one is given to the same object.
    label: ValueString<'a>,
    /// The id that it shall have, instead of a new one.
    wanted_id: ValueString<'a>,
    create_gate: ValueString<'a>,
    /// In milliseconds.
    create_time: ValueString<'a>,
    destroy_gate: ValueString<'a>,
    /// In milliseconds.
    destroy_time: ValueString<'a>,
    /// What it answers instead of being made.
    fails: ValueString<'a>,
    /// `drop`: on Stop it is given up while it is made, and is there all the same.
    on_stop: ValueString<'a>,
}

/// A line of the world.
#[derive(Deserialize, Serialize)]
struct Line {
    id: String,
    name: Option<String>,
    kind: Option<String>,
    label: Option<String>,
    is_there: bool,
}

/// An object of the world, which can be imported or not.
pub(crate) struct Object {
    pub(crate) has_import: bool,
}

fn text(value: &ValueString<'_>) -> Option<String> {
    match value {
        Value::Value(text) => Some(text.to_string()),
        Value::Null | Value::Unknown => None,
    }
}

fn given(text: Option<String>) -> ValueString<'static> {
    text.map_or(Value::Null, |text| Value::Value(text.into()))
}

fn write(state: &State<'_>, is_there: bool) {
    let Some(world) = WORLD.get() else { return };
    let line = Line {
        id: text(&state.id).unwrap_or_default(),
        name: text(&state.name),
        kind: text(&state.kind),
        label: text(&state.label),
        is_there,
    };
    let mut line = serde_json::to_string(&line).expect("texts alone");
    line.push('\n');
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(world)
        .expect("the test made the directory");
    // One write, so that no other process's line comes between.
    file.write_all(line.as_bytes()).expect("there is room");
}

/// What the world has under this id.
fn find(id: &str) -> Option<Line> {
    let world = fs::read_to_string(WORLD.get()?).ok()?;
    let mut lines = world
        .lines()
        .filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let latest = lines.rfind(|line| line.id == id);
    latest.filter(|line| line.is_there)
}

fn new_id() -> String {
    let number = MADE.fetch_add(1, Ordering::SeqCst);
    format!("obj-{}-{number}", process::id())
}

#[async_trait]
impl Resource for Object {
    type State<'a> = State<'a>;
    type PrivateState<'a> = ValueEmpty;
    type ProviderMetaState<'a> = ValueEmpty;

    fn schema(&self, _: &mut Diagnostics) -> Option<Schema> {
        Some(texts(
            "Is there whatever Terraform knows of it",
            [
                ("id", AttributeConstraint::Computed),
                ("name", AttributeConstraint::Optional),
                ("kind", AttributeConstraint::Optional),
                ("label", AttributeConstraint::Optional),
                ("wanted_id", AttributeConstraint::Optional),
                ("create_gate", AttributeConstraint::Optional),
                ("create_time", AttributeConstraint::Optional),
                ("destroy_gate", AttributeConstraint::Optional),
                ("destroy_time", AttributeConstraint::Optional),
                ("fails", AttributeConstraint::Optional),
                ("on_stop", AttributeConstraint::Optional),
            ],
        ))
    }

    async fn read<'a>(
        &self,
        _: &mut Diagnostics,
        mut state: State<'a>,
        private_state: ValueEmpty,
        _: ValueEmpty,
    ) -> Option<(State<'a>, ValueEmpty)> {
        if WORLD.get().is_some() {
            let found = find(&text(&state.id)?)?;
            state.name = given(found.name);
            state.kind = given(found.kind);
            state.label = given(found.label);
        }
        Some((state, private_state))
    }

    async fn plan_create<'a>(
        &self,
        _: &mut Diagnostics,
        mut proposed_state: State<'a>,
        _: State<'a>,
        _: ValueEmpty,
    ) -> Option<(State<'a>, ValueEmpty)> {
        proposed_state.id = Value::Unknown;
        Some((proposed_state, ValueEmpty::default()))
    }

    async fn plan_update<'a>(
        &self,
        _: &mut Diagnostics,
        prior_state: State<'a>,
        mut proposed_state: State<'a>,
        _: State<'a>,
        private_state: ValueEmpty,
        _: ValueEmpty,
    ) -> Option<(State<'a>, ValueEmpty, Vec<AttributePath>)> {
        let mut needs_another = Vec::new();
        if text(&prior_state.kind) != text(&proposed_state.kind) {
            proposed_state.id = Value::Unknown;
            needs_another.push(AttributePath::new("kind"));
        }
        Some((proposed_state, private_state, needs_another))
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
        diagnostics: &mut Diagnostics,
        mut planned_state: State<'a>,
        _: State<'a>,
        private_state: ValueEmpty,
        _: ValueEmpty,
    ) -> Option<(State<'a>, ValueEmpty)> {
        planned_state.id = given(Some(text(&planned_state.wanted_id).unwrap_or_else(new_id)));
        let is_dropped = text(&planned_state.on_stop).as_deref() == Some("drop");
        let made = async {
            pass(&planned_state.create_gate).await;
            take(&planned_state.create_time).await;
        };
        tokio::select! {
            () = made => {}
            () = is_stopped(), if is_dropped => {
                write(&planned_state, true);
                diagnostics.root_error_short("context canceled");
                return None;
            }
        }
        if let Some(why) = text(&planned_state.fails) {
            diagnostics.root_error_short(why);
            return None;
        }
        write(&planned_state, true);
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
        take(&planned_state.create_time).await;
        write(&planned_state, true);
        Some((planned_state, private_state))
    }

    async fn destroy<'a>(
        &self,
        _: &mut Diagnostics,
        state: State<'a>,
        _: ValueEmpty,
        _: ValueEmpty,
    ) -> Option<()> {
        pass(&state.destroy_gate).await;
        take(&state.destroy_time).await;
        write(&state, false);
        Some(())
    }

    async fn import<'a>(
        &self,
        diagnostics: &mut Diagnostics,
        id: String,
    ) -> Option<(State<'a>, ValueEmpty)> {
        if !self.has_import {
            diagnostics.root_error_short("resource slow_rooted doesn't support import");
            return None;
        }
        let Some(found) = find(&id) else {
            diagnostics.root_error_short(format!("there is no object {id:?}"));
            return None;
        };
        let state = State {
            id: given(Some(found.id)),
            name: given(found.name),
            kind: given(found.kind),
            label: given(found.label),
            ..State::default()
        };
        Some((state, ValueEmpty::default()))
    }
}
