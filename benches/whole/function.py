"""The Lambda function: cold start, warm invocation, package, and what the command line pays for it."""

import json
import re
import statistics
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

from . import process, setup
from .bench import Pairs, Unavailable
from .process import Failed, Usage
from .runtime_api import Function
from .servers import free_port
from .table import Row

YARDSTICKS = Path(__file__).parent / "yardsticks"
PARAMETER = "/bench/key"
WARM_INVOCATIONS = 300
PACKAGE_MIB = 4
COLD_BOUND = 1 / 10
WARM_BOUND = 3
INSTRUCTIONS_BOUND = 1.4


def cold_start(bench):
    """From the start of the process to its first answer, beside Python with boto3, without and with a secret."""
    bench.need_kinds("random", "stdout")
    python = _boto3(bench)
    endpoint = bench.stack.enter_context(_moto(bench))
    aws = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
    }
    # The secret is what its output needs: without it nothing is sent.
    server = bench.server()
    webhook = f"webhook: {{url: 'http://{server}/', http: {{auth: {{bearer: {{ssm: {PARAMETER}}}}}}}}}"
    for what, output, parameter in (
        ("nothing fetched", "stdout: {}", {}),
        ("a secret from Parameter Store", webhook, {"PARAMETER": PARAMETER}),
    ):
        ours = _function(bench, output)
        theirs = ([python, str(YARDSTICKS / "handler.py")], {**aws, **parameter})
        runs = []
        for place in range(bench.short_pairs + 1):
            pair = tuple(_first(argv, {**aws, **environment}) for argv, environment in (ours, theirs))
            # The first finds nothing in the caches of the machine.
            runs.extend([pair] if place else [])
        yield Row.compared(f"cold start, {what}", Pairs(runs), "Python, boto3", COLD_BOUND)


def warm(bench):
    """An invocation in which nothing is due, beside what the emulator itself takes."""
    bench.need_kinds("random", "stdout")
    argv, environment = _function(bench, "stdout: {}")
    with Function(argv, environment) as ours, Function([sys.executable, str(YARDSTICKS / "echo.py")], {}) as echo:
        for function in (ours, echo):
            function.first()
            function.invoke()
        runs = [(Usage(ours.invoke(), 0), Usage(echo.invoke(), 0)) for _ in range(WARM_INVOCATIONS)]
    yield Row.compared("warm invocation, nothing due", Pairs(runs), "a function that answers at once", WARM_BOUND)


def package(bench):
    """The size of the zipped package, with and without the feature."""
    sizes = [_zipped_mib(bench, binary) for binary in (bench.tools.collector, _without(bench))]
    note = f"without the feature `lambda` {sizes[1]:.3g} MiB"
    yield Row.limited("package of the function, zipped", sizes[0], "MiB", PACKAGE_MIB, note)


def command_line(bench):
    """Instructions of a run from the command line, with and without the feature."""
    bench.need_kinds("random", "stdout")
    config = bench.write(
        "run.yaml",
        f"main: {{daemon_directory: {bench.folder}/state}}\noutputs: [{{stdout: {{}}}}]\n"
        "jobs: [{id: dice, random: {seed: 1}}]\n",
    )
    counts = []
    for binary in (bench.tools.collector, _without(bench)):
        argv = [binary, "run", "--once", "--config", str(config)]
        counts.append(statistics.median(_instructions(bench, argv) for _ in range(5)))
    ratio = counts[0] / counts[1]
    ours, theirs = (f"{count / 1e6:.3g} million" for count in counts)
    figure = "`collector run`, instructions"
    yield Row(figure, ours, f"without the feature {theirs}", f"{ratio:.2f}", f"≤ {INSTRUCTIONS_BOUND}", ratio <= INSTRUCTIONS_BOUND)


def _function(bench, output):
    """Ours, with one job and that output."""
    config = bench.write(
        f"function-{len(output)}.yaml",
        f"agent: {{run_metrics: false, secrets_ttl: 0s}}\noutputs: [{{{output}}}]\njobs: [{{id: dice, random: {{seed: 1}}}}]\n",
    )
    temporary = bench.folder / "tmp"
    temporary.mkdir(exist_ok=True)
    return [bench.tools.collector], {"COLLECTOR_CONFIG": str(config), "TMPDIR": str(temporary)}


def _first(argv, environment):
    # A new instance finds nothing in its folder.
    state = Path(environment.get("TMPDIR", "/nonexistent")) / "collector"
    if state.exists():
        subprocess.run(["rm", "-r", str(state)], check=True)
    with Function(argv, environment) as function:
        return Usage(function.first(), 0)


def _without(bench):
    try:
        return setup.without_lambda(bench.tools)
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"the build without the feature failed: {error}") from error


def _zipped_mib(bench, binary):
    archive = bench.folder / "package.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        package.write(binary, "bootstrap")
        package.write(setup.ROOT / "config" / "lambda.yaml", "collector.yaml")
    return archive.stat().st_size / 2**20


def _instructions(bench, argv):
    """As the processor counts them, else as valgrind does."""
    counted = process.output(["perf", "stat", "-x,", "-e", "instructions:u", *argv])
    if found := re.search(r"^(\d+),,instructions:u", counted, re.MULTILINE):
        return int(found[1])
    log = bench.folder / "valgrind.log"
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", f"--log-file={log}"]
    process.output([*tool, *argv])
    found = re.search(r"I\s+refs:\s+([\d,]+)", log.read_text(encoding="utf-8") if log.exists() else "")
    if not found:
        raise Unavailable("neither perf nor valgrind can count instructions here")
    return int(found[1].replace(",", ""))


def _boto3(bench):
    """The Python of the tests' virtual environment, which has moto and so boto3."""
    python = setup.ROOT / "target" / "venv" / "bin" / "python"
    if not python.exists():
        raise Unavailable("`tests/run` installs boto3 and moto into target/venv")
    return str(python)


class _moto:
    """AWS on loopback, with the secret."""

    def __init__(self, bench):
        self.program = setup.ROOT / "target" / "venv" / "bin" / "moto_server"
        self.url = f"http://127.0.0.1:{free_port()}"

    def __enter__(self):
        port = self.url.rpartition(":")[2]
        null = subprocess.DEVNULL
        self.process = subprocess.Popen([self.program, "-H", "127.0.0.1", "-p", port], stdout=null, stderr=null)
        request = urllib.request.Request(
            self.url,
            json.dumps({"Name": PARAMETER, "Value": "s3cret", "Type": "SecureString"}).encode(),
            {
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": "AmazonSSM.PutParameter",
                "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-central-1/ssm/aws4_request, SignedHeaders=host, Signature=0",
            },
        )
        for _ in range(200):
            try:
                urllib.request.urlopen(request, timeout=10).read()
                return self.url
            except OSError:
                time.sleep(0.1)
        self.__exit__()
        raise Failed("moto does not begin")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
