"""Inventories are recorded while ECS tells them, and what is known outlives the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from caretaker.aws.errors import Denied
from caretaker.garbage import calls, inventories, requests
from caretaker.garbage.calls import BadCall, Change
from caretaker.garbage.handlers import record_inventory
from caretaker.garbage.model import Claim, Kind, Life, Read
from caretaker.garbage.record import Records
from caretaker.garbage.standing import Keep
from caretaker.garbage.unowned import unowned
from caretaker.garbage.verdict import Judgement
from caretaker.runtime.clock import iso
from reads_stage import LEAVING, OPERATOR, PUBLIC, Stage, staged, statuses

from twin.ecs.express.options import RoleFault
from twin.kernel.api import Call

EVENTS = Path(__file__).resolve().parents[2] / "events"
OWN = {
    Kind.RULE: 1,
    Kind.TARGET_GROUP: 2,
    Kind.CERTIFICATE: 1,
    Kind.SCALABLE_TARGET: 1,
    Kind.SCALING_POLICY: 1,
    Kind.ALARM: 1,
    Kind.SECURITY_GROUP: 1,
    Kind.LOG_GROUP: 1,
    Kind.TASK_DEFINITION: 1,
    Kind.ROLE: 2,
    Kind.REPOSITORY: 1,
}
SHARED = {Kind.LOAD_BALANCER: 1, Kind.LISTENER: 1, Kind.SECURITY_GROUP: 1, Kind.CLUSTER: 1}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(monkeypatch, Stage(LEAVING)) as found:
        yield found.up("web")


def counted(claims: tuple[Claim, ...], *, shared: bool) -> dict[Kind, int]:
    kinds = [claim.kind for claim in claims if claim.shared is shared]
    return {kind: kinds.count(kind) for kind in kinds}


def release(stage: Stage, image: str = "example.com/web:2") -> None:
    stage.call(
        "ecs",
        "UpdateExpressGatewayService",
        OPERATOR,
        serviceArn=stage.arn("web"),
        primaryContainer={"image": image},
    )


def test_the_whole_inventory_is_recorded(stage: Stage) -> None:
    stage.record("web")
    claims = stage.ledger.claims(stage.vpc)
    assert counted(claims, shared=False) == OWN
    assert counted(claims, shared=True) == SHARED
    assert all(claim.current for claim in claims)
    assert stage.ledger.vpcs() == [stage.vpc]
    (group,) = [claim for claim in claims if claim.kind is Kind.LOG_GROUP]
    assert group.resource.created == iso(stage.kernel.clock.start)


def test_a_release_leaves_its_task_definition_behind_in_the_ledger(stage: Stage) -> None:
    stage.record("web")
    release(stage)
    stage.run()
    stage.record("web")
    current = {
        claim.resource.arn.rpartition("/")[2]: claim.current
        for claim in stage.ledger.claims(stage.vpc)
        if claim.kind is Kind.TASK_DEFINITION
    }
    assert current == {"shop-web:1": False, "shop-web:2": True}
    assert all(
        claim.current for claim in stage.ledger.claims(stage.vpc) if claim.kind in (Kind.RULE, Kind.TARGET_GROUP)
    )


def test_while_a_deployment_is_in_flight_both_revisions_are_current(stage: Stage) -> None:
    release(stage)
    stage.run(60)
    stage.record("web")
    definitions = [claim for claim in stage.ledger.claims(stage.vpc) if claim.kind is Kind.TASK_DEFINITION]
    assert [claim.current for claim in definitions] == [True, True]
    assert len({revision for claim in definitions for revision in claim.revisions}) == 2


def test_a_service_that_was_never_recorded_is_while_it_drains(stage: Stage) -> None:
    stage.delete("web")
    stage.record("web")
    ((_, owner),) = stage.ledger.owners(stage.vpc).items()
    assert owner.life is Life.DRAINING
    own = counted(stage.ledger.claims(stage.vpc), shared=False)
    assert {kind: own[kind] for kind in (Kind.RULE, Kind.TARGET_GROUP, Kind.SECURITY_GROUP)} == {
        Kind.RULE: 1,
        Kind.TARGET_GROUP: 2,
        Kind.SECURITY_GROUP: 1,
    }


def test_a_death_is_recorded_and_the_claims_stay(stage: Stage) -> None:
    stage.record("web")
    before = stage.ledger.claims(stage.vpc)
    stage.delete("web")
    stage.run()
    stage.record("web")
    ((_, owner),) = stage.ledger.owners(stage.vpc).items()
    assert (owner.life, owner.words) == (Life.DEAD, "ECS says that it is INACTIVE")
    since = owner.since
    assert stage.ledger.claims(stage.vpc) == before
    stage.run(10_000)  # ECS forgets it
    stage.record("web")
    ((_, owner),) = stage.ledger.owners(stage.vpc).items()
    assert (owner.life, owner.since) == (Life.DEAD, since)


def test_the_time_of_an_event_is_no_time_of_death(stage: Stage) -> None:
    stage.record("web")
    stage.delete("web")
    stage.run()
    told = stage.within(lambda: inventories.record(stage.ledger, stage.arn("web"), stage.now, deaths=False))
    assert [entry.life for entry in told.entries] == [Life.UNKNOWN]
    assert told.vpcs == (stage.vpc,)
    before = iso(stage.now)
    stage.record("web")
    ((_, owner),) = stage.ledger.owners(stage.vpc).items()
    assert owner.life is Life.DEAD
    assert owner.since >= before


def test_a_service_that_is_created_again_is_another_one(stage: Stage) -> None:
    stage.record("web")
    stage.delete("web")
    stage.run()
    stage.up("web")
    stage.record("web")
    first, second = stage.ledger.owners(stage.vpc).values()
    assert (first.life, second.life) == (Life.DEAD, Life.ALIVE)
    assert "ECS knows a later service of that name" in first.words
    mine, others = (
        {claim.resource for claim in stage.ledger.claims(stage.vpc) if claim.owner == each.identity}
        for each in (first, second)
    )
    # The security group is found by its name and taken over; the shared things and roles are everybody's.
    assert {each.arn.split(":")[2] for each in mine - others} >= {"elasticloadbalancing", "acm"}


def test_names_that_begin_alike_are_different_services(stage: Stage) -> None:
    stage.up("web-api")
    stage.record("web", "web-api")
    by_owner = {
        name: {c.resource for c in stage.ledger.claims(stage.vpc) if c.owner.arn == stage.arn(name) and not c.shared}
        for name in ("web", "web-api")
    }
    common = {each.arn.split(":")[2] for each in by_owner["web"] & by_owner["web-api"]}
    assert common == {"iam", "ecr"}


def test_what_could_not_be_read_neither_erases_nor_ages(stage: Stage) -> None:
    stage.record("web")
    before = stage.ledger.claims(stage.vpc)
    for operation in ("ListServiceDeployments", "DescribeServiceRevisions"):
        stage.fail("ecs", operation, "AccessDeniedException")
        told = stage.within(lambda: inventories.record(stage.ledger, stage.arn("web"), stage.now))
        assert not told.whole
        assert f"{operation}: AccessDeniedException" in told.words
        after = {claim.resource: claim.current for claim in stage.ledger.claims(stage.vpc)}
        assert after == {claim.resource: True for claim in before}
        stage.gateway.api_faults.clear()
    stage.fail("ecs", "DescribeExpressGatewayService", "AccessDeniedException")
    with pytest.raises(Denied):
        stage.record("web")


def test_the_express_services_of_all_clusters_are_listed(stage: Stage) -> None:
    stage.call("ecs", "CreateCluster", clusterName="other")
    stage.up("api", cluster="other")
    found = stage.within(inventories.services)
    assert found == [stage.kernel.arn("ecs", "service/other/api"), stage.arn("web")]


# --- events ----------------------------------------------------------------------------------------------------------


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("kind", ["created", "updated", "deleted"])
def test_calls_of_express_mode_are_read(kind: str) -> None:
    change = calls.read(sample(f"ecs-express-{kind}"))
    assert change is not None
    assert (change.kind, change.service) == (kind, "arn:aws:ecs:us-east-1:123456789012:service/shop/web")
    assert change.key


def test_a_call_that_was_refused_changes_nothing() -> None:
    event = sample("ecs-express-deleted")
    event["detail"] |= {"errorCode": "AccessDenied", "responseElements": None}
    assert calls.read(event) is None


def test_the_service_of_a_deletion_stands_in_its_request_too() -> None:
    event = sample("ecs-express-deleted")
    event["detail"]["responseElements"] = None
    assert calls.read(event) == Change(
        "arn:aws:ecs:us-east-1:123456789012:service/shop/web",
        "deleted",
        event["detail"]["eventID"],
        "arn:aws:iam::123456789012:user/deployer called DeleteExpressGatewayService",
    )


@pytest.mark.parametrize("member", ["eventID", "requestParameters"])
def test_a_call_that_cannot_be_read_names_the_member(member: str) -> None:
    event = sample("ecs-express-deleted")
    event["detail"] |= {member: {}, "responseElements": None}
    with pytest.raises(BadCall, match=r"^detail\."):
        calls.read(event)


def test_other_events_change_nothing() -> None:
    assert calls.read(sample("ecs-task-stopped")) is None
    assert calls.read(sample("health-ec2-retirement")) is None


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Sweeps that were asked for; the machine is tested with the machine."""
    found: list[tuple[str, str]] = []
    for name, value in {"POLICY_PATH": "/p", "TOPIC_ARN": "t", "SWEEP_EXPRESS_ARN": "arn:aws:states:machine"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(requests, "begin", lambda records, machine, vpc, wish: found.append((vpc, wish.kind)))
    return found


def event(stage: Stage, kind: str, identifier: str = "e-1") -> dict[str, Any]:
    """An event as CloudTrail's sample has it, made now."""
    made = sample(f"ecs-express-{kind}")
    made["time"] = iso(stage.now)
    made["detail"]["eventID"] = identifier
    return made


def test_a_deletion_is_recorded_and_a_sweep_asked_for_once(stage: Stage, asked: list[tuple[str, str]]) -> None:
    stage.record("web")
    stage.delete("web")
    first = stage.within(lambda: record_inventory.handler(event(stage, "deleted"), None))
    again = stage.within(lambda: record_inventory.handler(event(stage, "deleted"), None))
    assert (first["recorded"], again["recorded"]) == (stage.arn("web"), "")
    assert asked == [(stage.vpc, "deleted")]


def test_a_service_of_a_cluster_outside_is_recorded_and_noted_and_not_swept(
    stage: Stage, asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may come to a load balancer that is about to be deleted."""
    monkeypatch.setenv("CLUSTER_NAMES", "production-*")
    before = Records(stage.store).ground(stage.vpc).changes
    stage.within(lambda: record_inventory.handler(event(stage, "created"), None))
    assert Life.ALIVE in [owner.life for owner in stage.ledger.owners(stage.vpc).values()]
    assert Records(stage.store).ground(stage.vpc).changes == before + 1
    stage.delete("web")
    stage.within(lambda: record_inventory.handler(event(stage, "deleted", "e-2"), None))
    assert Records(stage.store).ground(stage.vpc).changes == before + 2
    assert asked == []


def test_an_event_that_could_not_be_dealt_with_comes_again(stage: Stage, asked: list[tuple[str, str]]) -> None:
    stage.fail("ecs", "DescribeServiceRevisions", "AccessDeniedException")
    with pytest.raises(record_inventory.InventoryIncomplete, match="AccessDeniedException"):
        stage.within(lambda: record_inventory.handler(event(stage, "created"), None))
    stage.gateway.api_faults.clear()
    assert stage.within(lambda: record_inventory.handler(event(stage, "created"), None))["recorded"]
    assert asked == []


def choose(stage: Stage, **choices: Any) -> None:
    """What the world chooses from here on."""
    options = stage.ecs.engine.options
    stage.ecs.engine.options = replace(options, express=replace(options.express, **choices))


def failed(stage: Stage, *, drains: bool = False) -> dict[str, Any]:
    """The event of a creation that never came to its end and was taken back before the event arrived."""
    told: list[dict[str, Any]] = []
    stage.bus.listeners.append(lambda event, rules: told.append(json.loads(json.dumps(event))))
    choose(
        stage, leaves=("target_groups", "security_group"), role_faults=(RoleFault("elasticloadbalancing:CreateRule"),)
    )
    stage._create("half", networkConfiguration={"subnets": list(PUBLIC)})
    stage.run(240)
    stage.delete("half")
    if not drains:
        stage.run()
    return next(each for each in told if each["detail"].get("eventName") == "CreateExpressGatewayService")


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_creation_that_was_taken_back_before_its_event_came_is_in_the_ledger(
    stage: Stage, asked: list[tuple[str, str]], forgotten: bool
) -> None:
    made = failed(stage)
    if forgotten:
        stage.run(10_000)
    stage.within(lambda: record_inventory.handler(made, None))
    (entry,) = stage.ledger.entries(stage.vpc)
    assert (entry.owner.arn, entry.life, entry.vpc) == (stage.arn("half"), Life.UNKNOWN, stage.vpc)
    assert {each.kind for each in entry.known.values()} == {
        Kind.TASK_DEFINITION,
        Kind.ROLE,
        Kind.REPOSITORY,
        Kind.CLUSTER,
    }
    stage.within(lambda: inventories.record(stage.ledger, stage.arn("half"), stage.now))
    ((_, owner),) = stage.ledger.owners(stage.vpc).items()
    assert owner.life is Life.DEAD
    # It comes twice, and late: the one that is dead stays one.
    made["detail"]["eventID"] = "again"
    stage.within(lambda: record_inventory.handler(made, None))
    assert [owner.life for owner in stage.ledger.owners(stage.vpc).values()] == [Life.DEAD]


def test_what_an_unrecorded_creation_left_is_named_and_nobodys(stage: Stage, asked: list[tuple[str, str]]) -> None:
    stage.record("web")
    made = failed(stage)
    stage.within(lambda: record_inventory.handler(made, None))
    judged = Judgement(stage.observe(), Keep(), stage.now)
    found = unowned(judged.graph, judged.verdicts)
    kinds = [each.resource.kind for each in found]
    assert sorted(kinds) == sorted([Kind.SECURITY_GROUP, Kind.TARGET_GROUP, Kind.TARGET_GROUP])
    assert all("by its tag AmazonECSManaged" in each.reason and each.word == "unknown" for each in found)
    (group,) = [each for each in found if each.resource.kind is Kind.SECURITY_GROUP]
    assert "shop/half, by its description" in group.reason
    assert not {each.resource.arn for each in found} & judged.garbage


def test_of_a_creation_that_is_being_taken_back_everything_is_recorded(
    stage: Stage, asked: list[tuple[str, str]]
) -> None:
    """ECS names no revision of it any more; the answer to its creation does."""
    made = failed(stage, drains=True)
    stage.within(lambda: record_inventory.handler(made, None))
    (entry,) = stage.ledger.entries(stage.vpc)
    kinds = [each.kind for each in entry.known.values()]
    assert entry.life is Life.DRAINING
    assert kinds.count(Kind.TARGET_GROUP) == 2
    assert Kind.CERTIFICATE in kinds


def test_the_answer_of_an_earlier_creation_is_not_the_present_services(
    stage: Stage, asked: list[tuple[str, str]]
) -> None:
    made = failed(stage)
    stage.run(600)
    choose(stage, role_faults=())
    stage.up("half")
    stage.within(lambda: record_inventory.handler(made, None))
    first, second = stage.ledger.owners(stage.vpc).values()
    assert (first.life, second.life) == (Life.UNKNOWN, Life.ALIVE)
    assert not [
        each for each in stage.ledger.claims(stage.vpc) if each.owner == first.identity and each.kind is Kind.RULE
    ]


def test_a_deployment_of_an_ordinary_service_is_nobodys_inventory(stage: Stage, asked: list[tuple[str, str]]) -> None:
    made = sample("ecs-deployment-completed")
    made["time"] = iso(stage.now)
    for name, recorded in (("web", stage.arn("web")), ("plain", "")):
        made["resources"] = [stage.arn(name)]
        assert stage.within(lambda: record_inventory.handler(made, None))["recorded"] == recorded
    assert stage.ledger.vpcs() == [stage.vpc]


def test_an_event_that_cannot_be_read_is_refused(stage: Stage, asked: list[tuple[str, str]]) -> None:
    made = event(stage, "deleted")
    made["detail"] |= {"requestParameters": {}, "responseElements": {}}
    assert record_inventory.handler(made, None) == {"recorded": ""}


# --- what an observation makes of services ---------------------------------------------------------------------------


def test_what_a_batch_could_not_serve_makes_its_reading_truncated(stage: Stage) -> None:
    """A service of the listing is gone before it is described."""
    stage.up("web-api")
    services = stage.ecs.engine.store.services

    def vanish(call: Call, response: object) -> None:
        if call.operation == "ListServices":
            services.pop(stage.arn("web"), None)

    stage.gateway.completed.append(vanish)
    readings = [each for each in stage.observe().readings if each.operation == "ecs:DescribeServices"]
    assert [(each.status, each.items) for each in readings] == [(Read.TRUNCATED, 1)]
    assert readings[0].reason == f"failures: {stage.arn('web')}: MISSING"


def test_a_death_that_an_observation_sees_first_is_written_down(stage: Stage) -> None:
    stage.record("web")
    stage.delete("web")
    stage.run()
    seen = stage.observe()
    ((_, owner),) = seen.owners.items()
    ((_, known),) = stage.ledger.owners(stage.vpc).items()
    assert (owner.life, known.life) == (Life.DEAD, Life.DEAD)
    assert owner.since == known.since == iso(seen.ended)


def test_a_service_that_drains_is_read_as_one_that_lives(stage: Stage) -> None:
    stage.record("web")
    stage.delete("web")
    seen = stage.observe()
    ((_, owner),) = seen.owners.items()
    assert owner.life is Life.DRAINING
    for operation in ("DescribeExpressGatewayService", "ListServiceDeployments", "DescribeServiceRevisions"):
        assert statuses(seen, f"ecs:{operation}") == {stage.arn("web"): Read.WHOLE}


def test_a_service_that_the_ledger_never_saw_is_an_owner_too(stage: Stage) -> None:
    (owner,) = stage.observe().owners.values()
    assert (owner.identity.arn, owner.life, owner.moving) == (stage.arn("web"), Life.ALIVE, False)


def test_a_cluster_that_is_gone_has_taken_its_services_with_it(stage: Stage) -> None:
    stage.up("api", cluster="default")
    arn = stage.kernel.arn("ecs", "service/default/api")
    stage.within(lambda: inventories.record(stage.ledger, arn, stage.now))
    stage.call("ecs", "DeleteExpressGatewayService", OPERATOR, serviceArn=arn)
    stage.run(10_000)
    stage.call("ecs", "DeleteCluster", OPERATOR, cluster="default")
    owners = {identity.arn: owner for identity, owner in stage.observe().owners.items()}
    assert owners[arn].life is Life.DEAD
