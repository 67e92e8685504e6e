"""A whole observation of 500 Express services on 20 load balancers, in the twin, paced; then its graph and verdicts.

    python -m benchmarks.bench_garbage [--services 500] [--dead 5]

prints wall and simulated seconds of the observation (target 60 s of wall time), its calls by API, what it holds, the
processor seconds that the graph and all verdicts take (target 1 s), and what becomes of what the dead services had, by
verdict and kind. Half of the services are internal. Every fifth one (`--dead`) was deleted two hours before, and all
that ECS leaves by the worst report is there.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter, process_time
from typing import Any, NamedTuple, TypeVar, get_args

from caretaker.garbage import inventories, observe
from caretaker.garbage.ledger import Ledger
from caretaker.garbage.model import Identity, Kind, Life, Observation, Read, Verdict, Word
from caretaker.garbage.standing import Keep
from caretaker.garbage.verdict import Judgement
from caretaker.garbage.words import plural
from caretaker.runtime.table import table

from twin.ecs import Ecs, EcsOptions
from twin.ecs.express import options as express
from twin.kernel.alarms import Alarms
from twin.kernel.api import WORLD, Caller
from twin.kernel.bus import EventBus
from twin.kernel.cloudwatch import CloudWatch
from twin.kernel.dynamodb.api import DynamoDb
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.queues import Queues
from twin.kernel.stacks import Stacks
from twin.kernel.topics import Topics
from twin.neighbours.account import Account
from twin.neighbours.ec2 import Ec2
from twin.neighbours.elbv2 import Elbv2, Elbv2Options

WALL_TARGET = 60.0
JUDGE_TARGET = 1.0
CARETAKER = Caller("function", "Caretaker")
ROLE = "arn:aws:iam::123456789012:role"
PUBLIC, PRIVATE = ("subnet-pa", "subnet-pb"), ("subnet-a", "subnet-b")
TABLE = "caretaker"
AGO = 7200.0
"""Simulated seconds since the deletion: longer than any grace by default."""
MAKING = 60
"""Simulated minutes in which all services have to be made."""
T = TypeVar("T")
_OF_SERVICE = re.compile(r" for service \S+")


class Nobody:
    """The Lambda runtime, which nothing here calls."""

    def invoke(self, name_or_arn: str, payload: dict[str, Any], caller: Caller) -> Any:
        raise NotImplementedError(name_or_arn)


class Fleet:
    """Express services in one VPC, alternately public and internal; of every 25 of a kind one load balancer."""

    def __init__(self, services: int) -> None:
        self.kernel = Kernel(
            datetime(2026, 10, 5, 12, 0, tzinfo=UTC), seed=1, region="us-east-1", account="123456789012"
        )
        self.gateway = Gateway(self.kernel)
        queues = Queues(self.kernel, self.gateway, Nobody())
        bus = EventBus(self.kernel, self.gateway, queues)
        alarms = Alarms(self.kernel, Topics(self.kernel, self.gateway), queues, bus)
        self.ec2 = Ec2(self.kernel, bus)
        elbv2 = Elbv2(self.kernel, Elbv2Options(propagation=0.0), ec2=self.ec2)
        choices = express.ExpressOptions(load_balancer=15.0, leaves=get_args(express.Kind))
        self.ecs = ecs = Ecs(self.kernel, bus, elbv2, EcsOptions(express=choices), self.gateway)
        ecs.engine.network = self.ec2
        cloudwatch = CloudWatch(alarms)
        for api in (DynamoDb(self.kernel), ecs, self.ec2, elbv2, cloudwatch):
            self.gateway.register(api)
        Account(self.kernel, self.gateway, ec2=self.ec2, elbv2=elbv2, alarms=alarms, cloudwatch=cloudwatch)
        self.gateway.register(Stacks(self.kernel, gateway=self.gateway))
        for number, zone in enumerate("ab"):
            self.ec2.add_subnet(PUBLIC[number], f"us-east-1{zone}", public=True, default=True)
            self.ec2.add_subnet(PRIVATE[number], f"us-east-1{zone}")
        self._call("ecs", "CreateCluster", clusterName="shop")
        self.arns = [self._create(f"s{number}", internal=number % 2 == 1) for number in range(services)]
        self.parts = 0
        self._until_made()
        self.kernel.settled = True

    def _until_made(self) -> None:
        """Services wait in the background for the load balancer that another one makes: quiet is not made."""
        made = [service.express for service in self.ecs.store.services.values() if service.express is not None]
        for _ in range(MAKING):
            self.wait(60.0)
            if not any(each.provisioning for each in made):
                return
        raise RuntimeError(f"{sum(each.provisioning for each in made)} services are not made yet")

    def _call(self, api: str, operation: str, **params: Any) -> dict[str, Any]:
        return self.gateway.call(api, operation, params, WORLD)

    def _create(self, name: str, *, internal: bool) -> str:
        given: dict[str, Any] = {
            "infrastructureRoleArn": f"{ROLE}/infrastructure",
            "executionRoleArn": f"{ROLE}/execution",
            "primaryContainer": {"image": "example.com/web:1"},
            "cluster": "shop",
            "serviceName": name,
        }
        if internal:
            given["networkConfiguration"] = {"subnets": list(PRIVATE)}
        made: str = self._call("ecs", "CreateExpressGatewayService", **given)["service"]["serviceArn"]
        return made

    @property
    def vpc(self) -> str:
        return self.ec2.subnets[PUBLIC[0]].vpc_id

    @property
    def now(self) -> datetime:
        return self.kernel.clock.now()

    def delete(self, every: int) -> None:
        """Delete every nth service, and let ECS finish."""
        for arn in self.arns[::every]:
            self._call("ecs", "DeleteExpressGatewayService", serviceArn=arn)
        self.kernel.scheduler.run()

    def wait(self, seconds: float) -> None:
        self.kernel.scheduler.call_later(seconds, lambda: None, name="bench")
        self.kernel.scheduler.run()

    def record(self) -> None:
        """Every service's inventory, into the ledger."""
        ledger = Ledger(table(TABLE))
        self._within(lambda: [inventories.record(ledger, arn, self.now) for arn in self.arns])

    def observe(self) -> Observation:
        """A whole observation, part by part, with the pauses that each asks for."""

        def read() -> Observation:
            observe.begin(table(TABLE), "bench", self.vpc, self.now)
            self.parts = 1
            while (progress := observe.step(table(TABLE), "bench", self.now)).more:
                self.kernel.scheduler.sleep(progress.seconds)
                self.parts += 1
            return observe.load(table(TABLE), "bench")

        return self._within(read)

    def _within(self, act: Callable[[], T]) -> T:
        """Do something as a process of the world, in which time passes."""
        done: list[T] = []
        self.kernel.scheduler.spawn(lambda: done.append(act()), name="bench")
        self.kernel.scheduler.run()
        return done[0]

    @contextmanager
    def deployed(self) -> Iterator[None]:
        """The fleet, with the table, is the AWS that Caretaker's clients talk to."""
        key, secret = self.gateway.credentials(CARETAKER)
        region = dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), "us-east-1")
        os.environ.update({"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, **region})
        with self.gateway.intercepted():
            self._call(
                "dynamodb",
                "CreateTable",
                TableName=TABLE,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            )
            yield


class Became(NamedTuple):
    """A verdict on what dead services had.

    Attributes:
        why: its reason, in short.
    """

    word: Word
    why: str
    kind: Kind


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        wall, processor: seconds of the observation.
        simulated: seconds of it in the twin, most of them pauses.
        parts: of the observation: an invocation each.
        judged: processor seconds of the graph and of all verdicts.
        calls: how many of each API.
        errors: answers that are errors, by code. "No such thing" is what CloudFormation answers for what no stack owns.
        balancers, resources, references, doubts: how many the observation holds; `doubts` are readings that are not
            whole.
        dead: how many services are dead.
        became: what becomes of what the dead services had: how many by verdict, for a reason, and kind.
    """

    wall: float
    processor: float
    simulated: float
    parts: int
    judged: float
    calls: Mapping[str, int]
    errors: Mapping[str, int]
    balancers: int
    resources: int
    references: int
    doubts: int
    dead: int
    became: Mapping[Became, int]


def measure(services: int, dead: int) -> Figures:
    """Build the fleet, observe it once, and judge."""
    fleet = Fleet(services)
    with fleet.deployed():
        fleet.record()
        fleet.delete(dead)
        fleet.record()
        fleet.wait(AGO)
        before, at = len(fleet.kernel.calls), fleet.kernel.clock.elapsed
        wall, processor = perf_counter(), process_time()
        seen = fleet.observe()
        wall, processor = perf_counter() - wall, process_time() - processor
    calls = [call for call in fleet.kernel.calls[before:] if call.caller == CARETAKER]
    simulated = fleet.kernel.clock.elapsed - at
    judging = process_time()
    judged = Judgement(seen, Keep(), seen.ended)
    verdicts = judged.verdicts
    judging = process_time() - judging
    return Figures(
        wall,
        processor,
        simulated,
        fleet.parts,
        judging,
        Counter(call.service for call in calls),
        Counter(call.error for call in calls if call.error is not None),
        sum(1 for each in seen.resources.values() if each.kind is Kind.LOAD_BALANCER),
        len(seen.resources),
        len(seen.references),
        sum(1 for each in seen.readings if each.status is not Read.WHOLE),
        sum(1 for owner in seen.owners.values() if owner.life is Life.DEAD),
        Counter(_became(seen, verdicts)),
    )


def _became(seen: Observation, verdicts: Mapping[str, Verdict]) -> Iterator[Became]:
    """What becomes of whatever dead services had, alone or with others; and what goes along with that, which no
    inventory names."""
    dead = {key for key, owner in seen.owners.items() if owner.life is Life.DEAD}
    for each in verdicts.values():
        if dead.intersection(each.owners) or (each.word is Word.GARBAGE and not each.owners):
            yield Became(each.word, _why(each, dead), each.resource.kind)


def _why(verdict: Verdict, dead: Set[Identity]) -> str:
    if verdict.word is Word.GARBAGE:
        return "nobody uses it"
    if not dead >= set(verdict.owners):
        return "living services have it too"
    return _OF_SERVICE.sub("", verdict.reason)


def told(became: Mapping[Became, int]) -> list[str]:
    """For each verdict and reason how many there are, in all and by kind."""
    groups: dict[tuple[Word, str], dict[Kind, int]] = {}
    for (word, why, kind), count in sorted(became.items()):
        groups.setdefault((word, why), {})[kind] = count
    return [
        f"{word} {sum(kinds.values())}, {why}: {', '.join(plural(count, kind) for kind, count in kinds.items())}"
        for (word, why), kinds in groups.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=500)
    parser.add_argument("--dead", type=int, default=5, help="every nth service was deleted before")
    given = parser.parse_args()
    found = measure(given.services, given.dead)
    print(f"{given.services} Express services on {found.balancers} load balancers, every {given.dead}th deleted")
    print(f"  resources {found.resources}, references {found.references}")
    print(f"  what {found.dead} dead services had:")
    for line in told(found.became):
        print(f"    {line}")
    print(f"  readings that are not whole {found.doubts}; errors answered {dict(found.errors)}")
    print(f"  observation: wall {found.wall:.1f} s (target {WALL_TARGET:g}), processor {found.processor:.1f} s")
    print(f"  its simulated time, paced: {found.simulated:.0f} s, in {found.parts} invocations")
    print(f"  its calls: {sum(found.calls.values())}")
    for api, count in sorted(found.calls.items()):
        print(f"    {api:24} {count:5}")
    print(f"  graph and verdicts: {found.judged:.2f} s of processor time (target {JUDGE_TARGET:g})")
    held = found.wall <= WALL_TARGET and found.judged <= JUDGE_TARGET
    print("targets held" if held else "targets BROKEN")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
