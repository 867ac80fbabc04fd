//! A request taken apart into two. Its data points are carried over as they stand.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::outputs::Part;

/// Two halves of a body in protobuf; `None` for a body of a single data point, and for what is no body.
pub(super) fn protobuf(body: &[u8]) -> Option<[Part; 2]> {
    let mut request = wire::Request::decode(body).ok()?;
    let scope = request.resource_metrics.first_mut()?.scope_metrics.first_mut()?;
    let metrics = std::mem::take(&mut scope.metrics);
    let halves = split(metrics, wire::Metric::points)?;
    let part = |(metrics, datapoints): (Vec<wire::Metric>, usize)| {
        let mut request = request.clone();
        request.resource_metrics.first_mut()?.scope_metrics.first_mut()?.metrics = metrics;
        Some(Part { bytes: request.encode_to_vec(), datapoints: datapoints as u64 })
    };
    let [first, second] = halves;
    Some([part(first)?, part(second)?])
}

/// The same for a body in JSON.
pub(super) fn json(body: &[u8]) -> Option<[Part; 2]> {
    let mut request: text::Request<'_> = serde_json::from_slice(body).ok()?;
    let scope = request.resource_metrics.first_mut()?.scope_metrics.first_mut()?;
    let metrics = std::mem::take(&mut scope.metrics);
    let halves = split(metrics, text::Metric::points)?;
    let [first, second] = halves;
    Some([json_part(&mut request, first)?, json_part(&mut request, second)?])
}

fn json_part<'a>(
    request: &mut text::Request<'a>,
    (metrics, datapoints): (Vec<text::Metric<'a>>, usize),
) -> Option<Part> {
    let scope = request.resource_metrics.first_mut()?.scope_metrics.first_mut()?;
    scope.metrics = metrics;
    Some(Part { bytes: serde_json::to_vec(request).ok()?, datapoints: datapoints as u64 })
}

/// Two halves of the metrics, and how many data points each has. A metric in the middle is in both, each with its
/// share.
fn split<M: Clone, P>(
    mut metrics: Vec<M>,
    points: impl Fn(&mut M) -> Option<&mut Vec<P>>,
) -> Option<[(Vec<M>, usize); 2]> {
    let mut counts = Vec::with_capacity(metrics.len());
    for metric in &mut metrics {
        counts.push(points(metric)?.len());
    }
    let total: usize = counts.iter().sum();
    if total < 2 {
        return None;
    }
    let half = total / 2;
    let mut before = 0;
    let middle = counts.iter().position(|count| {
        before += count;
        before >= half
    })?;
    let excess = before - half;
    let mut second = metrics.split_off(middle + 1);
    if excess > 0 {
        let first = metrics.last_mut()?;
        let kept = counts[middle] - excess;
        let moved = points(first)?.split_off(kept);
        // Only what stands around the data points is copied.
        let stay = std::mem::take(points(first)?);
        let mut shared = first.clone();
        *points(first)? = stay;
        *points(&mut shared)? = moved;
        second.insert(0, shared);
    }
    Some([(metrics, half), (second, total - half)])
}

/// The first data point of a request: its metric and its attributes.
pub(super) fn subject(request: &ExportMetricsServiceRequest) -> Option<String> {
    let metric = request.resource_metrics.first()?.scope_metrics.first()?.metrics.first()?;
    let points = match metric.data.as_ref()? {
        Data::Gauge(gauge) => &gauge.data_points,
        Data::Sum(sum) => &sum.data_points,
        _ => return None,
    };
    let attributes = points.first()?.attributes.iter().filter_map(|attribute| {
        match attribute.value.as_ref()?.value.as_ref()? {
            Any::StringValue(value) => Some(format!("{}={value:?}", attribute.key)),
            _ => None,
        }
    });
    Some(format!("{}{{{}}}", metric.name, attributes.collect::<Vec<_>>().join(",")))
}

/// The request in protobuf, in which the data points are bytes.
mod wire {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(message, repeated, tag = "1")]
        pub(super) resource_metrics: Vec<ResourceMetrics>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ResourceMetrics {
        #[prost(bytes = "vec", tag = "1")]
        resource: Vec<u8>,
        #[prost(message, repeated, tag = "2")]
        pub(super) scope_metrics: Vec<ScopeMetrics>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ScopeMetrics {
        #[prost(bytes = "vec", tag = "1")]
        scope: Vec<u8>,
        #[prost(message, repeated, tag = "2")]
        pub(super) metrics: Vec<Metric>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metric {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "3")]
        unit: String,
        #[prost(message, optional, tag = "5")]
        gauge: Option<Points>,
        #[prost(message, optional, tag = "7")]
        sum: Option<Points>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Points {
        #[prost(bytes = "vec", repeated, tag = "1")]
        data_points: Vec<Vec<u8>>,
        #[prost(int32, tag = "2")]
        aggregation_temporality: i32,
        #[prost(bool, tag = "3")]
        is_monotonic: bool,
    }

    impl Metric {
        pub(super) fn points(&mut self) -> Option<&mut Vec<Vec<u8>>> {
            let points = self.gauge.as_mut().or(self.sum.as_mut())?;
            Some(&mut points.data_points)
        }
    }
}

/// The request in JSON, in which the data points are text.
mod text {
    use super::{Deserialize, RawValue, Serialize};

    #[derive(Deserialize, Serialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Request<'a> {
        #[serde(borrow)]
        pub(super) resource_metrics: Vec<ResourceMetrics<'a>>,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct ResourceMetrics<'a> {
        #[serde(borrow)]
        resource: &'a RawValue,
        #[serde(borrow)]
        pub(super) scope_metrics: Vec<ScopeMetrics<'a>>,
    }

    #[derive(Deserialize, Serialize)]
    pub(super) struct ScopeMetrics<'a> {
        #[serde(borrow)]
        scope: &'a RawValue,
        #[serde(borrow)]
        pub(super) metrics: Vec<Metric<'a>>,
    }

    #[derive(Clone, Deserialize, Serialize)]
    pub(super) struct Metric<'a> {
        #[serde(borrow)]
        name: &'a RawValue,
        #[serde(borrow)]
        unit: &'a RawValue,
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        gauge: Option<Gauge<'a>>,
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        sum: Option<Sum<'a>>,
    }

    #[derive(Clone, Deserialize, Serialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Gauge<'a> {
        #[serde(borrow)]
        data_points: Vec<&'a RawValue>,
    }

    #[derive(Clone, Deserialize, Serialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Sum<'a> {
        #[serde(borrow)]
        data_points: Vec<&'a RawValue>,
        #[serde(borrow)]
        aggregation_temporality: &'a RawValue,
        is_monotonic: bool,
    }

    impl<'a> Metric<'a> {
        pub(super) fn points(&mut self) -> Option<&mut Vec<&'a RawValue>> {
            match (&mut self.gauge, &mut self.sum) {
                (Some(gauge), _) => Some(&mut gauge.data_points),
                (None, Some(sum)) => Some(&mut sum.data_points),
                (None, None) => None,
            }
        }
    }
}
