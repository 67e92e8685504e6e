"""A world with Express services: public default subnets, CloudWatch with alarms, and boto3 clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from ecs_world import CLUSTER, OPERATOR, Bus

from twin.ecs import Ecs, EcsOptions
from twin.ecs.express.options import ExpressOptions
from twin.ecs.model import Service
from twin.kernel.alarms import Alarms
from twin.kernel.api import WORLD, Caller
from twin.kernel.bus import EventBus
from twin.kernel.cloudwatch import CloudWatch
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.queues import Queues
from twin.kernel.topics import Topics
from twin.neighbours.account import Account
from twin.neighbours.ec2 import Ec2
from twin.neighbours.elbv2 import Elbv2, Elbv2Options
from twin.traffic import model
from twin.traffic.traffic import Traffic

START = datetime(2026, 10, 5, 12, 0, tzinfo=UTC)
EXECUTION = "arn:aws:iam::123456789012:role/execution"
INFRASTRUCTURE = "arn:aws:iam::123456789012:role/infrastructure"
PUBLIC = ("subnet-pa", "subnet-pb")
PRIVATE = ("subnet-a", "subnet-b")


class Nobody:
    """The Lambda runtime, which nothing here calls."""

    def invoke(self, name_or_arn: str, payload: dict[str, Any], caller: Caller) -> Any:
        raise AssertionError("no function in this world")


class Stage:
    """Cluster `shop`; two default public subnets and two private ones."""

    def __init__(self, seed: int = 1, express: ExpressOptions | None = None, *, default: bool = True) -> None:
        self.kernel = Kernel(START, seed=seed, region="us-east-1", account="123456789012")
        self.gateway = Gateway(self.kernel)
        self.gateway.validate_responses = True
        self.bus = Bus()
        queues = Queues(self.kernel, self.gateway, Nobody())
        real = EventBus(self.kernel, self.gateway, queues)
        self.alarms = Alarms(self.kernel, Topics(self.kernel, self.gateway), queues, real)
        self.cloudwatch = CloudWatch(self.alarms)
        self.ec2 = Ec2(self.kernel, self.bus)
        self.elbv2 = Elbv2(self.kernel, Elbv2Options(propagation=0.0), ec2=self.ec2)
        options = EcsOptions(express=express or ExpressOptions())
        self.ecs = Ecs(self.kernel, self.bus, self.elbv2, options, self.gateway)
        self.ecs.engine.network = self.ec2
        for api in (self.ecs, self.ec2, self.elbv2, self.cloudwatch):
            self.gateway.register(api)
        self.account = Account(
            self.kernel, self.gateway, ec2=self.ec2, elbv2=self.elbv2, alarms=self.alarms, cloudwatch=self.cloudwatch
        )
        for number, zone in enumerate("ab"):
            self.ec2.add_subnet(PUBLIC[number], f"us-east-1{zone}", public=True, default=default)
            self.ec2.add_subnet(PRIVATE[number], f"us-east-1{zone}")
        self.call("CreateCluster", clusterName=CLUSTER)
        self._boto3: dict[str, Any] = {}
        self._built = 0

    @contextmanager
    def boto3(self) -> Iterator[Stage]:
        """Within, `ecs`, `elbv2` and `watch` are boto3 clients of an operator."""
        with self.gateway.intercepted():
            self._boto3 = {name: self.gateway.client(name, OPERATOR) for name in ("ecs", "elbv2", "cloudwatch")}
            yield self

    def client(self, name: str = "ecs") -> Any:
        return self._boto3[name]

    # --- doing -------------------------------------------------------------------------------------------------------
    def call(self, operation: str, api: str = "ecs", /, caller: Caller = WORLD, **params: Any) -> dict[str, Any]:
        return self.gateway.call(api, operation, params, caller)

    def create(self, name: str | None = "web", *, caller: Caller = WORLD, **params: Any) -> dict[str, Any]:
        """The service that CreateExpressGatewayService answers with."""
        given: dict[str, Any] = {"infrastructureRoleArn": INFRASTRUCTURE, "cluster": CLUSTER}
        if "taskDefinitionArn" not in params:
            given |= {"executionRoleArn": EXECUTION, "primaryContainer": {"image": "example.com/web:1"}}
        if name is not None:
            given["serviceName"] = name
        found: dict[str, Any] = self.call("CreateExpressGatewayService", caller=caller, **given | params)["service"]
        return found

    def up(self, *names: str, **params: Any) -> Stage:
        """Services that are there when the clock starts."""
        for name in names or ("web",):
            self.create(name, **params)
            self.run()
        self.kernel.settled = True
        self._built = len(self.kernel.calls)
        return self

    def release(self, image: str = "example.com/web:2", name: str = "web", **params: Any) -> dict[str, Any]:
        """The service that UpdateExpressGatewayService answers with."""
        arn = self.service(name).arn
        given = {"serviceArn": arn, "primaryContainer": {"image": image}, **params}
        found: dict[str, Any] = self.call("UpdateExpressGatewayService", caller=OPERATOR, **given)["service"]
        return found

    def delete(self, name: str = "web") -> dict[str, Any]:
        arn = self.service(name).arn
        return self.call("DeleteExpressGatewayService", caller=OPERATOR, serviceArn=arn)["service"]  # type: ignore[no-any-return]

    def run(self, seconds: float | None = None) -> None:
        """Run until quiet, or for `seconds`."""
        until = None if seconds is None else self.kernel.clock.elapsed + seconds
        if until is not None:
            self.kernel.scheduler.call_at(until, lambda: None, name="test")
        self.kernel.scheduler.run(until)

    def traffic(self, per_minute: float, *behaviours: model.Behaviour, name: str = "web") -> None:
        """Requests to a service, as from an hour ago."""
        rule = self.resources(name)["ingressPaths"][0]["rule"]["arn"]
        streams = [model.Requests(name, rule, per_minute)]
        spec = model.Traffic(streams, behaviours, history=3600.0)
        options = model.TrafficOptions()
        Traffic(self.kernel, self.elbv2, self.ecs, self.alarms.store, spec, options).start()

    # --- looking -----------------------------------------------------------------------------------------------------
    def service(self, name: str = "web", cluster: str = CLUSTER) -> Service:
        return self.ecs.store.services[self.kernel.arn("ecs", f"service/{cluster}/{name}")]

    def described(self, name: str = "web") -> dict[str, Any]:
        arn = self.service(name).arn
        found: dict[str, Any] = self.call("DescribeExpressGatewayService", serviceArn=arn)["service"]
        return found

    def revision(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("DescribeServiceRevisions", serviceRevisionArns=[arn])["serviceRevisions"][0]
        return found

    def resources(self, name: str = "web") -> dict[str, Any]:
        """ecsManagedResources of a service's newest revision."""
        arn = self.described(name)["activeConfigurations"][0]["serviceRevisionArn"]
        found: dict[str, Any] = self.revision(arn)["ecsManagedResources"]
        return found

    def weights(self, name: str = "web") -> list[int]:
        """Weights of the first and the second target group."""
        path = self.resources(name)["ingressPaths"][0]
        rule = self.call("DescribeRules", "elbv2", RuleArns=[path["rule"]["arn"]])["Rules"][0]
        weights = {
            group["TargetGroupArn"]: group["Weight"] for group in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]
        }
        return [weights[group["arn"]] for group in path["targetGroups"]]

    def deployment(self, name: str = "web") -> dict[str, Any]:
        arn = self.service(name).history[-1].arn
        found: dict[str, Any] = self.call("DescribeServiceDeployments", serviceDeploymentArns=[arn])
        shown: dict[str, Any] = found["serviceDeployments"][0]
        return shown

    def trail(self) -> list[Any]:
        return [detail for kind, detail, _ in self.bus.events if kind == "AWS API Call via CloudTrail"]

    def shifts(self) -> list[tuple[float, list[int]]]:
        """Every change of a rule since the clock started: (elapsed, weights in the order of the request)."""
        return [
            (
                (call.at - START).total_seconds(),
                [one["Weight"] for one in call.params["Actions"][0]["ForwardConfig"]["TargetGroups"]],
            )
            for call in self.kernel.calls[self._built :]
            if call.operation == "ModifyRule"
        ]
