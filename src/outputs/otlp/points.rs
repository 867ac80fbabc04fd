//! A payload as OTLP's data points: grouped by metric, each series and moment once.

use std::borrow::Cow;
use std::hash::BuildHasher;

use collectors::datapoint::{LabelKind, Value};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use indexmap::IndexSet;

use crate::outputs::prometheus::{TEXT_BYTES_MAX, Text};
use crate::payload::{Encoded, Payload, View};

/// Each once, and numbered from 0.
type Numbered<T> = IndexSet<T, DefaultHashBuilder>;

/// The attribute that says which job brought a datapoint.
pub(super) const JOB: &str = "job";
/// The attribute that says what was polled.
pub(super) const TARGET: &str = "target";
/// The attribute that is the text of a datapoint.
const TEXT: &str = "value";

/// How datapoints become data points.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Whether info goes out as attributes too.
    pub(super) info: bool,
    /// What becomes of text.
    pub(super) text: Text,
}

/// What data points are of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Metric<'a> {
    /// Its name.
    pub(super) name: Cow<'a, str>,
    /// Its unit; may be empty.
    pub(super) unit: &'a str,
    /// Whether it is a cumulative monotonic sum; else it is a gauge.
    pub(super) is_sum: bool,
}

/// A data point: numbers into [`Points`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    metric: u32,
    /// Its job.
    pub(super) job: u32,
    /// Its target.
    pub(super) target: u32,
    /// Its other attributes.
    pub(super) attributes: u32,
    /// Nanoseconds since 1970.
    pub(super) time_ns: u64,
    /// When a counter began to count; 0: not known, or no counter.
    pub(super) start_ns: u64,
    /// Its value.
    pub(super) value: Number,
}

/// A value as OTLP has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// A signed integer.
    Int(i64),
    /// A float.
    Double(f64),
}

/// Attributes by name, in order.
pub(super) type Attributes<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A payload as data points.
#[derive(Debug, Default)]
pub(super) struct Points<'a> {
    metrics: Numbered<Metric<'a>>,
    units: Numbered<&'a str>,
    jobs: Numbered<&'a str>,
    targets: Numbered<&'a str>,
    attributes: Numbered<Attributes<'a>>,
    points: Vec<Point>,
    /// The points by metric.
    order: Vec<u32>,
}

impl<'a> Points<'a> {
    /// Takes in a payload; what is sent and what is left out is counted in `encoded`.
    pub(super) fn new(payload: &'a Payload, rules: Rules, encoded: &mut Encoded) -> Self {
        let mut points = Self::default();
        points.points.reserve_exact(payload.len());
        let mut seen = Seen::with_capacity(payload.len());
        for job in &payload.batches {
            let mut known = Known::default();
            let job_number = number(points.jobs.insert_full(&job.job).0);
            for (place, view) in job.datapoints().enumerate() {
                let Some(point) = points.point(view, job_number, rules, &mut known, encoded) else {
                    continue;
                };
                let start_ns = job.start_ms(place).map_or(0, nanoseconds);
                seen.push(Point { start_ns, ..point }, view, &mut points.points, encoded);
            }
        }
        encoded.datapoints = points.points.len() as u64;
        points.put_in_order();
        points
    }

    fn point(
        &mut self,
        view: View<'a>,
        job: u32,
        rules: Rules,
        known: &mut Known,
        encoded: &mut Encoded,
    ) -> Option<Point> {
        let point = view.point;
        let mut refuse = |reason: &str| {
            encoded.refuse(view.job, view.key(), reason);
            None
        };
        let time_ns = u64::try_from(point.timestamp_ms).ok().filter(|at_ms| *at_ms > 0);
        let Some(time_ns) = time_ns.and_then(|at_ms| at_ms.checked_mul(1_000_000)) else {
            return refuse("OTLP has no such time: it counts nanoseconds from 1970 to 2554");
        };
        let (value, text) = match view.value() {
            Value::Int(int) => (Number::Int(int), None),
            Value::Uint(uint) => (Number::Double(uint as f64), None),
            Value::Float(float) => (Number::Double(float.get()), None),
            Value::Text(_) if rules.text == Text::Refuse => {
                return refuse("OTLP has no text among its values");
            }
            Value::Text(text) if text.len() > TEXT_BYTES_MAX => {
                let reason = format!("text of {} bytes, and {TEXT_BYTES_MAX} fit", text.len());
                return refuse(&reason);
            }
            Value::Text(text) => (Number::Int(1), Some(text)),
        };
        let index = point.attributes.index();
        let unit = *at(&mut known.units, index)
            .get_or_insert_with(|| number(self.units.insert_full(view.unit().unwrap_or("")).0));
        let is_sum = point.data_type.is_counter();
        let is_info = text.is_some();
        let metric =
            *known.metrics.entry((point.key.index(), unit, is_sum, is_info)).or_insert_with(|| {
                let name = match view.key() {
                    key if is_info && !key.ends_with("_info") => Cow::Owned(format!("{key}_info")),
                    key => Cow::Borrowed(key),
                };
                let unit = self.units.get_index(unit as usize).copied().unwrap_or_default();
                number(self.metrics.insert_full(Metric { name, unit, is_sum }).0)
            });
        let target = *at(&mut known.targets, point.target.index())
            .get_or_insert_with(|| number(self.targets.insert_full(view.target()).0));
        let attributes = match text {
            None => *at(&mut known.attributes, index).get_or_insert_with(|| {
                number(self.attributes.insert_full(attributes(view, rules, None)).0)
            }),
            Some(text) => {
                number(self.attributes.insert_full(attributes(view, rules, Some(text))).0)
            }
        };
        Some(Point { metric, job, target, attributes, time_ns, start_ns: 0, value })
    }

    /// By metric, and where a metric has several moments, by time.
    fn put_in_order(&mut self) {
        let mut ends = vec![0; self.metrics.len()];
        self.points.iter().for_each(|point| ends[point.metric as usize] += 1);
        let mut begin = 0;
        for end in &mut ends {
            let count = *end;
            *end = begin;
            begin += count;
        }
        self.order = vec![0; self.points.len()];
        for (index, point) in self.points.iter().enumerate() {
            let place = &mut ends[point.metric as usize];
            self.order[*place] = number(index);
            *place += 1;
        }
        let mut rest = self.order.as_mut_slice();
        let mut begin = 0;
        for end in ends {
            let (of_metric, others) = rest.split_at_mut(end - begin);
            let time = |index: &u32| self.points[*index as usize].time_ns;
            if !of_metric.is_sorted_by_key(time) {
                of_metric.sort_by_key(time);
            }
            (rest, begin) = (others, end);
        }
    }

    /// Each metric with its data points.
    pub(super) fn metrics(
        &self,
    ) -> impl Iterator<Item = (&Metric<'a>, impl Iterator<Item = &Point> + Clone)> {
        let metric_of = |index: &u32| self.points[*index as usize].metric;
        let groups = self.order.chunk_by(move |a, b| metric_of(a) == metric_of(b));
        groups.filter_map(move |group| {
            let metric = self.metrics.get_index(metric_of(group.first()?) as usize)?;
            Some((metric, group.iter().map(|index| &self.points[*index as usize])))
        })
    }

    /// The jobs by number.
    pub(super) fn jobs(&self) -> impl Iterator<Item = &'a str> {
        self.jobs.iter().copied()
    }

    /// The targets by number; one may be empty.
    pub(super) fn targets(&self) -> impl Iterator<Item = &'a str> {
        self.targets.iter().copied()
    }

    /// The sets of other attributes by number.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &Attributes<'a>> {
        self.attributes.iter()
    }
}

/// The labels as attributes. In the order of their names: in another order they are the same.
fn attributes<'a>(view: View<'a>, rules: Rules, text: Option<Cow<'a, str>>) -> Attributes<'a> {
    let info = view.labels(LabelKind::Info).filter(|_| rules.info);
    let is_taken = |name: &str| name == JOB || name == TARGET || (text.is_some() && name == TEXT);
    let labels = view.labels(LabelKind::Identity).chain(info);
    let mut attributes: Attributes<'a> = labels
        .map(|(name, value)| match is_taken(name) {
            true => (Cow::Owned(free(name, view)), Cow::Borrowed(value)),
            false => (Cow::Borrowed(name), Cow::Borrowed(value)),
        })
        .collect();
    attributes.extend(text.map(|text| (Cow::Borrowed(TEXT), text)));
    attributes.sort_unstable();
    attributes
}

/// `exported_…`, as often as it takes until no label has that name.
fn free(name: &str, view: View<'_>) -> String {
    let mut name = format!("exported_{name}");
    let has = |name: &str| {
        let mut all = view.labels(LabelKind::Identity).chain(view.labels(LabelKind::Info));
        all.any(|(known, _)| known == name)
    };
    while has(&name) {
        name.insert_str(0, "exported_");
    }
    name
}

/// What is known of a batch's numbers already.
#[derive(Default)]
struct Known {
    units: Vec<Option<u32>>,
    targets: Vec<Option<u32>>,
    attributes: Vec<Option<u32>>,
    metrics: HashMap<(usize, u32, bool, bool), u32>,
}

fn at(known: &mut Vec<Option<u32>>, index: usize) -> &mut Option<u32> {
    if index >= known.len() {
        known.resize(index + 1, None);
    }
    &mut known[index]
}

/// As OTLP has times; 0 for one that it has not.
fn nanoseconds(at_ms: i64) -> u64 {
    u64::try_from(at_ms).ok().and_then(|at_ms| at_ms.checked_mul(1_000_000)).unwrap_or(0)
}

/// Which series and moments there were.
struct Seen {
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Seen {
    fn with_capacity(points: usize) -> Self {
        Self { table: HashTable::with_capacity(points), hasher: DefaultHashBuilder::default() }
    }

    /// Keeps the first of a series and moment, and counts the others.
    fn push(
        &mut self,
        point: Point,
        view: View<'_>,
        points: &mut Vec<Point>,
        encoded: &mut Encoded,
    ) {
        let identity = |p: &Point| (p.metric, p.job, p.target, p.attributes, p.time_ns);
        let ours = identity(&point);
        let hash = self.hasher.hash_one(ours);
        let found = self.table.find(hash, |index| identity(&points[*index as usize]) == ours);
        if let Some(index) = found {
            let is_same = points[*index as usize].value == point.value;
            return encoded.leave_out(view.job, view.key(), is_same);
        }
        let rehash = |index: &u32| self.hasher.hash_one(identity(&points[*index as usize]));
        self.table.insert_unique(hash, number(points.len()), rehash);
        points.push(point);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "memory ends before 2³² of them do")]
fn number(index: usize) -> u32 {
    index as u32
}
