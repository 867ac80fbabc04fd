//! Data points as an `ExportMetricsServiceRequest` in JSON, one metric at a time.

use std::io::{self, Write};

use opentelemetry_proto::tonic::metrics::v1;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;

use super::points::{Attributes, JOB, Number, Points, TARGET};
use super::{Origin, attribute};

/// Writes the request.
pub(super) fn write(points: &Points<'_>, origin: &Origin, to: &mut dyn Write) -> io::Result<()> {
    let jobs: Vec<_> = points.jobs().collect();
    let targets: Vec<_> = points.targets().collect();
    let attributes: Vec<_> = points.attributes().collect();
    write!(to, r#"{{"resourceMetrics":[{{"resource":"#)?;
    serde_json::to_writer(&mut *to, &origin.resource)?;
    write!(to, r#","scopeMetrics":[{{"scope":"#)?;
    serde_json::to_writer(&mut *to, &origin.scope)?;
    write!(to, r#","metrics":["#)?;
    let mut comma = "";
    for (metric, points) in points.metrics() {
        let data_points = points.map(|point| {
            let own = [(JOB, jobs[point.job as usize]), (TARGET, targets[point.target as usize])];
            v1::NumberDataPoint {
                attributes: key_values(own, attributes[point.attributes as usize]),
                start_time_unix_nano: point.start_ns,
                time_unix_nano: point.time_ns,
                value: Some(match point.value {
                    Number::Int(int) => Value::AsInt(int),
                    Number::Double(float) => Value::AsDouble(float),
                }),
                ..v1::NumberDataPoint::default()
            }
        });
        let data_points = data_points.collect();
        let data = match metric.is_sum {
            false => Data::Gauge(v1::Gauge { data_points }),
            true => Data::Sum(v1::Sum {
                data_points,
                aggregation_temporality: v1::AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            }),
        };
        let metric = v1::Metric {
            name: metric.name.clone().into_owned(),
            unit: metric.unit.to_owned(),
            data: Some(data),
            ..v1::Metric::default()
        };
        write!(to, "{comma}")?;
        serde_json::to_writer(&mut *to, &metric)?;
        comma = ",";
    }
    write!(to, "]}}]}}]}}")
}

fn key_values(
    own: [(&str, &str); 2],
    others: &Attributes<'_>,
) -> Vec<opentelemetry_proto::tonic::common::v1::KeyValue> {
    let own = own.into_iter().filter(|(_, value)| !value.is_empty());
    let own = own.map(|(name, value)| attribute(name, value));
    own.chain(others.iter().map(|(name, value)| attribute(name, value))).collect()
}
