"""The machine and the yardsticks' versions, named."""

import os
import platform
from pathlib import Path

from . import process

PACKAGES = """
from importlib.metadata import version
for name in ("PattooShared", "psutil", "requests", "influxdb-client", "opentelemetry-sdk"):
    print(name, version(name))
"""


def describe(tools):
    """One line each for the machine, what is measured, and what it is measured against."""
    memory_kib = _field("/proc/meminfo", "MemTotal").split()
    processors = len(os.sched_getaffinity(0))
    release = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    loads = Path("/proc/loadavg").read_text(encoding="utf-8").split()[:2]
    machine = [
        _field("/proc/cpuinfo", "model name") or platform.machine(),
        f"{processors} processors",
        f"{int(memory_kib[0]) / 2**20:.0f} GiB" if memory_kib else "",
        f"{release}, Linux {platform.release()}",
        f"load {' '.join(loads)} at the end",
    ]
    size = os.path.getsize(tools.collector) / 2**20
    ours = f"{process.output([tools.collector, '--version'])}, static, {size:.1f} MiB"
    lines = [
        f"Machine: {'; '.join(filter(None, machine))}.",
        f"Ours: {ours}.",
        f"Yardsticks: {', '.join(_versions(tools))}.",
    ]
    # Two spaces break a line in Markdown.
    return "  \n".join(lines) + "\n"


def _versions(tools):
    def words(argv, count=2):
        return " ".join(process.output(argv).split()[:count])

    listed = [words(["curl", "--version"]), _collectd()]
    listed.append(words(["nginx", "-v"], 3).removeprefix("nginx version: "))
    listed += process.output([tools.python, "-c", PACKAGES]).splitlines()
    listed.append(f"Python {platform.python_version()}")
    return [name for name in listed if name]


def _collectd():
    said = process.output(["collectd", "-h"]).splitlines()
    return next((line.split(",")[0] for line in said if line.startswith("collectd ")), "")


def _field(path, name):
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
