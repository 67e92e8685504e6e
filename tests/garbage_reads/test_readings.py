"""What could not be read is a reading that says so in AWS's words, and never the end of an observation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from caretaker.aws import rates
from caretaker.aws.listing import Listing, Page, Rate
from caretaker.garbage import observe
from caretaker.garbage.look import Look
from caretaker.garbage.looks import LOOKS
from caretaker.garbage.model import Kind, Life, Observation, Read
from caretaker.garbage.pace import Pace
from reads_stage import LEAVING, ROLE, Stage, staged, statuses

from twin.kernel.api import Call

MUTABLE = cast(dict[str, Look], LOOKS)
OPERATIONS = {look.listing.operation: look.listing for look in LOOKS.values()}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """`web` is dead and has left everything, `web-api` lives."""
    with pytest.MonkeyPatch.context() as patch:
        stage = Stage(LEAVING)
        with staged(patch, stage):
            scheduled(stage)
            stage.up("web", "web-api")
            stage.record("web", "web-api")
            stage.delete("web")
            stage.run(4_000)
            yield stage


def scheduled(stage: Stage) -> None:
    """A rule and a schedule, of which neither runs a task."""
    target = {"Id": "1", "Arn": "arn:aws:sqs:us-east-1:123456789012:queue"}
    stage.call("events", "PutRule", Name="own", ScheduleExpression="rate(1 day)", State="DISABLED")
    stage.call("events", "PutTargets", Rule="own", Targets=[target])
    stage.call(
        "scheduler",
        "CreateSchedule",
        Name="own",
        ScheduleExpression="rate(1 day)",
        State="DISABLED",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": target["Arn"], "RoleArn": f"{ROLE}/own"},
    )


@pytest.fixture(autouse=True)
def _no_faults(stage: Stage) -> Iterator[None]:
    yield
    stage.gateway.api_faults.clear()


@pytest.fixture(scope="module")
def clean(stage: Stage) -> Observation:
    return stage.observe()


def method(operation: str) -> tuple[str, str]:
    """The service and operation in botocore's words."""
    return OPERATIONS[operation].service, operation.partition(":")[2]


def asked(observation: Observation) -> list[str]:
    return sorted({each.operation for each in observation.readings})


def test_every_reading_of_an_account_in_order_is_whole(clean: Observation) -> None:
    assert [each for each in clean.readings if each.status is not Read.WHOLE] == []
    assert len({(each.operation, each.scope) for each in clean.readings}) == len(clean.readings)


def test_what_is_denied_is_told_as_such(stage: Stage, clean: Observation) -> None:
    for operation in asked(clean):
        stage.gateway.api_faults.clear()
        stage.fail(*method(operation), "AccessDeniedException")
        seen = stage.observe()
        given = [each for each in seen.readings if each.operation == operation]
        assert given, operation
        assert {each.status for each in given} == {Read.DENIED}, operation
        assert all("AccessDeniedException for a test" in each.reason for each in given), operation


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalFailure", "SomethingNewException"])
@pytest.mark.parametrize("operation", ["elasticloadbalancing:DescribeRules", "ecs:DescribeServiceRevisions"])
def test_what_fails_is_told_as_such(stage: Stage, operation: str, code: str) -> None:
    stage.fail(*method(operation), code)
    given = statuses(stage.observe(), operation)
    assert set(given.values()) == {Read.FAILED}


def test_rules_that_were_not_read_make_no_referrer_of_their_load_balancer(stage: Stage) -> None:
    stage.fail("elbv2", "DescribeRules", "AccessDeniedException")
    seen = stage.observe()
    groups = {each.arn for each in seen.resources.values() if each.kind is Kind.TARGET_GROUP}
    assert not [e for e in seen.references if e.target in groups and e.source_kind is Kind.LOAD_BALANCER]


def test_a_reading_that_is_throttled_for_a_while_is_whole_in_the_end(stage: Stage, clean: Observation) -> None:
    """botocore gives up after its own tries; a later part tries again."""
    stage.fail("elbv2", "DescribeRules", "ThrottlingException", times=7)
    seen = stage.observe()
    assert set(statuses(seen, "elasticloadbalancing:DescribeRules").values()) == {Read.WHOLE}
    assert seen.references == clean.references


def test_a_listing_that_does_not_end_is_truncated(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "MAX_PAGES", 1)
    for number in range(2):  # CloudWatch gives 100 alarms a page
        for name in range(60):
            stage.call(
                "cloudwatch",
                "PutMetricAlarm",
                AlarmName=f"user-{number}-{name}",
                MetricName="Latency",
                Namespace="User",
                Statistic="Sum",
                Period=60,
                EvaluationPeriods=1,
                Threshold=1.0,
                ComparisonOperator="GreaterThanThreshold",
            )
    (reading,) = [each for each in stage.observe().readings if each.operation == "cloudwatch:DescribeAlarms"]
    assert (reading.status, reading.items) == (Read.TRUNCATED, 100)
    assert reading.reason == "the listing did not end after 1 pages"
    monkeypatch.undo()
    assert statuses(stage.observe(), "cloudwatch:DescribeAlarms") == {"": Read.WHOLE}


def test_one_that_vanished_does_not_cost_the_others_of_its_batch_their_answer(stage: Stage, clean: Observation) -> None:
    made = stage.call("elbv2", "CreateTargetGroup", Name="own", Protocol="HTTP", Port=80, VpcId=stage.vpc)
    arn = made["TargetGroups"][0]["TargetGroupArn"]

    def vanish(call: Call, response: object) -> None:
        if call.operation == "DescribeTargetGroups":
            stage.call("elbv2", "DeleteTargetGroup", TargetGroupArn=arn)

    stage.gateway.completed.append(vanish)
    try:
        seen = stage.observe()
    finally:
        stage.gateway.completed.remove(vanish)
    assert statuses(seen, "elasticloadbalancing:DescribeTags") == {"": Read.WHOLE}
    tagged = {each.arn for each in clean.resources.values() if each.tags and ":elasticloadbalancing:" in each.arn}
    assert len(tagged) > 3
    assert {each for each in tagged if not seen.resources[each].tags} == set()
    assert seen.resources[arn].tags is None


def test_a_batch_that_answers_less_than_was_asked_is_truncated(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    real = observe.page

    def page(listing: Listing, params: Mapping[str, Any], token: Mapping[str, Any]) -> Page:
        found = real(listing, params, token)
        less = listing.operation == "ecs:DescribeServices" and len(found.items) == 1
        return replace(found, items=[]) if less else found

    monkeypatch.setattr(observe, "page", page)
    readings = [each for each in stage.observe().readings if each.operation == "ecs:DescribeServices"]
    assert {each.status for each in readings} == {Read.TRUNCATED}
    assert all(each.reason == "only 0 of 1 that were asked about were answered" for each in readings)


def test_a_service_that_cannot_be_asked_about_is_neither_alive_nor_dead(stage: Stage) -> None:
    stage.fail("ecs", "DescribeServices", "AccessDeniedException")
    stage.fail("ecs", "DescribeExpressGatewayService", "AccessDeniedException")
    owners = {identity.arn: owner for identity, owner in stage.observe().owners.items()}
    assert owners[stage.arn("web-api")].life is Life.UNKNOWN
    assert "AccessDeniedException" in owners[stage.arn("web-api")].words
    # A death that is in the ledger is for good.
    assert owners[stage.arn("web")].life is Life.DEAD


def test_the_operations_that_are_read_are_those_of_the_contract(clean: Observation) -> None:
    never_here = {
        "ecs:DescribeClusters",
        "ecs:DescribeGateway",
        "ecs:DescribeGatewayResources",
        "ecs:DescribeGatewayRoute",
        "ecs:DescribeServiceDeployments",
        "ecs:DescribeTaskDefinition",
        "ecs:ListContainerInstances",
        "ecs:ListGatewayRoutes",
        "ecs:ListTaskDefinitions",
        "elasticloadbalancing:DescribeLoadBalancerAttributes",
        "route53:ListResourceRecordSets",
        "wafv2:GetWebACLForResource",
    }
    assert set(asked(clean)) == set(OPERATIONS) - never_here


# --- pace ------------------------------------------------------------------------------------------------------------


def test_a_bucket_is_never_more_than_half_empty() -> None:
    pace = Pace(None)
    for rate in (rates.ECS_SERVICES, rates.ELB, rates.WAF):
        made = 0
        while pace.allows(rate):
            pace.took(rate)
            made += 1
        assert made == max(1, rate.burst // 2)
    assert pace.seconds >= max(rate.burst // 2 / rate.per_second for rate in (rates.ECS_SERVICES, rates.ELB))


def test_a_part_ends_when_the_function_has_no_time_for_another_call(stage: Stage) -> None:
    observe.begin(stage.store, "hurried", stage.vpc, stage.now)
    left = iter([60_000, 60_000, 10_000])
    progress = stage.within(lambda: observe.step(stage.store, "hurried", stage.now, lambda: next(left)))
    assert (progress.calls, progress.more) == (2, True)


def test_calls_stay_below_the_rates_that_aws_documents(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two calls no more than a bucket and its refill; small ones here, which a small fleet empties."""
    small = Rate("small", 4, 2.0, "a test")
    for name, look in LOOKS.items():
        if look.listing.service == "ecs":
            monkeypatch.setitem(MUTABLE, name, replace(look, listing=replace(look.listing, rate=small)))
    before = len(stage.kernel.calls)
    stage.observe()
    at = [call.at for call in stage.kernel.calls[before:] if call.service == "ecs" and call.caller.name == "Caretaker"]
    assert len(at) > 10
    for first, _ in enumerate(at):
        for last in range(first, len(at)):
            assert last - first + 1 <= small.burst + small.per_second * (at[last] - at[first]).total_seconds()
