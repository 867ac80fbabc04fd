"""The body of a post as PattooShared makes it, on standard output: `normalise.py TARGETS KEYS`."""

import json
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from whole import points  # noqa: E402

# No name server is asked: that is not what is measured.
socket.getfqdn = lambda: points.HOSTNAME

from pattoo_shared import converter  # noqa: E402
from pattoo_shared.constants import DATA_FLOAT  # noqa: E402
from pattoo_shared.variables import AgentPolledData, DataPoint, DataPointMetadata, TargetDataPoints  # noqa: E402


def main(targets, keys):
    agent = AgentPolledData(points.PROGRAM, points.POLLING_INTERVAL_SECONDS)
    polled = {}
    for target, key, value, timestamp, labels in points.points(targets, keys):
        if target not in polled:
            polled[target] = TargetDataPoints(target)
        point = DataPoint(key, value, data_type=DATA_FLOAT, timestamp=timestamp)
        point.add([DataPointMetadata(name, text) for name, text in labels.items()])
        polled[target].add(point)
    agent.add(list(polled.values()))
    body = converter.posting_data_points(converter.agentdata_to_post(agent))
    body["pattoo_agent_timestamp"] = points.NOW_MS
    # As `requests.post(url, json=body)` encodes it.
    sys.stdout.buffer.write(json.dumps(body, allow_nan=False).encode("utf-8"))


main(int(sys.argv[1]), int(sys.argv[2]))
