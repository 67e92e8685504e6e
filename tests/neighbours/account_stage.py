"""An account with load balancers, CloudWatch, the neighbours of Express Mode, and an ECS service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.neighbours.stage import OPERATOR, START, Bus
from twin.ecs import Ecs, EcsOptions
from twin.errors import AwsError
from twin.kernel.alarms import Alarms
from twin.kernel.api import WORLD, Caller
from twin.kernel.bus import EventBus
from twin.kernel.cloudwatch import CloudWatch
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.queues import Queues
from twin.kernel.topics import Topics
from twin.neighbours.account import Account
from twin.neighbours.acm import AcmOptions
from twin.neighbours.ec2 import Ec2, Launch
from twin.neighbours.elbv2 import Elbv2, Elbv2Options
from twin.neighbours.instances import CLUSTER_TAG

NOT_FOUND = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}


class Nobody:
    """The Lambda runtime, which nothing here calls."""

    def invoke(self, name_or_arn: str, payload: dict[str, Any], caller: Caller) -> Any:
        raise AssertionError("no function in this account")


class Stage:
    """Subnets `subnet-a` and `subnet-b` of one VPC; `settle()` ends the building of the world."""

    def __init__(self, acm: AcmOptions | None = None, elbv2: Elbv2Options | None = None) -> None:
        self.kernel = Kernel(START, seed=1, region="us-east-1", account="123456789012")
        self.gateway = Gateway(self.kernel)
        self.gateway.validate_responses = True
        queues = Queues(self.kernel, self.gateway, Nobody())
        self.bus = EventBus(self.kernel, self.gateway, queues)
        self.alarms = Alarms(self.kernel, Topics(self.kernel, self.gateway), queues, self.bus)
        self.cloudwatch = CloudWatch(self.alarms)
        self.ec2 = Ec2(self.kernel, Bus())
        self.elbv2 = Elbv2(self.kernel, elbv2, ec2=self.ec2)
        options = EcsOptions(agent_flaps_per_hour=0.0)
        self.ecs = Ecs(self.kernel, Bus(), self.elbv2, options, self.gateway)
        self.ec2.ecs = self.ecs
        self.ecs.engine.network = self.ec2
        for api in (self.ecs, self.ec2, self.elbv2, self.cloudwatch):
            self.gateway.register(api)
        self.account = Account(
            self.kernel,
            self.gateway,
            ec2=self.ec2,
            elbv2=self.elbv2,
            alarms=self.alarms,
            cloudwatch=self.cloudwatch,
            acm=acm,
        )
        for zone in "ab":
            self.ec2.add_subnet(f"subnet-{zone}", f"us-east-1{zone}")

    def call(self, service: str, operation: str, caller: Caller = OPERATOR, **params: Any) -> dict[str, Any]:
        return self.gateway.call(service, operation, params, caller)

    def settle(self) -> Stage:
        self.kernel.scheduler.run(self.kernel.clock.elapsed)
        self.kernel.settled = True
        return self

    def run(self, seconds: float) -> None:
        """Let simulated time pass, background work included."""
        until = self.kernel.clock.elapsed + seconds
        self.kernel.scheduler.call_at(until, lambda: None, name="tick")
        self.kernel.scheduler.run(until)

    # --- load balancers ----------------------------------------------------------------------------------------------
    def balancer(self, name: str = "front", **more: Any) -> str:
        made = self.call("elbv2", "CreateLoadBalancer", Name=name, Subnets=["subnet-a", "subnet-b"], **more)
        return str(made["LoadBalancers"][0]["LoadBalancerArn"])

    def certificate(self, domain: str = "web.example.com", **more: Any) -> str:
        return str(self.call("acm", "RequestCertificate", DomainName=domain, **more)["CertificateArn"])

    def listener(self, balancer: str, certificate: str, port: int = 443) -> str:
        made = self.call(
            "elbv2",
            "CreateListener",
            LoadBalancerArn=balancer,
            Protocol="HTTPS",
            Port=port,
            Certificates=[{"CertificateArn": certificate}],
            DefaultActions=[NOT_FOUND],
        )
        return str(made["Listeners"][0]["ListenerArn"])

    def certificates(self, listener: str) -> list[tuple[str, bool]]:
        found = self.call("elbv2", "DescribeListenerCertificates", ListenerArn=listener)["Certificates"]
        return [(one["CertificateArn"], one["IsDefault"]) for one in found]

    # --- an ECS service ----------------------------------------------------------------------------------------------
    def service(self, name: str = "web", tasks: int = 2) -> None:
        """A service of cluster `shop`, with a host of its own, whose tasks run when the world's clock starts."""
        if not self.ecs.store.clusters:
            self.call("ecs", "CreateCluster", WORLD, clusterName="shop")
        self.ec2.launch(Launch("m5.large", "subnet-a", tags={CLUSTER_TAG: "shop"}))
        main = {"name": "main", "image": "example.com/web:1", "cpu": 128, "memory": 256}
        self.call("ecs", "RegisterTaskDefinition", WORLD, family=name, containerDefinitions=[main])
        given = {"serviceName": name, "taskDefinition": name, "desiredCount": tasks}
        self.call("ecs", "CreateService", WORLD, cluster="shop", **given)
        self.kernel.scheduler.run(self.kernel.clock.elapsed)

    def desired(self, name: str = "web") -> int:
        found = self.call("ecs", "DescribeServices", WORLD, cluster="shop", services=[name])["services"]
        return int(found[0]["desiredCount"])


def refused(code: str, call: Callable[[], object], words: str = "") -> None:
    """Assert that `call` is refused with AWS's error `code`."""
    with pytest.raises(AwsError, match=words or code) as caught:
        call()
    assert caught.value.code == code
