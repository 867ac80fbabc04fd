"""A whole small run: start, configuration, one collector, one request, end."""

import subprocess
from pathlib import Path

from . import library, process
from .bench import Unavailable
from .process import Command
from .table import Row

JOBS = 50

COLLECTD = """
Hostname "bench.example.org"
BaseDir "{folder}"
PIDFile "{folder}/collectd.pid"
PluginDir "/usr/lib/collectd"
TypesDB "/usr/share/collectd/types.db"
Interval 10
LoadPlugin cpu
LoadPlugin df
LoadPlugin disk
LoadPlugin interface
LoadPlugin load
LoadPlugin memory
LoadPlugin processes
LoadPlugin swap
LoadPlugin uptime
LoadPlugin write_http
<Plugin write_http>
    <Node "bench">
        URL "http://{address}/"
        Format "JSON"
    </Node>
</Plugin>
"""


def plain(bench):
    """The `system` collector and one post, in a configuration of 50 jobs."""
    bench.need_kinds("system", "http", "pattoo")
    address = bench.server()
    folder = library.configure(bench, address)
    head = library.head(bench, address)
    # No yardstick waits for a second sample of the processors' time.
    config = _config(bench, "collector.yaml", head, "  - {id: host, system: {cpu: {sample: 0}}}\n")
    ours = bench.collector(config)
    bench.must_ask(address, ours)
    yield Row.limited("small run, resident memory", bench.resident_mib(ours), "MiB", 6)
    for measure, theirs, name, bound in (
        (_curl, "curl", "curl", 1 / 2),
        (_collectd, "collectd", "collectd -T", 0.4),
        (_library, "PattooShared", "PattooShared, psutil", 0.03),
    ):
        try:
            bench.need(theirs)
            command = measure(bench, config, address, folder)
            bench.must_ask(address, command)
            pairs = bench.pairs(ours, command)
        except (Unavailable, process.Failed) as reason:
            yield Row.unavailable(f"small run beside {name}", str(reason))
            continue
        yield Row.compared("small run", pairs, name, bound)
        yield Row.compared("small run", pairs, name, bound, "cpu")


def tls(bench):
    """One HTTPS request in a configuration of 50 jobs."""
    bench.need("curl", "nginx", "openssl")
    bench.need_kinds("http", "stdout")
    server = bench.server()
    address, authority = bench.nginx(server)
    url = f"https://{address}/"
    head = f"main: {{daemon_directory: {bench.folder}/state}}\noutputs: [{{stdout: {{}}}}]\n"
    for what, file in bench.authorities(authority):
        job = (
            f"  - id: web\n    http:\n      url: {url}\n      tls: {{ca_file: {file}}}\n"
            "      mapping: {values: {value: /value}}\n"
        )
        ours = bench.collector(_config(bench, "collector.yaml", head, job))
        theirs = Command(["curl", "--silent", "--show-error", "--fail", "--cacert", str(file), url])
        for command in (ours, theirs):
            bench.must_ask(server, command)
        pairs = bench.pairs(ours, theirs)
        yield Row.compared(f"small run over TLS, {what}", pairs, "curl", 1 / 2)
        yield Row.compared(f"small run over TLS, {what}", pairs, "curl", 1 / 2, "cpu")
        yield Row.limited(f"small run over TLS, {what}, resident memory", bench.resident_mib(ours), "MiB", 6)


def _config(bench, name, head, job):
    """That job, and 49 that are not enabled."""
    idle = [
        f"""  - id: idle_{number}
    enabled: false
    every: 5m
    timeout: 10s
    labels: {{site: berlin, rack: r{number}}}
    http:
      url: http://192.0.2.{number}:8080/status
      mapping: {{values: {{temperature: /main/temp, humidity: /main/humidity}}}}
"""
        for number in range(1, JOBS)
    ]
    return bench.write(name, head + "jobs:\n" + job + "".join(idle))


def _curl(bench, config, address, _):
    """curl posts the very body that ours would."""
    dry = bench.collector(config, "--dry-run", stdout=bench.folder / "dry")
    process.run(dry)
    body = bench.folder / "body"
    body.write_bytes(Path(dry.stdout).read_bytes().partition(b"\n\n")[2].removesuffix(b"\n"))
    url = f"http://{address}/pattoo/api/v1/agent/receive/id"
    post = ["--header", "Content-Type: application/json", "--data-binary", f"@{body}", url]
    return Command(["curl", "--silent", "--show-error", "--fail", *post])


def _collectd(bench, _config, address, _folder):
    folder = bench.folder / "collectd"
    folder.mkdir()
    config = bench.write("collectd/collectd.conf", COLLECTD.format(folder=folder, address=address))
    command = Command(["collectd", "-T", "-C", str(config)])
    done = subprocess.run(command.argv, capture_output=True, text=True, timeout=60, check=False)
    # It ends with 1 when a plugin finds nothing on this machine, and has read and posted all the others.
    command.expected = (0, done.returncode)
    return command


def _library(bench, _config, _address, folder):
    return bench.yardstick("small_run.py", folder)
