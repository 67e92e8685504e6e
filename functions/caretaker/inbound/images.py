"""An image was pushed to ECR: for services whose policy says so, it becomes a revision and a release.

A push must never begin twice what it has begun, and what a release does must never come back as a push: an image that
runs already, by its digest, begins nothing, and each service notes the digests that it was given
(`SERVICE#<service ARN>` / `PUSH#<digest>`). So a tag that is set to the same image later begins nothing either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from caretaker.aws import ecs, ssm, stepfunctions
from caretaker.aws.errors import AwsFailure, Missing
from caretaker.inbound import bakes
from caretaker.releases import ground
from caretaker.releases.push import Push, alike, concerned, revised, runs
from caretaker.releases.record import Records, release_id
from caretaker.releases.tasksets import NotDrivable, primary, short
from caretaker.runtime import logging, policy_source
from caretaker.runtime.clock import iso
from caretaker.runtime.policy import ReleasePolicy
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import Table


@dataclass(frozen=True)
class Subscriber:
    """A service that asked for releases of pushed images.

    Attributes:
        cluster, service: ARNs.
    """

    cluster: str
    service: str
    policy: ReleasePolicy

    @property
    def name(self) -> str:
        return short(self.service)


@dataclass(frozen=True)
class Standing:
    """A service as it is now.

    Attributes:
        external: whether Caretaker has to release it itself.
        task_definition: ARN of what runs.
    """

    external: bool
    task_definition: str


def subscribers(push: Push, settings: Settings, table: Table, partition: str) -> list[Subscriber]:
    """The services whose policy names the pushed repository and tag, in order of their names.

    Raises:
        AwsFailure: policy could not be read.
    """
    stem = f"{settings.policy_path}/services/"
    found = []
    for name, text in sorted(ssm.get_by_path(stem.rstrip("/")).items()):
        parts = name.removeprefix(stem).split("/")
        if len(parts) != 2 or "on_push" not in text:
            continue
        policy = policy_source.load(table, settings.policy_path, parts[0], [parts[1]]).releases.service(parts[1])
        if policy.on_push is not None and policy.way != "off" and policy.on_push.fits(push.repository, push.tag):
            arn = f"arn:{partition}:ecs:{settings.region}:{push.account}"
            found.append(Subscriber(f"{arn}:cluster/{parts[0]}", f"{arn}:service/{parts[0]}/{parts[1]}", policy))
    return found


def release(push: Push, one: Subscriber, settings: Settings, table: Table, now: datetime) -> str:
    """Register the revision and have it released; words for what was done. May be run again.

    Raises:
        AwsFailure: something could not be read or done; the event has to come again.
    """
    key = (f"SERVICE#{one.service}", f"PUSH#{push.digest}")
    noted = table.get(*key)
    if noted is not None and noted["done"]:
        return f"was given {push} at {noted['at']}"
    standing = _standing(one)
    if standing is None:
        return "is not there, or has nothing running"
    described = ecs.described_with_tags(standing.task_definition)
    why_not = _nothing_new(described["taskDefinition"], push)
    if why_not:
        return why_not
    if one.policy.mode == "observe" or (one.policy.mode == "approve" and not standing.external):
        return f"would be given {push}; policy's mode is {one.policy.mode}"
    definition = _registered(described, push)
    item = {"pk": key[0], "sk": key[1], "at": iso(now), "task_definition": definition, "done": False}
    table.put(item)
    words = _begin(push, one, standing, definition, settings, table)
    table.put({**item, "done": True})
    return words


def _nothing_new(running: Mapping[str, Any], push: Push) -> str:
    if not concerned(running, push):
        return f"no container of {running['family']} runs an image of {push.repository}"
    return f"runs {push} already" if runs(running, push) else ""


def _standing(one: Subscriber) -> Standing | None:
    found = ecs.describe_services(one.cluster, [one.service])
    if found.unreadable():
        raise AwsFailure("DescribeServices", found.unreadable()[0].reason, str(found.unreadable()[0]))
    if not found.items or found.items[0]["status"] != "ACTIVE":
        return None
    service = found.items[0]
    if service.get("deploymentController", {}).get("type", "ECS") != "EXTERNAL":
        return Standing(False, str(service["taskDefinition"]))
    try:
        return Standing(True, str(primary(ground.task_sets(one.cluster, one.service))["taskDefinition"]))
    except (NotDrivable, ground.ServiceGone):
        return None


def _registered(described: Mapping[str, Any], push: Push) -> str:
    """ARN of the revision with the image; the family's newest one if it is that already, from an earlier run."""
    wanted = revised(described["taskDefinition"], push, described.get("tags", ()))
    newest = ecs.describe_task_definition(wanted["family"])
    if alike(newest, wanted):
        return str(newest["taskDefinitionArn"])
    return str(ecs.register_task_definition(wanted)["taskDefinitionArn"])


def _begin(push: Push, one: Subscriber, standing: Standing, definition: str, settings: Settings, table: Table) -> str:
    before = Records(table).rejected(one.service, definition)
    if before is not None:
        return f"{short(definition)} was rolled back at {iso(before.at)}: {before.reason}"
    text = f"{push} was pushed"
    if not standing.external:
        try:
            ecs.update_service(one.cluster, one.service, taskDefinition=definition)
        except Missing:
            return "was deleted meanwhile"
        return f"is deployed with {short(definition)}: {text}"
    name = release_id(f"{one.service}#{push.digest}", definition)
    given = bakes.execution_input(name, "drive", one.cluster, one.service, push.digest, definition, "push", text)
    stepfunctions.start(settings.bake_machine(), name, given)
    logging.logger().info("release begun", extra={"release": name})
    return f"is released with {short(definition)}: {text}"
