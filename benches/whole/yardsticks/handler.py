"""A function in Python with boto3, which does what ours does in the benchmark: a secret, a value, a line.

It speaks Lambda's runtime API itself, which takes less than AWS's own client for it.
"""

import http.client
import json
import os
import random
import sys
import time

import boto3


def main():
    host = os.environ["AWS_LAMBDA_RUNTIME_API"]
    parameter = os.environ.get("PARAMETER")
    # Outside of the handler, as it is advised: once for each instance.
    ssm = boto3.client("ssm") if parameter else None
    connection = http.client.HTTPConnection(host)
    while True:
        connection.request("GET", "/2018-06-01/runtime/invocation/next")
        answer = connection.getresponse()
        event = json.loads(answer.read())
        result = json.dumps(handle(event, ssm, parameter))
        place = f"/2018-06-01/runtime/invocation/{answer.headers['Lambda-Runtime-Aws-Request-Id']}/response"
        connection.request("POST", place, result, {"Content-Type": "application/json"})
        connection.getresponse().read()


def handle(_event, ssm, parameter):
    if ssm:
        found = ssm.get_parameters(Names=[parameter], WithDecryption=True)["Parameters"]
        assert found[0]["Value"]
    line = {"key": "random", "value": random.random(), "timestamp_ms": int(time.time() * 1000)}
    print(json.dumps(line), flush=True)
    return {"status": 0}


if __name__ == "__main__":
    sys.exit(main())
