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


def plain(bench):
    """Over HTTP, posted to a pattoo server on loopback."""
    server = bench.server()
    yield from _measure(bench, "HTTP", f"http://{server}", server, None, 0.9)


def tls(bench):
    """Over HTTPS, through nginx."""
    server = bench.server()
    address, authority = bench.nginx(server)
    yield from _measure(bench, "HTTPS", f"https://{address}", server, authority, 0.5)


def _measure(bench, scheme, base, server, authority, bound):
    bench.need("curl")
    bench.need_kinds("http", "pattoo")
    library.configure(bench, server)
    trust = f", tls: {{ca_file: {authority}}}" if authority else ""
    jobs = [
        f"  - {{id: web_{number}, http: {{url: '{base}/delay/{DELAY_MS}?{number}'{trust}, "
        f"mapping: {{values: {{value: /value}}}}}}}}\n"
        for number in range(JOBS)
    ]
    config = bench.write("collector.yaml", library.head(bench, server, THREADS) + "jobs:\n" + "".join(jobs))
    urls = "".join(f'url = "{base}/delay/{DELAY_MS}?{number}"\noutput = "/dev/null"\n' for number in range(JOBS))
    list_of_urls = bench.write("urls", urls)
    argv = ["curl", "--silent", "--show-error", "--fail", "--parallel", "--parallel-max", str(CURL_PARALLEL)]
    if authority:
        argv += ["--cacert", str(authority)]
    ours = bench.collector(config)
    theirs = Command([*argv, "--config", str(list_of_urls)])
    bench.must_ask(server, ours, JOBS + 1)  # and the post
    bench.must_ask(server, theirs, JOBS)
    pairs = bench.pairs(ours, theirs)
    figure = f"{JOBS} {scheme} jobs of {DELAY_MS} ms, {THREADS} threads"
    if not authority:
        yield _beside_the_ideal(figure, pairs)
    name = f"curl --parallel-max {CURL_PARALLEL}"
    yield Row.compared(figure, pairs, name, bound)
    yield Row.compared(figure, pairs, name, bound, "cpu")
    limit = None if authority else 20
    size = bench.resident_mib(ours)
    if limit:
        yield Row.limited(f"{figure}, resident memory", size, "MiB", limit)
    else:
        yield Row(f"{figure}, resident memory", f"{size:.3g} MiB", "", "", "", None)


def _beside_the_ideal(figure, pairs):
    ideal = math.ceil(JOBS / THREADS) * DELAY_MS / 1000
    ours = pairs.ours("wall")
    ratio = ours / ideal
    yardstick = f"ideal {ideal * 1000:.0f} ms"
    return Row(figure, f"{ours * 1000:.0f} ms", yardstick, quotient(ratio), "≤ 1.15", ratio <= 1.15)
