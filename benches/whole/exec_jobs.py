"""Many programs that do nothing: what starting one costs."""

import re
import shutil

from . import library, process
from .bench import Unavailable
from .process import Command
from .table import Row

JOBS = 1000


def against_a_shell(bench):
    """1 000 jobs of `true` beside a shell that starts it as often, one after the other.

    dash is the harder yardstick; bash is what most people mean by a shell.
    """
    ours = _ours(bench, JOBS)
    loop = f"for i in $(seq {JOBS}); do /bin/true; done"
    for shell, bound in (("dash", 0.4), ("bash", None)):
        if not shutil.which(shell):
            yield Row.unavailable(f"{JOBS} exec jobs beside {shell}", f"there is no `{shell}`")
            continue
        pairs = bench.pairs(ours, Command([shell, "-c", loop]))
        yield Row.compared(f"{JOBS} exec jobs of `true`", pairs, f"{shell} loop", bound)
        yield Row.compared(f"{JOBS} exec jobs of `true`", pairs, f"{shell} loop", None, "cpu")
    yield Row(f"{JOBS} exec jobs, resident memory", f"{bench.resident_mib(ours):.3g} MiB", "", "", "", None)


def spawn_call(bench):
    """`fork` copies the page tables of its parent, `vfork` (`CLONE_VM | CLONE_VFORK`) does not."""
    bench.need("strace")
    command = _ours(bench, 1)
    log = bench.folder / "strace"
    calls = "clone,clone3,fork,vfork,execve"
    try:
        process.run(Command(["strace", "-f", "-e", f"trace={calls}", "-o", str(log), *command.argv]))
    except process.Failed as error:
        raise Unavailable(f"strace cannot trace here: {error}") from error
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    started = [line for line in lines if "CLONE_THREAD" not in line and re.search(r"\b(clone3?|v?fork)\(", line)]
    if not started:
        raise Unavailable("no child was seen")
    flags = sorted({_flags(line) for line in started})
    shares = all("vfork(" in line or ("CLONE_VM" in line and "CLONE_VFORK" in line) for line in started)
    yield Row(
        "starting a job's process with a parent of 1 GiB",
        ", ".join(flags),
        "vfork: no page table is copied",
        "",
        "no dearer",
        shares,
    )


def _flags(line):
    call = re.search(r"\b(clone3?|v?fork)\(", line).group(1)
    flags = re.search(r"CLONE_[A-Z_|]+", line)
    return f"`{call}({flags.group(0) if flags else ''})`".replace("|", " ")


def _ours(bench, count):
    bench.need_kinds("exec", "pattoo")
    address = bench.server()
    library.configure(bench, address)
    jobs = [f"  - {{id: true_{number}, exec: {{command: [/bin/true], format: jsonl}}}}\n" for number in range(count)]
    head = library.head(bench, address)
    return bench.collector(bench.write("collector.yaml", head + "jobs:\n" + "".join(jobs)))
