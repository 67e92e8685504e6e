"""`caretaker garbage`: what Express Mode left behind, who refers to what, and what becomes of it, read now.

Reads with the rights of whoever asks, writes nothing. What that person may not read is unknown, and says so.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from cli.garbage_view import overview, why
from cli.product import (
    MANAGED,
    Act,
    AwsFailure,
    Judgement,
    Ledger,
    Observation,
    Sweep,
    Sweeps,
    clients,
    ec2,
    garbage_policies,
    iso,
    judged,
    observe_now,
)
from cli.stack import Stack, in_one_line
from twin.errors import WorldError


@dataclass(frozen=True)
class Seen:
    """What was seen of one VPC, judged, and its sweeps with their acts, the newest first."""

    vpc: str
    judgement: Judgement
    sweeps: Sequence[tuple[Sweep, Sequence[Act]]] = ()


def show_garbage(
    stack: Stack,
    console: Console,
    *,
    vpc: str | None = None,
    resource: str | None = None,
    as_json: bool = False,
    every: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Print the verdicts of a VPC, or of all that the ledger knows; or who refers to one resource.

    Raises:
        WorldError: the ledger knows no such VPC, or no resource is meant, or several.
    """
    with in_one_line(), as_endpoint(stack.endpoint_url):
        notes = Console(stderr=True, highlight=False)
        vpcs = places(stack, vpc, notes)
        seen = [look(stack, each, now(), _patient(notes, each, sleep)) for each in vpcs]
    if as_json:
        print(json.dumps([plain(each) for each in seen], indent=2, ensure_ascii=False))
    elif resource is not None:
        place, arn = found(seen, resource)
        console.print(why(place.judgement, arn))
    else:
        for each in seen:
            console.print(overview(each.vpc, each.judgement, each.sweeps, every=every))


def places(stack: Stack, vpc: str | None, notes: Console) -> list[str]:
    """The VPCs to look at: those that the ledger knows, and those in which ECS has made a security group for somebody
    of whom it knows nothing."""
    known = sorted({*Ledger(stack.table).vpcs(), *_managed(notes)})
    if vpc is not None and vpc not in known:
        raise WorldError(
            f"--vpc {vpc}: the ledger knows no Express service there; it knows {', '.join(known) or 'none'}"
        )
    if not known:
        raise WorldError(
            "the ledger knows no Express service yet: it learns them from CloudTrail's events, deployments and the "
            "daily patrol (function GarbageRecordInventory)"
        )
    return [vpc] if vpc is not None else known


def _managed(notes: Console) -> list[str]:
    """VPCs with a security group of ECS's, as every Express service has unless it was given others."""
    try:
        return ec2.vpcs_of_tagged_groups(MANAGED, "true")
    except AwsFailure as error:
        notes.print(f"VPCs that the ledger does not know were not looked for: {error}")
        return []


def look(stack: Stack, vpc: str, now: datetime, wait: Callable[[Any], None]) -> Seen:
    """One VPC as it is now, judged by the policies in force, with its sweeps."""
    return Seen(vpc, judged_now(stack, vpc, now, wait), past(Sweeps(stack.table), vpc))


def judged_now(stack: Stack, vpc: str, now: datetime, wait: Callable[[Any], None]) -> Judgement:
    """A VPC observed and judged by the policies in force. AwsFailure if the table or a policy could not be read."""
    observation = observe_now(vpc, Ledger(stack.table).entries(vpc), now, wait)
    return judged(observation, policies(stack, observation), now)


def past(sweeps: Sweeps, vpc: str) -> list[tuple[Sweep, Sequence[Act]]]:
    """The sweeps of a VPC that the index still has, the newest first, each with its acts."""
    return [(sweep, sweeps.acts(sweep.id)) for sweep in sweeps.all() if sweep.vpc == vpc]


def policies(stack: Stack, seen: Observation) -> Mapping[str, Any]:
    """What the owner's documents say of each service, by ARN."""
    services = {claim.owner.arn for claim in seen.claims} | {owner.arn for owner in seen.owners}
    return garbage_policies(stack.settings, Sweeps(stack.table), services)


@contextmanager
def as_endpoint(url: str | None) -> Iterator[None]:
    """Within, the product's own clients speak to this endpoint, with the credentials of now."""
    before = os.environ.get("AWS_ENDPOINT_URL")
    if url is not None:
        os.environ["AWS_ENDPOINT_URL"] = url
    clients.forget()
    try:
        yield
    finally:
        clients.forget()
        if before is None:
            os.environ.pop("AWS_ENDPOINT_URL", None)
        else:
            os.environ["AWS_ENDPOINT_URL"] = before


def _patient(notes: Console, vpc: str, sleep: Callable[[float], None]) -> Callable[[Any], None]:
    """Waits between the parts of an observation, and says so on a terminal: a large account takes minutes."""

    def wait(progress: Any) -> None:
        if notes.is_terminal:
            notes.print(
                f"reading {vpc}: {progress.left} listings are known to be left, {progress.doubts} failed", end="\r"
            )
        sleep(progress.seconds)

    return wait


# --- one resource ----------------------------------------------------------------------------------------------------
def found(seen: Sequence[Seen], given: str) -> tuple[Seen, str]:
    """The resource that is meant: by ARN, by name or id, or by a part of its ARN that no other has."""
    every = [(place, arn) for place in seen for arn in place.judgement.graph.resources]
    exact = [(place, arn) for place, arn in every if given in _names(place, arn)]
    alike = exact or [(place, arn) for place, arn in every if given in arn]
    if len({arn for _, arn in alike}) == 1:
        return alike[0]
    if not alike:
        missing = sum(each.status != "whole" for place in seen for each in place.judgement.graph.observation.readings)
        unread = f"; {missing} listings could not be read whole" if missing else ""
        raise WorldError(f"--why {given}: no such resource was read in {', '.join(p.vpc for p in seen)}{unread}")
    some = sorted({arn for _, arn in alike})
    raise WorldError(f"--why {given}: may be any of {', '.join(some[:4])}{' …' if len(some) > 4 else ''}")


def _names(place: Seen, arn: str) -> tuple[str, ...]:
    resource = place.judgement.graph.resources[arn]
    return (arn, resource.name, arn.rpartition("/")[2])


# --- JSON ------------------------------------------------------------------------------------------------------------
def plain(seen: Seen) -> dict[str, Any]:
    """A VPC's verdicts as JSON."""
    judgement = seen.judgement
    observation = judgement.graph.observation
    return {
        "vpc": seen.vpc,
        "at": iso(observation.began),
        "services": [
            {
                "service": owner.identity.arn,
                "created": owner.identity.created,
                "life": str(owner.life),
                "since": owner.since,
                "reason": owner.words,
            }
            for _, owner in sorted(observation.owners.items())
        ],
        "verdicts": [_verdict(each) for each in judgement.verdicts.values()],
        "unread": [_reading(each) for each in observation.readings if each.status != "whole"],
        "sweeps": [_sweep(sweep, acts) for sweep, acts in seen.sweeps],
    }


def _sweep(sweep: Sweep, acts: Sequence[Act]) -> dict[str, Any]:
    """A sweep as JSON, without the task token of its approval: whoever has that may answer."""
    return {
        "id": sweep.id,
        "mode": sweep.mode,
        "status": sweep.status,
        "outcome": sweep.outcome,
        "reason": sweep.reason,
        "because": sweep.trigger.text,
        "opened": iso(sweep.opened),
        "ended": iso(sweep.ended) if sweep.ended else None,
        "remains": list(sweep.remains),
        "savings": list(sweep.savings),
        "acts": [
            {
                "action": act.action,
                "resource": act.resource,
                "kind": act.kind,
                "status": act.status,
                "reason": act.reason,
                "why": act.why,
                "at": iso(act.at) if act.at else None,
            }
            for act in acts
        ],
    }


def _verdict(verdict: Any) -> dict[str, Any]:
    return {
        "resource": verdict.resource.arn,
        "created": verdict.resource.identity.created,
        "kind": str(verdict.resource.kind),
        "name": verdict.resource.name,
        "verdict": str(verdict.word),
        "reason": verdict.reason,
        "owners": [owner.arn for owner in verdict.owners],
        "referrers": [_reference(each) for each in verdict.referrers],
        "holding": [_reference(each) for each in verdict.holding],
        "doubts": [_reading(each) for each in verdict.doubts],
        "detach": list(verdict.detach),
    }


def _reference(reference: Any) -> dict[str, str]:
    return {
        "kind": str(reference.source_kind),
        "source": reference.source,
        "how": reference.how,
        "service": reference.owner,
        "part_of": reference.part_of,
    }


def _reading(reading: Any) -> dict[str, str]:
    return {
        "operation": reading.operation,
        "scope": reading.scope,
        "status": str(reading.status),
        "reason": reading.reason,
    }
