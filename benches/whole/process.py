"""One process, measured."""

import os
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass


class Failed(Exception):
    """The process did not do what it was to do."""


@dataclass
class Usage:
    wall: float  # seconds
    cpu: float  # seconds, user and system, of the process and of the children it waited for


@dataclass
class Command:
    argv: list
    environment: dict | None = None
    stdout: str = os.devnull
    #: Statuses that count as done.
    expected: tuple = (0,)


def run(command):
    """Runs it once. Python's `subprocess` would add its own start; `posix_spawn` adds next to nothing."""
    environment = os.environ if command.environment is None else command.environment
    with tempfile.TemporaryFile() as stderr:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, command.stdout, flags, 0o600),
            (os.POSIX_SPAWN_DUP2, stderr.fileno(), 2),
        ]
        started = time.perf_counter()
        pid = os.posix_spawnp(command.argv[0], command.argv, environment, file_actions=actions)
        try:
            _, status, usage = os.wait4(pid, 0)
        except BaseException:
            # This script is being ended, and what it started with it.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        wall = time.perf_counter() - started
        code = os.waitstatus_to_exitcode(status)
        if code not in command.expected:
            stderr.seek(0)
            said = stderr.read().decode(errors="replace").strip()
            raise Failed(f"`{' '.join(map(str, command.argv))[:200]}` ended with {code}: {said[-500:]}")
    return Usage(wall, usage.ru_utime + usage.ru_stime)


def resident_bytes(command):
    """The largest resident set of one run.

    GNU time starts it: a child takes over the size of who forked it, and this interpreter is larger than what is
    measured.
    """
    with tempfile.NamedTemporaryFile(mode="r") as result:
        argv = ["/usr/bin/time", "--quiet", "-f", "%M", "-o", result.name, *command.argv]
        run(Command(argv, command.environment, command.stdout, command.expected))
        return int(result.read().split()[-1]) * 1024


@contextmanager
def on_processors(processors):
    """What is started within has these processors only; `None`: all that there are."""
    before = os.sched_getaffinity(0)
    if processors is not None:
        os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def output(argv):
    """What a command prints, for questions about versions; empty when it cannot be asked."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip()
