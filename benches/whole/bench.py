"""What the figures are measured with: pairs of runs, a folder, servers that end."""

import os
import shutil
import statistics
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from . import process, servers

#: Runs longer than this (seconds) are repeated less often.
LONG_SECONDS = 2


class Unavailable(Exception):
    """This figure cannot be measured here; the text says why."""


class Pairs:
    """Runs of ours and of the other, in turns."""

    def __init__(self, runs):
        self.runs = runs

    def ours(self, measure):
        return statistics.median(getattr(ours, measure) for ours, _ in self.runs)

    def theirs(self, measure):
        return statistics.median(getattr(theirs, measure) for _, theirs in self.runs)

    def ratio(self, measure):
        return statistics.median(getattr(o, measure) / max(getattr(t, measure), 1e-6) for o, t in self.runs)


class Bench:
    """A folder of its own, and servers that end when the figure is done."""

    def __init__(self, tools, folder, pairs, quick):
        self.tools = tools
        self.folder = folder
        self.quick = quick
        self.short_pairs = pairs or (5 if quick else 25)
        self.long_pairs = min(self.short_pairs, 3 if quick else 7)
        self.stack = ExitStack()

    def __enter__(self):
        self.folder.mkdir(parents=True)
        return self

    def __exit__(self, *_):
        self.stack.close()
        # A million datapoints leave gigabytes behind.
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def need(self, *names):
        """These tools, or the figure is not measured."""
        for name in names:
            if name in self.tools.missing:
                raise Unavailable(self.tools.missing[name])

    def need_kinds(self, *kinds):
        """These collectors and outputs must be in the binary."""
        listed = process.output([self.tools.collector, "list"]).split()
        absent = [kind for kind in kinds if kind not in listed]
        if absent:
            raise Unavailable(f"the binary has no `{'`, `'.join(absent)}`")

    def server(self):
        """A server on loopback; returns `host:port`."""
        return self.stack.enter_context(servers.loopback(self.tools.server))

    def nginx(self, upstream):
        """nginx with TLS before it; returns `host:port` and the file of its authority."""
        self.need("nginx", "openssl")
        return self.stack.enter_context(servers.nginx(self.folder / "nginx", upstream))

    def authorities(self, authority):
        """What to trust, with a name for it: that authority alone, and among all that Debian trusts."""
        yield "one authority", authority
        system = Path("/etc/ssl/certs/ca-certificates.crt")
        if system.exists():
            bundle = self.folder / "authorities.pem"
            bundle.write_bytes(system.read_bytes() + authority.read_bytes())
            yield "all of Debian's authorities", bundle

    def yardstick(self, script, folder, *arguments, stdout=os.devnull):
        """A program in Python that uses a library; PattooShared finds its configuration in `folder`."""
        self.need("PattooShared")
        environment = {**os.environ, "PATTOO_CONFIGDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        path = Path(__file__).parent / "yardsticks" / script
        return process.Command([self.tools.python, str(path), *arguments], environment, str(stdout))

    def collector(self, config, *arguments, stdout=os.devnull):
        argv = [self.tools.collector, "run", "--once", "--config", str(config), *arguments]
        # Nothing of the caller's environment may change what is measured.
        return process.Command(argv, {"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}, str(stdout))

    def pairs(self, ours, theirs, processors=None):
        """Runs both in turns, after one of each that does not count."""
        runs = []
        with process.on_processors(processors):
            begun = time.perf_counter()
            for command in (ours, theirs):
                process.run(command)
            is_long = time.perf_counter() - begun > 2 * LONG_SECONDS
            for _ in range(self.long_pairs if is_long else self.short_pairs):
                runs.append((process.run(ours), process.run(theirs)))
        return Pairs(runs)

    def must_ask(self, server, command, requests=1):
        """Runs it once: a run that asks for less than it should is no yardstick, however fast."""
        before = _answered(server)
        process.run(command)
        asked = _answered(server) - before
        if asked < requests:
            raise process.Failed(f"`{command.argv[0]}` made {asked} requests instead of {requests}")

    def resident_mib(self, command):
        return statistics.median(process.resident_bytes(command) for _ in range(5)) / 2**20


def _answered(server):
    with urllib.request.urlopen(f"http://{server}/count", timeout=10) as answer:
        return int(answer.read())
