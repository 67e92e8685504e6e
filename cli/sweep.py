"""`caretaker sweep`: asks for a sweep now, or shows how a service's resources go, until what remains is known."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live

from cli.garbage import as_endpoint
from cli.product import Ledger, Sweeps, Throttled, Unavailable, short
from cli.stack import Stack, in_one_line
from cli.sweep_read import Reader, short_of
from cli.sweep_snapshot import Snapshot, changes, conclusion, exit_code
from cli.sweep_view import draw
from twin.errors import WorldError

SOURCE = "caretaker.command"
"""Source of the event that asks for a sweep."""
SHORTEST = 1.0
"""Seconds between two looks: ECS's API is everybody's."""
MODES = ("observe", "approve", "act")

Now = Callable[[], datetime]
Sleep = Callable[[float], None]


def _now() -> datetime:
    return datetime.now(UTC)


# --- asking ----------------------------------------------------------------------------------------------------------
def ask(
    stack: Stack, console: Console, *, service: str | None, cluster: str | None, vpc: str | None, mode: str | None
) -> None:
    """Put the event that asks for a sweep of a VPC, or of the VPC of a service, with the rights of whoever asks.

    Raises:
        WorldError: neither or both are named, the ledger knows no such service or VPC, or EventBridge refuses.
    """
    if (service is None) == (vpc is None):
        raise WorldError("sweep: name a SERVICE or --vpc ID, one of them")
    if mode is not None and mode not in MODES:
        raise WorldError(f"--mode {mode}: is none of {', '.join(MODES)}")
    with in_one_line():
        arn = service_arn(stack, service, cluster) if service is not None else ""
        found = place(Ledger(stack.table), arn, vpc)
        detail = {"service": arn} if arn else {"vpc": vpc}
        stack.put(SOURCE, "Sweep Requested", {**detail, **({"mode": mode} if mode else {})})
        open_ = Sweeps(stack.table).ground(found).sweep
    of = f"{short_of(arn)}, in {found}" if arn else found
    follows = f": {open_} is open, and is followed by another" if open_ else ""
    console.print(f"asked for a sweep of {of}{follows}")
    least = f"nothing more than {mode}, and nothing more than policy allows" if mode else "as policy says"
    console.print(f"{least}; its outcome comes as an event of source caretaker")
    console.print(f"look: caretaker garbage --vpc {found}" + (f"   caretaker sweep --watch {service}" if arn else ""))


def place(ledger: Ledger, arn: str, vpc: str | None) -> str:
    """The VPC that is to be swept. WorldError where the ledger does not know it: nothing would come of it."""
    if arn:
        found = ledger.vpc_of(arn)
        if not found:
            raise WorldError(f"{short_of(arn)}: the ledger knows no Express service of that name with a VPC")
        return found
    known = ledger.vpcs()
    if vpc not in known:
        raise WorldError(
            f"--vpc {vpc}: the ledger knows no Express service there; it knows {', '.join(known) or 'none'}"
        )
    return vpc


def service_arn(stack: Stack, given: str, cluster: str | None) -> str:
    """ARN of a service by ARN, `cluster/name`, or name and cluster (`default` without)."""
    if given.startswith("arn:"):
        if ":service/" not in given or short(given).count("/") != 2:
            raise WorldError(f"SERVICE {given}: is not the ARN of a service (arn:…:service/cluster/name)")
        if cluster is not None and short(given).split("/")[1] != _name(cluster):
            raise WorldError(f"--cluster {cluster}: the service is of another one: {given}")
        return given
    if given.count("/") > 1 or not given.strip("/"):
        raise WorldError(f"SERVICE {given}: is neither a name, nor cluster/name, nor an ARN")
    if "/" in given and cluster is not None and given.partition("/")[0] != _name(cluster):
        raise WorldError(f"--cluster {cluster}: SERVICE {given} names another one")
    path = given if "/" in given else f"{_name(cluster) if cluster else 'default'}/{given}"
    # The account, Region and partition are those of the stack: its topic's ARN tells them.
    _, partition, _, region, account = stack.settings.topic_arn.split(":")[:5]
    return f"arn:{partition}:ecs:{region}:{account}:service/{path}"


def _name(cluster: str) -> str:
    return cluster.rpartition("/")[2]


# --- watching --------------------------------------------------------------------------------------------------------
def watch(
    stack: Stack,
    console: Console,
    *,
    service: str,
    cluster: str | None = None,
    interval: float = 5.0,
    once: bool = False,
    now: Now = _now,
    sleep: Sleep = time.sleep,
) -> int:
    """Show a service's resources until it is known what remains of it: a live tree, in a log a line for each change.

    Args:
        interval: seconds between two looks.
        once: look once only.

    Returns:
        exit code: 0 when nothing of its own remains, or all that does is kept for a reason that is stated; 1 when
        garbage, or what could not be judged, remains.

    Raises:
        WorldError: bad input, no such service, or AWS refuses to tell.
    """
    if interval < SHORTEST:
        raise WorldError(f"--interval {interval:g}: the shortest is {SHORTEST:g} s")
    with in_one_line(), as_endpoint(stack.endpoint_url):
        reader = Reader(stack, service_arn(stack, service, cluster), lambda progress: sleep(progress.seconds))
        if once:
            last = reader.look(now())
            console.print(draw(last))
        else:
            last = _until_over(reader, console, interval, now, sleep)
    if last.over:
        console.print("\n".join(conclusion(last)), markup=False)
    return exit_code(last)


def _until_over(reader: Reader, console: Console, interval: float, now: Now, sleep: Sleep) -> Snapshot:
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    before: Snapshot | None = None
    with live or nullcontext():
        while True:
            snapshot = _patient(reader, now(), before)
            if live is not None:
                live.update(draw(snapshot), refresh=True)
            else:
                _log(console, now(), changes(before, snapshot))
            if snapshot.over:
                return snapshot
            before = snapshot
            sleep(interval)


def _patient(reader: Reader, now: datetime, before: Snapshot | None) -> Snapshot:
    """A look; where AWS is too busy for it, the former one with a note."""
    try:
        return reader.look(now)
    except (Throttled, Unavailable) as error:
        if before is None:
            raise
        return replace(before, notes=(f"{error}: asked again",), over=False)


def _log(console: Console, now: datetime, lines: list[str]) -> None:
    for line in lines:
        console.print(f"{now.strftime('%H:%M:%SZ')}  {line}", markup=False, soft_wrap=True)
