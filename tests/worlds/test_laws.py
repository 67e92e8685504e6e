"""The laws as functions of evidence: what they accept, and that each can fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from twin.kernel.api import AWS_ECS, WORLD, Call, Caller
from twin.rehearsal import laws
from twin.rehearsal.evidence import (
    Change,
    Drained,
    Evidence,
    GroupState,
    HostEnd,
    HostState,
    ServiceState,
    Snapshot,
    Work,
)
from twin.rehearsal.report import Law

START = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
OURS = Caller("function", "HostsDrainHosts", "arn:role")
DORA = Caller("operator", "dora")
WEB = "arn:aws:ecs:us-east-1:1:service/shop/web"
OLD, NEW = "i-0000000000000000a", "i-0000000000000000b"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def call(number: int, caller: Caller, name: str, minutes: float = 5, **params: Any) -> Call:
    service, operation = name.split(":")
    return Call(number, at(minutes), caller, service, operation, params)


def service(desired: int = 4, minimum: int = 100, maximum: int = 200, *, daemon: bool = False) -> ServiceState:
    settings: dict[str, object] = {"minimumHealthyPercent": minimum, "maximumPercent": maximum, "desiredCount": desired}
    return ServiceState(WEB, "web", "shop", daemon, desired, settings)


def group(desired: int = 2, suspended: tuple[str, ...] = (), **protected: bool) -> GroupState:
    settings = {"MinSize": 1, "MaxSize": 4, "DesiredCapacity": desired, "SuspendedProcesses": list(suspended)}
    return GroupState("hosts", settings, protected or {OLD: False})


def snapshot(*, web: ServiceState | None = None, hosts: GroupState | None = None, **states: HostState) -> Snapshot:
    fleet = states or {"old": HostState(OLD, "arn:ci/old", "shop", "ACTIVE", 4)}
    return Snapshot({WEB: web or service()}, {"hosts": hosts or group()}, {h.instance: h for h in fleet.values()})


def work(outcome: str | None = "replaced", mode: str = "act", **changes: Any) -> Work:
    base = Work("w-1", "shop", (OLD,), mode, at(1), 1, ended=at(30), outcome=outcome, reason="because")
    return replace(base, **changes)


def evidence(**fields: Any) -> Evidence:
    base: dict[str, Any] = {
        "before": snapshot(),
        "after": snapshot(),
        "healthy_before": {WEB: 4},
        "changes": [],
        "calls": [],
        "works": [work()],
        "ends": [],
        "drained": [],
        "executions": 1,
        "unfinished": [],
        "without_outcome": [],
    }
    return Evidence(**{**base, **fields})


def measured(name: str, **fields: Any) -> Law:
    return next(law for law in laws.judge(evidence(**fields)) if law.name == name)


def drain(number: int = 2) -> Call:
    return call(number, OURS, "ecs:UpdateContainerInstancesState", status="DRAINING", containerInstances=["arn:ci/old"])


def fall(before: int, healthy: int, cause: Call | None, desired: int = 4, minutes: float = 6) -> Change:
    return Change(at(minutes), WEB, before, healthy, desired, cause)


# --- golden rule -----------------------------------------------------------------------------------------------------
def test_a_loss_of_ours_below_what_was_healthy_violates() -> None:
    law = measured("golden_rule", changes=[fall(4, 3, drain())])
    assert law.held is False
    assert law.worst == "web: 3 healthy where 4 were due"
    assert law.who == "ecs:UpdateContainerInstancesState by function:HostsDrainHosts"
    assert law.when == "2026-10-05T10:06:00Z"


def test_what_ecs_does_because_of_our_call_is_ours() -> None:
    stop = replace(call(3, AWS_ECS, "ecs:StopTask"), cause=drain())
    law = measured("golden_rule", changes=[fall(4, 3, stop)])
    assert law.held is False
    assert law.who == "ecs:UpdateContainerInstancesState by function:HostsDrainHosts"


def test_a_fall_back_to_what_was_due_is_none() -> None:
    law = measured("golden_rule", changes=[fall(4, 5, None, minutes=5), fall(5, 4, drain())])
    assert law.held is True
    assert "closest" in (law.worst or "")


@pytest.mark.parametrize("cause", [None, call(2, DORA, "ecs:StopTask")])
def test_losses_of_others_are_theirs(cause: Call | None) -> None:
    assert measured("golden_rule", changes=[fall(4, 2, cause)]).held is True


def test_what_was_unhealthy_at_the_claim_is_not_due() -> None:
    changes = [fall(4, 2, None, minutes=0.5), fall(2, 3, None, minutes=5), fall(3, 2, drain())]
    assert measured("golden_rule", changes=changes).held is True


def test_a_smaller_desired_count_lowers_what_is_due() -> None:
    assert measured("golden_rule", changes=[fall(4, 3, drain(), desired=3)]).held is True


def test_another_loss_of_ours_on_top_of_somebody_elses_violates() -> None:
    changes = [fall(4, 3, None, minutes=5), fall(3, 2, drain())]
    assert measured("golden_rule", changes=changes).held is False


def test_an_owner_who_sets_a_lower_minimum_meanwhile_is_heard() -> None:
    edit = call(
        2,
        DORA,
        "ecs:UpdateService",
        cluster="shop",
        service="web",
        deploymentConfiguration={"minimumHealthyPercent": 75},
    )
    assert measured("golden_rule", calls=[edit], changes=[fall(4, 3, drain(3))]).held is True
    assert measured("golden_rule", calls=[edit], changes=[fall(3, 2, drain(3))]).held is False


def test_daemons_follow_their_hosts() -> None:
    daemon = snapshot(web=service(daemon=True))
    assert measured("golden_rule", before=daemon, after=daemon, changes=[fall(4, 3, drain())]).held is None


def test_without_work_nothing_is_measured() -> None:
    measured_laws = laws.judge(evidence(works=[], executions=0))
    assert [law.held for law in measured_laws] == [None] * len(measured_laws)


# --- hosts -----------------------------------------------------------------------------------------------------------
def test_a_host_may_end_when_nothing_is_alive_on_it() -> None:
    end = call(4, OURS, "autoscaling:TerminateInstanceInAutoScalingGroup", InstanceId=OLD)
    assert measured("host_empty", ends=[HostEnd(end, OLD, ())]).held is True
    law = measured("host_empty", ends=[HostEnd(end, OLD, ()), HostEnd(end, NEW, ("arn:task/1",))])
    assert (law.held, law.worst) == (False, f"{NEW} ended with 1 task alive: 1")


def test_the_budget_of_hosts() -> None:
    assert measured("host_budget", drained=[Drained(drain(), "shop", 2, 2)]).held is True
    assert (
        measured("host_budget", drained=[Drained(drain(), "shop", 3, 2), Drained(drain(), "shop", 1, 2)]).held is False
    )


# --- undo and restore ------------------------------------------------------------------------------------------------
def raised(number: int = 2) -> Call:
    percents = {"minimumHealthyPercent": 100, "maximumPercent": 300}
    return call(number, OURS, "ecs:UpdateService", cluster="shop", service="web", deploymentConfiguration=percents)


def test_settings_that_were_not_put_back() -> None:
    after = snapshot(web=service(maximum=300))
    for name, outcome in (("undo", "undone"), ("restore", "replaced")):
        law = measured(name, after=after, calls=[raised()], works=[work(outcome)])
        assert (law.held, law.worst) == (False, "shop/web maximumPercent was 200, is 300")
        assert law.who == "ecs:UpdateService by function:HostsDrainHosts"


@pytest.mark.parametrize(
    "after",
    [
        snapshot(hosts=group(suspended=("AZRebalance",))),
        snapshot(hosts=group(**{OLD: True})),
        snapshot(hosts=group(desired=3)),
        snapshot(old=HostState(OLD, "arn:ci/old", "shop", "DRAINING", 4)),
        snapshot(new=HostState(NEW, "arn:ci/new", "shop", "ACTIVE", 4)),
    ],
)
def test_an_undo_leaves_nothing_of_ours(after: Snapshot) -> None:
    assert measured("undo", works=[work("undone")]).held is True
    assert measured("undo", after=after, works=[work("undone")]).held is False


def test_what_others_set_is_no_difference() -> None:
    after = snapshot(web=service(desired=6), hosts=group(desired=3))
    calls = [
        call(2, DORA, "ecs:UpdateService", cluster="shop", service=WEB, desiredCount=6),
        call(3, DORA, "autoscaling:SetDesiredCapacity", AutoScalingGroupName="hosts", DesiredCapacity=3),
    ]
    assert measured("undo", after=after, calls=calls, works=[work("undone")]).held is True
    assert measured("restore", after=after, calls=calls).held is True


@pytest.mark.parametrize(("tasks", "held"), [(2, True), (0, False)])
def test_a_launched_host_stays_only_if_it_carries_tasks(tasks: int, held: bool) -> None:
    hosts = {
        "old": HostState(OLD, "arn:ci/old", "shop", "ACTIVE", 4),
        "new": HostState(NEW, "arn:ci/new", "shop", "ACTIVE", tasks),
    }
    after = snapshot(hosts=group(desired=3), **hosts)
    law = measured("undo", after=after, works=[work("undone")], launched={NEW: "hosts"})
    assert law.held is held


# --- modes and others ------------------------------------------------------------------------------------------------
def test_observing_changes_nothing_but_our_own() -> None:
    own = [call(2, OURS, "dynamodb:PutItem"), call(3, OURS, "events:PutEvents"), call(4, OURS, "ecs:DescribeTasks")]
    observed = [work("planned", mode="observe")]
    assert measured("observe_changes_nothing", works=observed, calls=own).held is True
    law = measured("observe_changes_nothing", works=observed, calls=[*own, drain(5)])
    assert (law.held, law.worst) == (False, "1 call")


def test_acts_in_another_cluster_are_no_breach_of_observing() -> None:
    works = [work("planned", mode="observe"), work("replaced", cluster="other", hosts=(NEW,))]
    there = call(2, OURS, "ecs:UpdateService", cluster="other", service="x")
    here = call(3, OURS, "ecs:UpdateService", cluster="shop", service="x")
    assert measured("observe_changes_nothing", works=works, calls=[there]).held is True
    assert measured("observe_changes_nothing", works=works, calls=[there, here]).held is False


def test_undoing_somebody_elses_act() -> None:
    theirs = call(3, DORA, "ecs:UpdateService", cluster="shop", service="web", desiredCount=6)
    ours = call(4, OURS, "ecs:UpdateService", cluster="shop", service="web", desiredCount=4)
    assert measured("nobody_elses_acts", calls=[raised(), theirs], after=snapshot(web=service(desired=6))).held is True
    law = measured("nobody_elses_acts", calls=[raised(), theirs, ours])
    assert (law.held, law.worst) == (False, "shop/web desiredCount was 6, is 4")


def test_failed_calls_of_others_set_nothing() -> None:
    refused = replace(call(3, DORA, "ecs:UpdateService", cluster="shop", service="web", desiredCount=6), error="X")
    builder = call(4, WORLD, "ecs:UpdateService", cluster="shop", service="web", desiredCount=9)
    assert measured("nobody_elses_acts", calls=[refused, builder]).held is None


@pytest.mark.parametrize(
    "lack", [{"unfinished": ["a still runs"]}, {"without_outcome": ["a FAILED without an outcome"]}]
)
def test_every_execution_needs_an_outcome(lack: Mapping[str, Any]) -> None:
    assert measured("every_outcome").held is True
    assert measured("every_outcome", **lack).held is False
