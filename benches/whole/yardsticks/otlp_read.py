"""What a request says, a line for each data point: `otlp_read.py FILE`."""

import sys
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

request = ExportMetricsServiceRequest.FromString(Path(sys.argv[1]).read_bytes())
for resource in request.resource_metrics:
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            for point in metric.gauge.data_points:
                attributes = sorted((pair.key, pair.value.string_value) for pair in point.attributes)
                print(metric.name, attributes, point.as_double)
