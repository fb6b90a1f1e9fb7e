//! How what was made is brought into the state that lacks it.

use std::slice;

use crate::tools::recovering::{Made, Recovering};
use crate::tools::telling::Telling;
use crate::tools::{Host, Recoverer, Teller, Tool};

/// How that is done at one place.
#[derive(Clone, Copy)]
pub(crate) enum WayBack<'a> {
    /// By blocks, for the configuration.
    ByPlan(Recoverer<'a>),
    /// By commands, where the program knows no blocks.
    ByHand(Teller<'a>),
}

/// What the states lack, and how each of them gets it.
#[derive(Default)]
pub(crate) struct Imports<'a> {
    /// What earlier deploys have left.
    of_others: &'a [Made],
    way_of_others: Option<WayBack<'a>>,
    /// How what this one has left gets into its state.
    way: Option<WayBack<'a>>,
}

impl<'a> WayBack<'a> {
    /// The way of this place; nothing where its tool has none.
    pub(super) async fn to<H: Host>(host: &H, place: &'a Tool) -> Option<Self> {
        let (recoverer, teller) = (place.recoverer()?, place.teller()?);
        let is_by_plan = recoverer.imports_by_plan(host).await.unwrap_or(false);
        Some(if is_by_plan {
            Self::ByPlan(recoverer)
        } else {
            Self::ByHand(teller)
        })
    }

    /// What does it for this one; empty where nothing can.
    pub(super) fn text(&self, one: &Made) -> String {
        match self {
            Self::ByPlan(tool) => tool.import_blocks(slice::from_ref(one)),
            Self::ByHand(teller) => teller.import_by_hand(&one.address, &one.id) + "\n",
        }
    }
}

impl<'a> Imports<'a> {
    /// Finds the ways for what earlier deploys have left here, and to the place where this one lacks
    /// something, if anywhere.
    pub(super) async fn find<H: Host>(
        host: &H,
        (here, of_others): (&'a Tool, &'a [Made]),
        place: Option<&'a Tool>,
    ) -> Self {
        let mut imports = Self {
            of_others,
            ..Self::default()
        };
        if !of_others.is_empty() {
            imports.way_of_others = WayBack::to(host, here).await;
        }
        if let Some(place) = place {
            imports.way = WayBack::to(host, place).await;
        }
        imports
    }

    /// What does it for each of them, and of what this one lacks, one after the other: there may be very
    /// many.
    pub(super) fn texts(&self, lacks: impl Iterator<Item = Made>) -> impl Iterator<Item = String> {
        let of_others = self.way_of_others.iter().flat_map(|way| {
            let of_others = self.of_others.iter();
            of_others.map(|one| way.text(one))
        });
        let own = self.way.map(|way| lacks.map(move |one| way.text(&one)));
        let own = own.into_iter().flatten();
        of_others.chain(own).filter(|text| !text.is_empty())
    }
}
