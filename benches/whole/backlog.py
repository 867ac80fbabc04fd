"""What a long backlog costs a run whose server is down."""

import shutil
import socket
from pathlib import Path

from . import process
from .table import Row

BODIES = 10_000
BOUND_SECONDS = 0.05


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


def _multiply(body: Path, times):
    """Older bodies with the same content: a name begins with a moment of 20 digits."""
    moment, rest = body.name[:20], body.name[20:]
    for number in range(times):
        shutil.copyfile(body, body.with_name(f"{int(moment) - number - 1:020}{rest}"))
