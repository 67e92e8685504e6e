"""A sweep under approval in a running world: asked about, approved with the command, carried out, told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from caretaker.garbage.check import check
from caretaker.garbage.record import Records
from caretaker.garbage.sweep import Act, Sweep
from caretaker.runtime.table import Table

from cli.main import run
from twin.kernel.api import Caller
from twin.kernel.kernel import Entry
from twin.rehearsal.loading import world_of
from twin.rehearsal.rehearsal import Rehearsal
from twin.rehearsal.report import Report

WORLDS = Path(__file__).resolve().parents[2] / "worlds"
ANN = Caller("operator", "ann")
APPROVE = {"mode": "approve", "grace": 900, "apart": 600}


@dataclass
class Swept:
    """What is left to look at after the run."""

    report: Report
    sweep: Sweep
    acts: list[Act]
    events: list[dict[str, Any]]
    messages: list[str]
    codes: list[int]
    balancers: list[dict[str, Any]]


@pytest.fixture(scope="module")
def swept() -> Iterator[Swept]:
    shared = yaml.safe_load((WORLDS / "sweep_shared.yaml").read_text())
    loaded = world_of({**shared, "policy": {"defaults": {"garbage": APPROVE}}}, "test", WORLDS, "sweep_approved")
    codes: list[int] = []
    patch = pytest.MonkeyPatch()
    with Rehearsal(loaded, []) as rehearsal:
        world = rehearsal.world
        key, secret = world.gateway.credentials(ANN)
        for name, value in (("ACCESS_KEY_ID", key), ("SECRET_ACCESS_KEY", secret), ("DEFAULT_REGION", "us-east-1")):
            patch.setenv(f"AWS_{name}", value)

        def answer() -> None:
            codes.extend(run([word, "sweep-express", "--by", "ann"]) for word in ("approve", "reject"))

        def noted(entry: Entry) -> None:
            if entry.kind == "state.entered" and entry.data["state"] == "Ask approval":
                world.kernel.scheduler.call_later(60, answer, name="ann")

        world.kernel.listeners.append(noted)
        rehearsal.run()
        (table,) = world.deployment.of_type("AWS::DynamoDB::Table")
        records = Records(Table(table.ref, world.gateway.client("dynamodb", ANN)))
        (sweep,) = records.all()
        found = world.gateway.call("elbv2", "DescribeLoadBalancers", {}, ANN)["LoadBalancers"]
        messages = [message.body for message in world.topics.messages]
        yield Swept(
            rehearsal.report(0.0),
            sweep,
            records.acts(sweep.id),
            list(world.bus.published),
            messages,
            codes,
            found,
        )
    patch.undo()


def test_what_is_approved_is_deleted_and_every_law_holds(swept: Swept) -> None:
    assert swept.report.verdict == "ok", swept.report.unexpected
    assert swept.codes == [0, 2], "approved; rejected after that is refused"
    assert (swept.sweep.outcome, swept.sweep.mode) == ("swept", "approve")
    assert {act.status for act in swept.acts} == {"done"}
    approval = swept.sweep.approval
    assert approval is not None
    assert (approval.answer, approval.by) == ("approved", "ann")
    assert set(approval.keys) == {act.key for act in swept.acts}


def test_the_question_names_every_act_with_its_proof(swept: Swept) -> None:
    (question,) = swept.messages
    for act in swept.acts:
        assert f"{act.number}. " in question
        assert act.resource in question
    assert question.count("first observation ") == question.count("second observation ") == len(swept.acts)
    assert "claimed by arn:aws:ecs:us-east-1:123456789012:service/shop/web" in question
    assert f"caretaker approve {swept.sweep.id}" in question


def test_the_record_of_each_deletion_is_its_proof(swept: Swept) -> None:
    for act in swept.acts:
        assert check(act.proof) == [], act.resource
        assert act.live["at"], "looked at once more right before"
        assert act.tries == 1


def test_leaves_go_first(swept: Swept) -> None:
    kinds = [act.kind for act in swept.acts]
    assert kinds.index("listener rule") < kinds.index("target group")
    actions = [act.action for act in swept.acts]
    assert actions.index("elasticloadbalancing:ModifyListener") < actions.index("acm:DeleteCertificate")
    assert actions.index("ec2:RevokeSecurityGroupEgress") < actions.index("ec2:DeleteSecurityGroup")


def test_the_shared_balancer_stays_and_is_told(swept: Swept) -> None:
    assert len(swept.balancers) == 1
    assert any(line.startswith("load balancer ") and "shared" in line for line in swept.sweep.remains)
    assert not any("LoadBalancer" in act.action for act in swept.acts)


def test_the_outcome_event_tells_all_of_it(swept: Swept) -> None:
    (event,) = [event for event in swept.events if event["detail-type"] == "Sweep Swept"]
    detail = event["detail"]
    assert detail["deletions"] == len(detail["acts"]) == len(swept.acts)
    assert detail["vpc"] == swept.sweep.vpc
    assert detail["remains"]
    assert "DeleteExpressGatewayService" in detail["trigger"]
