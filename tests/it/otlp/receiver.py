"""An OTLP/HTTP receiver of metrics, made of the OpenTelemetry project's own messages.

What it takes is appended to received.jsonl as JSON, one request a line. It rejects data points of the metric
`unwanted` (partial success), and whole requests with a metric `broken` (status 400). Other paths answer 200.
"""

import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, "text/plain", b"ready")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/metrics":
            return self.answer(404, "text/plain", b"no such path")
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        kind = self.headers["Content-Type"]
        request = service.ExportMetricsServiceRequest()
        try:
            if kind == "application/json":
                json_format.Parse(body, request)
            else:
                request.ParseFromString(body)
        except Exception as error:
            return self.answer(400, "text/plain", str(error).encode())
        metrics = [
            metric
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        if any(metric.name == "broken" for metric in metrics):
            return self.answer(400, "text/plain", b"a broken metric")
        response = service.ExportMetricsServiceResponse()
        unwanted = [metric for metric in metrics if metric.name == "unwanted"]
        if unwanted:
            rejected = sum(len(metric.gauge.data_points) for metric in unwanted)
            response.partial_success.rejected_data_points = rejected
            response.partial_success.error_message = "nobody wants these"
        if metrics:
            with open("received.jsonl", "a") as received:
                seen = {
                    "headers": {name.lower(): value for name, value in self.headers.items()},
                    "request": json_format.MessageToDict(request),
                }
                received.write(json.dumps(seen) + "\n")
        if kind == "application/json":
            self.answer(200, kind, json_format.MessageToJson(response).encode())
        else:
            self.answer(200, kind, response.SerializeToString())

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
