"""Line protocol as InfluxDB's own client makes it, on standard output: `line_protocol.py TARGETS KEYS`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from influxdb_client import Point, WritePrecision  # noqa: E402

from whole import points  # noqa: E402


def main(targets, keys):
    lines = []
    for target, key, value, timestamp, labels in points.points(targets, keys):
        point = Point(key).tag("target", target).field("value", value).time(timestamp, WritePrecision.MS)
        for name, text in labels.items():
            point.tag(name, text)
        lines.append(point.to_line_protocol())
    # As the client joins a batch before it posts it.
    sys.stdout.buffer.write("\n".join(lines).encode("utf-8"))


main(int(sys.argv[1]), int(sys.argv[2]))
