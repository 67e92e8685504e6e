"""An account with Express services and everything around them, in the twin; and the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from caretaker.garbage import inventories, observe
from caretaker.garbage.ledger import Ledger
from caretaker.garbage.model import Observation, Read, Reference
from caretaker.runtime.table import Table, table

from tests.deployed import TABLE, credentials, environment
from twin.ecs import Ecs, EcsOptions
from twin.ecs.express.options import EVERYTHING, ExpressOptions
from twin.kernel.alarms import Alarms
from twin.kernel.api import WORLD, Caller
from twin.kernel.bus import EventBus
from twin.kernel.cloudwatch import CloudWatch
from twin.kernel.dynamodb.api import DynamoDb
from twin.kernel.gateway import ApiFault, Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.queues import Queues
from twin.kernel.stacks import Stacks
from twin.kernel.topics import Topics
from twin.neighbours.account import Account
from twin.neighbours.ec2 import Ec2
from twin.neighbours.elbv2 import Elbv2, Elbv2Options

T = TypeVar("T")
START = datetime(2026, 10, 5, 12, 0, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role"
PUBLIC = ("subnet-pa", "subnet-pb")
PRIVATE = ("subnet-a", "subnet-b")
CARETAKER = Caller("function", "Caretaker")
OPERATOR = Caller("operator", "olga")
CLUSTER = "shop"
LEAVING = ExpressOptions(load_balancer=15.0, leaves=EVERYTHING)
"""Deleted services leave behind all that Express Mode made for them."""


class Nobody:
    """The Lambda runtime, which nothing here calls."""

    def invoke(self, name_or_arn: str, payload: dict[str, Any], caller: Caller) -> Any:
        raise AssertionError("no function in this world")


class Stage:
    """Cluster `shop`; two default public subnets and two private ones.

    Attributes:
        notes: what tests want to find again.
    """

    def __init__(self, express: ExpressOptions | None = None) -> None:
        self._observed = 0
        self.notes: dict[str, dict[str, str]] = {}
        self.kernel = Kernel(START, seed=1, region="us-east-1", account="123456789012")
        self.gateway = Gateway(self.kernel)
        queues = Queues(self.kernel, self.gateway, Nobody())
        self.bus = EventBus(self.kernel, self.gateway, queues)
        self.alarms = Alarms(self.kernel, Topics(self.kernel, self.gateway), queues, self.bus)
        self.ec2 = Ec2(self.kernel, self.bus)
        self.elbv2 = Elbv2(self.kernel, Elbv2Options(propagation=0.0), ec2=self.ec2)
        options = EcsOptions(express=express or ExpressOptions(load_balancer=15.0))
        self.ecs = Ecs(self.kernel, self.bus, self.elbv2, options, self.gateway)
        self.ecs.engine.network = self.ec2
        cloudwatch = CloudWatch(self.alarms)
        for api in (DynamoDb(self.kernel), self.ecs, self.ec2, self.elbv2, cloudwatch):
            self.gateway.register(api)
        self.account = Account(
            self.kernel, self.gateway, ec2=self.ec2, elbv2=self.elbv2, alarms=self.alarms, cloudwatch=cloudwatch
        )
        self.stacks = Stacks(self.kernel, gateway=self.gateway)
        self.gateway.register(self.stacks)
        for number, zone in enumerate("ab"):
            self.ec2.add_subnet(PUBLIC[number], f"us-east-1{zone}", public=True, default=True)
            self.ec2.add_subnet(PRIVATE[number], f"us-east-1{zone}")
        self.call("ecs", "CreateCluster", clusterName=CLUSTER)

    # --- doing -------------------------------------------------------------------------------------------------------

    def call(self, api: str, operation: str, /, caller: Caller = WORLD, **params: Any) -> dict[str, Any]:
        return self.gateway.call(api, operation, params, caller)

    def up(self, *names: str, **params: Any) -> Stage:
        """Express services that are there."""
        for name in names:
            self._create(name, **params)
            self.run()
        self.kernel.settled = True
        return self

    def build(self, *names: str) -> None:
        """Many Express services at once."""
        for name in names:
            self._create(name)
        self.run()
        self.kernel.settled = True

    def _create(self, name: str, **params: Any) -> None:
        given: dict[str, Any] = {
            "infrastructureRoleArn": f"{ROLE}/infrastructure",
            "executionRoleArn": f"{ROLE}/execution",
            "primaryContainer": {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/web:1"},
            "cluster": CLUSTER,
            "serviceName": name,
            **params,
        }
        self.call("ecs", "CreateExpressGatewayService", **given)

    def delete(self, name: str) -> None:
        self.call("ecs", "DeleteExpressGatewayService", OPERATOR, serviceArn=self.arn(name))

    def run(self, seconds: float | None = None) -> None:
        """Run until quiet, or for `seconds`."""
        until = None if seconds is None else self.kernel.clock.elapsed + seconds
        if until is not None:
            self.kernel.scheduler.call_at(until, lambda: None, name="test")
        self.kernel.scheduler.run(until)

    def fail(self, service: str, operation: str, code: str, times: int | None = None) -> None:
        """Have an operation refused to Caretaker."""
        self.gateway.api_faults.append(ApiFault(service, operation, code, f"{code} for a test", times=times))

    # --- Caretaker ---------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.kernel.clock.now()

    @property
    def store(self) -> Table:
        return table(TABLE["TableName"])

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.store)

    def record(self, *names: str) -> None:
        for name in names:
            arn = self.arn(name)
            self.within(lambda arn=arn: inventories.record(self.ledger, arn, self.now))  # type: ignore[misc]

    def observe(self, name: str = "", *, deep: bool = False) -> Observation:
        """A whole observation, read part by part."""
        self._observed += 1
        name = name or f"observation {self._observed}"

        def read() -> Observation:
            observe.begin(self.store, name, self.vpc, self.now, deep=deep)
            while (progress := observe.step(self.store, name, self.now)).more:
                self.kernel.scheduler.sleep(progress.seconds)
            return observe.load(self.store, name)

        return self.within(read)

    def within(self, act: Callable[[], T]) -> T:
        """Do something as a process of the world, in which time passes while calls are tried again."""
        done: list[T] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                done.append(act())
            except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                failed.append(error)

        self.kernel.scheduler.spawn(run, name="test")
        while not done and not failed:
            self.run(1.0)
        if failed:
            raise failed[0]
        return done[0]

    # --- finding -----------------------------------------------------------------------------------------------------

    def arn(self, name: str) -> str:
        return self.kernel.arn("ecs", f"service/{CLUSTER}/{name}")

    @property
    def vpc(self) -> str:
        return self.ec2.subnets[PUBLIC[0]].vpc_id

    def managed(self, name: str) -> Mapping[str, Any]:
        """The ecsManagedResources of a service's active revision."""
        shown = self.call("ecs", "DescribeExpressGatewayService", serviceArn=self.arn(name))["service"]
        revision = shown["activeConfigurations"][0]["serviceRevisionArn"]
        answer = self.call("ecs", "DescribeServiceRevisions", serviceRevisionArns=[revision])
        found: Mapping[str, Any] = answer["serviceRevisions"][0]["ecsManagedResources"]
        return found


def into(observation: Observation, arn: str) -> list[Reference]:
    """References to a resource."""
    return [each for each in observation.references if each.target == arn]


def statuses(observation: Observation, operation: str) -> dict[str, Read]:
    """How the readings of an operation went, by scope."""
    return {each.scope: each.status for each in observation.readings if each.operation == operation}


@contextmanager
def staged(monkeypatch: pytest.MonkeyPatch, stage: Stage, caller: Caller = CARETAKER, **more: str) -> Iterator[Stage]:
    """The stage, with the table, as the AWS that Caretaker's clients talk to.

    Args:
        caller: whose calls those of the clients are.
        more: settings beside those that all functions have.
    """
    with environment(monkeypatch, **credentials(stage.gateway, caller), **more), stage.gateway.intercepted():
        stage.call("dynamodb", "CreateTable", **TABLE)
        yield stage
