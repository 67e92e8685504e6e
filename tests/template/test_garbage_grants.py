"""What the functions of a sweep may do: everything that they read, and deletions in one function alone."""

from __future__ import annotations

from typing import Any

import pytest
from caretaker.aws import removals
from caretaker.garbage.looks import LOOKS
from test_rules_and_grants import listed, resources, statements

DELETER = "GarbageDeleteNext"
# Weights of releases are set by it as well.
OF_OTHERS = {"elasticloadbalancing:ModifyListener"}
TAG = {"aws:ResourceTag/AmazonECSManaged": "true"}
# IAM knows no condition for these, or ECS does not tag them; the namespace is one for scaling.
UNTAGGED = {
    "application-autoscaling:DeleteScalingPolicy",
    "application-autoscaling:DeregisterScalableTarget",
    "ecs:DeleteCluster",
    "ecs:DeleteTaskDefinitions",
    "ecs:DeregisterTaskDefinition",
}


def granted(function: str) -> set[str]:
    """Actions that the function's role allows, its own policy and the shared ones together."""
    own = [statement for name, statement in statements() if name == function]
    for policy in resources("AWS::IAM::Policy").values():
        if {"Ref": f"{function}Role"} in policy["Roles"]:
            own += policy["PolicyDocument"]["Statement"]
    return {action for statement in own for action in listed(statement["Action"])}


def deletions() -> list[tuple[str, str, dict[str, Any]]]:
    """Who may make which call that takes something away, by which statement."""
    return [
        (name, action, statement)
        for name, statement in statements()
        for action in listed(statement["Action"])
        if action in removals.ACTIONS
    ]


def test_one_function_deletes_and_it_may_all_that_it_calls() -> None:
    assert {action for name, action, _ in deletions() if name == DELETER} == set(removals.ACTIONS)
    assert {(name, action) for name, action, _ in deletions() if name != DELETER} == {
        ("ShiftWeights", action) for action in OF_OTHERS
    }


def test_what_ecs_does_not_manage_cannot_be_deleted() -> None:
    for name, action, statement in deletions():
        if name != DELETER or action in UNTAGGED:
            continue
        condition = statement.get("Condition", {}).get("StringEquals")
        # A rule of a group is authorized with the group, whose tag is asked for.
        of_rules = "security-group-rule/*" in str(statement["Resource"])
        assert of_rules or condition == TAG, action


def test_scaling_is_deleted_for_ecs_alone() -> None:
    for _, action, statement in deletions():
        if action.startswith("application-autoscaling:"):
            assert statement["Condition"]["StringEquals"] == {"application-autoscaling:service-namespace": "ecs"}


@pytest.mark.parametrize("function", ["GarbageObserve", DELETER])
def test_everything_that_is_read_may_be_read(function: str) -> None:
    wanted = {look.listing.operation for look in LOOKS.values()}
    assert wanted - granted(function) == set()


def test_who_only_plans_may_change_nothing_but_the_table() -> None:
    for function in resources("AWS::Serverless::Function"):
        if function.startswith("Garbage") and function != DELETER:
            others = {action for action in granted(function) if not action.startswith("dynamodb:")}
            assert not {action for action in others if action.partition(":")[2].startswith(("Delete", "Modify", "Put"))}
