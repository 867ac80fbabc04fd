"""The signature that AWS's own library makes of a request, which is told on standard input."""

import json
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

asked = json.load(sys.stdin)
credentials = Credentials(asked["key"], asked["secret"], asked["token"])
signer = SigV4Auth(credentials, asked["service"], asked["region"])
headers = asked["headers"]
body = bytes.fromhex(asked["body"])
request = AWSRequest(asked["method"], asked["url"], headers, body)
request.context["timestamp"] = headers["x-amz-date"]
canonical = signer.canonical_request(request)
print(signer.signature(signer.string_to_sign(request, canonical), request))
