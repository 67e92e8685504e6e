"""Every rule of the template catches its samples, has a sample, and loses nothing that it cannot deliver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from twin.kernel.alarms import Alarms
from twin.kernel.bus import EventBus, Rule
from twin.kernel.functions import Functions
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.machines import Machines
from twin.kernel.queues import Queues
from twin.kernel.template import Deployment, Source, deploy
from twin.kernel.topics import Topics

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted((ROOT / "events").glob("*.json"))
REGION, ACCOUNT = "us-east-1", "123456789012"
SAMPLE_MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:caretaker-ReplaceHost"


@pytest.fixture(scope="module")
def deployed() -> Iterator[tuple[Deployment, EventBus]]:
    kernel = Kernel(datetime(2026, 10, 5, tzinfo=UTC), seed=1, region=REGION, account=ACCOUNT)
    gateway = Gateway(kernel)
    functions = Functions(kernel, gateway, ROOT / "functions")
    queues = Queues(kernel, gateway, functions)
    bus = EventBus(kernel, gateway, queues)
    topics = Topics(kernel, gateway)
    parts: dict[str, Any] = {
        "kernel": kernel,
        "gateway": gateway,
        "functions": functions,
        "machines": Machines(kernel, gateway, bus),
        "bus": bus,
        "queues": queues,
        "topics": topics,
        "alarms": Alarms(kernel, gateway, topics, queues, bus),
    }
    with gateway.intercepted():
        yield deploy(ROOT / "template.yaml", {}, **parts), bus


@pytest.fixture(scope="module")
def rules(deployed: tuple[Deployment, EventBus]) -> dict[str, Rule]:
    """The deployed rules by logical id."""
    deployment, bus = deployed
    return {str(deployment.logical(rule.arn)): rule for rule in bus.rules}


@pytest.fixture(scope="module")
def machine_arn(deployed: tuple[Deployment, EventBus]) -> str:
    (machine,) = deployed[0].of_type("AWS::StepFunctions::StateMachine")
    return str(machine.ref)


@pytest.fixture(scope="module")
def declared() -> dict[str, Any]:
    """The translated template's rules by logical id."""
    resources = Source.read(ROOT / "template.yaml").translate({}, REGION)["Resources"]
    return {name: body["Properties"] for name, body in resources.items() if body["Type"] == "AWS::Events::Rule"}


def table() -> dict[str, str]:
    """Sample → rule, as events/README.md says."""
    named: dict[str, str] = {}
    for line in (ROOT / "events" / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) < 4 or not cells[1].startswith("`"):
            continue
        first = ""
        for name in cells[1].replace("`", "").split(", "):
            # "a-create.json, …-update.json": the same name with another ending.
            ending = name.removeprefix("…")
            full = name if name == ending else next(p.name for p in SAMPLES if matches_short(p.name, first, ending))
            first = first or full
            named[full] = cells[2]
    return named


def matches_short(candidate: str, first: str, ending: str) -> bool:
    return candidate.endswith(ending) and candidate[:6] == first[:6]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_matches_its_rule_and_no_other(path: Path, rules: dict[str, Rule], machine_arn: str) -> None:
    # CloudFormation gives the machine a name with a random end, which no sample can know.
    text = path.read_text(encoding="utf-8").replace(SAMPLE_MACHINE, machine_arn)
    event = json.loads(text)
    wanted = table()[path.name]
    if rules[wanted].schedule is not None:
        assert event["detail-type"] == "Scheduled Event"
        return
    matching = [name for name, rule in rules.items() if rule.pattern is not None and rule.pattern.matches(event)]
    assert matching == [wanted]


def test_every_rule_has_a_sample(rules: dict[str, Rule]) -> None:
    assert set(table().values()) == set(rules)


def test_every_target_keeps_what_it_cannot_deliver(declared: dict[str, Any]) -> None:
    targets = [(name, target) for name, rule in declared.items() for target in rule["Targets"]]
    assert targets
    for name, target in targets:
        assert target.get("DeadLetterConfig", {}).get("Arn"), f"{name}: target {target['Id']} has no dead-letter queue"
        assert target.get("RetryPolicy"), f"{name}: target {target['Id']} has no retry policy"


def test_a_rule_catches_nothing_of_its_neighbours(rules: dict[str, Rule]) -> None:
    for event in (
        {"source": "aws.health", "detail-type": "AWS Health Event", "detail": {"service": "RDS"}},
        {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": {"lastStatus": "PENDING"}},
        {"source": "aws.ssm", "detail-type": "Parameter Store Change", "detail": {"name": "/other/x"}},
    ):
        assert [name for name, rule in rules.items() if rule.pattern and rule.pattern.matches(event)] == []
