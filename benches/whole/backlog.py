"""What a long backlog costs a run whose server is down, and one whose server is back."""

import http.client
import shutil
import socket
import time
from pathlib import Path

from . import process
from .bench import Pairs
from .table import Row

BODIES = 10_000
BOUND_SECONDS = 0.05
#: What is drained, and how long the server takes for each.
DRAINED = 500
SERVER_MS = 3
#: Beside a client that does nothing but send.
DRAINED_BOUND = 1.10


def figures(bench):
    yield from while_the_server_is_down(bench)
    yield from draining(bench)


def while_the_server_is_down(bench):
    """A run that finds 10 000 bodies in the spool, beside one that finds a few; both only add their own."""
    bench.need_kinds("random", "pattoo")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    host, port = address.split(":")
    commands = []
    for name, bodies in (("long", BODIES), ("short", 0)):
        config = bench.write(
            f"{name}.yaml",
            f"main: {{daemon_directory: {bench.folder}/{name}}}\n"
            f"polling: {{ip_address: {host}, ip_bind_port: {port}}}\n"
            "jobs: [{id: dice, random: {}}]\n",
        )
        command = bench.collector(config)
        # 4: the body waits.
        command.expected = (4,)
        process.run(command)
        (body,) = (bench.folder / name).glob("spool/*/*.body")
        _multiply(body, bodies)
        commands.append(command)
    pairs = bench.pairs(*commands)
    more = pairs.ours("wall") - pairs.theirs("wall")
    what = f"server down, {BODIES} bodies wait: longer than with none by"
    yield Row.limited(what, more * 1000, "ms", BOUND_SECONDS * 1000)


def draining(bench):
    """A run that finds 500 bodies and a server that is back, beside a plain client that sends as many, one after another."""
    bench.need_kinds("random", "webhook")
    server = bench.server()
    path = f"/delay/{SERVER_MS}"

    def run_against(address):
        config = bench.write(
            "draining.yaml",
            f"main: {{daemon_directory: {bench.folder}/draining}}\n"
            f"outputs: [{{webhook: {{url: 'http://{address}{path}'}}}}]\n"
            "jobs: [{id: dice, random: {}}]\n",
        )
        return bench.collector(config)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        down = run_against(f"127.0.0.1:{free.getsockname()[1]}")
    # 4: the body waits.
    down.expected = (4,)
    process.run(down)
    (body,) = (bench.folder / "draining").glob("spool/*/*.body")
    sent = body.read_bytes()
    ours = run_against(server)
    runs = []
    for number in range(bench.long_pairs + 1):
        body.write_bytes(sent)
        _multiply(body, DRAINED - 1)
        # With the run's own they are one more.
        if number == 0:
            bench.must_ask(server, ours, DRAINED + 1)
        else:
            runs.append((process.run(ours), _send(server, path, sent, DRAINED + 1)))
    what = f"{DRAINED} bodies to a server that takes {SERVER_MS} ms for each"
    yield Row.compared(what, Pairs(runs), "one connection, as fast as it answers", DRAINED_BOUND)


def _send(server, path, body, times):
    """The same over one connection by a client that does nothing else: what the server itself takes."""
    connection = http.client.HTTPConnection(server)
    started = time.perf_counter()
    for _ in range(times):
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        connection.getresponse().read()
    wall = time.perf_counter() - started
    connection.close()
    return process.Usage(wall, 0)


def _multiply(body: Path, times):
    """Older bodies with the same content: a name begins with a moment of 20 digits."""
    moment, rest = body.name[:20], body.name[20:]
    for number in range(times):
        shutil.copyfile(body, body.with_name(f"{int(moment) - number - 1:020}{rest}"))
