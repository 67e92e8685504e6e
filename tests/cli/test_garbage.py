"""`caretaker garbage`, on a world in which ECS left things behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from caretaker.garbage.model import Read
from rich.console import Console
from sweep_world import LEFT_BEHIND, VPC, WIDTH, passes, shared_world, stack

from cli.garbage import show_garbage
from cli.garbage_view import unread
from cli.main import run
from cli.product import Reading
from twin.errors import WorldError
from twin.kernel.api import WORLD
from twin.kernel.gateway import ApiFault
from twin.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with shared_world(LEFT_BEHIND) as built:
        yield built


def shown(world: World, capsys: pytest.CaptureFixture[str], **asked: Any) -> str:
    """What a person sees."""
    capsys.readouterr()
    now: datetime = world.kernel.clock.now()
    console = Console(width=WIDTH, highlight=False)
    show_garbage(stack(), console, now=lambda: now, sleep=lambda seconds: passes(world, seconds), **asked)
    return capsys.readouterr().out


def lines(text: str) -> str:
    """Without the breaks and guides that the width makes."""
    return " ".join(text.replace("│", " ").split())


def test_the_dead_come_first_with_what_is_garbage_and_why(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(world, capsys)
    assert all(len(line) <= WIDTH for line in text.splitlines())
    flat = lines(text)
    assert flat.index("shop/web dead since 2026-10-05T10:16:1") < flat.index("shop/api alive")
    assert "alarm shop/web/RollbackAlarm: garbage: nobody refers to it" in flat
    assert "log group /aws/ecs/shop/web-361e: kept: policy garbage.log_groups is `keep`" in flat
    assert "shared load balancer ecs-express-gateway-alb-454457b0: shared: service shop/api lives" in flat
    assert flat.count("is gone since") == 0  # the heading says it
    assert "10 garbage 24 in use 5 shared 2 kept" in flat
    assert "that no Express service made: never touched" in flat
    assert "$0.80 a month in all" in flat


def test_what_living_services_use_is_counted_or_listed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    brief, whole = lines(shown(world, capsys)), lines(shown(world, capsys, every=True))
    assert "11 in use, 4 shared (--all lists them)" in brief
    assert "alarm shop/api/RollbackAlarm: in use" not in brief
    assert "alarm shop/api/RollbackAlarm: in use: service shop/api lives and has it" in whole
    # A log group is only read once its service is gone: that it was not read does not mean that it is gone.
    assert "log group /aws/ecs/shop/api-f993: not looked at while its service lives" in brief


def test_the_running_sweep_is_shown(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    text = lines(shown(world, capsys, vpc=VPC))
    assert "opened 2026-10-05 10:10Z, act: observation 1 of two" in text
    assert "because web is deleted: arn:aws:iam::123456789012:user/platform called" in text


@pytest.mark.parametrize("given", ["shop/web/RollbackAlarm", "web/RollbackAlarm", "alarm:shop/web/RollbackAlarm"])
def test_why_takes_an_arn_a_name_or_a_part(world: World, capsys: pytest.CaptureFixture[str], given: str) -> None:
    text = lines(shown(world, capsys, resource=given))
    assert text.startswith("alarm shop/web/RollbackAlarm: garbage:")
    assert "nobody refers to it, as far as could be read" in text
    arn = text.split()[-1]
    assert arn.endswith(":alarm:shop/web/RollbackAlarm")
    assert lines(shown(world, capsys, resource=arn)) == text


def test_why_shows_who_holds_a_shared_thing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    text = lines(shown(world, capsys, resource="ecs-express-gateway-alb-454457b0"))
    assert "load balancer ecs-express-gateway-alb-454457b0: shared:" in text
    assert "the active revision has it (ACTIVE), for service shop/api ← holds it" in text
    assert "for service shop/web-api ← holds it" in text


def test_why_of_several_or_none_is_bad_input(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WorldError, match=r"^--why web: may be any of arn:aws:.* …$"):
        shown(world, capsys, resource="web")
    with pytest.raises(WorldError, match=f"^--why no-such-thing: no such resource was read in {VPC}$"):
        shown(world, capsys, resource="no-such-thing")


def test_json_has_every_verdict_with_its_referrers(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (seen,) = json.loads(shown(world, capsys, as_json=True))
    assert (seen["vpc"], seen["unread"]) == (VPC, [])
    assert {each["service"].rpartition("/")[2]: each["life"] for each in seen["services"]} == {
        "web": "dead",
        "api": "alive",
        "web-api": "alive",
    }
    garbage = [each for each in seen["verdicts"] if each["verdict"] == "garbage"]
    assert len(garbage) == 10
    assert all(each["reason"] and not each["holding"] for each in garbage)
    (sweep,) = seen["sweeps"]
    assert (sweep["status"], sweep["mode"], sweep["acts"]) == ("open", "act", [])
    assert "token" not in json.dumps(sweep)


def test_what_may_not_be_read_is_unknown_and_says_what_to_grant(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = ApiFault("elbv2", "DescribeRules", "AccessDenied", "not you", times=None)
    world.gateway.api_faults.append(fault)
    try:
        text = lines(shown(world, capsys))
        why = lines(shown(world, capsys, resource="ecs-gateway-tg-5960cb64f58dad62e"))
    finally:
        world.gateway.api_faults.remove(fault)
    grant = "was denied: DescribeRules: AccessDenied: not you; grant elasticloadbalancing:DescribeRules to whoever asks"
    assert "not read, so unknown: elasticloadbalancing:DescribeRules of listener/app/ecs-express-gateway-alb-" in text
    assert grant in text
    assert "target group ecs-gateway-tg-5960cb64f58dad62e: unknown:" in text
    # The rule is there; that it could not be seen does not make it gone.
    assert "listener rule 2f0749bb77da71b8: gone, or among what could not be read (1 reading)" in text
    assert grant in why


def test_what_ecs_made_and_nobody_has_is_listed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """As after a creation that was taken back before anybody knew of it."""
    service = "arn:aws:ecs:us-east-1:123456789012:service/shop/half"
    tags = [{"ResourceType": "security-group", "Tags": [{"Key": "AmazonECSManaged", "Value": "true"}]}]
    params = {"GroupName": "shop-half", "Description": f"Security group for ECS service: {service}", "VpcId": VPC}
    group = world.gateway.call("ec2", "CreateSecurityGroup", {**params, "TagSpecifications": tags}, WORLD)["GroupId"]
    try:
        text = lines(shown(world, capsys))
    finally:
        world.gateway.call("ec2", "DeleteSecurityGroup", {"GroupId": group}, WORLD)
    assert "1 things that ECS made and no service has (a creation that failed?): never touched, look at them" in text
    assert "security group shop-half: no Express service in the ledger made it: nobody knows whose it is; " in text
    assert "ECS made it, by its tag AmazonECSManaged, and shop/half, by its description" in text


def test_doubts_are_told_by_operation() -> None:
    denied = [Reading("ecs:ListTasks", f"arn:aws:ecs:r:1:cluster/{n}", Read.DENIED, "t", reason="no") for n in range(3)]
    others = [Reading(f"ec2:Describe{n}", "", Read.FAILED, "t") for n in range(6)]
    told = unread([*denied, Reading("ecs:ListClusters", "", Read.WHOLE, "t"), *others])
    assert told[0] == "not read, so unknown: ecs:ListTasks of cluster/0 and 2 more was denied: no; " + (
        "grant ecs:ListTasks to whoever asks"
    )
    assert told[1] == "not read, so unknown: ec2:Describe0 failed; ask again"
    assert told[-1] == "… and 2 more operations; see --json"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--vpc", "vpc-000f"], f"--vpc vpc-000f: the ledger knows no Express service there; it knows {VPC}"),
        (["--stack", "other"], "DescribeStacks: ValidationError: Stack with id other does not exist"),
    ],
)
def test_bad_input_is_one_line(
    world: World, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(["garbage", *arguments]) == 2
    complaint = capsys.readouterr().err
    assert words in complaint
    assert complaint.count("\n") == 1


def test_nothing_is_written(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    before = len(world.kernel.calls)
    shown(world, capsys)
    made = {call.operation for call in world.kernel.calls[before:]}
    assert made
    assert {name for name in made if not name.startswith(("Describe", "List", "Get", "Query", "BatchGet"))} == set()


def test_a_table_that_may_not_be_read_is_one_line(world: World) -> None:
    fault = ApiFault("dynamodb", "Query", "AccessDeniedException", "not you", times=None)
    world.gateway.api_faults.append(fault)
    try:
        with pytest.raises(WorldError, match="Query: AccessDeniedException: not you"):
            show_garbage(stack(), Console(), sleep=lambda seconds: None)
    finally:
        world.gateway.api_faults.remove(fault)
