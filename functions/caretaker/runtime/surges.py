"""Surge leases: work that changes a service's deployment configuration for a while.

One item per service, `SERVICE#<arn>` / `SURGE`: `original` (the whole deploymentConfiguration before the first
change), `set` (the one that we set), `holders` (work). The first holder writes the originals down before it changes
anything; the last one restores them, and only where the service still has what was set. Between `begin_restore` and
`end_restore` nobody can join, so a restore never takes the surge away from a newcomer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from caretaker.aws.errors import ConditionFailed
from caretaker.runtime.table import Item, Table, standing

_SK = "SURGE"
_TRIES = 5


class SurgeBusy(Exception):
    """The last holder is restoring the service right now; try again."""


@dataclass(frozen=True)
class Surge:
    """A lease.

    Attributes:
        service: service ARN.
        original: deployment configuration to restore.
        set: deployment configuration that the holders set. A holder reads the service and sets it if it is not there.
        holders: work that needs it.
    """

    service: str
    original: Mapping[str, Any]
    set: Mapping[str, Any]
    holders: frozenset[str]


def _pk(service: str) -> str:
    return f"SERVICE#{service}"


def _text(configuration: Mapping[str, Any]) -> str:
    return json.dumps(configuration, sort_keys=True)


def _surge(item: Item) -> Surge:
    return Surge(
        service=item["pk"].removeprefix("SERVICE#"),
        original=json.loads(item["original"]),
        set=json.loads(item["set"]),
        holders=item["holders"],
    )


def find(table: Table, service: str) -> Surge | None:
    """The lease of a service, None if nobody holds one."""
    item = table.get(_pk(service), _SK)
    return _surge(item) if item else None


def join(table: Table, service: str, work: str, original: Mapping[str, Any], wanted: Mapping[str, Any]) -> Surge:
    """Become a holder. The first one writes `original` and `wanted`; a later one gets what stands there.

    Joining twice is no change. The caller compares `.set` with what it needs (see `widen`) and with what the service
    has.

    Raises:
        SurgeBusy: the last holder is restoring.
    """
    item = {"pk": _pk(service), "sk": _SK, "original": _text(original), "set": _text(wanted), "holders": {work}}
    for _ in range(_TRIES):
        try:
            table.put(item, condition="attribute_not_exists(#pk)")
        except ConditionFailed:
            try:
                joined = table.update(
                    _pk(service),
                    _SK,
                    "ADD #holders :work",
                    condition="attribute_exists(#pk) AND attribute_not_exists(#restoring)",
                    values={":work": {work}},
                )
            except ConditionFailed as error:
                if standing(error) or find(table, service):
                    raise SurgeBusy(f"{service}: its former settings are being restored") from None
                continue  # it ended between the two writes
            return _surge(joined)
        else:
            return _surge(item | {"holders": frozenset({work})})
    raise SurgeBusy(f"{service}: the lease keeps changing")


def widen(table: Table, service: str, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> Surge:
    """Replace what the holders set by something wider. Raises `SurgeBusy` if it is no longer `before`."""
    try:
        item = table.update(
            _pk(service),
            _SK,
            "SET #set = :wanted",
            condition="#set = :before AND attribute_not_exists(#restoring)",
            values={":wanted": _text(wanted), ":before": _text(before)},
        )
    except ConditionFailed:
        raise SurgeBusy(f"{service}: the lease changed meanwhile") from None
    return _surge(item)


def begin_restore(table: Table, service: str, work: str) -> Surge | None:
    """Leave the lease. Returns it when `work` is its last holder, who must restore the service and call `end_restore`.

    None: others still hold it (and `work` no longer does), or `work` holds none.
    """
    for _ in range(_TRIES):
        found = find(table, service)
        if found is None or work not in found.holders:
            return None
        try:
            if found.holders == {work}:
                return _surge(
                    table.update(
                        _pk(service),
                        _SK,
                        "SET #restoring = :yes",
                        condition="#holders = :only",
                        values={":yes": True, ":only": {work}},
                    )
                )
            table.update(
                _pk(service),
                _SK,
                "DELETE #holders :work",
                condition="contains(#holders, :name) AND #holders <> :work",
                values={":work": {work}, ":name": work},
            )
        except ConditionFailed:
            continue  # somebody joined or left in between
        return None
    raise SurgeBusy(f"{service}: the lease keeps changing")


def end_restore(table: Table, service: str, work: str) -> None:
    """End the lease after the service was restored (or found changed by somebody else)."""
    try:
        table.delete(
            _pk(service),
            _SK,
            condition="#holders = :only AND #restoring = :yes",
            values={":only": {work}, ":yes": True},
        )
    except ConditionFailed:
        return  # a retry of ourselves ended it
