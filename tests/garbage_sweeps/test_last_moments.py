"""Somebody acts between the last observation and a deletion: what AWS deletes whoever uses it stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from caretaker.garbage.record import Records

from tests.deployed import defaults
from tests.garbage_reads.reads_stage import OPERATOR, staged
from tests.garbage_sweeps.sweep_deaths import CARETAKER, POLICY, Ended, Small
from tests.garbage_sweeps.sweep_machine import ARN
from twin.kernel.api import Call

Act = Callable[[Small], None]
KEEP = [{"Key": "caretaker:keep", "Value": "yes"}]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Small, Ended]]]:
    """Plays a stage in which somebody acts once, when a call of Caretaker's has been answered."""
    open_: list[Any] = []

    def played(when: Callable[[Small, Call], bool], act: Act, *sharers: str) -> tuple[Small, Ended]:
        stage = Small(*sharers)
        entered = staged(monkeypatch, stage, CARETAKER, SWEEP_EXPRESS_ARN=ARN)
        entered.__enter__()
        open_.append(entered)
        stage.call("ssm", "PutParameter", **defaults(POLICY))
        done: list[bool] = []

        def answered(call: Call, response: object) -> None:
            stage.truth.remember()
            if not done and call.caller == CARETAKER and when(stage, call):
                done.append(True)
                act(stage)
                stage.truth.remember()

        stage.play(lambda: stage.gateway.completed.append(answered))
        assert done, "the moment never came"
        return stage, stage.judge("")

    yield played
    for entered in open_:
        entered.__exit__(None, None, None)


def taken(stage: Small, operation: str) -> bool:
    return any(call.operation == operation for call, _ in stage.takings)


def before_the_balancer_goes(stage: Small, call: Call) -> bool:
    """In the last part of the whole observation after everything else was deleted."""
    return call.operation == "GetWebACLForResource" and taken(stage, "DeleteTargetGroup")


def reasons(stage: Small) -> str:
    records = Records(stage.store)
    acts = [act for sweep in records.all() for act in records.acts(sweep.id)]
    return "; ".join(act.reason for act in acts)


def test_a_service_that_is_created_after_the_services_were_listed_keeps_its_load_balancer(play: Any) -> None:
    """ECS has placed it there; no rule shows that yet, and CloudTrail takes minutes to tell."""

    def create(stage: Small) -> None:
        stage.bus.put = lambda event: None  # type: ignore[method-assign]
        stage._create("new")

    stage, ended = play(before_the_balancer_goes, create)
    assert ended.broken == ()
    assert not taken(stage, "DeleteLoadBalancer")


def test_a_listener_that_somebody_gives_other_work_keeps_its_load_balancer(play: Any) -> None:
    def redirect(stage: Small) -> None:
        (listener,) = stage.elbv2.listeners
        away = {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Host": "example.com"}}
        stage.call("elbv2", "ModifyListener", OPERATOR, ListenerArn=listener, DefaultActions=[away])

    def when(stage: Small, call: Call) -> bool:
        return call.operation == "DeleteTargetGroup"

    stage, _ = play(when, redirect)
    assert not taken(stage, "DeleteLoadBalancer")


def test_a_listener_that_is_to_be_kept_keeps_its_load_balancer(play: Any) -> None:
    def tag(stage: Small) -> None:
        stage.call("elbv2", "AddTags", OPERATOR, ResourceArns=list(stage.elbv2.listeners), Tags=KEEP)

    stage, _ = play(lambda stage, call: call.operation == "DeleteTargetGroup", tag)
    assert not taken(stage, "DeleteLoadBalancer")


def test_a_scalable_target_that_is_to_be_kept_keeps_its_policies(play: Any) -> None:
    def tag(stage: Small) -> None:
        (target,) = [one for name, one in stage.account.scaling.targets.items() if name.endswith("/web")]
        stage.call(
            "application-autoscaling", "TagResource", OPERATOR, ResourceARN=target.arn, Tags={"caretaker:keep": ""}
        )

    stage, _ = play(lambda stage, call: call.operation == "DeleteRule", tag, "api")
    assert not taken(stage, "DeleteScalingPolicy")
    assert not taken(stage, "DeregisterScalableTarget")


def test_nothing_is_revoked_in_a_group_that_is_to_be_kept(play: Any) -> None:
    def tag(stage: Small) -> None:
        groups = [one.group_id for one in stage.ec2.security_groups.groups.values() if "ecs-express" in one.name]
        stage.call("ec2", "CreateTags", OPERATOR, Resources=groups, Tags=KEEP)

    stage, _ = play(lambda stage, call: call.operation == "DeleteRule", tag)
    assert not taken(stage, "RevokeSecurityGroupEgress")
    assert any("ecs-express" in one.name for one in stage.ec2.security_groups.groups.values())


@pytest.mark.parametrize("operation", ["DescribeServices"])
def test_what_cannot_be_read_of_the_service_right_before_keeps_what_has_its_name(play: Any, operation: str) -> None:
    stage, _ = play(
        lambda stage, call: call.operation == "DeleteRule",
        lambda stage: stage.fail("ecs", operation, "AccessDeniedException"),
        "api",
    )
    assert not taken(stage, "DeregisterScalableTarget")
    assert "AccessDeniedException" in reasons(stage)
