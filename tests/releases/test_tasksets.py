"""Which task set runs, where the new one goes, and what it lacks."""

from __future__ import annotations

from typing import Any

import pytest
from caretaker.releases.tasksets import Forward, NotDrivable, mine, not_ready, pair, primary, request, task_set

SET = "arn:aws:ecs:us-east-1:123456789012:task-set/shop/web/ecs-svc/"
GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/"
BLUE, GREEN, OTHER = f"{GROUP}blue/1", f"{GROUP}green/2", f"{GROUP}other/3"
BALANCER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/world/1"


def item(number: int = 1, group: str = BLUE, status: str = "PRIMARY", **changes: Any) -> dict[str, Any]:
    return {
        "taskSetArn": f"{SET}{number}",
        "taskDefinition": "arn:aws:ecs:us-east-1:123456789012:task-definition/web:1",
        "status": status,
        "loadBalancers": [{"targetGroupArn": group, "containerName": "web", "containerPort": 80}],
        "scale": {"value": 100.0, "unit": "PERCENT"},
        "computedDesiredCount": 2,
        "runningCount": 2,
        "stabilityStatus": "STEADY_STATE",
        "launchType": "EC2",
        **changes,
    }


def forward(weight: int = 100, other: int = 0, arn: str = "rule/a", balancer: str = BALANCER) -> Forward:
    return Forward(arn, balancer, {BLUE: weight, GREEN: other})


def target(state: str = "healthy", why: str = "") -> dict[str, Any]:
    return {"Target": {"Id": "i-1"}, "TargetHealth": {"State": state, **({"Description": why} if why else {})}}


def test_the_new_task_set_goes_into_the_group_that_nothing_is_sent_to() -> None:
    found = pair(BLUE, [forward(), forward(arn="rule/b")], [item()])
    assert (found.baseline, found.canary, found.rules) == (BLUE, GREEN, ("rule/a", "rule/b"))
    assert found.balancer == BALANCER


def test_a_rule_that_sends_the_running_tasks_nothing_is_no_production_rule() -> None:
    assert pair(BLUE, [forward(), forward(0, 100, "rule/test")], [item()]).rules == ("rule/a",)


@pytest.mark.parametrize(
    ("forwards", "items", "why"),
    [
        ([], [item()], "no listener rule gives target group blue"),
        ([forward(other=5)], [item()], "rule a gives the idle target group green weight already"),
        ([Forward("rule/a", BALANCER, {BLUE: 1})], [item()], "rule a forwards to 1 target groups"),
        ([Forward("rule/a", BALANCER, {BLUE: 1, GREEN: 0, OTHER: 0})], [item()], "forwards to 3 target groups"),
        ([forward(), Forward("rule/b", BALANCER, {BLUE: 1, OTHER: 0})], [item()], "different second target groups"),
        ([forward(), forward(arn="rule/b", balancer="another")], [item()], "different load balancers"),
        ([forward(balancer=BALANCER.replace("/app/", "/net/"))], [item()], "is a Network Load Balancer"),
        ([forward()], [item(), item(2, GREEN, "ACTIVE")], "task set 2 is there already in the idle target group green"),
        ([forward()], [item(), item(2, GREEN, "DRAINING")], "task set 2 still drains in the idle target group green"),
    ],
)
def test_what_is_in_the_way_is_named(forwards: list[Forward], items: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(NotDrivable, match=why):
        pair(BLUE, forwards, items)


def test_a_service_needs_a_primary_task_set_behind_one_group() -> None:
    with pytest.raises(NotDrivable, match="no primary"):
        primary([item(status="ACTIVE")])
    with pytest.raises(NotDrivable, match="not behind exactly one"):
        primary([item(loadBalancers=[])])


def test_the_new_task_set_is_as_the_running_one_but_for_its_group() -> None:
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    running = item(networkConfiguration=network, capacityProviderStrategy=[{"capacityProvider": "a"}])
    assert request(running, GREEN, "bake-release-1") == {
        "networkConfiguration": network,
        "capacityProviderStrategy": [{"capacityProvider": "a"}],
        "loadBalancers": [{"targetGroupArn": GREEN, "containerName": "web", "containerPort": 80}],
        "scale": {"unit": "PERCENT", "value": 100.0},
        "externalId": "bake-release-1",
    }
    assert request(item(), GREEN, "x")["launchType"] == "EC2"


def test_a_release_knows_its_task_set_by_the_external_id() -> None:
    items = [item(), item(2, GREEN, "ACTIVE", externalId="bake-release-1")]
    found = mine(items, "bake-release-1")
    assert found is not None
    assert (found.id, found.group) == ("2", GREEN)
    assert mine(items, "bake-release-2") is None


def test_ready_is_steady_and_healthy() -> None:
    assert not_ready(task_set(item()), [target(), target()]) == []


@pytest.mark.parametrize(
    ("changes", "health", "why"),
    [
        ({"stabilityStatus": "STABILIZING"}, ["healthy", "healthy"], "2 of 2 tasks of task set 1 run, or they are not"),
        ({"runningCount": 1}, ["healthy", "healthy"], "1 of 2 tasks"),
        ({}, ["healthy", "initial"], "1 of 2 targets are healthy in blue"),
        ({}, ["healthy", "draining"], "1 of 2 targets"),
        ({"status": "DRAINING"}, ["healthy", "healthy"], "somebody has deleted it"),
        ({"computedDesiredCount": 0, "runningCount": 0}, [], "meant to have no tasks"),
    ],
)
def test_what_is_lacking_is_told(changes: dict[str, Any], health: list[str], why: str) -> None:
    lacks = not_ready(task_set(item(**changes)), [target(state) for state in health])
    assert any(why in words for words in lacks), lacks


def test_the_balancers_own_reason_is_told() -> None:
    health = [target(), target("unhealthy", "Health checks failed with these codes: [500]")]
    assert "(Health checks failed with these codes: [500])" in not_ready(task_set(item()), health)[0]
