"""The datapoints that are normalised: for the file that ours reads, and for the yardstick, which makes them."""

import json

PROGRAM = "bench"
HOSTNAME = "bench.example.org"
AGENT_ID = "0123456789abcdef" * 4
POLLING_INTERVAL_SECONDS = 300
#: The run's clock, in milliseconds.
NOW_MS = 1_700_000_000_456


def points(targets, keys):
    """Yields target, key, value (all of them different), timestamp and labels, as pattoo's Modbus agent has them."""
    labels = {"unit": "000"}
    for target in range(targets):
        for key in range(keys):
            value = (target * keys + key) / 7 + 0.1
            yield f"plc_{target}.example.org", f"sensor_{key}", value, NOW_MS - 1000 - target, labels


def write_jsonl(file, rows):
    for target, key, value, timestamp, labels in rows:
        line = {"key": key, "value": value, "target": target, "timestamp": timestamp, "labels": labels}
        file.write(json.dumps(line) + "\n")
