"""What a rehearsal runs, measures and refuses, on worlds made for one question each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from rehearsals import ACT, OLD, OTHER, ROOT, broken, law, mutations, outcomes, rehearsed, small

from twin.errors import WorldError
from twin.rehearsal.events import from_argument, from_world
from twin.rehearsal.loading import load_world, world_of
from twin.rehearsal.rehearsal import Rehearsal, to_json

BINPACKED = [{"type": "binpack", "field": "cpu"}]
PAIRS = [(100, 200), (50, 100), (0, 100), (100, 100), (50, 200), (100, 150)]
NO_SURGE = {"defaults": {"hosts": {"mode": "act", "surge": False}}}
NOTICE = ROOT / "events" / "health-ec2-retirement.json"


def web(desired: int = 2, minimum: int = 100, maximum: int = 200, **fields: Any) -> dict[str, Any]:
    base = {"name": "web", "desired_count": desired, "minimum_healthy_percent": minimum, "maximum_percent": maximum}
    return {**base, "cpu": 64, "memory": 64, **fields}


@pytest.mark.parametrize("desired", [1, 2, 5])
@pytest.mark.parametrize(("minimum", "maximum"), PAIRS)
def test_without_surge_moved_without_loss_or_blocked_untouched(minimum: int, maximum: int, desired: int) -> None:
    report = rehearsed(small([web(desired, minimum, maximum, strategies=BINPACKED)], policy=NO_SURGE))
    assert broken(report) == []
    (outcome,) = outcomes(report)
    (service,) = report.services
    assert service.lowest_healthy == desired
    starts_first = -(-desired * minimum // 100) == desired and desired * maximum // 100 > desired
    if starts_first:
        assert outcome == "replaced"
    else:
        assert (outcome, mutations(report)) == ("blocked", [])
        assert "web" in (report.executions[0].reason or "")


@pytest.mark.parametrize(("tasks", "over"), [(10, 0), (20, 1)])
def test_what_one_plain_replacement_costs(tasks: int, over: int) -> None:
    """At most 40 transitions and 25 invocations for 10 tasks, one more of each for each further ten."""
    ports = [{"container": 8080}]
    loaded = small([web(tasks, strategies=BINPACKED, ports=ports, load_balancer={"deregistration_delay": 300})])
    report = rehearsed(loaded)
    assert (report.verdict, outcomes(report)) == ("ok", ["replaced"])
    assert report.services[0].tasks_moved == tasks
    assert report.state_transitions <= 40 + over
    assert report.lambda_invocations <= 25 + over


# --- the deployed definition is what runs ----------------------------------------------------------------------------
def project(tmp_path: Path, change: tuple[str, str]) -> Path:
    """A copy of the project whose state machine is changed; returns its template."""
    for name in ("template.yaml", "statemachines"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    (tmp_path / "functions").symlink_to(ROOT / "functions")
    definition = tmp_path / "statemachines" / "replace_host.asl.yaml"
    text = definition.read_text(encoding="utf-8")
    assert change[0] in text
    definition.write_text(text.replace(*change), encoding="utf-8")
    return tmp_path / "template.yaml"


def test_a_changed_state_changes_the_rehearsal(tmp_path: Path) -> None:
    added = (
        "    Default: Release hosts\n",
        "    Default: Think twice\n\n  Think twice:\n    Type: Wait\n    Seconds: 77\n    Next: Release hosts\n",
    )
    loaded = small([web(2, 100, 100, strategies=BINPACKED)], policy=NO_SURGE, expect="blocked")
    plain, changed = rehearsed(loaded), rehearsed(loaded, template=project(tmp_path, added))
    assert "ReplaceHost: Think twice" in [entry.text for entry in changed.timeline]
    assert changed.state_transitions == plain.state_transitions + 1
    assert changed.simulated_seconds > 77


def test_a_planted_mistake_breaks_the_golden_rule(tmp_path: Path) -> None:
    """Without its surge a service that may stop half of its tasks loses them: the law must see it."""
    skipped = (
        "    Next: Raise surge\n",
        "    Next: Forget\n\n  Forget:\n    Type: Choice\n    Choices:\n"
        '      - Condition: "{% false %}"\n        Next: Raise surge\n    Default: Drain hosts\n',
    )
    loaded = small([web(4, 50, 100, strategies=BINPACKED), {"name": "still", "cpu": 64, "memory": 64}])
    assert broken(rehearsed(loaded)) == []
    report = rehearsed(loaded, template=project(tmp_path, skipped))
    golden = law(report, "golden_rule")
    assert (report.verdict, golden.held) == ("violated", False)
    assert golden.who == "ecs:UpdateContainerInstancesState by function:HostsDrainHosts"
    assert (golden.worst or "").startswith("web: ")


# --- verdicts --------------------------------------------------------------------------------------------------------
def test_an_outcome_other_than_expected_is_told() -> None:
    report = rehearsed(small([web()], expect="undone"))
    assert (report.verdict, report.exit_code) == ("unexpected", 1)
    assert "is replaced where undone is expected" in report.unexpected[0]


def test_time_over_before_the_work_is_done() -> None:
    report = rehearsed(small([web()], until="30s"))
    assert (report.verdict, report.exit_code, report.simulated_seconds) == ("unfinished", 1, 30.0)
    assert report.executions[0].status == "RUNNING"


def test_work_that_nobody_expected() -> None:
    report = rehearsed(small([web()], expect=[]))
    assert report.verdict == "unexpected"
    assert report.unexpected == ["1 pieces of work where 0 are expected"]


def test_a_notice_about_a_host_of_nobody_starts_nothing_and_warns() -> None:
    loaded = small([web()], expect=[])
    planned = from_argument(str(ROOT / "events" / "ssm-compliance-patch-noncompliant.json"))
    planned = [
        type(p)({**p.event, "detail": {**p.event["detail"], "resource-id": "i-0bbbbbbbbbbbbbbbb"}}, p.source)
        for p in planned
    ]
    with Rehearsal(loaded, planned) as rehearsal:
        rehearsal.run()
        report = rehearsal.report(0.0)
    assert any("i-0bbbbbbbbbbbbbbbb" in warning for warning in rehearsal.warnings)
    assert (report.verdict, report.executions) == ("ok", [])


def test_a_second_attempt_follows_when_the_world_goes_on() -> None:
    """Capacity comes back after ten minutes; the reaper tries again."""
    loaded = small(
        [web(3, cpu=1000, memory=256)],
        faults=[{"kind": "insufficient_capacity", "until": "10m"}],
        at_least="50m",
        expect=["undone", "replaced"],
    )
    report = rehearsed(loaded)
    assert (report.verdict, report.unexpected, outcomes(report)) == ("ok", [], ["undone", "replaced"])


def test_a_world_too_small_for_its_services_is_refused() -> None:
    loaded = small([web(60, cpu=1000)])
    with pytest.raises(WorldError, match=r"services\[0\] web: only 4 of 60 tasks run"):
        rehearsed(loaded)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"parameters": {"ExecutionTimout": 60}}, ["ExecutionTimout"]),
        ({"parameters": {"ExecutionTimeout": 5}}, ["ExecutionTimeout", "5"]),
        ({"policy": {"defaults": {"hosts": {"mode": "atc"}}}}, ["mode", "atc"]),
        ({"policy": {"services": {"lab/web": {"hosts": {"mode": "act"}}}}}, ["lab/web", "mode"]),
        (
            {"faults": [{"kind": "function_dies", "function": "HostsDrain", "service": "ecs", "operation": "*"}]},
            ["HostsDrain"],
        ),
        ({"actors": [{"at": 5, "call": "ecs.UpdateServce"}]}, ["actors[0].call", "UpdateService"]),
        ({"actors": [{"at": 5, "call": "ecz.UpdateService"}]}, ["actors[0].call", "ecs"]),
        ({"actors": [{"at": 5, "call": "ecs.UpdateService", "params": {"servce": "x"}}]}, ["actors[0].params"]),
        (
            {"actors": [{"when": {"state": "Drain host"}, "call": "ecs.ListTasks"}]},
            ["actors[0].when.state", "Drain hosts"],
        ),
        ({"groups": [{"name": "g", "instance_type": "m5.enormous", "instances": []}]}, ["m5.enormous"]),
        ({"actors": [{"at": "2020-01-01T00:00:00Z", "call": "ecs.ListTasks"}]}, ["actors[0].at", "before the start"]),
    ],
)
def test_what_the_world_lacks_is_refused_before_it_runs(fields: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - WorldError or Unmodelled: both are one line
        rehearsed(small([web()], **fields))
    text = str(caught.value)
    assert type(caught.value).__name__ in ("WorldError", "Unmodelled")
    assert "\n" not in text
    for word in words:
        assert word in text


# --- the report ------------------------------------------------------------------------------------------------------
def test_the_json_holds_what_the_design_names() -> None:
    report = rehearsed(small([web()]))
    data = json.loads(to_json(report))
    assert {
        "schema_version",
        "verdict",
        "laws",
        "executions",
        "services",
        "simulated_seconds",
        "wall_seconds",
        "state_transitions",
        "lambda_invocations",
        "signal_invocations",
        "aws_calls",
        "cost_usd",
        "events",
    } <= set(data)
    assert {"name", "held", "worst", "when", "who"} == set(data["laws"][0])
    assert {"machine", "name", "status", "outcome", "reason"} <= set(data["executions"][0])
    assert {"desired", "healthy_at_claim", "lowest_healthy", "tasks_moved"} <= set(data["services"][0])
    assert 0 < data["cost_usd"] < 0.01
    assert data["signal_invocations"] > 0


def test_the_world_of_the_documentation_runs() -> None:
    text = (ROOT / "docs" / "worlds.md").read_text(encoding="utf-8")
    data = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert outcomes(rehearsed(world_of(data, "docs", ROOT / "worlds"))) == ["replaced"]


def test_managed_scaling_may_size_its_group() -> None:
    provider = {"managed_scaling": True, "target_capacity": 50}
    group = {"name": "hosts", "desired_capacity": 2, "max_size": 6, "instances": [OLD], "capacity_provider": provider}
    share = [{"capacity_provider": "hosts"}]
    report = rehearsed(small([web(capacity_provider_strategy=share)], groups=[group], at_least="20m"))
    assert (report.verdict, broken(report)) == ("ok", [])
    assert any(entry.kind == "group.desired" for entry in report.timeline)


@pytest.mark.parametrize(
    "service",
    [
        {
            "network_mode": "awsvpc",
            "load_balancer": {"port": 8443},
            "health_check": {},
            "health_check_grace_period": 30,
        },
        {
            "deployment_controller": "CODE_DEPLOY",
            "minimum_healthy_percent": None,
            "maximum_percent": None,
            "ports": [{"container": 80}],
            "load_balancer": {},
        },
        {"protection": {"tasks": 1}, "circuit_breaker": True, "availability_zone_rebalancing": True},
        {"network_mode": "host", "ports": [{"container": 9100}], "start_seconds": 20, "stop_seconds": 10},
    ],
)
def test_services_of_many_kinds(service: dict[str, Any]) -> None:
    extra = {"groups": [{"name": "hosts", "desired_capacity": 4, "max_size": 6, "instances": [OLD]}]}
    report = rehearsed(small([web(**service)], **extra))
    assert (broken(report), report.dead_letters) == ([], {})
    assert set(outcomes(report)) <= {"replaced", "blocked"}


def test_a_standalone_task_is_waited_for() -> None:
    loaded = small([web()], tasks=[{"family": "job", "instance": OLD, "cpu": 64, "memory": 64, "run_for": "20m"}])
    report = rehearsed(loaded)
    assert (report.verdict, outcomes(report)) == ("ok", ["replaced"])
    assert report.simulated_seconds > 20 * 60


def test_two_notices_about_two_hosts_keep_to_the_budget() -> None:
    loaded = small(
        [web(2, strategies=BINPACKED)],
        groups=[{"name": "hosts", "desired_capacity": 3, "max_size": 6, "instances": [OLD, OTHER]}],
        policy=ACT,
    )
    planned = [
        *from_world(loaded.spec, loaded.folder, loaded.where),
        *from_argument(f"{ROOT / 'events' / 'ssm-compliance-patch-noncompliant.json'}@+10s"),
    ]
    with Rehearsal(loaded, planned) as rehearsal:
        rehearsal.run()
        report = rehearsal.report(0.0)
    assert (report.verdict, outcomes(report)) == ("ok", ["replaced", "replaced"])
    assert law(report, "host_budget").held is True


# --- events ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["is not JSON"]),
        ("[]", ["empty list"]),
        ("3", ["3", "not an EventBridge event"]),
        ('{"source": "aws.health", "detail-type": "x"}', ["detail: is required"]),
        ('{"source": 3, "detail-type": "x", "detail": {}}', ["source: 3 is not text"]),
        ('{"source": "a", "detail-type": "x", "detail": []}', ["detail: [] is not a mapping"]),
        ('{"source": "a", "detail-type": "x", "detail": {}, "time": "noon"}', ['time: "noon"']),
        ('{"source": "a", "detail-type": "x", "detail": {}, "time": "2026-10-05T10:00:00"}', ["no time zone"]),
        ('{"source": "a", "detail-type": "x", "detail": {}, "resources": "i-1"}', ["resources"]),
        ('{"source": "a", "detail-type": "x", "detail": {"x": NaN}}', ["NaN"]),
        ("[" * 200 + "]" * 200, ["nested too deeply"]),
    ],
)
def test_a_file_that_is_no_event(tmp_path: Path, content: str, words: list[str]) -> None:
    path = tmp_path / "event.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(WorldError) as caught:
        from_argument(str(path))
    assert "\n" not in str(caught.value)
    for word in ["event.json", *words]:
        assert word in str(caught.value)


def test_delays_and_lists_of_events(tmp_path: Path) -> None:
    event = json.loads(NOTICE.read_text(encoding="utf-8"))
    path = tmp_path / "two.json"
    path.write_text(json.dumps([event, event]), encoding="utf-8")
    assert [planned.delay for planned in from_argument(f"{path}@+10m")] == [600.0, 600.0]
    with pytest.raises(WorldError, match='the delay "soon" is not a length'):
        from_argument(f"{path}@+soon")


def test_the_clock_starts_at_the_first_events_time() -> None:
    loaded = load_world(ROOT / "worlds" / "default.yaml")
    with Rehearsal(loaded, from_argument(f"{NOTICE}@+5m")) as rehearsal:
        assert rehearsal.start.isoformat() == "2026-10-05T10:00:12+00:00"


def test_a_host_that_falls_silent_in_the_drain_ends_once_its_successors_are_healthy() -> None:
    """It never reports a task as STOPPED; what ECS told to stop has been replaced, and ends with the host."""
    slow = {"deregistration_delay": 120}
    services = [web(4, strategies=BINPACKED, ports=[{"container": 8080}], load_balancer=slow)]
    silent = {"kind": "agent_disconnects", "instance": OLD, "after": "2m30s"}
    report = rehearsed(small(services, faults=[silent]))
    assert (report.verdict, outcomes(report)) == ("ok", ["replaced"])
    assert law(report, "host_empty").held
    assert report.services[0].lowest_healthy == 4
