"""Lambda's runtime API, and a function behind it, timed."""

import os
import socket
import subprocess
import threading
import time
from contextlib import suppress

from .process import Failed

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:bench"
#: How long an invocation may take before the measurement is given up, in seconds.
PATIENCE = 60


class Function:
    """A process behind the API; it ends with this."""

    def __init__(self, argv, environment):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.answered = threading.Event()
        self.event = threading.Semaphore(0)
        self.count = 0
        self.answer = (0.0, "", b"")
        self.ended = False
        threading.Thread(target=self._accept, daemon=True).start()
        host, port = self.listener.getsockname()
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": f"{host}:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_LEVEL": "ERROR",
            **environment,
        }
        self.started = time.perf_counter()
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(argv, env=environment, stdin=null, stdout=null, stderr=null)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        self.process.kill()
        self.process.wait()
        self.listener.close()
        self.event.release()

    def first(self):
        """Seconds from the start of the process to its first answer."""
        self.invoke()
        return self.answer[0] - self.started

    def invoke(self):
        """Sends an event and waits for the answer; seconds in between."""
        self.answered.clear()
        began = time.perf_counter()
        self.event.release()
        if not self.answered.wait(PATIENCE):
            raise Failed("the function did not answer")
        moment, place, body = self.answer
        if not place.endswith("/response"):
            raise Failed(f"the function failed: {body.decode(errors='replace')[:500]}")
        return moment - began

    def _accept(self):
        while not self.ended:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream):
        # A function that is ended breaks its connection.
        with suppress(ConnectionError), stream, stream.makefile("rb") as reader:
            while line := reader.readline():
                method, place, _ = line.decode().split(" ", 2)
                length = 0
                while (header := reader.readline()) not in (b"\r\n", b""):
                    name, _, value = header.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                body = reader.read(length)
                if method == "GET":
                    self._next(stream)
                else:
                    # The moment at which the answer is here, whatever it takes to say so.
                    self.answer = (time.perf_counter(), place, body)
                    self.answered.set()
                    stream.sendall(b'HTTP/1.1 202 Accepted\r\nContent-Length: 15\r\n\r\n{"status":"OK"}')

    def _next(self, stream):
        self.event.acquire()
        if self.ended:
            return
        self.count += 1
        deadline = int((time.time() + PATIENCE) * 1000)
        stream.sendall(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            f"Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-{self.count:012}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {deadline}\r\n"
            f"Lambda-Runtime-Invoked-Function-Arn: {ARN}\r\n\r\n{{}}".encode()
        )
