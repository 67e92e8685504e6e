"""Starts the executions that bake releases.

The execution's name derives from what is deployed, so a repeated event starts nothing twice; what the release is, and
whose it is, the machine finds out.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

from caretaker.aws import stepfunctions
from caretaker.inbound.model import Deploys, Requested
from caretaker.inbound.resolve import cluster_name
from caretaker.releases import native
from caretaker.releases.record import release_id
from caretaker.runtime import logging, policy_source
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import Table


def begin(reading: Deploys | Requested, settings: Settings, table: Table) -> None:
    """Start the bake of a release, or say in the log why there is none.

    Raises:
        AwsFailure: something could not be read or started; the event has to come again.
    """
    why = _not_ours(reading, settings, table)
    if not why:
        why = _watch(reading, settings) if isinstance(reading, Deploys) else _drive(reading, settings)
    if why:
        logging.logger().info(f"nothing to do: {reading.service}: {why}")


def _not_ours(reading: Deploys | Requested, settings: Settings, table: Table) -> str:
    """Why the service's releases are not accompanied; empty if they are."""
    cluster = cluster_name(reading.cluster)
    if not fnmatchcase(cluster, settings.cluster_names):
        return f"{cluster} is no cluster that Caretaker looks after"
    service = reading.service.rsplit("/", 1)[-1]
    policy = policy_source.load(table, settings.policy_path, cluster, [service]).releases.service(service)
    return "policy says off" if policy.way == "off" else ""


def _watch(reading: Deploys, settings: Settings) -> str:
    """The deployment that is under way now, whatever the event was about: it may be late."""
    found = native.newest(reading.cluster, reading.service)
    if found is None:
        return "no deployment of ECS's own is under way"
    if found.going_back or found.strategy == "ROLLING":
        return f"its deployment is {found.strategy} and {found.status}: no release"
    name = release_id(found.arn, found.target)
    _start(settings, name, reading, "watch", found.arn, found.target, "deployment")
    return ""


def _drive(reading: Requested, settings: Settings) -> str:
    name = release_id(f"{reading.service}#{reading.key}", reading.task_definition)
    _start(settings, name, reading, "drive", reading.key, reading.task_definition, "request")
    return ""


def _start(
    settings: Settings,
    name: str,
    reading: Deploys | Requested,
    way: str,
    deployment: str,
    revision: str,
    kind: str,
) -> None:
    text = execution_input(name, way, reading.cluster, reading.service, deployment, revision, kind, reading.text)
    started = stepfunctions.start(settings.bake_machine(), name, text)
    words = "release begun" if started else "its release was baked before"
    logging.logger().info(f"{reading.service}: {words}", extra={"release": name})


def execution_input(
    name: str, way: str, cluster: str, service: str, deployment: str, revision: str, kind: str, text: str
) -> str:
    """The machine's input."""
    return json.dumps(
        {
            "id": name,
            "entry": "bake",
            "way": way,
            "cluster": cluster,
            "service": service,
            "deployment": deployment,
            "revision": revision,
            "trigger": {"kind": kind, "text": text},
        },
        sort_keys=True,
    )
