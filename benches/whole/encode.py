"""From datapoints to a body: beside the same work done by the vendors' own client libraries."""

from pathlib import Path

from . import points, process
from .table import Row

KEYS = 1000
JOB = "job"
#: Nothing is sent there.
NOWHERE = "http://127.0.0.1:9"
INFLUXDB = f"influxdb: {{url: '{NOWHERE}', version: 2, bucket: b, token: none, host_tag: null}}"
OTLP = f"otlp: {{endpoint: '{NOWHERE}'}}"


def against_the_clients(bench):
    """100 000 datapoints; ours reads them from a file first, the libraries are given them."""
    targets = 20 if bench.quick else 100
    count = f"{targets * KEYS:,}".replace(",", " ")
    size = (str(targets), str(KEYS))
    for kind, output, script, library, read in (
        ("influxdb", INFLUXDB, "line_protocol.py", "influxdb-client", _lines),
        ("otlp", OTLP, "otlp.py", "opentelemetry-sdk", _data_points),
    ):
        bench.need_kinds("file", kind)
        theirs = bench.yardstick(script, bench.folder, *size, stdout=bench.folder / f"{kind}-theirs")
        ours = _ours(bench, kind, output, targets)
        _verify(bench, ours, theirs, read)
        pairs = bench.pairs(ours, theirs)
        yield Row.compared(f"encode {count} for `{kind}`", pairs, library, None)
        yield Row.compared(f"encode {count} for `{kind}`", pairs, library, None, "cpu")


def _ours(bench, name, output, targets):
    """A dry run over a file with these datapoints."""
    folder = bench.folder / name
    folder.mkdir()
    with open(folder / "points.jsonl", "w", encoding="utf-8") as file:
        points.write_jsonl(file, points.points(targets, KEYS))
    config = bench.write(
        f"{name}/collector.yaml",
        f"main: {{daemon_directory: {folder}/daemon}}\n"
        f"agent: {{hostname: {points.HOSTNAME}, run_metrics: false}}\n"
        f"outputs: [{output}]\n"
        f"jobs: [{{id: {JOB}, timeout: 300s, file: {{path: points.jsonl, format: jsonl}}}}]\n",
    )
    return bench.collector(config, "--dry-run", "--at", str(points.NOW_MS), stdout=folder / "body")


def _verify(bench, ours, theirs, read):
    """Both must say the same of every series, in whatever order."""
    process.run(ours)
    process.run(theirs)
    # The dry run has method, URL and headers before the body.
    said = read(bench, Path(ours.stdout).read_bytes().partition(b"\n\n")[2].removesuffix(b"\n"))
    expected = read(bench, Path(theirs.stdout).read_bytes())
    if said != expected:
        odd = sorted(said.symmetric_difference(expected))[:2]
        raise process.Failed(f"the bodies differ ({len(said)} and {len(expected)} datapoints), first in {odd}")


def _lines(_, body):
    """Series, time and value; numbers may be written in several ways."""
    said = set()
    for line in body.decode("utf-8").splitlines():
        series, field, timestamp = line.rsplit(" ", 2)
        name, value = field.split("=")
        said.add((series, name, timestamp, float(value)))
    return said


def _data_points(bench, body):
    """Metric, attributes and value; the SDK takes its own clock for the time."""
    script = Path(__file__).parent / "yardsticks" / "otlp_read.py"
    folder = bench.folder / "read"
    folder.mkdir(exist_ok=True)
    (folder / "body").write_bytes(body)
    text = process.output([bench.tools.python, str(script), str(folder / "body")])
    return set(text.splitlines())
