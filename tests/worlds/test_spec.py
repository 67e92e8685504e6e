"""World files: what is accepted, and how a mistake is told."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from twin.ecs.express.options import ExpressOptions
from twin.ecs.options import EcsOptions
from twin.errors import WorldError
from twin.kernel.alarms import CloudWatchOptions
from twin.neighbours.ec2 import Ec2Options
from twin.neighbours.groups import AutoScalingOptions
from twin.neighbours.targets import Elbv2Options
from twin.rehearsal import account_spec, actor_spec, express_spec, release_spec, traffic_spec
from twin.rehearsal import spec as specs
from twin.rehearsal.durations import seconds, show
from twin.rehearsal.loading import load_world, world_of
from twin.traffic.model import TrafficOptions

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "worlds.md").read_text(encoding="utf-8")
HOST = "i-0a1b2c3d4e5f60001"
_OWN = {"behaviours", "task_faults", "agent_faults", "hook_faults", "flap_seconds", "express"}


def minimal(**fields: Any) -> dict[str, Any]:
    return {"groups": [{"name": "hosts", "desired_capacity": 3, "instances": [HOST]}], **fields}


def with_traffic(**fields: Any) -> dict[str, Any]:
    service = {"name": "web", "load_balancer": {}, "ports": [{"container": 80}]}
    return minimal(services=[service], traffic={"requests": [{"service": "web", "per_minute": 60}], **fields})


def load(data: Any) -> specs.WorldSpec:
    return world_of(data, "w.yaml", Path()).spec


def refusal(data: Any) -> str:
    with pytest.raises(WorldError) as caught:
        load(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("path", sorted((ROOT / "worlds").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_world_is_well_formed(path: Path) -> None:
    assert load_world(path).spec.name == path.stem


@pytest.mark.parametrize(
    ("text", "expected"),
    [(90, 90), ("90", 90), ("90s", 90), ("45m", 2700), ("1h30m", 5400), ("2d", 172_800), (0.5, 0.5)],
)
def test_lengths_of_time(text: object, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "ten", "-5", -5, "1x", "nan", float("inf"), "30m1", True, None, "99999999d"])
def test_lengths_that_are_none(text: object) -> None:
    with pytest.raises(ValueError, match=r"length of time|ten years"):
        seconds(text)


def test_lengths_for_people() -> None:
    assert [show(s) for s in (5, 725, 10_920, 187_200)] == ["5s", "12m 05s", "3h 02m", "2d 4h"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], ["w.yaml", "is not a world"]),
        ({}, ["groups", "is required"]),
        (minimal(grups=[]), ["grups", "no such field", 'did you mean "groups"']),
        (minimal(groups=[]), ["groups"]),
        (minimal(services=[{"name": "web", "desird_count": 2}]), ["services[0].desird_count", "2", '"desired_count"']),
        (minimal(services=[{"name": "web", "desired_count": "two"}]), ["services[0].desired_count", '"two"']),
        (minimal(services=[{"name": "web", "desired_count": True}]), ["services[0].desired_count", "whole number"]),
        (minimal(services=[{"name": "web", "cpu": -1}]), ["services[0].cpu", "-1", "less than 0"]),
        (minimal(services=[{"name": "web"}, {"name": "web"}]), ["services", '"fleet/web"', "2 times"]),
        (minimal(services=[{"name": "web", "cluster": "other"}]), ["services[0].cluster", '"other"']),
        (minimal(services=[{"name": "web", "scheduling_strategy": "BOTH"}]), ["scheduling_strategy", '"BOTH"']),
        (
            minimal(services=[{"name": "d", "scheduling_strategy": "DAEMON", "desired_count": 2}]),
            ["services[0]", "DAEMON"],
        ),
        (minimal(services=[{"name": "w", "load_balancer": {}}]), ["services[0]", "ports"]),
        (minimal(groups=[{"name": "g", "min_size": 3, "desired_capacity": 1}]), ["groups[0]", "min_size 3"]),
        (minimal(groups=[{"name": "g", "instances": ["i-1"]}]), ["groups[0].instances[0]", '"i-1"', "instance id"]),
        (minimal(groups=[{"name": "g", "zones": ["us-east-1f"]}]), ["groups[0].zones[0]", '"us-east-1f"', "no zone"]),
        (minimal(zones=["eu-west-1a"]), ["zones[0]", '"eu-west-1a"', "us-east-1"]),
        (minimal(account=123456789012), ["account", "123456789012", "not text"]),
        (minimal(until="soon"), ["until", '"soon"', "length of time"]),
        (minimal(start="2026-10-05T10:00:00"), ["start", "no time zone"]),
        (minimal(faults=[{"kind": "api_eror"}]), ["faults[0]", "api_eror", '"api_error"']),
        (minimal(faults=[{"service": "ecs"}]), ["faults[0]", "kind"]),
        (
            minimal(faults=[{"kind": "api_error", "service": "ecs", "operation": "StopTask", "tmes": 2}]),
            ["faults[0].tmes", '"times"'],
        ),
        (minimal(faults=[{"kind": "task_never_healthy", "service": "nope"}]), ["faults[0].service", '"nope"']),
        (minimal(faults=[{"kind": "launch_fails", "after": 5, "until": 3}]), ["faults[0].until", "3"]),
        (minimal(own=[{"call": "ecs.CreateCluster", "name": "mine"}]), ["own[0]", "a name and the result"]),
        (minimal(stacks=[{"name": "shop", "services": ["web"]}]), ["stacks[0].services[0]", "Express service"]),
        (minimal(stacks=[{"name": "shop"}]), ["stacks[0]", "owns nothing"]),
        (minimal(gateways=[{"name": "edge", "services": ["api"]}]), ["gateways[0].services[0]", '"api"']),
        (minimal(vpcs=["second", "second"]), ["vpcs", '"second"', "2 times"]),
        (minimal(faults=[{"kind": "role_lacks", "action": "everything"}]), ["faults[0].action", "IAM action"]),
        (minimal(actors=[{"call": "ecs.UpdateService"}]), ["actors[0]", "at or when"]),
        (minimal(actors=[{"at": "+5m", "call": "UpdateService"}]), ["actors[0].call", '"UpdateService"']),
        (minimal(answers=[{"to": "sweep", "answer": "approve"}]), ["answers[0]", "at or when"]),
        (minimal(answers=[{"at": "+5m", "to": "sweep", "answer": "maybe"}]), ["answers[0].answer", '"maybe"']),
        (minimal(events=[{"at": "+5m"}]), ["events[0]", "file or event"]),
        (minimal(expect="done"), ["expect", '"done"']),
        (minimal(expect={"outcome": "undone", "reason": "x"}), ["expect.reason", "reason_contains"]),
        (minimal(policy={"clusters": {"nope": {}}}), ["policy.clusters.nope", "no cluster"]),
        (minimal(policy={"services": {"fleet/nope": {}}}), ["policy.services.fleet/nope"]),
        (minimal(maintenance=[{"instance": "i-0a1b2c3d4e5f60009", "not_before": "+1h"}]), ["maintenance[0].instance"]),
        (minimal(options={"ecs": {"agent_registr": 1}}), ["options.ecs.agent_registr", '"agent_register"']),
        (minimal(options={"api_latency": "quick"}), ["options.api_latency", '"quick"']),
        (minimal(tasks=[{"family": "job", "instance": "i-0a1b2c3d4e5f60009"}]), ["tasks[0].instance"]),
        (minimal(traffic={}), ["traffic.requests"]),
        (minimal(traffic={"requests": [{"service": "web", "per_minute": 5}]}), ["requests[0].service", "fleet/web"]),
        (minimal(traffic={"requests": [{"service": "w", "per_minute": -1}]}), ["traffic.requests[0].per_minute", "-1"]),
        (with_traffic(behaviours=[{"task_definition": "api:2"}]), ["behaviours[0].task_definition", '"api"', "family"]),
        (with_traffic(behaviours=[{"task_definition": "web:0"}]), ["behaviours[0].task_definition", '"web:0"']),
        (with_traffic(behaviours=[{"errors_5xx": 2}]), ["behaviours[0].errors_5xx", "2"]),
        (with_traffic(behaviours=[{"errors_5xx": 0.6, "errors_4xx": 0.6}]), ["behaviours[0]", "more than 1"]),
        (with_traffic(behaviours=[{"latency": {"median": 2, "p99": 1}}]), ["behaviours[0].latency", "p99 1"]),
        (with_traffic(behaviours=[{"burst": [9, 3]}]), ["behaviours[0]", "at least 9"]),
        (with_traffic(behaviours=[{"dead": "slow"}]), ["behaviours[0].dead", '"slow"']),
        (with_traffic(trouble=[{"after": 5, "until": 5}]), ["traffic.trouble[0].until", "5"]),
        (with_traffic(requests=[{"service": "web", "per_minute": 1, "daily": {"swing": 0.1, "peak": 14}}]), ["peak"]),
        (minimal(options={"traffic": {"lagg": 1}}), ["options.traffic.lagg", '"lag"']),
    ],
)
def test_a_mistake_is_one_line_that_names_field_and_value(data: Any, words: list[str]) -> None:
    text = refusal(data)
    for word in ["w.yaml", *words]:
        assert word in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("groups: [", ["world.yaml:", "is not YAML"]),
        ("a: 1\na: 2\n", ["world.yaml:2:", "'a' is given twice"]),
        ("groups: !!python/object:os.system {}", ["is not YAML"]),
        ("- 1\n- 2\n", ["is not a world"]),
        ("", ["is not a world"]),
        ("[" * 3_000 + "]" * 3_000, ["nested too deeply"]),
        ("extends: missing.yaml", ["missing.yaml", "cannot be read"]),
        ("extends: world.yaml", ["extends", "in turn"]),
        ("extends: 3", ["extends", "3"]),
    ],
)
def test_a_file_that_is_no_world(tmp_path: Path, content: str, words: list[str]) -> None:
    path = tmp_path / "world.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(WorldError) as caught:
        load_world(path)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="cannot be read"):
        load_world(tmp_path / "nowhere.yaml")
    with pytest.raises(WorldError, match="cannot be read"):
        load_world(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"about: \xe4\xf6")
    with pytest.raises(WorldError, match="not UTF-8"):
        load_world(tmp_path / "latin.yaml")


def test_extending_takes_over_whole_fields_but_not_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "groups: [{name: a}]\nexpect: undone\nabout: base\nservices: [{name: web}]\n", encoding="utf-8"
    )
    (tmp_path / "child.yaml").write_text("extends: base.yaml\nservices: [{name: api}]\n", encoding="utf-8")
    spec = load_world(tmp_path / "child.yaml").spec
    assert [service.name for service in spec.services] == ["api"]
    assert (spec.name, spec.about, spec.expect) == ("child", "base", None)


def test_a_mistake_in_an_extended_world_names_that_world(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("groups: [{nam: a}]\n", encoding="utf-8")
    (tmp_path / "child.yaml").write_text("extends: base.yaml\n", encoding="utf-8")
    with pytest.raises(WorldError, match=r"base\.yaml: groups\[0\]"):
        load_world(tmp_path / "child.yaml")


def test_count_makes_services_with_names_of_their_own() -> None:
    spec = load(minimal(services=[{"name": "app", "count": 12}]))
    assert spec.services[0].names[0] == "app-01"
    assert len(set(spec.services[0].names)) == 12


def test_time_stamps_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(
        "groups: [{name: a}]\nstart: 2026-10-05T10:00:12Z\n"
        "events: [{event: {source: x, detail-type: y, detail: {}, time: 2026-10-05T10:00:12Z}}]\n",
        encoding="utf-8",
    )
    spec = load_world(path).spec
    assert spec.start == "2026-10-05T10:00:12Z"
    assert spec.events[0].event is not None
    assert spec.events[0].event["time"] == "2026-10-05T10:00:12Z"


# --- the document and the code ---------------------------------------------------------------------------------------
def table_fields(text: str) -> set[str]:
    return set(re.findall(r"^\| `([a-z_0-9]+)` \|", text, flags=re.MULTILINE))


def section(name: str) -> str:
    start = DOCS.index(f"\n{name}\n") if name.startswith("`") else DOCS.index(f"\n## {name}\n")
    rest = DOCS[start + 1 :]
    end = re.search(r"\n(## |`[a-z_0-9]+`:\n)", rest[len(name) :])
    return rest[: end.start() + len(name)] if end else rest


@pytest.mark.parametrize(
    ("where", "models"),
    [
        ("The world", [specs.WorldSpec]),
        ("Groups", [specs.Group]),
        ("`capacity_provider`:", [specs.CapacityProvider]),
        ("`lifecycle_hooks`:", [specs.LifecycleHook]),
        ("Services", [specs.Service]),
        ("`load_balancer`:", [specs.LoadBalancer]),
        ("`rule`:", [specs.ListenerRule]),
        ("`health_check`:", [specs.HealthCheck]),
        ("Express services", [express_spec.Express]),
        ("`express`:", [express_spec.ExpressChoices]),
        ("`release`:", [specs.Release]),
        ("`hooks`:", [release_spec.ReleaseHook]),
        ("Maintenance", [specs.Maintenance]),
        ("Policy", [specs.PolicyDocuments]),
        ("`ecs`:", [specs.EcsChoices]),
        ("`ec2`:", [specs.Ec2Choices]),
        ("`autoscaling`:", [specs.AutoScalingChoices]),
        ("`elbv2`:", [specs.Elbv2Choices]),
        ("Traffic", [specs.TrafficSpec]),
        ("`requests`:", [traffic_spec.RequestsSpec]),
        ("`daily`:", [traffic_spec.DailySpec]),
        ("`behaviours`:", [traffic_spec.BehaviourSpec]),
        ("`trouble`:", [traffic_spec.TroubleSpec]),
        ("`cloudwatch`:", [traffic_spec.CloudWatchChoices]),
        ("`traffic`:", [traffic_spec.TrafficChoices]),
        ("Stacks", [account_spec.Stack]),
        ("Gateways", [account_spec.Gateway]),
        ("Own things", [account_spec.Own]),
        ("Actors", [actor_spec.Actor]),
        ("Answers", [actor_spec.Answer]),
        ("Events", [specs.EventEntry]),
        ("Expect", [specs.Expectation]),
    ],
)
def test_docs_name_every_field(where: str, models: list[type[BaseModel]]) -> None:
    documented = table_fields(section(where))
    expected = {info.alias or name for model in models for name, info in model.model_fields.items()}
    if where == "The world":
        expected |= {"extends"}
    assert documented == expected


def test_docs_name_every_fault_and_its_fields() -> None:
    rows = dict(re.findall(r"^\| `(\w+)`[^|]*\| ([^|]*) \|", section("Faults"), flags=re.MULTILINE))
    kinds: dict[str, type[BaseModel]] = {}
    for model in specs.Fault.__origin__.__args__:
        kinds |= dict.fromkeys(model.model_fields["kind"].annotation.__args__, model)
    assert set(rows) == set(kinds)
    for kind, model in kinds.items():
        fields = set(model.model_fields) - {"kind", "after", "until"}
        text = rows["event_lost"] + "`delay`" if kind.startswith("event_") else rows[kind]
        assert all(f"`{field}`" in text for field in fields), kind


@pytest.mark.parametrize(
    ("choices", "options", "own"),
    [
        (specs.EcsChoices, EcsOptions, _OWN),
        (express_spec.ExpressChoices, ExpressOptions, {"role_faults"}),
        (specs.Ec2Choices, Ec2Options, {"no_capacity", "launch_faults"}),
        (specs.AutoScalingChoices, AutoScalingOptions, set()),
        (specs.Elbv2Choices, Elbv2Options, set()),
        (traffic_spec.CloudWatchChoices, CloudWatchOptions, set()),
        (traffic_spec.TrafficChoices, TrafficOptions, set()),
    ],
)
def test_choices_are_the_options_of_the_twin(choices: type[BaseModel], options: Any, own: set[str]) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(options) if field.name not in own}
    assert set(choices.model_fields) == set(defaults)
    service = choices.__name__.removesuffix("Choices").lower()
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|", section(f"`{service}`:"), re.MULTILINE))
    for name, default in defaults.items():
        written = rows[name].strip("`")
        if isinstance(default, bool):
            assert written == str(default).lower(), name
        elif isinstance(default, float):
            assert seconds(written) == default, name
        elif isinstance(default, str | int):
            assert written == str(default), name
