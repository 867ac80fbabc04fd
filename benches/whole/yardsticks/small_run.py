"""A small agent as the official ones are written: psutil's numbers of this host, posted with PattooShared."""

import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from whole import points  # noqa: E402

# No name server is asked: that is not what is measured.
socket.getfqdn = lambda: points.HOSTNAME

import psutil  # noqa: E402
from pattoo_shared.constants import DATA_COUNT64, DATA_FLOAT, DATA_INT  # noqa: E402
from pattoo_shared.phttp import PostAgent  # noqa: E402
from pattoo_shared.variables import AgentPolledData, DataPoint, DataPointMetadata, TargetDataPoints  # noqa: E402


def datapoints():
    yield from group("cpu_times_percent", psutil.cpu_times_percent(), DATA_FLOAT)
    yield from group("cpu_times", psutil.cpu_times(), DATA_COUNT64)
    yield from group("cpu_stats", psutil.cpu_stats(), DATA_COUNT64)
    yield from group("memory", psutil.virtual_memory(), DATA_INT)
    yield from group("swap_memory", psutil.swap_memory(), DATA_INT)
    for minutes, load in zip(("01", "05", "15"), os.getloadavg()):
        yield DataPoint(f"load_average_{minutes}min", load, data_type=DATA_FLOAT)
    yield DataPoint("process_count", len(psutil.pids()), data_type=DATA_INT)
    for partition in psutil.disk_partitions():
        labels = {f"disk_partition_{name}": str(value) for name, value in partition._asdict().items()}
        usage = psutil.disk_usage(partition.mountpoint)
        yield from group("disk_partition_disk_usage", usage, DATA_INT, labels)
    for disk, counters in psutil.disk_io_counters(perdisk=True).items():
        yield from group("disk_io", counters, DATA_COUNT64, {"disk_partition": disk})
    for interface, counters in psutil.net_io_counters(pernic=True).items():
        yield from group("network_io", counters, DATA_COUNT64, {"network_io_interface": interface})


def group(prefix, values, data_type, labels=None):
    for name, value in values._asdict().items():
        point = DataPoint(f"{prefix}_{name}", value, data_type=data_type)
        for label, text in (labels or {}).items():
            point.add(DataPointMetadata(label, text))
        yield point


def main():
    target = TargetDataPoints(points.HOSTNAME)
    target.add(list(datapoints()))
    agent = AgentPolledData(points.PROGRAM, points.POLLING_INTERVAL_SECONDS)
    agent.add([target])
    return 0 if PostAgent(agent).post() else 1


sys.exit(main())
