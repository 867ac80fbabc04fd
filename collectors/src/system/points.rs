//! From plain numbers to datapoints.

use crate::collector::Error;
use crate::datapoint::{DataType, Datapoint, Flaw, Label, Value};
use crate::sink::{Sealed, Sink};

/// Pushes datapoints that share their labels.
#[derive(Debug)]
pub(super) struct Points<'a> {
    sink: &'a Sink,
    labels: Vec<Label<'a>>,
}

impl<'a> Points<'a> {
    /// Datapoints without labels.
    pub(super) fn new(sink: &'a Sink) -> Self {
        Self { sink, labels: Vec::new() }
    }

    /// Datapoints with these labels.
    ///
    /// # Errors
    /// [`Error::Target`] naming a label that cannot be one.
    pub(super) fn labelled(sink: &'a Sink, labels: &[(&'a str, &'a str)]) -> Result<Self, Error> {
        let mut points = Self::new(sink);
        for &(name, value) in labels {
            let label = Label::new(name, value).map_err(|flaw| Error::at(name, flaw))?;
            points.labels.push(label);
        }
        Ok(points)
    }

    /// The same with a descriptive label.
    ///
    /// # Errors
    /// As [`Points::labelled`].
    pub(super) fn info(mut self, name: &'a str, value: &'a str) -> Result<Self, Error> {
        self.labels.push(Label::info(name, value).map_err(|flaw| Error::at(name, flaw))?);
        Ok(self)
    }

    /// A quantity without a fraction.
    pub(super) fn int(&self, key: &str, value: u64, unit: &str) -> Result<(), Sealed> {
        self.push(key, Ok(unsigned(value)), DataType::Int, unit)
    }

    /// A quantity with a fraction.
    pub(super) fn float(&self, key: &str, value: f64, unit: &str) -> Result<(), Sealed> {
        self.push(key, Value::float(value), DataType::Float, unit)
    }

    /// `part` in percent of `whole`; nothing when there is no whole.
    pub(super) fn percent(&self, key: &str, part: u64, whole: u64) -> Result<(), Sealed> {
        if whole == 0 {
            return Ok(());
        }
        self.float(key, 100.0 * part as f64 / whole as f64, "percent")
    }

    /// A count that only grows.
    pub(super) fn counter(&self, key: &str, value: u64, unit: &str) -> Result<(), Sealed> {
        self.push(key, Ok(unsigned(value)), DataType::Counter64, unit)
    }

    /// Time that only grows.
    pub(super) fn seconds_counter(&self, key: &str, seconds: f64) -> Result<(), Sealed> {
        self.push(key, Value::float(seconds), DataType::Counter64, "seconds")
    }

    fn push(
        &self,
        key: &str,
        value: Result<Value<'_>, Flaw>,
        data_type: DataType,
        unit: &str,
    ) -> Result<(), Sealed> {
        match value.and_then(|value| Datapoint::new(key, value, data_type)) {
            Ok(datapoint) => self.sink.push(&datapoint.labels(&self.labels).unit(unit)),
            Err(flaw) => self.sink.refuse(key, flaw),
        }
    }
}

fn unsigned(number: u64) -> Value<'static> {
    i64::try_from(number).map_or(Value::Uint(number), Value::Int)
}
