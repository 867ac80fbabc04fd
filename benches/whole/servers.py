"""Servers on loopback, each ended with the figure that started it."""

import socket
import subprocess
import time
from contextlib import contextmanager

#: How long a server may take to begin and to end, in seconds.
PATIENCE = 10

NGINX = """
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream delaying {{ server {upstream}; keepalive 512; }}
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.key;
        ssl_protocols TLSv1.3;
        keepalive_requests 100000;
        location / {{
            proxy_pass http://delaying;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


@contextmanager
def loopback(binary):
    """The server of `server.rs`; it ends with its standard input."""
    process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        _end(process)


@contextmanager
def nginx(folder, upstream):
    """nginx with TLS 1.3 and a fresh certificate, before `upstream`."""
    folder.mkdir(parents=True)
    _certificates(folder)
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, upstream=upstream), encoding="utf-8")
    process = subprocess.Popen(["nginx", "-c", config, "-p", folder, "-e", folder / "error.log"])
    try:
        _wait_for(port, process)
        yield f"127.0.0.1:{port}", folder / "ca.pem"
    finally:
        process.terminate()
        _end(process)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _certificates(folder):
    """An authority, and a certificate of its for 127.0.0.1; P-256, as most of the web has."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    quiet = {"check": True, "cwd": folder, "capture_output": True}
    authority = ["-subj", "/CN=bench", "-keyout", "ca.key", "-out", "ca.pem"]
    subprocess.run(["openssl", "req", "-x509", *key, "-days", "2", *authority], **quiet)
    server = ["-subj", "/CN=127.0.0.1", "-keyout", "server.key", "-out", "server.csr"]
    subprocess.run(["openssl", "req", *key, *server], **quiet)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n", encoding="utf-8")
    sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    subprocess.run(["openssl", "x509", "-req", "-in", "server.csr", *sign, "-out", "server.pem"], **quiet)


def _wait_for(port, process):
    patience = time.monotonic() + PATIENCE
    while time.monotonic() < patience and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("nginx did not start")


def _end(process):
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
