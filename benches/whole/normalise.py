"""From datapoints to a body: the time and the memory that it takes."""

import os
import statistics
from pathlib import Path

from . import library, points, process
from .table import Row, duration, quotient

#: Nothing is sent there.
NOWHERE = "127.0.0.1:9"
KEYS = 1000


def against_the_library(bench):
    """100 000 datapoints, once as one job, once as a job per target, which threads can share."""
    bench.need_kinds("file", "pattoo")
    targets = 20 if bench.quick else 100
    count = f"{targets * KEYS:,}".replace(",", " ")
    folder = library.configure(bench, NOWHERE)
    size = (str(targets), str(KEYS))
    theirs = bench.yardstick("normalise.py", folder, *size, stdout=bench.folder / "theirs")
    one_job = _ours(bench, "one", targets, KEYS)
    many_jobs = _ours(bench, "many", targets, KEYS, jobs=targets)
    for command in (one_job, many_jobs):
        _verify(command, theirs)
    one = bench.pairs(one_job, theirs, processors={min(os.sched_getaffinity(0))})
    yield Row.compared(f"normalise {count}, one processor", one, "PattooShared", 1 / 40)
    yield Row.compared(f"normalise {count}, one processor", one, "PattooShared", 1 / 40, "cpu")
    threads = bench.pairs(many_jobs, theirs)
    yield Row.compared(f"normalise {count}, a job per target, all processors", threads, "PattooShared", 1 / 75)
    single = bench.pairs(one_job, theirs)
    yield Row.compared(f"normalise {count}, one job, all processors", single, "PattooShared", None)


def flatness(bench):
    """The time per datapoint, the start of the process left out.

    Processor time, on one of them: 1 000 datapoints take less than the wall clock's noise.
    """
    bench.need_kinds("file", "pattoo")
    library.configure(bench, NOWHERE)
    largest = 200 if bench.quick else 1000
    commands = {
        "nothing": (_ours(bench, "nothing", 1, 1), 0),
        "1 000": (_ours(bench, "thousand", 1, KEYS), KEYS),
        "100 000": (_ours(bench, "hundred", 100, KEYS), 100 * KEYS),
        f"{largest} 000": (_ours(bench, "largest", largest, KEYS), largest * KEYS),
        "20 targets": (_ours(bench, "targets", 20, KEYS), 20 * KEYS),
        "one target": (_ours(bench, "target", 1, 20 * KEYS), 20 * KEYS),
    }
    times = {name: [] for name in commands}
    with process.on_processors({min(os.sched_getaffinity(0))}):
        for turn in range(bench.short_pairs + 1):
            for name, (command, count) in commands.items():
                if count > 100 * KEYS and turn > bench.long_pairs:
                    continue
                cpu = process.run(command).cpu
                if turn > 0:  # the first one warms the caches
                    times[name].append(cpu)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    base = medians.pop("nothing")
    each = {name: (median - base) / commands[name][1] for name, median in medians.items()}

    def row(figure, ours, other, bound):
        ratio = each[ours] / each[other]
        return Row(
            figure,
            f"{each[ours] * 1e6:.2f} µs",
            f"{other}: {each[other] * 1e6:.2f} µs",
            quotient(ratio),
            f"≤ {bound:.2f}",
            ratio <= bound,
        )

    yield Row("a run of one datapoint, CPU", duration(base), "", "", "", None)
    yield row("CPU per datapoint of 100 000", "100 000", "1 000", 1.1)
    yield row(f"CPU per datapoint of {largest} 000", f"{largest} 000", "1 000", 1.1)
    yield row("CPU per datapoint of 20 000 keys in one target", "one target", "20 targets", 1.1)


def memory(bench):
    """What a further datapoint adds to the resident set. The input is read as it comes and adds nothing."""
    bench.need_kinds("file", "pattoo")
    library.configure(bench, NOWHERE)
    few, many = (50, 200) if bench.quick else (200, 1000)
    sizes = []
    for targets in (few, many):
        command = _ours(bench, f"memory-{targets}", targets, KEYS)
        sizes.append(statistics.median(process.resident_bytes(command) for _ in range(3)))
        os.truncate(command.stdout, 0)
    value = (sizes[1] - sizes[0]) / ((many - few) * KEYS)
    note = f"{sizes[0] / 2**20:.1f} MiB with {few} 000, {sizes[1] / 2**20:.1f} MiB with {many} 000"
    yield Row.limited("resident memory per further datapoint", value, "bytes", 64, note)


def _ours(bench, name, targets, keys, jobs=1):
    """A dry run over files with these datapoints, in `jobs` jobs."""
    ids = []
    folder = bench.folder / name
    folder.mkdir()
    rows = points.points(targets, keys)
    for job in range(jobs):
        with open(folder / f"{job}.jsonl", "w", encoding="utf-8") as file:
            points.write_jsonl(file, (next(rows) for _ in range(targets * keys // jobs)))
        ids.append(f"  - {{id: job_{job}, timeout: 300s, file: {{path: {job}.jsonl, format: jsonl}}}}\n")
    config = bench.write(f"{name}/collector.yaml", library.head(bench, NOWHERE) + "jobs:\n" + "".join(ids))
    arguments = ["--dry-run", "--at", str(points.NOW_MS)]
    return bench.collector(config, *arguments, stdout=folder / "body")


def _verify(ours, theirs):
    """Both must say the same, byte for byte; the dry run has method, URL and headers before the body."""
    process.run(ours)
    process.run(theirs)
    body = Path(ours.stdout).read_bytes().partition(b"\n\n")[2].removesuffix(b"\n")
    expected = Path(theirs.stdout).read_bytes()
    if body != expected:
        place = next((i for i, (a, b) in enumerate(zip(body, expected)) if a != b), min(len(body), len(expected)))
        raise process.Failed(
            f"the bodies ({len(body)} and {len(expected)} bytes) differ at byte {place}: "
            f"ours {body[place - 40:place + 40]!r}, theirs {expected[place - 40:place + 40]!r}"
        )
