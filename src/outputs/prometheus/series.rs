//! Which series a payload has, and their samples in order.

use std::cmp::Ordering;

use collectors::datapoint::{DataType, LabelKind, Value};
use hashbrown::DefaultHashBuilder;
use indexmap::IndexSet;

use super::{Labels, TEXT_BYTES_MAX, Text, names};
use crate::payload::{Encoded, Payload, View};

/// Each once, and numbered from 0.
type Numbered<T> = IndexSet<T, DefaultHashBuilder>;

/// How datapoints become series.
#[derive(Debug, Clone, Copy)]
pub(in crate::outputs) struct Rules<'a> {
    /// What every metric's name begins with.
    pub(in crate::outputs) prefix: &'a str,
    /// The label that says which job brought the datapoint; `None`: no label does.
    pub(in crate::outputs) job: Option<&'a str>,
    /// The label that says what was polled.
    pub(in crate::outputs) target: &'a str,
    /// More names of labels that a datapoint's own must not have.
    pub(in crate::outputs) taken: &'a [&'a str],
    /// Metrics that the receiver would put its own in place of: they are refused.
    pub(in crate::outputs) reserved: &'a [&'a str],
    /// Whether info goes out as labels too.
    pub(in crate::outputs) info: bool,
    /// What becomes of text.
    pub(in crate::outputs) text: Text,
}

/// What the samples of a metric are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::outputs) enum Kind {
    /// They only grow.
    Counter,
    /// They go up and down.
    Gauge,
    /// Some are this and some are that.
    Mixed,
}

/// A series: numbers into [`Gathered`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::outputs) struct Series {
    /// Its metric.
    pub(in crate::outputs) metric: u32,
    /// Its job; 0 when there is no label for it.
    pub(in crate::outputs) job: u32,
    /// Its target.
    pub(in crate::outputs) target: u32,
    /// Its other labels.
    pub(in crate::outputs) labels: u32,
}

/// What a series was at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::outputs) struct Sample {
    /// Its series.
    pub(in crate::outputs) series: u32,
    /// The place of its datapoint among those of the payload.
    place: u32,
    /// Milliseconds since 1970.
    pub(in crate::outputs) at_ms: i64,
    /// The value.
    pub(in crate::outputs) value: f64,
}

/// A payload as series.
#[derive(Debug, Default)]
pub(in crate::outputs) struct Gathered<'a> {
    metrics: Numbered<String>,
    kinds: Vec<Kind>,
    jobs: Numbered<&'a str>,
    targets: Numbered<&'a str>,
    labels: Numbered<Labels>,
    series: Numbered<Series>,
    samples: Vec<Sample>,
}

impl<'a> Gathered<'a> {
    /// Numbers the series of a payload. The samples of each stand together, in the order of time, one for each
    /// moment; what is left out for that is counted in `encoded`, and the first of a moment stays.
    pub(in crate::outputs) fn new(
        payload: &'a Payload,
        rules: Rules<'_>,
        encoded: &mut Encoded,
    ) -> Self {
        let mut gathered = Self::default();
        gathered.samples.reserve_exact(payload.len());
        gathered.series.reserve(payload.len());
        let mut place = 0;
        for job in &payload.batches {
            let mut known = Known::default();
            let name = rules.job.map_or("", |_| &job.job);
            let job_number = number(gathered.jobs.insert_full(name).0);
            for view in job.datapoints() {
                gathered.take(view, place, job_number, rules, &mut known, encoded);
                place += 1;
            }
        }
        let order = |a: &Sample, b: &Sample| (a.series, a.at_ms).cmp(&(b.series, b.at_ms));
        // As it is when every series has one sample.
        if !gathered.samples.is_sorted_by(|a, b| order(a, b) == Ordering::Less) {
            gathered.samples.sort_by(order);
            gathered.samples.dedup_by(|later, first| {
                let is_same = order(later, first) == Ordering::Equal;
                if is_same {
                    leave_out(payload, later, first, encoded);
                }
                is_same
            });
        }
        gathered
    }

    fn take(
        &mut self,
        view: View<'a>,
        place: u32,
        job: u32,
        rules: Rules<'_>,
        known: &mut Known,
        encoded: &mut Encoded,
    ) {
        let point = view.point;
        let (value, text) = match view.value() {
            Value::Int(int) => (int as f64, None),
            Value::Uint(uint) => (uint as f64, None),
            Value::Float(float) => (float.get(), None),
            Value::Text(_) if rules.text == Text::Refuse => {
                return encoded.refuse(view.job, view.key(), "Prometheus has no text");
            }
            Value::Text(text) if text.len() > TEXT_BYTES_MAX => {
                let reason = format!("text of {} bytes, and {TEXT_BYTES_MAX} fit", text.len());
                return encoded.refuse(view.job, view.key(), reason);
            }
            Value::Text(text) => (1.0, Some(text)),
        };
        let metric = match &text {
            None => known
                .metrics
                .get(point.key.index(), || self.metric(names::metric(rules.prefix, view.key()))),
            Some(_) => {
                let name = names::metric(rules.prefix, view.key());
                let is_info = name.ends_with("_info");
                self.metric(if is_info { name } else { format!("{name}_info") })
            }
        };
        self.note_kind(metric, point.data_type);
        if !rules.reserved.is_empty()
            && let Some(name) = self.metrics.get_index(metric as usize)
            && rules.reserved.contains(&name.as_str())
        {
            let reason = format!("the receiver has a metric `{name}` of its own");
            return encoded.refuse(view.job, view.key(), reason);
        }
        let target = known
            .targets
            .get(point.target.index(), || number(self.targets.insert_full(view.target()).0));
        let mut labels = |text: Option<&str>| {
            let given = view.labels(LabelKind::Identity);
            let info = view.labels(LabelKind::Info).filter(|_| rules.info);
            let own = text.map(|text| ("value", text));
            let labels = Labels::new(given.chain(info), &rules.names_taken(), own);
            number(self.labels.insert_full(labels).0)
        };
        let labels = match &text {
            None => known.labels.get(point.attributes.index(), || labels(None)),
            Some(text) => labels(Some(text)),
        };
        let series = self.series.insert_full(Series { metric, job, target, labels }).0;
        self.samples.push(Sample {
            series: number(series),
            place,
            at_ms: point.timestamp_ms,
            value,
        });
    }

    fn metric(&mut self, name: String) -> u32 {
        number(self.metrics.insert_full(name).0)
    }

    fn note_kind(&mut self, metric: u32, data_type: DataType) {
        let kind = if data_type.is_counter() { Kind::Counter } else { Kind::Gauge };
        match self.kinds.get_mut(metric as usize) {
            None => self.kinds.push(kind),
            Some(known) if *known != kind => *known = Kind::Mixed,
            Some(_) => {}
        }
    }

    /// Leaves each series its latest sample, for a form that has no times.
    pub(in crate::outputs) fn keep_latest(&mut self, payload: &Payload, encoded: &mut Encoded) {
        // `dedup_by` keeps the first of a row.
        self.samples.reverse();
        self.samples.dedup_by(|earlier, latest| {
            let is_same = earlier.series == latest.series;
            if is_same {
                leave_out(payload, earlier, latest, encoded);
            }
            is_same
        });
        self.samples.reverse();
    }

    /// Adds a metric without labels, unless a datapoint has become just that.
    pub(in crate::outputs) fn add(&mut self, name: &str, at_ms: i64, value: f64) {
        let metric = self.metric(name.to_owned());
        let (job, target) = (self.jobs.insert_full("").0, self.targets.insert_full("").0);
        let labels = self.labels.insert_full(Labels::default()).0;
        let [job, target, labels] = [job, target, labels].map(number);
        let (series, is_new) = self.series.insert_full(Series { metric, job, target, labels });
        if is_new {
            self.note_kind(metric, DataType::Float);
            self.samples.push(Sample { series: number(series), place: u32::MAX, at_ms, value });
        }
    }

    /// The samples, in the order of series and time.
    pub(in crate::outputs) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The series by number.
    pub(in crate::outputs) fn series(&self) -> impl ExactSizeIterator<Item = &Series> {
        self.series.iter()
    }

    /// The metrics' names by number.
    pub(in crate::outputs) fn metrics(&self) -> impl ExactSizeIterator<Item = &str> {
        self.metrics.iter().map(String::as_str)
    }

    /// What the samples of a metric are.
    pub(in crate::outputs) fn kind(&self, metric: u32) -> Kind {
        self.kinds[metric as usize]
    }

    /// The jobs by number.
    pub(in crate::outputs) fn jobs(&self) -> impl ExactSizeIterator<Item = &str> {
        self.jobs.iter().copied()
    }

    /// The targets by number; one may be empty.
    pub(in crate::outputs) fn targets(&self) -> impl ExactSizeIterator<Item = &str> {
        self.targets.iter().copied()
    }

    /// The sets of other labels by number.
    pub(in crate::outputs) fn labels(&self) -> impl ExactSizeIterator<Item = &Labels> {
        self.labels.iter()
    }
}

impl<'a> Rules<'a> {
    fn names_taken(&self) -> Vec<&'a str> {
        self.job.into_iter().chain([self.target]).chain(self.taken.iter().copied()).collect()
    }
}

/// What is known of a batch's numbers already.
#[derive(Default)]
struct Known {
    metrics: Memo,
    targets: Memo,
    labels: Memo,
}

/// A number for each of a batch's numbers.
#[derive(Default)]
struct Memo(Vec<Option<u32>>);

impl Memo {
    fn get(&mut self, index: usize, make: impl FnOnce() -> u32) -> u32 {
        if index >= self.0.len() {
            self.0.resize(index + 1, None);
        }
        *self.0[index].get_or_insert_with(make)
    }
}

fn leave_out(payload: &Payload, left_out: &Sample, kept: &Sample, encoded: &mut Encoded) {
    let is_same = left_out.value.to_bits() == kept.value.to_bits();
    if let Some(view) = payload.datapoint(left_out.place as usize) {
        encoded.leave_out(view.job, view.key(), is_same);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "memory ends before 2³² series do")]
fn number(index: usize) -> u32 {
    index as u32
}
