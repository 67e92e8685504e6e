"""A stage for tests of traffic: one Application Load Balancer, two target groups, CloudWatch, and a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from twin.kernel.alarms import Alarms
from twin.kernel.api import Caller
from twin.kernel.bus import EventBus
from twin.kernel.cloudwatch import CloudWatch
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.queues import Queues
from twin.kernel.topics import Topics
from twin.neighbours.ec2 import Ec2
from twin.neighbours.elbv2 import Elbv2, Elbv2Options
from twin.traffic import model
from twin.traffic.traffic import Traffic

START = datetime(2026, 10, 5, 12, 0, 0, tzinfo=UTC)
OPERATOR = Caller("operator", "olga")
ZONES = ("eu-west-1a", "eu-west-1b")
AT_ONCE = model.TrafficOptions(lag=0.0, lag_jitter=0.0)


class Nobody:
    """The Lambda runtime, which nothing here calls."""

    def invoke(self, name_or_arn: str, payload: dict[str, Any], caller: Caller) -> Any:
        raise AssertionError("no function in this world")


class Stage:
    """Targets `10.0.0.n` of group `blue` run web:1, those of `green` web:2. The rule sends 100 % to blue."""

    def __init__(self, seed: int = 1, *, start: datetime = START, propagation: float = 0.0, targets: int = 4) -> None:
        self.kernel = Kernel(start, seed=seed, region="eu-west-1", account="111122223333")
        self.gateway = Gateway(self.kernel)
        self.gateway.validate_responses = True
        self.queues = Queues(self.kernel, self.gateway, Nobody())
        self.bus = EventBus(self.kernel, self.gateway, self.queues)
        self.topics = Topics(self.kernel, self.gateway)
        self.alarms = Alarms(self.kernel, self.topics, self.queues, self.bus)
        self.cloudwatch = CloudWatch(self.alarms)
        self.ec2 = Ec2(self.kernel, self.bus)
        self.elbv2 = Elbv2(self.kernel, Elbv2Options(propagation=propagation, session=0.0), ec2=self.ec2)
        for api in (self.cloudwatch, self.ec2, self.elbv2):
            self.gateway.register(api)
        for number, zone in enumerate(ZONES):
            self.ec2.add_subnet(f"subnet-{number}", zone)
        self.definitions: dict[str, str] = {}
        self.alive: dict[str, bool] = {}
        self._build(targets)

    def _build(self, targets: int) -> None:
        subnets = [f"subnet-{number}" for number in range(len(ZONES))]
        balancer = self.call("elbv2", "CreateLoadBalancer", Name="front", Subnets=subnets)["LoadBalancers"][0]
        self.balancer = balancer["LoadBalancerArn"]
        vpc = balancer["VpcId"]
        self.blue, self.green = (
            self.call("elbv2", "CreateTargetGroup", Name=name, Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")[
                "TargetGroups"
            ][0]["TargetGroupArn"]
            for name in ("blue", "green")
        )
        self.listener = self.call(
            "elbv2",
            "CreateListener",
            LoadBalancerArn=self.balancer,
            Protocol="HTTP",
            Port=80,
            DefaultActions=self.forward(100, 0),
        )["Listeners"][0]["ListenerArn"]
        for number in range(targets):
            self.add_target(self.blue, f"10.0.0.{number}", "web:1", ZONES[number % 2])
            self.add_target(self.green, f"10.0.1.{number}", "web:2", ZONES[number % 2])

    def add_target(self, group: str, target_id: str, definition: str, zone: str) -> None:
        self.definitions[target_id] = f"arn:aws:ecs:eu-west-1:111122223333:task-definition/{definition}"
        self.alive[target_id] = True
        self.elbv2.register(group, target_id, 80, zone, lambda: self.alive[target_id])

    def task_definition_of_target(self, target_group_arn: str, target_id: str, port: int) -> str | None:
        return self.definitions.get(target_id)

    def forward(self, blue: int, green: int) -> list[dict[str, Any]]:
        groups = [{"TargetGroupArn": self.blue, "Weight": blue}, {"TargetGroupArn": self.green, "Weight": green}]
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]

    def weigh(self, blue: int, green: int) -> None:
        self.call("elbv2", "ModifyListener", ListenerArn=self.listener, DefaultActions=self.forward(blue, green))

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        return self.gateway.call(service, operation, params, OPERATOR)

    # --- traffic -----------------------------------------------------------------------------------------------------
    def traffic(
        self,
        per_minute: float = 6_000.0,
        *behaviours: model.Behaviour,
        options: model.TrafficOptions = AT_ONCE,
        **fields: Any,
    ) -> Traffic:
        """Start the traffic, without a past unless `history` is given, and settle the world."""
        streams = [model.Requests("web", self.listener, per_minute)]
        spec = replace(model.Traffic(streams, behaviours, history=0.0), **fields)
        made = Traffic(self.kernel, self.elbv2, self, self.alarms.store, spec, options)
        made.start()
        self.kernel.settled = True
        return made

    def run(self, seconds: float) -> None:
        """Let simulated time pass, background work included, also what is due at the very end."""
        until = self.kernel.clock.elapsed + seconds
        for _ in range(2):
            self.kernel.scheduler.call_at(until, lambda: None, name="until")
            self.kernel.scheduler.run(until)

    # --- reading -----------------------------------------------------------------------------------------------------
    def dimensions(self, group: str | None = None, zone: str | None = None) -> dict[str, str]:
        found = {"LoadBalancer": self.balancer.partition(":loadbalancer/")[2]}
        if group:
            found["TargetGroup"] = group.rpartition(":")[2]
        if zone:
            found["AvailabilityZone"] = zone
        return found

    def query(
        self, name: str, group: str | None = None, *, zone: str | None = None, stat: str = "Sum", identifier: str = "m"
    ) -> dict[str, Any]:
        given = [{"Name": key, "Value": value} for key, value in self.dimensions(group, zone).items()]
        metric = {"Namespace": "AWS/ApplicationELB", "MetricName": name, "Dimensions": given}
        return {"Id": identifier, "MetricStat": {"Metric": metric, "Period": 60, "Stat": stat}}

    def read(self, *queries: Mapping[str, Any], minutes: int = 24 * 60, **more: Any) -> dict[str, dict[int, float]]:
        """GetMetricData by id; time stamps are minutes since the start. The open minute is read too."""
        now = self.kernel.clock.now()
        given = {"StartTime": now - timedelta(minutes=minutes), "EndTime": now + timedelta(minutes=1), **more}
        answer = self.call("cloudwatch", "GetMetricData", MetricDataQueries=list(queries), **given)
        start = self.kernel.clock.start
        return {
            result["Id"]: {
                round((stamp - start).total_seconds() / 60): value
                for stamp, value in sorted(zip(result["Timestamps"], result["Values"], strict=True))
            }
            for result in answer["MetricDataResults"]
        }

    def series(self, name: str, group: str | None = None, **how: Any) -> dict[int, float]:
        return self.read(self.query(name, group, **how))["m"]

    def total(self, name: str, group: str | None = None, **how: Any) -> float:
        return sum(self.series(name, group, **how).values())
