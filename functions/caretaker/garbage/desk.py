"""What every function of sweep_express begins with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from caretaker.garbage.record import Records, SweepClosed
from caretaker.garbage.sweep import Sweep
from caretaker.runtime import clock, logging
from caretaker.runtime.policy import GarbagePolicy
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import table

# What is in clusters that Caretaker does not look after is read, since it may use what is swept, and never deleted.
_NOT_OURS = GarbagePolicy(keep=True)


@dataclass(frozen=True)
class Desk:
    """One invocation for one sweep.

    Attributes:
        now: when the machine entered the state that invokes this function.
        records: the table's sweeps.
        sweep: the sweep as it stands now.
    """

    now: datetime
    settings: Settings
    records: Records
    sweep: Sweep


def open_desk(event: Mapping[str, Any]) -> Desk:
    """Read what every function needs; logs of the invocation carry the sweep's id.

    Raises:
        SweepClosed: it has ended.
    """
    settings, records = opened(event["id"])
    sweep = records.get(event["id"])
    if not sweep.open:
        raise SweepClosed(f"{sweep.id}: ended as {sweep.outcome}")
    now = clock.entered(event)
    return Desk(now, settings, records, sweep)


def opened(sweep: str) -> tuple[Settings, Records]:
    """Settings and records, for the functions that open and close the sweep."""
    settings = Settings.from_env()
    logging.bind(sweep=sweep)
    return settings, Records(table(settings.table_name))


def cluster_of(service: str) -> str:
    """Name of the cluster in a service's ARN."""
    return service.split("/")[-2]


def name_of(service: str) -> str:
    """Name of a service by its ARN."""
    return service.rsplit("/", 1)[-1]


def policies_of(settings: Settings, records: Records, services: Iterable[str]) -> dict[str, GarbagePolicy]:
    """What holds for each of the services (ARNs), as the owner's documents are now.

    Raises:
        AwsFailure: a document could not be read; nothing may be done then.
    """
    # Reading documents needs pydantic, whose import costs as much as a client: only functions that read policy pay.
    from caretaker.runtime import policy_source

    by_cluster: dict[str, list[str]] = defaultdict(list)
    for service in sorted(set(services)):
        by_cluster[cluster_of(service)].append(service)
    found: dict[str, GarbagePolicy] = {}
    for cluster, of_it in by_cluster.items():
        names = [name_of(service) for service in of_it]
        garbage = policy_source.load(records.table, settings.policy_path, cluster, names).garbage
        ours = fnmatchcase(cluster, settings.cluster_names)
        found.update({service: garbage.service(name_of(service)) if ours else _NOT_OURS for service in of_it})
    return found
