"""The live view and the closing table, drawn and read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from cli import looks as release_looks
from cli.closing import print_closing
from cli.frame import ExecutionRow, Frame, HostRow, Line, ReleaseRow, ServiceRow
from cli.plain import PlainView
from cli.view import clock, draw
from twin.kernel.kernel import Entry
from twin.rehearsal.report import Evidence, Execution, Host, Law, Move, Plan, Release, Report, Service, Stream

LOOK = {
    "number": 5,
    "weight": 0.05,
    "action": "roll back",
    "log_against": 6.0,
    "line": 5.2983,
    "counts": {
        "5xx": {
            "canary_errors": 41,
            "canary_requests": 3020,
            "baseline_errors": 22,
            "baseline_requests": 57_400,
        }
    },
}
START = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
HOSTS = tuple(
    HostRow(f"i-0a1b2c3d4e5f6{n:04d}", "us-east-1a", "m5.large", "ACTIVE", True, ("healthy",) * 10) for n in range(1, 7)
)
OLD = HostRow("i-00000000000000001", "us-east-1a", "m5.large", "DRAINING", True, ("healthy", "stopping"), "old")
NEW = HostRow("i-00000000000000002", "us-east-1b", "m5.large", "ACTIVE", False, ("unproven", "starting"), "new")
FRAME = Frame(
    world="default",
    seed=7,
    now="2026-10-05 10:12:30Z",
    elapsed=750.0,
    hosts=(OLD, *HOSTS, NEW),
    services=(ServiceRow("web", 8, 7, 7), ServiceRow("api", 4, 4, 4)),
    executions=(
        ExecutionRow("work-1", "ReplaceHost", "act", "RUNNING", ("Route", "Take slot", "Wait for tasks"), 42.0, 700.0),
    ),
    lines=tuple(Line(float(n), "state.entered", f"line {n}") for n in range(40)),
)


def drawn(frame: Frame, height: int = 29, width: int = 100) -> list[str]:
    console = Console(width=width, height=height + 1, record=True, force_terminal=True, file=StringIO())
    console.print(draw(frame, height))
    return console.export_text().rstrip("\n").split("\n")


def test_the_view_fits_a_small_terminal() -> None:
    lines = drawn(FRAME)
    assert len(lines) <= 29
    assert all(len(line) == 100 for line in lines)


def test_the_view_shows_the_work() -> None:
    text = "\n".join(drawn(FRAME))
    for word in ("default", "+0:12:30", "2026-10-05 10:12:30Z", "seed 7", "Wait for tasks 42s", "work-1", "7/8 web"):
        assert word in text
    assert "◀ i-00000000000000001" in text
    assert "▶ i-00000000000000002" in text
    assert "✗agent" in text
    assert "line 39" in text
    assert "line 0\n" not in text


@pytest.mark.parametrize("height", [12, 20, 29, 60])
def test_a_large_fleet_is_cut_to_what_fits_and_keeps_the_hosts_of_the_work(height: int) -> None:
    many = replace(FRAME, hosts=(*HOSTS * 20, OLD, NEW))
    lines = drawn(many, height)
    assert len(lines) <= max(height, 20)
    text = "\n".join(lines)
    assert "more hosts" in text
    assert OLD.instance in text


def test_an_empty_world_is_drawn_too() -> None:
    assert "no execution yet" in "\n".join(drawn(Frame("w", 1, "now", 0.0)))


def test_plain_lines_leave_out_the_crowd_and_repeats() -> None:
    lines: list[str] = []
    view = PlainView(START, lines.append)
    data = {"execution": "e", "state": "Wait for tasks"}
    for kind, text in [
        ("task.running", "web: a task runs"),
        ("state.entered", "ReplaceHost: Wait for tasks"),
        ("state.entered", "ReplaceHost: Wait for tasks"),
        ("event.put", "aws.ecs: ECS Task State Change"),
        ("event.put", "aws.health: AWS Health Event"),
    ]:
        view(Entry(START.replace(minute=1), kind, text, data))
    view.flush()
    assert lines == ["+0:01:00  ReplaceHost: Wait for tasks", "+0:01:00  aws.health: AWS Health Event"]
    assert clock(3_725) == "+1:02:05"


def test_looks_stand_in_place_of_the_states_that_they_pass() -> None:
    lines: list[str] = []
    view = PlainView(START, lines.append)
    for state in ("Look", "Decide", "Wait", "Look", "Decide", "Roll back"):
        data = {"execution": "e", "machine": "BakeRelease", "state": state}
        view(Entry(START, "state.entered", f"BakeRelease: {state}", data))
    for answer in ("IN_PROGRESS", "IN_PROGRESS", "FAILED"):
        view(Entry(START, "release.hook", f"web: hook at POST_SCALE_UP: {answer}", {}))
    view.flush(
        [
            Line(0.0, "look", release_looks.words("web", LOOK)),
            Line(0.0, "look", release_looks.words("web", {**LOOK, "counts": {}})),
        ]
    )
    assert lines == [
        "+0:00:00  web: look 5 at 5 %: roll back, evidence 403 to 1 of 200 to 1; 5xx 41 of 3,020 against 22 of 57,400",
        "+0:00:00  web: look 5 at 5 %: roll back, no request of it is known yet",
        "+0:00:00  BakeRelease: Roll back",
        "+0:00:00  web: hook at POST_SCALE_UP: IN_PROGRESS",
        "+0:00:00  web: hook at POST_SCALE_UP: FAILED",
    ]


def report(**fields: object) -> Report:
    base: dict[str, object] = {
        "verdict": "ok",
        "world": "w",
        "seed": 1,
        "started": "a",
        "ended": "b",
        "unexpected": [],
        "laws": [Law(name="golden_rule", held=True, worst="fine"), Law(name="undo", held=None)],
        "executions": [
            Execution(
                machine="ReplaceHost",
                name="work-1",
                status="SUCCEEDED",
                outcome="replaced",
                reason="ended one host",
                work="work-1",
                mode="act",
                cluster="c",
                hosts=[],
                started="a",
                ended="b",
                state_transitions=24,
                left_behind=["host i-1 carries tasks"],
            )
        ],
        "plans": [],
        "services": [
            Service(
                service="web",
                cluster="c",
                scheduling_strategy="REPLICA",
                desired=4,
                healthy_at_claim=4,
                lowest_healthy=4,
                healthy=4,
                tasks_moved=2,
            )
        ],
        "releases": [],
        "sweeps": [],
        "hosts": [Host(instance="i-1", group="g", zone="z", fate="ended")],
        "simulated_seconds": 725.0,
        "wall_seconds": 3.21,
        "state_transitions": 24,
        "lambda_invocations": 20,
        "signal_invocations": 5,
        "aws_calls": [],
        "cost_usd": 0.0009,
        "dead_letters": {},
        "alarms": [],
        "events": [],
        "timeline": [],
    }
    return Report.model_validate({**base, **fields})


def closing(result: Report) -> str:
    console = Console(width=100, record=True, file=StringIO())
    print_closing(console, result)
    return console.export_text()


def test_the_closing_table() -> None:
    text = closing(report())
    for word in ("replaced  work-1", "ended one host", "left behind: host i-1", "held", "golden rule", "12m 05s", "ok"):
        assert word in text
    assert "24 state transitions" in text


def test_what_went_wrong_stands_out() -> None:
    bad = Law(name="golden_rule", held=False, worst="web: 3 healthy where 4 were due", who="x by y", when="t")
    text = closing(report(verdict="violated", laws=[bad], unexpected=["work-1 is undone"], dead_letters={"Q": 2}))
    for word in ("VIOLATED", "web: 3 healthy where 4 were due", "x by y", "work-1 is undone", "Q: 2 messages"):
        assert word in text


@pytest.mark.parametrize(("outcome", "shown"), [("planned", True), ("blocked", True), ("replaced", False)])
def test_the_plan_is_shown_task_by_task_where_nothing_was_done(outcome: str, shown: bool) -> None:
    plan = Plan(
        execution="work-1",
        decision="go",
        summary="1 host, 1 task",
        steps=["launch a host"],
        moves=[Move(task="abc", service="web", how="surge", to=None, reason="starts first")],
        obstacles=[],
        omitted=0,
    )
    execution = report().executions[0].model_copy(update={"outcome": outcome})
    text = closing(report(plans=[plan], executions=[execution]))
    assert "launch a host" in text
    assert ("starts first" in text) is shown


# --- releases --------------------------------------------------------------------------------------------------------
ROW = ReleaseRow(
    name="bake-release-0123456789abcdef-1",
    service="shop",
    way="gate",
    share=0.05,
    counts=(("5xx", "41 of 3,020", "22 of 57,400"),),
    points=tuple((float(minute), 0.25 * minute) for minute in range(12)),
    line=4.605,
    word="continue",
    running=True,
)


def test_the_view_shows_a_release_with_its_share_counts_and_evidence() -> None:
    text = "\n".join(drawn(replace(FRAME, releases=(ROW,))))
    for word in ("shop  gate, 5 %: continue", "15.6 to 1, line 100 to 1", "5xx  41 of 3,020 against 22 of 57,400", "▁"):
        assert word in text
    assert "┄" not in text
    assert "needs" not in text
    needing = "\n".join(drawn(replace(FRAME, releases=(replace(ROW, need="980 more canary requests"),))))
    assert "needs 980 more canary requests" in needing
    high = drawn(replace(FRAME, releases=(ROW,)), height=40)
    assert "line 100 to 1 ┤" in "\n".join(high)
    assert len(high) <= 40


def test_a_release_that_has_ended_is_one_line() -> None:
    ended = replace(ROW, running=False, word="rolled_back", share=0.0)
    text = "\n".join(drawn(replace(FRAME, releases=(ended,)), height=40))
    assert "shop  gate, 0 %: rolled_back" in text
    assert "against 22" not in text
    assert "no weight yet" in "\n".join(drawn(replace(FRAME, releases=(replace(ROW, share=None, points=()),))))


def test_the_closing_table_says_how_long_users_met_a_bad_release() -> None:
    counts = Stream(canary_errors=41, canary_requests=3020, baseline_errors=22, baseline_requests=57_400)
    looks = [
        Evidence(at="t", action="continue", share=0.05, log_against=against, line=4.6, streams={"5xx": counts})
        for against in (0.1, 2.0, 5.0)
    ]
    bad = Release(
        id="bake-release-1",
        service="shop",
        cluster="fleet",
        way="watch",
        mode="act",
        revision="shop:2",
        baseline="shop:1",
        outcome="rolled_back",
        reason="5xx",
        started="a",
        ended="b",
        first_bad_at="10:06:00Z",
        weights_zero_at="10:08:12Z",
        seconds_to_zero=132.0,
        canary_requests=400,
        users_errors=41,
        looks=3,
        evidence=looks,
        done=[],
    )
    good = bad.model_copy(update={"outcome": "promoted", "first_bad_at": None, "seconds_to_zero": None})
    text = closing(report(releases=[bad, good]))
    for words in (
        "rolled_back  shop  shop:2 beside shop:1  watch, act",
        "bad from 10:06:00Z, weights at 0 after 2m 12s; users met 41 errors in 400 requests",
        "3 looks, evidence against it ▁▄█",
        "400 requests came to it, and it was never worse than the former",
    ):
        assert words in text
    still = closing(report(releases=[bad.model_copy(update={"seconds_to_zero": None})]))
    assert "and still has weight" in still
