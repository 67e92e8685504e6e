"""The gate's real function under ECS's own calls; the record is written by the test, as the machine would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from caretaker.releases.record import Records, release_id
from caretaker.releases.record import Release as Record
from caretaker.runtime.journal import Trigger
from caretaker.runtime.table import Table
from native_stage import FUNCTION, Release

from tests.deployed import SETTINGS, TABLE
from twin.ecs import HookFault
from twin.ecs.deployment import Deployment
from twin.ecs.native.settings import HOOK_STAGES
from twin.kernel.api import WORLD, Api, Call, operation
from twin.kernel.functions import Functions, FunctionSpec
from twin.kernel.gateway import ApiFault, Death

CODE = Path(__file__).resolve().parents[2] / "functions"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:bake:live"
PRE, SHIFT, POST = "PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"
INSTALLED = (PRE, POST)
EVERY = HOOK_STAGES[1:]
PATIENT = {"mode": "act", "gate_limit": 86_400}
ENVIRONMENT = {
    **SETTINGS,
    "BAKE_RELEASE_ARN": MACHINE,
    "PATIENCE": "short",
}


class Machine(Api):
    """Remembers the executions that are started, by Step Functions' rule for names."""

    def __init__(self) -> None:
        super().__init__()
        self.service = "stepfunctions"
        self.started: dict[str, dict[str, Any]] = {}
        self.calls = 0

    @operation("StartExecution", ["stateMachineArn", "name", "input"])
    def start_execution(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        assert params["stateMachineArn"] == MACHINE
        self.calls += 1
        assert self.started.setdefault(params["name"], json.loads(params["input"])) == json.loads(params["input"])
        return {"executionArn": f"{MACHINE}:{params['name']}", "startDate": call.at}


class Gated(Release):
    """`web` with the gate in its deployments."""

    def __init__(self, **options: Any) -> None:
        super().__init__(functions=False, **options)
        self.machine = Machine()
        self.gateway.register(self.machine)
        self.functions = Functions(self.kernel, self.gateway, CODE)
        handler = "caretaker.releases.handlers.answer_hook.handler"
        spec = FunctionSpec("ReleasesAnswerHook", "gate", FUNCTION, handler, ENVIRONMENT, None, 60, 1769)
        self.functions.add(spec)

    def table(self) -> None:
        self.gateway.call("dynamodb", "CreateTable", TABLE, WORLD)
        self.records = Records(Table(TABLE["TableName"], self.gateway.client("dynamodb", WORLD)))

    def opened(self, green: Deployment, **fields: Any) -> str:
        """Open the release of a deployment, as the machine does when it was started."""
        record = Record(
            **{
                "id": release_id(green.arn, green.revision.arn),
                "way": "gate",
                "mode": "act",
                "cluster": green.service.cluster.arn,
                "service": green.service.arn,
                "deployment": green.arn,
                "revision": green.revision.arn,
                "task_definition": green.revision.definition.arn,
                "opened": self.kernel.clock.now(),
                "trigger": Trigger("hook", "words"),
                **fields,
            }
        )
        return self.records.open(record, self.kernel.clock.now()).id

    def started(self, *stages: str, strategy: str = "CANARY", **configuration: Any) -> Deployment:
        """Up, and a release under way whose bake was started by the hook's first call."""
        self.up(strategy, lifecycleHooks=[self.hook(*(stages or INSTALLED))], **configuration)
        return self.release()

    def decide(self, release: str, decision: Any, reason: str = "seen") -> None:
        """Write a decision, as the machine does: about the share that the canary has at that moment."""
        self.records.update(release, weight=share(self) / 100)
        self.records.decide(release, decision, reason)

    def promoted(self, release: str) -> None:
        """Let every step through that is left, one decision each."""
        self.decide(release, "promote")
        while share(self) < 100:
            self._shifted(share(self))
            self.decide(release, "promote")
        self.run()

    def _shifted(self, before: int) -> None:
        self.until(lambda: share(self) > before)

    def errors(self) -> list[str | None]:
        return [run.error for run in self.functions.invocations if run.error]


@contextmanager
def gated(policy: dict[str, Any] | None = None, **options: Any) -> Iterator[Gated]:
    """`policy`: of releases; without one there is no document, and the default holds, which only observes."""
    world = Gated(**options)
    with world.gateway.intercepted():
        world.table()
        if policy is not None:
            put_policy(world, **policy)
        yield world
    assert world.errors() == []


def put_policy(world: Gated, **releases: Any) -> None:
    request = {"Name": "/caretaker/policy/defaults", "Value": json.dumps({"releases": releases}), "Type": "String"}
    world.gateway.call("ssm", "PutParameter", request, WORLD)


def share(world: Gated) -> int:
    return world.weights()[1]


# --- good and bad ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shift_hooks", ["after", "before"])
@pytest.mark.parametrize("stages", [INSTALLED, EVERY])
def test_the_first_step_goes_at_once_and_the_next_one_waits_for_a_promotion(stages: Any, shift_hooks: Any) -> None:
    with gated(PATIENT, shift_hooks=shift_hooks) as world:
        green = world.started(*stages)
        world.until(lambda: share(world) == 5)
        release = world.opened(green)
        assert world.machine.started == {
            release: {
                "id": release,
                "entry": "bake",
                "way": "gate",
                "cluster": green.service.cluster.arn,
                "service": green.service.arn,
                "deployment": green.arn,
                "revision": green.revision.arn,
                "trigger": {"kind": "hook", "text": "ECS asked the gate before it shifted traffic"},
            }
        }
        world.run(1200)
        assert share(world) == 5
        world.decide(release, "promote")
        world.run(45)
        assert share(world) == 100
        world.run(1200)
        assert not green.ended
        world.promoted(release)
        assert green.deployment_status == "SUCCESSFUL"
        assert world.machine.calls == 1


@pytest.mark.parametrize("stages", [INSTALLED, EVERY])
@pytest.mark.parametrize("rollback_hooks", ["always", "shifted"])
def test_a_decision_against_it_rolls_back_at_the_next_call(stages: Any, rollback_hooks: Any) -> None:
    with gated(PATIENT, rollback_hooks=rollback_hooks) as world:
        green = world.started(*stages)
        world.until(lambda: share(world) == 5)
        release = world.opened(green)
        world.run(700)
        world.decide(release, "roll_back", "5xx")
        world.run(60)
        assert share(world) == 0
        world.run()
        assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
        assert f"hook failure at {PRE}" in str(green.rollback and green.rollback.reason)
        assert world.machine.calls == 1


def test_a_linear_deployment_waits_at_each_later_step() -> None:
    with gated(PATIENT) as world:
        green = world.started(strategy="LINEAR", linearConfiguration={"stepPercent": 50.0, "stepBakeTimeInMinutes": 2})
        world.until(lambda: share(world) == 50)
        release = world.opened(green)
        world.run(600)
        assert share(world) == 50
        world.decide(release, "promote")
        world.until(lambda: share(world) == 100)
        world.run(600)
        assert not green.ended
        world.promoted(release)
        assert green.deployment_status == "SUCCESSFUL"


@pytest.mark.parametrize(("decision", "status"), [("promote", "SUCCESSFUL"), ("roll_back", "ROLLBACK_SUCCESSFUL")])
def test_where_all_traffic_shifts_at_once_the_gate_is_behind_it(decision: Any, status: str) -> None:
    with gated(PATIENT) as world:
        green = world.started(strategy="BLUE_GREEN")
        world.until(lambda: share(world) == 100)
        release = world.opened(green)
        world.run(900)
        assert not green.ended
        world.decide(release, decision)
        world.run()
        assert green.deployment_status == status


def test_in_observe_no_deployment_is_held_up() -> None:
    with gated(PATIENT) as world:
        green = world.started()
        world.until(lambda: share(world) == 5)
        release = world.opened(green, mode="observe")
        world.decide(release, "roll_back", "5xx")
        world.run()
        assert green.deployment_status == "SUCCESSFUL"


# --- rollbacks by others ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shift_hooks", ["after", "before"])
@pytest.mark.parametrize("rollback_hooks", ["always", "shifted"])
@pytest.mark.parametrize("percent", [0, 5])
def test_a_rollback_by_somebody_else_is_let_through(shift_hooks: Any, rollback_hooks: Any, percent: int) -> None:
    with gated(shift_hooks=shift_hooks, rollback_hooks=rollback_hooks) as world:
        green = world.started(*EVERY)
        world.until_stage("SCALE_UP") if percent == 0 else world.until(lambda: share(world) == percent)
        started = world.machine.calls
        world.stop(green)
        began = world.kernel.clock.elapsed
        world.until(lambda: green.ended)
        assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
        assert share(world) == 0
        assert world.kernel.clock.elapsed - began < 60
        assert world.machine.calls == started


@pytest.mark.parametrize("shift_hooks", ["after", "before"])
def test_a_hook_at_the_shifts_alone_lets_no_step_through_without_a_decision(shift_hooks: Any) -> None:
    """AWS does not say whether such a hook runs before its shift: so none is taken for granted."""
    with gated(PATIENT, shift_hooks=shift_hooks) as world:
        green = world.started(SHIFT)
        world.until(lambda: bool(world.machine.started))
        world.run(1200)
        assert share(world) == (5 if shift_hooks == "after" else 0)
        world.promoted(world.opened(green))
        assert green.deployment_status == "SUCCESSFUL"


# --- doubled and late ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("decision", ["promote", "roll_back"])
def test_doubled_and_late_calls_start_one_bake_and_change_no_answer(decision: Any) -> None:
    faults = (HookFault("doubled", seconds=7.0), HookFault("late", stage=PRE, seconds=240.0))
    with gated(PATIENT, hook_faults=faults) as world:
        green = world.started()
        world.until(lambda: share(world) == 5)
        assert len(world.machine.started) == 1
        release = world.opened(green)
        world.decide(release, decision)
        if decision == "promote":
            world.promoted(release)
        world.run()
        assert green.deployment_status == {"promote": "SUCCESSFUL", "roll_back": "ROLLBACK_SUCCESSFUL"}[decision]


# --- errors ----------------------------------------------------------------------------------------------------------
def unreadable(world: Gated, *services: str, code: str = "InternalServerError") -> None:
    for service in services:
        world.gateway.api_faults.append(ApiFault(service, "*", code, times=None))


@pytest.mark.parametrize(("on_error", "status"), [("fail", "ROLLBACK_SUCCESSFUL"), ("succeed", "SUCCESSFUL")])
def test_a_machine_that_cannot_be_started_holds_until_the_limit_and_then_policy_decides(
    on_error: str, status: str
) -> None:
    with gated({"mode": "act", "on_error": on_error, "gate_limit": 300}) as world:
        green = world.started()
        unreadable(world, "stepfunctions")
        world.until_stage("POST_TEST_TRAFFIC_SHIFT")
        world.run(290)
        assert share(world) == 0
        assert green.rollback is None
        world.run()
        assert green.deployment_status == status


def test_without_table_and_policy_the_gate_fails_after_half_an_hour() -> None:
    with gated(PATIENT) as world:
        green = world.started()
        world.until(lambda: share(world) == 5)
        unreadable(world, "dynamodb", "ssm", code="ProvisionedThroughputExceededException")
        world.run(590 + 1790)
        assert green.rollback is None
        world.run()
        assert green.deployment_status == "ROLLBACK_SUCCESSFUL"


def test_trouble_that_passes_leaves_nothing_behind() -> None:
    with gated({"mode": "act", "gate_limit": 300}) as world:
        green = world.started()
        world.until(lambda: share(world) == 5)
        release = world.opened(green)
        unreadable(world, "dynamodb")
        world.run(600 + 200)
        assert share(world) == 5
        world.gateway.api_faults.clear()
        world.promoted(release)
        assert green.deployment_status == "SUCCESSFUL"


def test_a_gate_that_only_observes_fails_nobody_for_its_own_trouble() -> None:
    with gated() as world:
        green = world.started()
        unreadable(world, "stepfunctions")
        world.run()
        assert green.deployment_status == "SUCCESSFUL"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", [("dynamodb", "GetItem"), ("stepfunctions", "StartExecution")])
def test_a_function_that_dies_promotes_nothing(when: Any, operation: tuple[str, str]) -> None:
    world = Gated()
    with world.gateway.intercepted():
        world.table()
        green = world.started()
        world.gateway.deaths.append(Death("ReleasesAnswerHook", *operation, when))
        world.run()
    assert green.deployment_status == "ROLLBACK_SUCCESSFUL"
    assert share(world) == 0
    assert max(weights[1] for _, weights in world.shifts()) == 0
