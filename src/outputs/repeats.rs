//! Datapoints that speak of a series and a moment of which another one of the payload spoke before.
//!
//! A store holds one value for each; so the first is sent, and what is left out is counted.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use collectors::datapoint::LabelKind;

use crate::payload::{Encoded, View};

/// What was seen so far, as digests of 128 bits: a million datapoints take 24 MB, whatever their text.
#[derive(Default)]
pub(super) struct Repeats {
    seen: HashMap<u128, u64>,
    states: [RandomState; 2],
}

impl Repeats {
    /// Whether the datapoint is the first of its series and moment. One that is not is counted in `encoded`.
    pub(super) fn is_first(&mut self, view: View<'_>, encoded: &mut Encoded) -> bool {
        let digests = self.states.each_ref().map(|state| identity(view, state));
        self.is_new(digests, view, encoded)
    }

    /// The same for an output that has its own idea of a series and a moment.
    pub(super) fn is_first_of(
        &mut self,
        place: impl Hash,
        view: View<'_>,
        encoded: &mut Encoded,
    ) -> bool {
        let digests = self.states.each_ref().map(|state| state.hash_one(&place));
        self.is_new(digests, view, encoded)
    }

    fn is_new(&mut self, [upper, lower]: [u64; 2], view: View<'_>, encoded: &mut Encoded) -> bool {
        let digest = u128::from(upper) << 64 | u128::from(lower);
        let value = self.states[0].hash_one(view.value().to_string());
        match self.seen.insert(digest, value) {
            None => return true,
            Some(first) => {
                self.seen.insert(digest, first);
                encoded.leave_out(view.job, view.key(), first == value);
            }
        }
        false
    }
}

/// Labels in another order are the same labels.
fn identity(view: View<'_>, state: &RandomState) -> u64 {
    let labels = view.labels(LabelKind::Identity).map(|label| state.hash_one(label));
    let labels = labels.fold(0, u64::wrapping_add);
    let point = view.point;
    state.hash_one((view.key(), view.target(), point.data_type, point.timestamp_ms, labels))
}
