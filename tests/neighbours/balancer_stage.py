"""A load balancer with one listener and target groups, reached through a boto3 client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.neighbours.stage import OPERATOR, Stage
from twin.kernel.api import Caller
from twin.neighbours.elbv2 import Elbv2Options

NOT_FOUND = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}


class Balanced:
    """An application load balancer in two zones whose listener on port 80 answers 404 but for its rules."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.elbv2 = self.stage.elbv2
        self.client: Any = self.stage.gateway.client("elbv2", OPERATOR)
        answer = self.client.create_load_balancer(Name="front", Subnets=["subnet-0", "subnet-1"])
        self.balancer: str = answer["LoadBalancers"][0]["LoadBalancerArn"]
        self.listener = self.listen(80, NOT_FOUND)

    def listen(self, port: int, *actions: dict[str, Any], **more: Any) -> str:
        given = {"Protocol": "HTTP", **more}
        answer = self.client.create_listener(
            LoadBalancerArn=self.balancer, Port=port, DefaultActions=list(actions), **given
        )
        arn: str = answer["Listeners"][0]["ListenerArn"]
        return arn

    def secure(self, port: int = 443) -> str:
        return self.listen(port, NOT_FOUND, Protocol="HTTPS", Certificates=[{"CertificateArn": "arn:aws:acm:x"}])

    def group(self, name: str, **more: Any) -> str:
        given = {"Protocol": "HTTP", "Port": 80, "VpcId": "vpc-1", "TargetType": "ip", **more}
        arn: str = self.client.create_target_group(Name=name, **given)["TargetGroups"][0]["TargetGroupArn"]
        return arn

    def groups(self, *names: str) -> list[str]:
        return [self.group(name) for name in names]

    def create_rule(self, *actions: dict[str, Any], priority: int = 10, **more: Any) -> dict[str, Any]:
        given = {"ListenerArn": self.listener, "Conditions": [path("/api/*")], **more}
        answer = self.client.create_rule(Priority=priority, Actions=list(actions), **given)
        rule: dict[str, Any] = answer["Rules"][0]
        return rule

    def rule(self, *actions: dict[str, Any], priority: int = 10, **more: Any) -> str:
        arn: str = self.create_rule(*actions, priority=priority, **more)["RuleArn"]
        return arn

    def shift(self, rule: str, weights: dict[str, int], sticky: int | None = None) -> None:
        self.client.modify_rule(RuleArn=rule, Actions=[forward(weights, sticky)])

    def described(self, rule: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.client.describe_rules(RuleArns=[rule])["Rules"][0]
        return shown

    def used_by(self, group: str) -> list[str]:
        shown = self.client.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]
        arns: list[str] = shown["LoadBalancerArns"]
        return arns

    def client_of(self, caller: Caller) -> Any:
        return self.stage.gateway.client("elbv2", caller)


@contextmanager
def balanced(options: Elbv2Options | None = None) -> Iterator[Balanced]:
    """A stage, with botocore's calls going to it."""
    stage = Stage(elbv2=options)
    with stage.gateway.intercepted():
        yield Balanced(stage)


def path(*patterns: str) -> dict[str, Any]:
    return {"Field": "path-pattern", "PathPatternConfig": {"Values": list(patterns)}}


def forward(weights: dict[str, int], sticky: int | None = None, **more: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        "TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    }
    if sticky is not None:
        config["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": sticky}
    return {"Type": "forward", "ForwardConfig": config, **more}


def refused(code: str, call: Callable[[], object], words: str = "") -> None:
    """Assert that `call` is refused with AWS's error `code`."""
    with pytest.raises(ClientError, match=words or code) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
