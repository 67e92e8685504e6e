"""The laws of releases, on evidence made by hand: each can fail, and each holds where it should."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from twin.kernel.api import Call, Caller
from twin.rehearsal import release_laws
from twin.rehearsal.bakes import Bake
from twin.rehearsal.exposures import Behind, Exposure
from twin.rehearsal.release_laws import ReleaseEvidence
from twin.rehearsal.release_observer import Move, TaskEnd, Turn, of_releases
from twin.rehearsal.report import Law

START = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
SERVICE = "arn:aws:ecs:us-east-1:123456789012:service/fleet/shop"
RULE = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/world-1/aaaa/bbbb/cccc"
OTHER = RULE.replace("cccc", "dddd")
LISTENER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/world-1/aaaa/bbbb"
FUNCTION = Caller("function", "ReleasesShiftWeights")
ECS = Caller("aws", "ecs")


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


_numbers = iter(range(1, 10_000))


def call(operation: str, caller: Caller = FUNCTION, cause: Call | None = None, **params: Any) -> Call:
    service = "ecs" if "Task" in operation or "Service" in operation else "elbv2"
    number = next(_numbers)
    return Call(number, at(number / 60), caller, service, operation, params, cause=cause)


def read(*rules: str) -> Call:
    return call("DescribeRules", RuleArns=list(rules))


def write(rule: str = RULE) -> Call:
    return call("ModifyRule", RuleArn=rule, Actions=[])


class Execution:
    """As much of an execution as a release has of it."""

    def __init__(self, minutes: float, ends: float | None = None) -> None:
        self.name = "bake"
        self.arn = f"execution:{minutes}"
        self.input = {"id": "bake", "service": SERVICE, "deployment": "d1", "way": "watch"}
        self.started = at(minutes)
        self.stopped = None if ends is None else at(ends)


def exposure(*shares: float, answered: float = 500.0, rule: str = RULE) -> Exposure:
    new, old = Behind(SERVICE, "r2", "shop:2"), Behind(SERVICE, "r1", "shop:1")
    made = Exposure(rule, "green", "blue", new, old, at(1), answered=answered)
    made.shares = [(at(number + 1), share) for number, share in enumerate(shares)]
    return made


def look(action: str, requests: int = 600) -> dict[str, Any]:
    return {"action": action, "counts": {"5xx": {"canary_requests": requests}}}


def bake(outcome: str | None = "promoted", *looks: dict[str, Any], **fields: Any) -> Bake:
    given: dict[str, Any] = {"exposure": exposure(0.05, 1.0), "looked": True, **fields}
    record = {"outcome": outcome, "service": SERVICE, "deployment": "d1", "mode": "act", "reason": "words"}
    executions: list[Any] = given.pop("executions", [Execution(1, 20)])
    return Bake("bake", executions, record, list(looks) or [look("promote")], **given)


def measured(name: str, **fields: Any) -> Law:
    evidence = ReleaseEvidence(**{"bakes": [], "calls": [], "ends": [], "turns": [], **fields})
    return next(law for law in release_laws.judge(evidence) if law.name == name)


def test_nothing_happened_nothing_is_measured() -> None:
    laws = release_laws.judge(ReleaseEvidence([], [], [], []))
    assert [law.held for law in laws] == [None] * 4


# --- weights before tasks --------------------------------------------------------------------------------------------
def ended(weight: int) -> TaskEnd:
    return TaskEnd(at(5), "arn:task/fleet/0123456789", SERVICE, weight, call("DeleteTaskSet"))


def test_tasks_that_stop_with_weight_break_it() -> None:
    assert measured("weights_before_tasks", ends=[ended(0)]).held is True
    law = measured("weights_before_tasks", ends=[ended(0), ended(5), ended(95)])
    assert law.held is False
    assert law.worst == "task 01234567 stopped while its target group had weight 95"
    assert law.who == "ecs:DeleteTaskSet by function:ReleasesShiftWeights"


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        ([read(RULE), write(), read(RULE)], None),
        ([read(RULE, OTHER), write(), write(OTHER), read(RULE, OTHER)], None),
        ([read(RULE), write(), read(RULE), call("DeleteTaskSet")], None),
        ([write(), read(RULE)], "was written without having been read"),
        ([read(OTHER), write(), read(RULE)], "was written without having been read"),
        ([read(RULE), write()], "was never read back"),
        ([read(RULE), write(), read(OTHER)], "was never read back"),
        ([read(RULE), write(), write(), read(RULE)], "was written again without having been read back"),
        ([read(RULE), write(), call("DeleteTaskSet"), read(RULE)], "was not read back before DeleteTaskSet"),
    ],
)
def test_weights_are_read_before_and_after_each_write(calls: list[Call], words: str | None) -> None:
    law = measured("weights_before_tasks", calls=calls)
    assert law.held is (words is None)
    if words:
        assert words in (law.worst or "")
        assert "ModifyRule by function:ReleasesShiftWeights" in (law.who or "")


def moved(call: Call, state: str, execution: str = "one") -> Move:
    """The machine enters a state just after a call."""
    return Move(call.number, execution, state)


def test_weights_are_read_back_before_the_machine_goes_on() -> None:
    first, change, later = read(RULE), write(), read(RULE)
    began = Move(first.number - 1, "one", "Shift weights")
    for state, held in (("Look", False), ("Roll back", True), ("Shift weights", True)):
        moves = [began, moved(change, state)]
        law = measured("weights_before_tasks", calls=[first, change, later], moves=moves)
        assert law.held is held, state
        assert held or "was not read back before the state Look" in (law.worst or "")
    in_time = [began, moved(later, "Look")]
    assert measured("weights_before_tasks", calls=[first, change, later], moves=in_time).held is True
    two = [began, Move(first.number - 1, "two", "Shift weights"), moved(change, "Look")]
    assert measured("weights_before_tasks", calls=[first, change, later], moves=two).held is True


def test_default_rules_are_read_as_rules_and_written_as_listeners() -> None:
    change = call("ModifyListener", ListenerArn=LISTENER, DefaultActions=[])
    assert measured("weights_before_tasks", calls=[read(RULE), change, read(RULE)]).held is True
    listeners = call("DescribeListeners", ListenerArns=[LISTENER])
    assert measured("weights_before_tasks", calls=[listeners, change, listeners]).held is True
    assert measured("weights_before_tasks", calls=[change, listeners]).held is False


def test_what_ecs_writes_and_what_others_write_is_theirs() -> None:
    stop = call("StopServiceDeployment", serviceDeploymentArn="d1")
    by_ecs = call("ModifyRule", ECS, stop, RuleArn=RULE)
    by_person = call("ModifyRule", Caller("operator", "olga"), RuleArn=RULE)
    assert measured("weights_before_tasks", calls=[stop, by_ecs, by_person]).held is None
    assert of_releases(by_ecs)
    assert not of_releases(by_person)
    assert of_releases(call("PutEvents", Caller("machine", "BakeRelease")))
    assert not of_releases(call("ModifyRule", Caller("function", "HostsDrainHosts")))


# --- no data is not health -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("release", "words"),
    [
        (bake("promoted", look("continue"), look("promote")), None),
        (bake("rolled_back", look("roll back")), None),
        (bake("promoted", look("continue")), "though none of 1 look says so"),
        (bake("promoted", look("inconclusive"), look("roll back")), "though none of 2 looks says so"),
        (bake("promoted", look("promote", requests=0)), "by a look that saw no request of the canary"),
        (bake("promoted", exposure=exposure(0.05, 1.0, answered=0.0)), "though the canary answered no request"),
        (bake("promoted", exposure=None), "though the canary answered no request"),
    ],
)
def test_a_promotion_rests_on_evidence(release: Bake, words: str | None) -> None:
    law = measured("no_data_is_not_health", bakes=[release])
    if words:
        assert (law.held, words in (law.worst or "")) == (False, True)
    else:
        assert law.held is (True if release.outcome == "promoted" else None)


def test_a_promotion_without_a_look_breaks_it() -> None:
    release = bake("promoted")
    release.looks = []
    law = measured("no_data_is_not_health", bakes=[release])
    assert (law.held, law.worst) == (False, "bake was promoted without a look")


# --- a rollback starts no bake ---------------------------------------------------------------------------------------
def turns(*statuses: tuple[float, str, str]) -> list[Turn]:
    return [Turn(at(minutes), SERVICE, deployment, status) for minutes, deployment, status in statuses]


@pytest.mark.parametrize(
    ("history", "release", "held"),
    [
        ([(0, "d1", "IN_PROGRESS"), (9, "d1", "SUCCESSFUL")], bake(), None),
        ([(0, "d1", "IN_PROGRESS"), (9, "d1", "ROLLBACK_IN_PROGRESS")], bake("rolled_back"), True),
        ([(0, "d1", "ROLLBACK_IN_PROGRESS")], bake("promoted"), False),
        ([(0, "d1", "ROLLBACK_SUCCESSFUL")], bake("rolled_back"), False),
        ([(0, "d1", "ROLLBACK_IN_PROGRESS")], bake("ignored"), True),
        ([(0, "d1", "ROLLBACK_IN_PROGRESS")], bake("promoted", looked=False), True),
        ([(0, "d0", "ROLLBACK_SUCCESSFUL"), (0.5, "d1", "IN_PROGRESS")], bake(), True),
    ],
)
def test_what_goes_back_is_not_baked(history: list[tuple[float, str, str]], release: Bake, held: bool | None) -> None:
    assert measured("rollback_starts_no_bake", turns=turns(*history), bakes=[release]).held is held


def test_the_rollback_of_another_service_is_no_matter() -> None:
    other = Turn(at(0), SERVICE + "2", "d0", "ROLLBACK_IN_PROGRESS")
    assert measured("rollback_starts_no_bake", turns=[other], bakes=[bake()]).held is True


# --- weights settle --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("shares", "held"), [((0.05, 1.0), True), ((0.05, 0.0), True), ((0.05,), False), ((0.05, 0.25), False)]
)
def test_weights_end_on_one_revision(shares: tuple[float, ...], held: bool) -> None:
    release = bake("failed", exposure=exposure(*shares))
    law = measured("weights_settled", bakes=[release])
    assert law.held is held
    if not held:
        assert f"{shares[-1]:.1%} of the weight" in (law.worst or "")
        by_others = measured("weights_settled", bakes=[release], others=frozenset({RULE}))
        assert by_others.held is True


def test_only_the_last_release_of_a_service_that_has_ended_counts() -> None:
    running = bake(None, executions=[Execution(5)], exposure=exposure(0.05))
    assert measured("weights_settled", bakes=[running]).held is None
    first, second = bake("failed", exposure=exposure(0.05)), bake("promoted")
    assert measured("weights_settled", bakes=[first, second]).held is True
