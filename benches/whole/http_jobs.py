"""Many requests at once, each answered after 100 ms."""

import math

from . import library
from .process import Command
from .table import Row, quotient

JOBS = 1000
DELAY_MS = 100
THREADS = 256
#: The most that curl does at once.
CURL_PARALLEL = 300
CURL = f"curl --parallel-max {CURL_PARALLEL}"


def plain(bench):
    """Over HTTP, posted to a pattoo server on loopback."""
    bench.need("curl")
    server = bench.server()
    figure = f"{JOBS} HTTP jobs of {DELAY_MS} ms, {THREADS} threads"
    ours, pairs = _measure(bench, f"http://{server}", server, None)
    yield _beside_the_ideal(figure, pairs)
    for measure in ("wall", "cpu"):
        yield Row.compared(figure, pairs, CURL, 0.9, measure)
    yield Row.limited(f"{figure}, resident memory", bench.resident_mib(ours), "MiB", 20)


def tls(bench):
    """Over HTTPS, through nginx."""
    bench.need("curl", "nginx", "openssl")
    server = bench.server()
    address, authority = bench.nginx(server)
    for what, file in bench.authorities(authority):
        figure = f"{JOBS} HTTPS jobs of {DELAY_MS} ms, {THREADS} threads, {what}"
        ours, pairs = _measure(bench, f"https://{address}", server, file)
        for measure in ("wall", "cpu"):
            yield Row.compared(figure, pairs, CURL, 0.5, measure)
        yield Row(f"{figure}, resident memory", f"{bench.resident_mib(ours):.3g} MiB", "", "", "", None)


def _measure(bench, base, server, authority):
    """Our command, and its runs in turns with curl's; the server behind `base` counts the requests."""
    bench.need_kinds("http", "pattoo")
    library.configure(bench, server)
    urls = [f"{base}/delay/{DELAY_MS}?{number}" for number in range(JOBS)]
    trust = f", tls: {{ca_file: {authority}}}" if authority else ""
    jobs = [
        f"  - {{id: web_{number}, http: {{url: '{url}'{trust}, mapping: {{values: {{value: /value}}}}}}}}\n"
        for number, url in enumerate(urls)
    ]
    head = library.head(bench, server, THREADS)
    ours = bench.collector(bench.write("collector.yaml", head + "jobs:\n" + "".join(jobs)))
    listed = bench.write("urls", "".join(f'url = "{url}"\noutput = "/dev/null"\n' for url in urls))
    argv = ["curl", "--silent", "--show-error", "--fail", "--parallel"]
    argv += ["--parallel-max", str(CURL_PARALLEL), "--config", str(listed)]
    theirs = Command(argv + (["--cacert", str(authority)] if authority else []))
    bench.must_ask(server, ours, JOBS + 1)  # and the post
    bench.must_ask(server, theirs, JOBS)
    return ours, bench.pairs(ours, theirs)


def _beside_the_ideal(figure, pairs):
    ideal = math.ceil(JOBS / THREADS) * DELAY_MS / 1000
    ours = pairs.ours("wall")
    ratio = ours / ideal
    yardstick = f"ideal {ideal * 1000:.0f} ms"
    return Row(figure, f"{ours * 1000:.0f} ms", yardstick, quotient(ratio), "≤ 1.15", ratio <= 1.15)
