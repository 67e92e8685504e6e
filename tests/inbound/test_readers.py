"""What each kind of event says, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from caretaker.inbound import registry
from caretaker.inbound.model import BadEvent, Closed, Deploys, Nothing, Notice, Place, Reading, Requested
from hypothesis import given
from hypothesis import strategies as st
from inbound_stage import H1, H2, H3, H4, NOW, REGION, changed, sample

ARN = (
    "arn:aws:health:us-east-1::event/EC2/AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED/"
    "AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED_3d776ac7-512d-4a3b-8ea4-73c33993a906"
)
TWO_WEEKS = datetime(2026, 10, 19, 14, tzinfo=UTC)


def read(event: Any, now: datetime = NOW) -> list[Reading]:
    text = event if isinstance(event, str) else json.dumps(event)
    return registry.read_event(text, Place(REGION), now)


def notice(event: Any, now: datetime = NOW) -> Notice:
    (reading,) = read(event, now)
    assert isinstance(reading, Notice), reading
    return reading


def reason(event: Any) -> str:
    (reading,) = read(event)
    assert isinstance(reading, Nothing), reading
    return reading.reason


def test_a_retirement_notice() -> None:
    found = notice(sample("health-ec2-retirement"))
    assert found.key == f"health/123456789012/{ARN}/{H1}"
    assert (found.instance, found.kind, found.deadline) == (H1, "health", TWO_WEEKS)
    assert "its hardware is retired" in found.text


def test_copies_and_pages_of_one_change_are_one_notice() -> None:
    keys = {notice(sample(name)).key for name in ("health-ec2-retirement", "health-ec2-retirement-duplicate")}
    assert keys == {notice(sample("health-ec2-retirement-backup")).key}
    pages = [notice(sample(f"health-ec2-stop-page{n}of2")) for n in (1, 2)]
    assert [page.instance for page in pages] == [H3, H4]
    assert pages[0].key.rpartition("/")[0] == pages[1].key.rpartition("/")[0]


def test_an_arn_as_entity_without_resources_and_with_wrong_weekdays() -> None:
    found = notice(sample("health-ec2-retirement-arn-entity"), datetime(2026, 1, 27, tzinfo=UTC))
    assert found.instance == H1
    assert found.deadline == datetime(2026, 8, 27, 13, 19, 3, tzinfo=UTC)


def test_a_change_that_has_begun_has_no_deadline() -> None:
    assert notice(sample("health-ec2-retirement"), datetime(2026, 10, 20, tzinfo=UTC)).deadline is None


def test_a_change_without_a_date_has_no_deadline() -> None:
    assert notice(changed(sample("health-ec2-retirement"), detail={"startTime": None})).deadline is None


@pytest.mark.parametrize("name", ["health-ec2-instance-reboot-maintenance", "health-ec2-system-reboot-maintenance"])
def test_reboots_ask_for_a_replacement_too(name: str) -> None:
    assert notice(sample(name)).deadline == datetime(2026, 10, 21, 3, tzinfo=UTC)


def test_a_code_that_nobody_has_seen_asks_for_a_replacement() -> None:
    event = changed(sample("health-ec2-retirement"), detail={"eventTypeCode": "AWS_EC2_SOMETHING_NEW_SCHEDULED"})
    assert "AWS_EC2_SOMETHING_NEW_SCHEDULED" in notice(event).text


def test_a_closed_change_closes_its_notice() -> None:
    (reading,) = read(sample("health-ec2-persistent-retirement-closed"))
    assert isinstance(reading, Closed)
    assert (reading.instance, reading.key) == (H1, f"health/123456789012/{ARN}/{H1}")


def test_a_resolved_entity_closes_its_notice_only() -> None:
    event = sample("health-ec2-retirement")
    entity = event["detail"]["affectedEntities"][0]
    both = [{**entity, "status": "RESOLVED"}, {**entity, "entityValue": H2}]
    closed, open_ = read(changed(event, detail={"affectedEntities": both}))
    assert isinstance(closed, Closed)
    assert closed.instance == H1
    assert isinstance(open_, Notice)
    assert open_.instance == H2


@pytest.mark.parametrize("mark", ["[Completed] ", "[Canceled] "])
def test_a_completed_change_closes_its_notice(mark: str) -> None:
    described = [{"language": "en_US", "latestDescription": f"{mark}Your instance"}]
    (reading,) = read(changed(sample("health-ec2-retirement"), detail={"eventDescription": described}))
    assert isinstance(reading, Closed)


def test_resources_stand_in_for_missing_entities() -> None:
    assert notice(changed(sample("health-ec2-retirement"), detail={"affectedEntities": None})).instance == H1


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (sample("health-ec2-retirement-no-entities"), "names no entity"),
        (sample("health-ec2-retirement-other-region"), "concerns eu-central-1, not us-east-1"),
        (changed(sample("health-ec2-retirement"), detail={"affectedAccount": "210987654321"}), "account 210987654321"),
        (changed(sample("health-ec2-retirement"), detail={"service": "RDS"}), "no scheduled change of EC2"),
        (changed(sample("health-ec2-retirement"), detail={"eventTypeCategory": "issue"}), "no scheduled change"),
        (sample("ecs-task-stopped"), "no reader for aws.ecs"),
        (sample("events-rule-scheduled"), "no reader for aws.events"),
    ],
)
def test_what_is_none_of_ours_is_nothing(event: dict[str, Any], words: str) -> None:
    assert words in reason(event)


@pytest.mark.parametrize(
    "entity",
    [
        "h-0123456789abcdef0",
        "shop|web",
        "shop/web",
        "arn:aws:ecs:us-east-1:123456789012:task/shop/0123",
        "arn:aws:ec2:eu-central-1:123456789012:instance/i-0a1b2c3d4e5f60001",
        "arn:aws:ec2:us-east-1:210987654321:instance/i-0a1b2c3d4e5f60001",
        "i-xyz",
        "",
    ],
)
def test_entities_that_are_no_instance_of_ours_are_nothing(entity: str) -> None:
    event = sample("health-ec2-retirement")
    entities = [{"entityValue": entity}]
    assert repr(entity) in reason(changed(event, detail={"affectedEntities": entities}))


def test_a_host_whose_patches_are_due() -> None:
    found = notice(sample("ssm-compliance-patch-noncompliant"))
    assert (found.instance, found.kind, found.deadline) == (H2, "patch", None)
    assert found.key == f"patch/123456789012/{H2}/pb-0123456789abcdef0"
    later = changed(sample("ssm-compliance-patch-noncompliant"), id="other", time="2026-10-06T10:00:12Z")
    assert notice(later).key == found.key


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ({"compliance-status": "compliant"}, "Patch compliant asks for nothing"),
        ({"compliance-type": "Association"}, "asks for nothing"),
        ({"resource-id": "mi-0123456789abcdef0"}, "no EC2 instance"),
    ],
)
def test_other_compliance_is_nothing(detail: dict[str, str], words: str) -> None:
    assert words in reason(changed(sample("ssm-compliance-patch-noncompliant"), detail=detail))


HEALTH = sample("health-ec2-retirement")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ("{", "event: not JSON"),
        ("[]", "event: []"),
        (changed(HEALTH, source=None), "source: missing"),
        (changed(HEALTH, region=7), "region: 7"),
        ({**HEALTH, "detail": "none"}, "detail: 'none'"),
        (changed(HEALTH, detail={"eventArn": None}), "detail.eventArn: missing"),
        (changed(HEALTH, detail={"eventTypeCode": ""}), "detail.eventTypeCode: ''"),
        (changed(HEALTH, detail={"startTime": "soon"}), "detail.startTime: 'soon' is not a date"),
        (changed(HEALTH, detail={"affectedEntities": [{}]}), "detail.affectedEntities.0.entityValue: missing"),
        (changed(HEALTH, detail={"affectedEntities": "i-1"}), "detail.affectedEntities: 'i-1'"),
        (
            changed(sample("ssm-compliance-patch-noncompliant"), detail={"resource-id": None}),
            "detail.resource-id: missing",
        ),
        (changed(sample("ssm-compliance-patch-noncompliant"), time="noon"), "time: 'noon'"),
    ],
)
def test_a_bad_event_is_refused_in_one_line_with_field_and_value(event: Any, line: str) -> None:
    with pytest.raises(BadEvent) as caught:
        read(event)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_members_that_aws_adds_are_no_concern() -> None:
    assert notice(changed(HEALTH, detail={"somethingNew": {"a": [1]}}, trace="x")).instance == H1


junk = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.lists(st.text(max_size=4), max_size=2)


@given(
    name=st.sampled_from(["health-ec2-retirement", "ssm-compliance-patch-noncompliant"]),
    field=st.integers(0, 30),
    value=junk,
    outer=st.booleans(),
)
def test_any_member_may_be_junk(name: str, field: int, value: object, outer: bool) -> None:
    """A damaged event is read or refused in one line; nothing else ever comes out."""
    event = sample(name)
    part = event if outer else event["detail"]
    part[sorted(part)[field % len(part)]] = value
    try:
        readings = read(event)
    except BadEvent as error:
        assert "\n" not in str(error)  # noqa: PT017 - any text may come, and not all of it is refused
    else:
        assert all(isinstance(reading, Notice | Closed | Nothing) for reading in readings)


# --- releases ---------------------------------------------------------------------------------------------------------

SHOP = "arn:aws:ecs:us-east-1:123456789012:cluster/shop"
WEB = "arn:aws:ecs:us-east-1:123456789012:service/shop/web"


@pytest.mark.parametrize("name", ["ecs-deployment-in-progress", "ecs-deployment-rollback"])
def test_a_deployment_event_says_only_which_service(name: str) -> None:
    (reading,) = read(sample(name))
    assert isinstance(reading, Deploys)
    assert (reading.service, reading.cluster) == (WEB, SHOP)


def test_other_deployment_events_ask_for_nothing() -> None:
    assert "SERVICE_DEPLOYMENT_COMPLETED" in reason(sample("ecs-deployment-completed"))
    old = changed(sample("ecs-deployment-in-progress"), resources=["arn:aws:ecs:us-east-1:123456789012:service/web"])
    assert "old form" in reason(old)
    with pytest.raises(BadEvent, match="names no service"):
        read(changed(sample("ecs-deployment-in-progress"), resources=["arn:aws:ecs:us-east-1:123456789012:task/x"]))
    with pytest.raises(BadEvent, match=r"detail\.eventName"):
        read(changed(sample("ecs-deployment-in-progress"), detail={"eventName": None}))


def test_a_request_names_its_service_by_name_or_arn() -> None:
    event = sample("release-requested")
    (short,) = read(event)
    full = {
        "cluster": SHOP,
        "service": WEB,
        "taskDefinition": "arn:aws:ecs:us-east-1:123456789012:task-definition/web:2",
    }
    (long,) = read(changed(event, detail=full))
    assert isinstance(short, Requested)
    assert short == long
    assert short.key == event["id"]
    assert read(changed(event, source="deploy.bot"))[0] == Requested(
        WEB, SHOP, full["taskDefinition"], event["id"], "deploy.bot asks for web:2"
    )
    with pytest.raises(BadEvent, match=r"detail\.taskDefinition: missing"):
        read(changed(event, detail={"taskDefinition": None}))
    assert "AWS asks for no releases" in reason(changed(event, source="aws.ecs"))
