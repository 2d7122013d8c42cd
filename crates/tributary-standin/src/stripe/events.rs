//! The events of payouts: one for each version that readers see, for 30 days.

use super::render;
use crate::kit::times::DAY_US;
use crate::kit::{Json, View, Visible, ids, object};

/// How long events are kept.
const KEPT_US: i64 = 30 * DAY_US;

/// What happened to a payout.
pub struct Event<'a> {
    pub id: String,
    visible: Visible<'a>,
    upto: usize,
}

/// All events that are kept, newest first.
pub fn all<'a>(view: &'a View<'_>) -> Vec<Event<'a>> {
    let oldest_us = view.now_us() - KEPT_US;
    let payouts = view.records(&["payout"]).into_iter();
    let mut events: Vec<Event<'_>> = payouts
        .flat_map(|visible| {
            (0..=visible.upto).map(move |upto| {
                let number = (upto as u64) << 40 | visible.item.number as u64;
                let id = format!("evt_1{}", ids::letters(view.seed(), "event", number, 21));
                Event { id, visible, upto }
            })
        })
        .filter(|event| event.at_us() >= oldest_us)
        .collect();
    events.sort_by_key(|event| std::cmp::Reverse((event.at_us(), event.visible.item.number)));
    events
}

impl Event<'_> {
    fn at_us(&self) -> i64 {
        self.visible.item.versions[self.upto].at_us
    }

    pub fn render(&self, view: &View<'_>) -> Json {
        let kind = match self.visible.item.versions[self.upto].status {
            _ if self.upto == 0 => "payout.created",
            "paid" => "payout.paid",
            "failed" => "payout.failed",
            "canceled" => "payout.canceled",
            _ => "payout.updated",
        };
        object! {
            "id": self.id.as_str(),
            "object": "event",
            "api_version": "2025-03-31.basil",
            "created": render::time(self.at_us()),
            "data": object! { "object": render::payout(view, &self.visible, self.upto) },
            "livemode": false,
            "type": kind,
        }
    }
}
