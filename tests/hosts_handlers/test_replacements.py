"""The functions, run by the deployed machine on the twin: each way through, and what each leaves behind."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from small_world import (
    DORA,
    OLD,
    SMALL,
    Run,
    ask,
    in_group,
    rehearse,
    set_state,
    small,
    when,
)

from twin.world import World

OTHER = "i-0a1b2c3d4e5f60002"


def undone(run: Run) -> None:
    """Everything is as before, and nothing of the work is left in the table."""
    assert run.outcomes[-1] == "undone", run.reason
    assert run.broken == []
    assert run.left == []
    assert run.hosts[OLD] == "ACTIVE"
    assert run.group["DesiredCapacity"] == 2
    assert run.group["SuspendedProcesses"] == []
    assert [item["InstanceId"] for item in run.group["Instances"] if item["ProtectedFromScaleIn"]] == []


def replaced(run: Run) -> None:
    assert run.outcomes[-1] == "replaced", run.reason
    assert run.broken == []
    assert run.left == []
    assert OLD not in run.hosts
    assert run.group["DesiredCapacity"] == 2
    assert run.group["SuspendedProcesses"] == []
    assert [item["InstanceId"] for item in run.group["Instances"] if item["ProtectedFromScaleIn"]] == []
    assert sorted(run.hosts.values()) == ["ACTIVE", "ACTIVE"]


def options(**choices: Any) -> dict[str, Any]:
    return {"autoscaling": choices}


@pytest.mark.parametrize("raises", [True, False])
def test_a_host_is_replaced_whether_or_not_a_launch_raises_the_desired_capacity(raises: bool) -> None:
    run = rehearse(small(options=options(launch_instances_raises_desired=raises)))
    replaced(run)
    assert len(run.calls("LaunchInstances")) == 1
    assert len(run.calls("SetDesiredCapacity")) == (0 if raises else 1)
    (end,) = run.calls("TerminateInstanceInAutoScalingGroup")
    assert end.params["ShouldDecrementDesiredCapacity"] is True


def test_it_stays_within_its_budget() -> None:
    """At most 40 transitions and 25 invocations for a host with few tasks, signals apart."""
    run = rehearse(small())
    assert run.report.state_transitions <= 40
    assert run.report.lambda_invocations <= 25


def test_a_mixed_group_is_asked_by_its_desired_capacity() -> None:
    run = rehearse(small(groups=in_group(instance_types=["m5.large", "m5a.large"])))
    replaced(run)
    assert run.calls("LaunchInstances") == []
    assert [call.params["DesiredCapacity"] for call in run.calls("SetDesiredCapacity")] == [3]


def test_without_a_launch_the_group_starts_a_host_in_place() -> None:
    """Room enough on the others: nothing is launched, and ending without decrement gives the group its size back."""
    services = [{**service, "cpu": 64, "memory": 128} for service in SMALL["services"]]
    run = rehearse(small(services=services))
    replaced(run)
    assert run.calls("LaunchInstances") == []
    (end,) = run.calls("TerminateInstanceInAutoScalingGroup")
    assert end.params["ShouldDecrementDesiredCapacity"] is False
    assert sum(item["LifecycleState"] == "InService" for item in run.group["Instances"]) == 2


def test_only_percents_are_sent_and_given_back() -> None:
    run = rehearse(small())
    sent = [call.params for call in run.calls("UpdateService")]
    assert {frozenset(params) for params in sent} == {frozenset({"cluster", "service", "deploymentConfiguration"})}
    configurations = [params["deploymentConfiguration"] for params in sent]
    percents = [(item["minimumHealthyPercent"], item["maximumPercent"]) for item in configurations]
    assert percents == [(100, 150), (100, 100)]


def test_observe_changes_nothing_and_tells_the_plan_task_by_task() -> None:
    run = rehearse(small(policy={"defaults": {"hosts": {"mode": "observe"}}}))
    assert run.outcomes == ["planned"]
    assert run.left == []
    changing = {call.operation for call in run.world.kernel.calls if call.caller.kind in ("function", "machine")}
    changing = {
        name for name in changing if not name.startswith(("Describe", "List", "Get", "Query", "Batch", "Transact"))
    }
    assert changing <= {"StartExecution", "Invoke", "PutItem", "UpdateItem", "DeleteItem", "PutEvents"}
    assert {line["how"] for line in run.detail["plan"]["tasks"]} >= {"scheduler", "daemon"}
    assert run.detail["plan"]["launches"][0]["group"] == "small-hosts"


def test_the_outcome_is_an_event_and_undone_work_a_message() -> None:
    run = rehearse(small(faults=[{"kind": "insufficient_capacity"}]))
    undone(run)
    (event,) = run.report.events
    assert (event["source"], event["detail-type"]) == ("caretaker", "Host Replacement Undone")
    assert {"work", "execution", "cluster", "hosts", "outcome", "reason", "plan", "left_behind"} <= set(event["detail"])
    (message,) = run.world.topics.messages
    assert "InsufficientInstanceCapacity" in message.body
    assert "tries again at" in message.body


@pytest.mark.parametrize("raises", [True, False])
def test_a_host_that_never_connects_is_taken_away_again(raises: bool) -> None:
    run = rehearse(
        small(
            faults=[{"kind": "agent_never_connects", "group": "small-hosts"}],
            options=options(launch_instances_raises_desired=raises),
        )
    )
    undone(run)
    assert "HostsNotReady" in run.reason
    assert "agent" in run.reason
    assert run.detail["left_behind"] == []


def test_a_host_that_never_registers_is_taken_away_again() -> None:
    run = rehearse(small(faults=[{"kind": "agent_never_registers", "group": "small-hosts"}]))
    undone(run)
    assert "has not registered with the cluster" in run.reason


def test_a_mixed_group_without_capacity_gets_its_size_back() -> None:
    run = rehearse(
        small(groups=in_group(instance_types=["m5.large", "m5a.large"]), faults=[{"kind": "insufficient_capacity"}])
    )
    undone(run)
    assert [call.params["DesiredCapacity"] for call in run.calls("SetDesiredCapacity")] == [3, 2]


def test_somebody_who_sets_the_host_active_again_is_obeyed() -> None:
    run = rehearse(small(), when("Wait for tasks", set_state(OLD, "ACTIVE"), 10))
    undone(run)
    assert "somebody set" in run.reason


def test_a_host_that_somebody_else_drains_is_never_reactivated() -> None:
    """Drained before the notice; the replacement fails, and the host stays as they left it."""
    faults = [{"kind": "task_never_healthy", "service": "web"}]
    policy = {"defaults": {"hosts": {"mode": "act", "drain_timeout": 600}}}

    def meddle(world: World) -> None:
        set_state(OLD, "DRAINING")(world)

    run = rehearse(small(faults=faults, policy=policy), meddle)
    assert run.outcomes == ["undone"]
    assert run.hosts[OLD] == "DRAINING"
    assert run.calls("UpdateContainerInstancesState") == []


def test_a_launched_host_that_carries_tasks_stays_as_surplus() -> None:
    faults = [{"kind": "task_never_healthy", "service": "both"}]
    policy = {"defaults": {"hosts": {"mode": "act", "drain_timeout": 600}}}
    run = rehearse(small(faults=faults, policy=policy))
    assert run.outcomes == ["undone"]
    assert run.broken == []
    assert run.hosts[OLD] == "ACTIVE"
    assert any("stays as surplus" in words for words in run.detail["left_behind"])
    assert run.group["DesiredCapacity"] == 3
    assert run.left == []


def test_a_group_is_never_taken_below_the_minimum_that_somebody_sets() -> None:
    """Somebody raises MinSize while tasks move: the host is ended without decrement, and the group starts another."""

    def raise_minimum(world: World) -> object:
        params = {"AutoScalingGroupName": "small-hosts", "MinSize": 3}
        return ask(world, "autoscaling", "UpdateAutoScalingGroup", params, DORA)

    run = rehearse(small(), when("Wait for tasks", raise_minimum, 5))
    assert run.outcomes == ["replaced"], run.reason
    assert run.group["DesiredCapacity"] == 3
    (end,) = run.calls("TerminateInstanceInAutoScalingGroup")
    assert end.params["ShouldDecrementDesiredCapacity"] is False
    assert len(run.hosts) == 3


def test_a_silent_host_ends_once_its_tasks_must_have() -> None:
    """The agent is lost during the drain: no task on it ever reports STOPPED."""
    run = rehearse(small(faults=[{"kind": "agent_disconnects", "instance": OLD, "after": "150s", "until": "6h"}]))
    assert run.outcomes == ["replaced"], run.reason
    assert OLD not in run.hosts
    assert run.calls("DeregisterContainerInstance")


def test_two_hosts_of_one_notice_go_together() -> None:
    groups = in_group(desired_capacity=3, max_size=6, instances=[OLD, OTHER, "i-0a1b2c3d4e5f60003"])
    document = small(groups=groups, policy={"defaults": {"hosts": {"mode": "act", "budget": 2}}})
    detail = document["events"][0]["event"]["detail"]
    detail["affectedEntities"].append({**detail["affectedEntities"][0], "entityValue": OTHER})
    document["events"][0]["event"]["resources"].append(OTHER)
    document["maintenance"].append({**document["maintenance"][0], "instance": OTHER})
    run = rehearse(document)
    assert run.outcomes == ["replaced"], run.reason
    assert run.broken == []
    assert not {OLD, OTHER} & set(run.hosts)
    assert run.group["DesiredCapacity"] == 3
    assert len(hosts_of_calls(run)) == 1, "both are drained in one call, so that no task hops between old hosts"


def hosts_of_calls(run: Run) -> list[Any]:
    return [call for call in run.calls("UpdateContainerInstancesState") if call.params["status"] == "DRAINING"]


def test_a_deployment_of_somebody_else_goes_on() -> None:
    """It takes the room that the plan counted on: the replacement gives way, and is tried again later."""

    def deploy(world: World) -> object:
        params = {"cluster": "small", "service": "web", "forceNewDeployment": True}
        return ask(world, "ecs", "UpdateService", params, DORA)

    run = rehearse(small(), when("Wait for hosts", deploy, 1))
    assert run.outcomes == ["undone"]
    assert run.broken == []
    assert "PlanChanged" in run.reason
    assert run.detail["retry_at"]
    found = ask(run.world, "ecs", "DescribeServices", {"cluster": "small", "services": ["web"]})["services"]
    assert [item["rolloutState"] for item in found[0]["deployments"]] == ["COMPLETED"]


LEAD = {"defaults": {"hosts": {"mode": "act", "lead": 1_223_388}}}
"""Lets the work start ten minutes after the notice."""


def test_work_starts_its_lead_before_the_date() -> None:
    run = rehearse(small(policy=LEAD))
    replaced(run)
    (launch,) = run.calls("LaunchInstances")
    waited = (launch.at - run.world.kernel.clock.start).total_seconds()
    assert 600 <= waited <= 620


def later_notice(document: dict[str, Any], at: str, **detail: str) -> None:
    """The same notice once more, changed."""
    event = copy.deepcopy(document["events"][0]["event"])
    event["id"] = "5f0c2d9a-1b57-4f0e-9a53-3d1c5a7e6b02"
    event.pop("time")
    event["detail"].update(detail)
    document["events"].append({"event": event, "at": at})


def test_a_more_urgent_notice_starts_waiting_work_at_once() -> None:
    document = small(policy=LEAD)
    later_notice(
        document, "+2m", startTime="Wed, 7 Oct 2026 14:00:00 GMT", lastUpdatedTime="Mon, 5 Oct 2026 10:01:00 GMT"
    )
    run = rehearse(document)
    replaced(run)
    assert len(run.outcomes) == 1, "it hastens the running work, it does not start another"
    (launch,) = run.calls("LaunchInstances")
    assert 120 <= (launch.at - run.world.kernel.clock.start).total_seconds() <= 180


def test_a_notice_that_is_withdrawn_before_the_start_is_ignored() -> None:
    document = small(policy=LEAD)
    later_notice(document, "+2m", statusCode="closed")
    run = rehearse(document)
    assert run.outcomes == ["ignored"], run.reason
    assert run.left == []
    assert run.calls("LaunchInstances") == []
