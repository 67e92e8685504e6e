"""One sweep on a small stage, and at each of its calls a process of its own in which the function dies there.

The stage is the twin's account and the deployed text of sweep_express, without Lambda and the interpreter of Step
Functions: a death is an invocation that failed, which the text's own Retry and Catch answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest
from caretaker.aws.errors import AwsFailure
from caretaker.garbage.check import check
from caretaker.garbage.handlers import patrol, record_inventory
from caretaker.garbage.ledger import LedgerBusy
from caretaker.garbage.record import Records

from tests.deployed import defaults
from tests.forks import Forks
from tests.garbage_reads.reads_stage import Stage, staged
from tests.garbage_sweeps.sweep_machine import ARN, Context, SweepMachine
from tests.points import Choice, Point, watch
from twin.ecs.express.options import EVERYTHING, OWN, ExpressOptions
from twin.kernel.api import Call, Caller
from twin.kernel.clock import iso
from twin.kernel.gateway import FunctionDied
from twin.kernel.parameters import Parameters
from twin.rehearsal.garbage_truth import Truth

CARETAKER = Caller("function", "GarbageSweep")
HOUR = 3600.0
POLICY = {"garbage": {"mode": "act", "grace": 300, "apart": 300}}
FAILS = (FunctionDied, AwsFailure, LedgerBusy, record_inventory.InventoryIncomplete, patrol.NotAllPatrolled)
LAMBDA_TRIES = 3
"""An asynchronous invocation that fails is tried twice more."""


@dataclass(frozen=True)
class Ended:
    """What became of one run.

    Attributes:
        label: where the function died; "" for the plain run.
        outcomes: of its sweeps, in order.
        taken: operations by which something was taken away, in order.
        broken: what does not hold, in words.
    """

    label: str
    outcomes: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"dies {self.label}: {', '.join(self.outcomes)}: {'; '.join(self.broken) or 'all held'}"


class Small(Stage):
    """`web` and its sharers; `web` is deleted, and ECS leaves behind all that was its own.

    Args:
        sharers: of its load balancer, that live.
    """

    def __init__(self, *sharers: str) -> None:
        leaves = OWN if sharers else EVERYTHING
        super().__init__(ExpressOptions(load_balancer=15.0, step=2.0, leaves=leaves, default_certificate="left"))
        Parameters(self.kernel, self.gateway)
        self.machine = SweepMachine(self.kernel)
        self.gateway.register(self.machine)
        self.sharers = sharers
        self.takings: list[tuple[Call, tuple[str, ...]]] = []

    def play(self, arm: Callable[[], None]) -> None:
        """Everything, from the services' creation to the patrol of the next day. `arm` is called in between."""
        self.up("web", *self.sharers)
        self.truth = Truth(cast(Any, self))
        self.kernel.calls.listeners.append(self._called)
        self.within(self._patrol)
        put = self.bus.put

        def heard(event: Any) -> Any:
            if event.get("detail-type") == "AWS API Call via CloudTrail":
                self.kernel.scheduler.spawn(lambda: self._tell(event), name="record inventory")
            return put(event)

        self.bus.put = heard  # type: ignore[method-assign]
        arm()
        self.delete("web")
        self._until_quiet()
        self.within(self._patrol)
        self._until_quiet()

    def _until_quiet(self) -> None:
        self.run(HOUR)
        for _ in range(100):
            if not self.machine.open:
                return
            self.run(300.0)
        raise AssertionError("a sweep does not end")

    def _called(self, call: Call) -> None:
        if call.caller == CARETAKER and self.truth.deletes(call):
            self.takings.append((call, self.truth.users(call)))

    def _tell(self, event: Mapping[str, Any]) -> None:
        self._invoke(record_inventory.handler, json.loads(json.dumps(event)))

    def _patrol(self) -> None:
        event = {"time": iso(self.now), "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
        self._invoke(patrol.handler, event)

    def _invoke(self, function: Callable[[Any, Any], Any], event: Any) -> None:
        """As Lambda does asynchronously. Anything but a death, and what the functions say that they may fail with, is a
        mistake and ends the run."""
        for _ in range(LAMBDA_TRIES):
            try:
                function(event, Context())
            except FAILS:
                self.kernel.scheduler.sleep(60)
            else:
                return

    # --- what became of it -------------------------------------------------------------------------------------------
    def judge(self, label: str) -> Ended:
        records = Records(self.store)
        sweeps = records.all()
        took = [(call, users) for call, users in self.takings if call.error is None]
        broken = [f"{call.operation} {dict(call.params)}: {users[0]}" for call, users in took if users]
        broken += [f"{arn} is left" for arn in self.truth.garbage()]
        broken += [f"{name} has no end" for name, output in self.machine.outputs.items() if output is None]
        broken += [f"{each.id} is open" for each in sweeps if each.open]
        ground = records.ground(self.vpc)
        broken += [f"the VPC's {name} is {found}" for name, found in vars(ground).items() if name == "sweep" and found]
        acts = [act for sweep in sweeps for act in records.acts(sweep.id)]
        for call, _ in took:
            same = [act for act in acts if act.action.endswith(f":{call.operation}") and act.params == call.params]
            if not [act for act in same if act.first is not None and act.first <= cast(Any, call.at)]:
                broken.append(f"{call.operation} was not written down before it was made")
            broken += [f"{call.operation}: {words}" for act in same for words in check(act.proof)]
        broken += [f"act {act.number} is still {act.status}" for act in acts if act.status in ("planned", "intended")]
        outcomes = tuple(str(each.outcome) for each in sweeps)
        return Ended(label, outcomes, tuple(call.operation for call, _ in took), tuple(broken))


class Series:
    """Plays a stage once, and once more from each chosen point on, in a process of its own."""

    def __init__(self, choose: Choice, *sharers: str) -> None:
        self.choose, self.sharers = choose, sharers
        self._forks: Forks[Ended] = Forks(lambda label, why: Ended(label, broken=(why,)))

    def explore(self, patch: pytest.MonkeyPatch) -> list[Ended]:
        """The plain run's end, then those of all forks."""
        plain, others = self._forks.explore(lambda: self._play(patch))
        return [plain, *others]

    def _play(self, patch: pytest.MonkeyPatch) -> Ended:
        stage = Small(*self.sharers)
        with staged(patch, stage, CARETAKER, SWEEP_EXPRESS_ARN=ARN):
            stage.call("ssm", "PutParameter", **defaults(POLICY))
            stage.play(lambda: watch(stage.gateway.deaths, self._strike))
            stage.gateway.deaths.clear()  # what the judge reads is no moment of the sweep
            return stage.judge(self._forks.label)

    def _strike(self, point: Point) -> bool:
        return point.function == CARETAKER.name and self.choose(point) and self._forks.fork(str(point))
