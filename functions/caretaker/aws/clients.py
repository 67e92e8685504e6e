"""The one place that makes AWS clients: lazily, once per process, with one setting for retries.

They are made by botocore itself, which is what clients of boto3 are: boto3's import, with all that it brings for S3,
would be a fifth of a cold start.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

# Standard mode: up to five tries with jittered back-off for throttling and transient errors. Longer patience is the
# state machine's (Retry), where waiting costs nothing. The read time-out stays below the functions' own.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 5},
    connect_timeout=5,
    read_timeout=20,
    user_agent_extra="caretaker",
)
# For a function that somebody waits for, and that is asked again anyway (the template says so in its environment).
_HURRIED = _CONFIG.merge(
    Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=1, read_timeout=3)
)


@cache
def client(service: str) -> Any:
    """The client of a service (botocore's name, e.g. `ecs`), made on first use."""
    config = _HURRIED if os.environ.get("PATIENCE") == "short" else _CONFIG
    return _session().create_client(service, config=config)


def forget() -> None:
    """Make every client anew on its next use: for a process whose credentials or endpoint change."""
    client.cache_clear()
    _session.cache_clear()


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


def ecs() -> ECSClient:
    return cast("ECSClient", client("ecs"))


def ec2() -> EC2Client:
    return cast("EC2Client", client("ec2"))


def autoscaling() -> AutoScalingClient:
    return cast("AutoScalingClient", client("autoscaling"))


def cloudwatch() -> Any:
    return client("cloudwatch")


def elbv2() -> ElasticLoadBalancingv2Client:
    return cast("ElasticLoadBalancingv2Client", client("elbv2"))


def dynamodb() -> DynamoDBClient:
    return cast("DynamoDBClient", client("dynamodb"))


def sns() -> SNSClient:
    return cast("SNSClient", client("sns"))


def ssm() -> SSMClient:
    return cast("SSMClient", client("ssm"))


def stepfunctions() -> SFNClient:
    return cast("SFNClient", client("stepfunctions"))
