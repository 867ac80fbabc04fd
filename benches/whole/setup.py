"""What must be there before anything is measured: the binary, the server, the yardsticks."""

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from . import process

ROOT = Path(__file__).resolve().parents[2]
TARGET = "x86_64-unknown-linux-gnu"
#: What each tool is called, and the Debian packages that have it.
DEBIAN = {
    "curl": ["curl"],
    # What its plug-in `write_http` links is not among its dependencies.
    "collectd": ["collectd-core", "libyajl2", "libcurl3-gnutls"],
    "nginx": ["nginx-light"],
    "openssl": ["openssl"],
    "strace": ["strace"],
    "time": ["time"],
    "venv": ["python3-venv"],
}
COLLECTD_PLUGIN = "/usr/lib/collectd/write_http.so"
#: The yardsticks, and what the first imports but does not ask for.
PYTHON = [
    "PattooShared==0.0.120",
    "psutil",
    "requests",
    "python-gnupg",
    "influxdb-client==1.50.0",
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-exporter-otlp-proto-common==1.45.2",
]


@dataclass
class Tools:
    collector: str
    server: str
    #: The Python of the yardstick's virtual environment.
    python: str
    #: The binary without the feature `lambda`, once it is built.
    without_lambda: str | None = None
    #: What could not be installed, and why.
    missing: dict = field(default_factory=dict)


def prepare(collector, without_lambda=None):
    """Builds and installs; a yardstick that cannot be had is noted, and only what needs it is left out."""
    # Debian keeps daemons outside of a user's PATH.
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    (ROOT / "target").mkdir(exist_ok=True)
    missing = _debian_packages()
    python = _virtual_environment(missing)
    collector = str(collector.resolve()) if collector else _collector()
    without_lambda = without_lambda and str(without_lambda.resolve())
    return Tools(collector, _server(), str(python), without_lambda, missing)


def without_lambda(tools):
    """The same binary without the feature `lambda`; built when it is first asked for."""
    if not tools.without_lambda:
        _say("building the static release binary without the feature `lambda`")
        tools.without_lambda = _build(ROOT / "target" / "without-lambda", "--no-default-features")
    return tools.without_lambda


def _debian_packages():
    absent = {tool: packages for tool, packages in DEBIAN.items() if not _is_there(tool)}
    if absent and os.getuid() == 0 and shutil.which("apt-get"):
        wanted = [package for packages in absent.values() for package in packages]
        _say("installing " + ", ".join(wanted))
        quiet = {"check": False, "stdout": subprocess.DEVNULL}
        # A package that starts a service is not to start it here.
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        subprocess.run(["apt-get", "update", "-qq"], env=environment, **quiet)
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *wanted]
        subprocess.run(install, env=environment, **quiet)
    return {
        tool: f"`{tool}` is missing: please install {', '.join(packages)}"
        for tool, packages in absent.items()
        if not _is_there(tool)
    }


def _is_there(tool):
    if tool == "venv":
        return importlib.util.find_spec("ensurepip") is not None
    if not shutil.which(tool):
        return False
    return tool != "collectd" or "not found" not in process.output(["ldd", COLLECTD_PLUGIN])


def _virtual_environment(missing):
    folder = ROOT / "target" / "bench-venv"
    python = folder / "bin" / "python"
    done = folder / "installed"
    if done.exists() and done.read_text(encoding="utf-8") == " ".join(PYTHON):
        return python
    _say("installing " + ", ".join(PYTHON))
    try:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PYTHON], check=True)
        done.write_text(" ".join(PYTHON), encoding="utf-8")
    except (OSError, subprocess.CalledProcessError) as error:
        missing["PattooShared"] = f"PattooShared cannot be installed: {error}"
    return python


def _collector():
    """The binary as it is shipped: static, in the release profile."""
    _say("building the static release binary")
    return _build(ROOT / "target")


def _build(folder, *features):
    environment = {**os.environ, "RUSTFLAGS": "-C target-feature=+crt-static", "CARGO_TARGET_DIR": str(folder)}
    build = ["cargo", "build", "--release", "--locked", "--bin", "collector", "--target", TARGET, *features]
    subprocess.run(build, cwd=ROOT, env=environment, check=True)
    return str(folder / TARGET / "release" / "collector")


def _server():
    """It needs nothing but std, so the compiler is enough; Cargo would build every development dependency."""
    source = ROOT / "benches" / "whole" / "server.rs"
    binary = ROOT / "target" / "bench-server"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["rustc", "--edition", "2024", "-O", "-o", binary, source], cwd=ROOT, check=True)
    return str(binary)


def _say(what):
    print(what, file=sys.stderr, flush=True)
