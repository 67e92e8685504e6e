"""An AWS endpoint over HTTP for a function in a container: a table and a state machine, served by moto in memory.

    python tests/sam/endpoint.py HOST PORT FILE

creates table `table` and state machine `bake`, writes FILE once it listens, and prints each call.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError
from moto import mock_aws

SERVICES = {"DynamoDB_20120810": "dynamodb", "AWSStepFunctions": "stepfunctions", "AmazonSSM": "ssm"}
DEFINITION = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
REGION = "us-east-1"


class Endpoint(BaseHTTPRequestHandler):
    """JSON protocols only: the request's body is the operation's input as it stands."""

    def do_POST(self) -> None:
        prefix, _, operation = self.headers["X-Amz-Target"].partition(".")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        client: Any = boto3.client(SERVICES[prefix], region_name=REGION)
        try:
            answer = getattr(client, xform_name(operation))(**body)
            status = 200
        except ClientError as error:
            answer = {"__type": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
            status = 400
        answer.pop("ResponseMetadata", None)
        text = json.dumps(answer, default=lambda value: value.timestamp()).encode()
        print(f"{SERVICES[prefix]}:{operation} {status}", flush=True)
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """The line of `do_POST` is enough."""


def main() -> None:
    host, port, ready = sys.argv[1:4]
    with mock_aws():
        keys = [("pk", "HASH"), ("sk", "RANGE")]
        boto3.client("dynamodb", region_name=REGION).create_table(
            TableName="Table",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        )
        boto3.client("stepfunctions", region_name=REGION).create_state_machine(
            name="bake", definition=json.dumps(DEFINITION), roleArn="arn:aws:iam::123456789012:role/bake"
        )
        server = HTTPServer((host, int(port)), Endpoint)
        Path(ready).write_text("ready\n", encoding="utf-8")
        server.serve_forever()


if __name__ == "__main__":
    main()
