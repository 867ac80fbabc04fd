"""A request as OpenTelemetry's own SDK and exporter make it, on standard output: `otlp.py TARGETS KEYS`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics  # noqa: E402
from opentelemetry.sdk.metrics import MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: E402

from whole import points  # noqa: E402
from whole.encode import JOB  # noqa: E402


def main(targets, keys):
    reader = InMemoryMetricReader()
    meter = MeterProvider(metric_readers=[reader]).get_meter("bench")
    gauges = {}
    for target, key, value, _, labels in points.points(targets, keys):
        if key not in gauges:
            gauges[key] = meter.create_gauge(key)
        gauges[key].set(value, {"job": JOB, "target": target, **labels})
    # As the exporter over HTTP does it.
    sys.stdout.buffer.write(encode_metrics(reader.get_metrics_data()).SerializeToString())


main(int(sys.argv[1]), int(sys.argv[2]))
