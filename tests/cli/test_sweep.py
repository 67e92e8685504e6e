"""`caretaker sweep`: what is shown of a service that goes, and how a sweep is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from caretaker.garbage.model import Kind
from caretaker.garbage.sweep import Act, Sweep
from caretaker.runtime.approval import Approval
from caretaker.runtime.journal import Trigger
from rich.console import Console
from sweep_world import ALIVE, VPC, WIDTH, passes, shared_world, stack

from cli import sweep as command
from cli.main import run
from cli.product import GONE
from cli.sweep import ask, service_arn, watch
from cli.sweep_snapshot import DELETED, UNJUDGED, Item, Snapshot, changes, conclusion, ended, exit_code
from cli.sweep_view import draw
from cli.sweep_words import acts_told, standing
from twin.errors import WorldError
from twin.kernel.gateway import ApiFault
from twin.world import World

RULE = Item("arn:rule", Kind.RULE, "rule 7", "ACTIVE")
GROUP = Item("arn:group", Kind.TARGET_GROUP, "ecs-gateway-tg-1", "ACTIVE")
BALANCER = Item("arn:lb", Kind.LOAD_BALANCER, "alb", "ACTIVE", shared=True, holders=("shop/api",))
ROLE = Item("arn:role", Kind.ROLE, "infrastructure", "in use", "service shop/api lives and has it")
THERE = Snapshot("shop/web", "ACTIVE", items=(RULE, GROUP, BALANCER))


def gone(*items: Item, **fields: Any) -> Snapshot:
    given = {"since": "2026-10-05T10:16:11.000Z", "vpc": VPC, "judged": "2026-10-05T10:17:00.000Z", **fields}
    return Snapshot("shop/web", "INACTIVE", items=items, **given)


# --- plain -----------------------------------------------------------------------------------------------------------
def test_the_first_look_tells_everything() -> None:
    assert changes(None, THERE) == [
        "shop/web: ACTIVE",
        "listener rule 7: ACTIVE",
        "target group ecs-gateway-tg-1: ACTIVE",
        "load balancer alb: ACTIVE (also shop/api)",
    ]


def test_a_line_for_each_change_and_none_without() -> None:
    assert changes(THERE, THERE) == []
    failed = replace(GROUP, status="FAILED", reason="it is in use")
    others = replace(BALANCER, holders=())
    after = replace(THERE, status="DRAINING", items=(replace(RULE, status=GONE), failed, others), notes=("look",))
    assert changes(THERE, after) == [
        "shop/web: ACTIVE → DRAINING",
        "listener rule 7: ACTIVE → gone",
        "target group ecs-gateway-tg-1: ACTIVE → FAILED: it is in use",
        "load balancer alb: ACTIVE (shared)",
        "look",
    ]
    assert changes(after, after) == []
    assert changes(after, replace(after, items=after.items[:2])) == ["load balancer alb: ACTIVE → gone"]


def test_a_new_reason_is_told_where_it_matters() -> None:
    unknown = replace(RULE, status="unknown", reason="DescribeRules was denied")
    told = changes(gone(unknown), gone(replace(unknown, reason="DescribeRules was truncated")))
    assert told == ["listener rule 7: unknown: DescribeRules was truncated"]
    used = replace(RULE, status="in use", reason="14 min left")
    assert changes(gone(used), gone(replace(used, reason="13 min left"))) == []


def test_a_sweep_is_told_when_it_gets_on() -> None:
    one = gone(RULE, sweep="sweep-1", standing="opened")
    assert changes(gone(RULE), one) == ["sweep-1: opened"]
    assert changes(one, replace(one, standing="1 of 2 acts done")) == ["sweep-1: 1 of 2 acts done"]


@pytest.mark.parametrize(
    ("items", "open_", "swept", "grace", "over"),
    [
        ((), False, False, False, True),
        ((replace(RULE, status="kept"), ROLE, replace(BALANCER, status="shared")), False, False, False, True),
        ((replace(RULE, status="in use"),), False, False, False, False),  # ECS may still delete it
        ((replace(RULE, status="in use"),), False, True, True, True),
        ((replace(RULE, status="garbage"),), False, False, True, False),
        ((replace(RULE, status="garbage"),), False, True, True, True),
        ((replace(RULE, status=DELETED),), True, True, True, False),
        ((replace(RULE, status=UNJUDGED),), False, False, True, False),
    ],
)
def test_when_nothing_more_is_going_to_change(
    items: tuple[Item, ...], open_: bool, swept: bool, grace: bool, over: bool
) -> None:
    assert ended(gone(*items), sweep_open=open_, swept=swept, grace_over=grace) is over
    assert not ended(gone(*items, judged=""), sweep_open=open_, swept=swept, grace_over=grace)
    assert not ended(replace(THERE, items=items), sweep_open=open_, swept=swept, grace_over=grace)


@pytest.mark.parametrize(
    ("status", "code"),
    [(each, 0) for each in ("kept", "reported", "in use", GONE, DELETED)]
    + [(each, 1) for each in ("garbage", "unknown", UNJUDGED)],
)
def test_the_exit_code_tells_whether_it_is_settled(status: str, code: int) -> None:
    assert exit_code(gone(replace(RULE, status=status), ROLE, replace(BALANCER, status="unknown"))) == code
    assert exit_code(replace(THERE, items=(replace(RULE, status=status),))) == 0


def test_the_end_says_what_remains_and_why() -> None:
    kept = replace(RULE, status="garbage", reason="nobody refers to it")
    shared = replace(BALANCER, status="shared", reason="shop/api has it")
    told = conclusion(gone(kept, replace(GROUP, status=GONE), shared, sweep="sweep-1", standing="planned: observe"))
    assert told == [
        "shop/web: 1 of its own remain:",
        "  listener rule 7: garbage: nobody refers to it",
        "1 that it shared or was given stay:",
        "  load balancer alb: shared: shop/api has it (also shop/api)",
        "sweep-1: planned: observe",
    ]
    assert conclusion(gone(replace(RULE, status=DELETED))) == ["shop/web: nothing of its own remains"]


def test_the_tree_tells_its_own_from_what_is_shared(capsys: pytest.CaptureFixture[str]) -> None:
    failed = replace(GROUP, status="FAILED", reason="ResourceInUse")
    Console(width=WIDTH, highlight=False).print(draw(replace(THERE, items=(RULE, failed, BALANCER))))
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "shop/web  ACTIVE",
        "├── its own",
        "│   ├── listener rule 7  ACTIVE",
        "│   └── target group ecs-gateway-tg-1  FAILED  ResourceInUse",
        "└── shared or given",
        "    └── load balancer alb  ACTIVE (also shop/api)",
    ]


# --- sweeps in words -------------------------------------------------------------------------------------------------
AT = datetime(2026, 10, 5, 10, 10, tzinfo=UTC)
SWEEP = Sweep("sweep-1", VPC, 1, AT, Trigger("deleted", "web is deleted"))


def act(number: int, **fields: Any) -> Act:
    arn = f"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/tg-{number}/0123456789abcdef"
    given = {"kind": "target group", "params": {}, "why": "nobody refers to it", "proof": {}, **fields}
    return Act(number, "elasticloadbalancing:DeleteTargetGroup", arn, **given)


def test_how_a_sweep_stands() -> None:
    head = "opened 2026-10-05 10:10Z, act: "
    assert standing(SWEEP, []) == f"{head}waits until ECS has finished and the grace is over"
    assert standing(replace(SWEEP, observations=("1",), apart=600), []) == f"{head}observation 1 of two, 600 s apart"
    asked = replace(SWEEP, approval=Approval(AT, AT.replace(hour=20), "secret", keys=("a", "b")))
    assert standing(asked, [act(1)]) == (
        f"{head}2 acts wait for `caretaker approve` or `reject` until 2026-10-05 20:10Z"
    )
    assert standing(SWEEP, [act(1), act(2)]) == f"{head}2 acts planned, looks once more under the lock"
    some = [act(1, status="done"), act(2, status="skipped"), act(3, status="intended", tries=1, reason="in use")]
    assert standing(SWEEP, some) == f"{head}1 of 3 acts done, 1 left; tries again target group tg-3: in use"
    closed = replace(SWEEP, status="closed", outcome="kept", reason="denied", ended=AT)
    assert standing(closed, some) == "kept at 2026-10-05 10:10Z: denied"


def test_what_was_deleted_when_and_why_not() -> None:
    acts = [
        act(1, status="done", at=AT),
        act(2, status="gone"),
        act(3, status="refused", reason="in use", at=AT),
        act(4),
    ]
    assert acts_told(acts) == [
        "2026-10-05 10:10Z  target group tg-1 deleted",
        "target group tg-2 was gone already",
        "2026-10-05 10:10Z  target group tg-3 was refused: in use",
    ]
    edit = replace(act(5, status="done"), action="ec2:RevokeSecurityGroupEgress", why="it names the dead")
    assert acts_told([edit]) == ["target group tg-5 edited (RevokeSecurityGroupEgress): it names the dead"]


# --- at the twin -----------------------------------------------------------------------------------------------------
@dataclass
class Watched:
    world: World
    log: str
    code: int


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    """The world, watched from before the deletion to the end of its sweep."""
    with shared_world(ALIVE) as world:
        console = Console(width=WIDTH, highlight=False, record=True, quiet=False)
        code = look(world, console, "shop/web", interval=60.0)
        yield Watched(world, console.export_text(), code)


def look(world: World, console: Console, service: str, **asked: Any) -> int:
    clock = world.kernel.clock
    return watch(stack(), console, service=service, now=clock.now, sleep=lambda s: passes(world, s), **asked)


def test_a_service_is_watched_past_its_end(watched: Watched) -> None:
    log, told = watched.log, watched.log.splitlines()
    assert watched.code == 0
    assert told[0] == "10:09:50Z  shop/web: ACTIVE"
    assert "10:10:50Z  shop/web: ACTIVE → DRAINING" in told
    assert "shop/web: DRAINING → INACTIVE since 2026-10-05T10:1" in log
    order = [
        log.index(words)
        for words in (
            "alarm shop/web/RollbackAlarm: ACTIVE → in use: service shop/web is gone since",
            "alarm shop/web/RollbackAlarm: in use → garbage:",
            "alarm shop/web/RollbackAlarm: garbage → deleted: 2026-10-05 10:41Z by sweep-express-",
            "swept at 2026-10-05 10:4",
            "shop/web: 2 of its own remain:",
        )
    ]
    assert order == sorted(order)
    assert "load balancer ecs-express-gateway-alb-454457b0: shared: service shop/api lives and has it" in log
    assert "lives and has it (also shop/api, shop/web-api)" in log
    assert "  log group /aws/ecs/shop/web-361e: kept: policy garbage.log_groups is `keep` for service shop/web" in told
    assert sum("  alarm shop/web/RollbackAlarm: " in line for line in told) == 4


def test_who_looks_later_sees_the_same(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    assert look(watched.world, Console(width=WIDTH, highlight=False), "shop/web", once=True) == 0
    text = capsys.readouterr().out
    assert "shop/web  INACTIVE since 2026-10-05T10:16:1" in text
    assert "target group ecs-gateway-tg-5960cb64f58dad62e  deleted  2026-10-05 10:41Z by" in text
    assert "shop/web: 2 of its own remain:" in text


def test_a_service_that_lives_shows_what_ecs_says(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    assert look(watched.world, Console(width=WIDTH, highlight=False), "web-api", cluster="shop", once=True) == 0
    text = capsys.readouterr().out
    assert "shop/web-api  ACTIVE" in text
    assert "├── alarm shop/web-api/RollbackAlarm  ACTIVE" in text
    assert "load balancer ecs-express-gateway-alb-454457b0  ACTIVE (also shop/api)" in text
    assert "sweep-express" not in text  # what was swept was not its own


def test_where_aws_is_busy_the_watch_goes_on(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    class Enough(Exception):
        pass

    looks = 0

    def sleep(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise Enough
        fault = ApiFault("ecs", "DescribeExpressGatewayService", "ThrottlingException", "slow down", times=None)
        watched.world.gateway.api_faults.append(fault)

    console = Console(width=WIDTH, highlight=False, record=True)
    try:
        with pytest.raises(Enough):
            watch(stack(), console, service="shop/api", now=watched.world.kernel.clock.now, sleep=sleep)
    finally:
        watched.world.gateway.api_faults.clear()
    assert "DescribeExpressGatewayService: ThrottlingException: slow down: asked again" in console.export_text()


def test_ctrl_c_is_130(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "watch", interrupted)
    assert run(["sweep", "--watch", "shop/web"]) == 130


def test_a_sweep_is_asked_for_by_event(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    world = watched.world
    assert run(["sweep", "web", "--cluster", "shop", "--mode", "observe"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"asked for a sweep of shop/web, in {VPC}" in text
    assert "nothing more than observe, and nothing more than policy allows" in text
    assert "caretaker sweep --watch" in text
    put = [call for call in world.kernel.calls if call.operation == "PutEvents" and call.caller.name == "olga"][-1]
    (entry,) = put.params["Entries"]
    assert (entry["Source"], entry["DetailType"]) == ("caretaker.command", "Sweep Requested")
    assert json.loads(entry["Detail"]) == {
        "mode": "observe",
        "service": f"arn:aws:ecs:us-east-1:{world.kernel.account}:service/shop/web",
    }
    passes(world, 120)
    began = [each for each in world.machines.executions if each.machine == "SweepExpress"]
    assert began[-1].input["trigger"]["kind"] == "request"
    assert began[-1].input["mode"] == "observe"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "sweep: name a SERVICE or --vpc ID, one of them"),
        (["shop/web", "--vpc", VPC], "sweep: name a SERVICE or --vpc ID, one of them"),
        (["--vpc", "vpc-000f"], f"--vpc vpc-000f: the ledger knows no Express service there; it knows {VPC}"),
        (["shop/other"], "shop/other: the ledger knows no Express service of that name with a VPC"),
        (["shop/web", "--mode", "all"], "--mode all: is none of observe, approve, act"),
        (["shop/web", "--once"], "--once: goes with --watch"),
        (["a/b/c"], "SERVICE a/b/c: is neither a name, nor cluster/name, nor an ARN"),
        (["shop/web", "--cluster", "tools"], "--cluster tools: SERVICE shop/web names another one"),
        (["arn:aws:ecs:us-east-1:123456789012:cluster/shop"], "is not the ARN of a service"),
        (["--watch"], "--watch: takes a SERVICE, and neither --vpc nor --mode"),
        (["--watch", "shop/web", "--interval", "0.2"], "--interval 0.2: the shortest is 1 s"),
        (["--watch", "shop/other", "--once"], "shop/other: neither ECS nor the ledger knows such an Express service"),
    ],
)
def test_bad_input_is_one_line(
    watched: Watched, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(["sweep", *arguments]) == 2
    complaint = capsys.readouterr().err
    assert words in complaint
    assert complaint.count("\n") == 1


def test_what_eventbridge_refuses_is_told(watched: Watched) -> None:
    fault = ApiFault("events", "PutEvents", "AccessDeniedException", "not you", times=None)
    watched.world.gateway.api_faults.append(fault)
    try:
        with pytest.raises(WorldError, match="PutEvents: AccessDeniedException: not you"):
            ask(stack(), Console(), service=None, cluster=None, vpc=VPC, mode=None)
    finally:
        watched.world.gateway.api_faults.remove(fault)


def test_a_service_is_named_by_name_path_or_arn(watched: Watched) -> None:
    arn = f"arn:aws:ecs:us-east-1:{watched.world.kernel.account}:service"
    assert service_arn(stack(), "web", None) == f"{arn}/default/web"
    assert service_arn(stack(), "web", "arn:aws:ecs:us-east-1:123456789012:cluster/shop") == f"{arn}/shop/web"
    assert service_arn(stack(), f"{arn}/shop/web", "shop") == f"{arn}/shop/web"
