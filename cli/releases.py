"""`caretaker releases`: what is baked now and what became of past releases, from the deployed stack's table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from cli.product import Look, Records, Release, iso
from cli.release_view import one, overview
from cli.stack import Stack, in_one_line
from twin.errors import WorldError

PAST = 20
"""Past releases that the overview shows; `--json` gives all."""


@dataclass(frozen=True)
class Baked:
    """A release and the looks at it."""

    release: Release
    looks: Sequence[Look] = ()


def show_releases(
    stack: Stack,
    console: Console,
    *,
    release: str | None = None,
    cluster: str | None = None,
    service: str | None = None,
    as_json: bool = False,
) -> None:
    """Print one release, or all of a cluster or service. WorldError if there is no such release."""
    with in_one_line():
        records = stack.records
        if release is not None:
            found = [_with_looks(records, find(records, release))]
        else:
            chosen = [each for each in records.all() if _concerns(each, cluster, service)]
            # Looks are read where they are shown: one query for each release.
            found = [_with_looks(records, each) if each.open or as_json else Baked(each) for each in chosen]
    if as_json:
        print(json.dumps([plain(each) for each in found], indent=2, ensure_ascii=False))
    elif release is not None:
        console.print(one(found[0].release, found[0].looks))
    else:
        pairs = [(each.release, each.looks) for each in found]
        console.print(overview(pairs, past=PAST))


def find(records: Records, given: str) -> Release:
    """The release of an id, or of a part of one that is the only one. WorldError otherwise."""
    exact = records.find(given)
    if exact is not None:
        return exact
    ids = [entry.id for entry in records.index.entries() if given in entry.id]
    if len(ids) == 1:
        return records.get(ids[0])
    if not ids:
        raise WorldError(f"there is no release {given}")
    raise WorldError(f"{given} may be any of {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}")


def _with_looks(records: Records, release: Release) -> Baked:
    return Baked(release, records.looks(release.id))


def _concerns(release: Release, cluster: str | None, service: str | None) -> bool:
    in_cluster = cluster is None or cluster in (release.cluster, release.cluster.rpartition("/")[2])
    return in_cluster and (service is None or service in (release.service, release.name))


def plain(baked: Baked) -> dict[str, Any]:
    """A release as JSON. Without the task token of its approval: whoever has that may answer."""
    release = baked.release
    approval = release.approval
    times = ("opened", "started", "weights_changed", "ended")
    shown = {name: getattr(release, name) for name in _PLAIN}
    shown |= {name: _time(getattr(release, name)) for name in times}
    shown["rules"], shown["done"] = list(release.rules), list(release.done)
    shown["trigger"] = {"kind": release.trigger.kind, "text": release.trigger.text}
    shown["verdict"] = dict(release.verdict)
    shown["approval"] = None
    if approval is not None:
        shown["approval"] = {key: value for key, value in approval.plain().items() if key != "token"}
    shown["looks"] = [_look(look) for look in baked.looks]
    return shown


_PLAIN = (
    "id",
    "way",
    "mode",
    "cluster",
    "service",
    "deployment",
    "revision",
    "task_definition",
    "baseline_task_definition",
    "balancer",
    "canary_group",
    "baseline_group",
    "weight",
    "status",
    "decision",
    "decision_reason",
    "outcome",
    "reason",
)


def _time(moment: Any) -> str | None:
    return iso(moment) if moment is not None else None


def _look(look: Look) -> dict[str, Any]:
    return {
        "number": look.number,
        "at": iso(look.at),
        "action": look.action,
        "reason": look.reason,
        "log_against": look.log_against,
        "line": look.line,
        "weight": look.weight,
        "counts": dict(look.counts),
        "needs": list(look.needs),
    }
