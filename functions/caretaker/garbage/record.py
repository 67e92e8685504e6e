"""The record of sweeps: what is swept, what was proven, what was done about each resource, and who sweeps which VPC.

    SWEEP#<id> / SWEEP            the sweep
    SWEEP#<id> / STEP#<number>    an act: planned, intended before its call with its proof, and what became of it
    VPC#<vpc> / SWEEP             the VPC: number of its latest sweep, the open one, the lock and its lease
    SWEEPS / <id>                 the index

A sweep's id is the name of its execution and derives from its VPC and number, so that events, however often they come,
open one sweep. Every change of an open sweep is conditional on its being open, and every intent on the lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from caretaker.aws.errors import ConditionFailed
from caretaker.garbage.sweep import (
    ACT_FIELDS,
    OVER,
    SWEEP_FIELDS,
    Act,
    Ground,
    Outcome,
    Sweep,
    act_from,
    act_item,
    act_value,
    ground_from,
    sweep_from,
)
from caretaker.runtime.clock import iso
from caretaker.runtime.policy import SweepMode
from caretaker.runtime.register import Form, Register
from caretaker.runtime.table import Write, standing

_SK = "SWEEP"
# How long the reaper waits before it questions a sweep, from its opening and from each sign of life.
PATIENCE = timedelta(minutes=30)
# How long a lock holds without a sign of life: longer than a whole observation of a large account takes.
LEASE = timedelta(hours=1)


class SweepMissing(Exception):
    """No such sweep in the table."""


class SweepClosed(Exception):
    """The sweep has ended; nothing may be done for it any more."""


class VpcBusy(Exception):
    """Another sweep of the VPC is open. `.holder` is its id."""

    def __init__(self, vpc: str, holder: str) -> None:
        super().__init__(f"{vpc}: {holder} is not over")
        self.holder = holder


class LockBusy(Exception):
    """Somebody else holds the VPC's lock, and its lease is not over."""


class LockLost(Exception):
    """The lock is not ours any more, or its lease is over: nothing may be deleted."""


def _vpc(vpc: str) -> str:
    return f"VPC#{vpc}"


def _step(number: int) -> str:
    return f"STEP#{number:05}"


_FORM = Form("sweep", "vpc", SWEEP_FIELDS, sweep_from, PATIENCE, SweepMissing, SweepClosed)


class Records(Register[Sweep]):
    """The sweeps in a table."""

    @property
    def form(self) -> Form[Sweep]:
        return _FORM

    # --- one sweep ---

    def open(self, sweep: Sweep, now: datetime) -> Sweep:
        """Write a new sweep, claim its VPC and enter it into the index, all or nothing.

        Opening it again returns the sweep as it stands.

        Raises:
            VpcBusy: another sweep of the VPC is open, or a later one was.
        """
        claim = Write(
            "Update",
            (_vpc(sweep.vpc), _SK),
            update="SET #generation = :generation, #sweep = :id, #again = :none",
            condition="(attribute_not_exists(#sweep) OR #sweep = :none) AND "
            "(attribute_not_exists(#generation) OR #generation < :generation)",
            values={":generation": sweep.generation, ":id": sweep.id, ":none": ""},
        )
        opened = self._opened(sweep, claim, now)
        if opened is None:
            raise VpcBusy(sweep.vpc, self.ground(sweep.vpc).sweep or "a later sweep")
        return opened

    def close(self, sweep: str, outcome: Outcome, reason: str, now: datetime, **fields: Any) -> Sweep:
        """Close a sweep and free its VPC, its lock too. Idempotent; the first outcome stands."""
        return self._ended(sweep, outcome, reason, now, **fields)

    def _free(self, sweep: Sweep) -> None:
        try:
            self.table.update(
                _vpc(sweep.vpc),
                _SK,
                "SET #sweep = :none, #holder = :none REMOVE #lease",
                condition="#sweep = :id",
                values={":none": "", ":id": sweep.id},
            )
        except ConditionFailed:
            return  # freed before, or another sweep holds it by now

    # --- its acts ---

    def acts(self, sweep: str) -> list[Act]:
        """All acts, in order of doing."""
        return [act_from(item) for item in self.table.query(self._pk(sweep), "STEP#")]

    def plan(self, sweep: str, acts: Iterable[Act]) -> list[Act]:
        """Write acts as planned, after those that are over; what was planned before and not begun is forgotten.

        An intent that nobody answered stays: what became of it has to be found out first (`answered`).
        """
        known = self.acts(sweep)
        kept = [act for act in known if act.status != "planned"]
        last = max((act.number for act in kept), default=0)
        planned = [replace(act, number=last + place) for place, act in enumerate(acts, 1)]
        numbers = {act.number for act in planned}
        stale = [(self._pk(sweep), _step(act.number)) for act in known if act.status == "planned"]
        self.table.write_many(deletes=[key for key in stale if int(key[1].removeprefix("STEP#")) not in numbers])
        self.table.write_many({"pk": self._pk(sweep), "sk": _step(act.number), **act_item(act)} for act in planned)
        return planned

    def intend(self, sweep: Sweep, act: Act, holder: str, now: datetime) -> Act:
        """Write that the call is about to be made, with its proof, on the condition that the lock is ours still.

        Raises:
            LockLost: it is not, or the sweep is not the VPC's open one any more.
            ConditionFailed: the act is over.
        """
        begun = replace(act, status="intended", tries=act.tries + 1, first=act.first or now, at=now, due=None)
        fields = ("status", "tries", "first", "at", "due", "params", "proof", "live")
        update = "SET " + ", ".join(f"#{name} = :{name}" for name in fields)
        values = {f":{name}": act_value(name, getattr(begun, name)) for name in fields}
        try:
            self.table.transact(
                [
                    _locked(sweep, holder, now),
                    Write(
                        "Update",
                        (self._pk(sweep.id), _step(act.number)),
                        update=update,
                        condition="#status IN (:planned, :status)",
                        values={**values, ":planned": "planned"},
                    ),
                ]
            )
        except ConditionFailed as error:
            if error.reasons and error.reasons[0].get("Code") == "ConditionalCheckFailed":
                raise LockLost(f"{sweep.vpc}: {holder} does not hold the lock any more") from None
            raise
        return begun

    def answered(self, sweep: str, act: Act, **fields: Any) -> Act:
        """Write what became of an act that is not over."""
        unknown = sorted(set(fields) - set(ACT_FIELDS))
        if unknown:
            raise ValueError(f"act: no field {', '.join(unknown)}")
        done = replace(act, **fields)
        over = {f":over{place}": status for place, status in enumerate(sorted(OVER))}
        try:
            self.table.update(
                self._pk(sweep),
                _step(act.number),
                "SET " + ", ".join(f"#{name} = :{name}" for name in sorted(fields)),
                condition=f"NOT #status IN ({', '.join(over)})",
                values={**over, **{f":{name}": act_value(name, getattr(done, name)) for name in fields}},
            )
        except ConditionFailed:
            return next(each for each in self.acts(sweep) if each.number == act.number)  # it was told before
        return done

    # --- VPCs ---

    def ground(self, vpc: str) -> Ground:
        """The VPC as the sweeps know it."""
        return ground_from(vpc, self.table.get(_vpc(vpc), _SK))

    def changed(self, vpc: str) -> None:
        """Note that something was created, updated or deleted in the VPC: whoever is about to delete looks again."""
        self.table.update(_vpc(vpc), _SK, "ADD #changes :one", values={":one": 1})

    def want(self, vpc: str, sweep: str, why: str, mode: SweepMode | None = None) -> bool:
        """Ask the open sweep's end to be followed by another one; False if it is not open any more.

        Args:
            why: in words; empty to ask for none any more.
            mode: what the following one may do at most. It narrows nothing that was asked for before.
        """
        values = {":why": why, ":id": sweep, ":mode": mode or ""}
        condition = "#sweep = :id"
        if mode is not None:
            condition += " AND (attribute_not_exists(#again) OR #again = :none)"
            values[":none"] = ""
        try:
            self.table.update(
                _vpc(vpc), _SK, "SET #again = :why, #again_mode = :mode", condition=condition, values=values
            )
        except ConditionFailed as error:
            return (error.item or {}).get("sweep") == {"S": sweep}
        return True

    def lock(self, sweep: Sweep, holder: str, now: datetime) -> Ground:
        """Take the VPC's lock, or renew it.

        A lock of another execution of the same sweep is taken over: one is only started when the one before has ended,
        and a function of that one that still runs finds its lock gone before it acts.

        Args:
            holder: name of the execution.

        Raises:
            LockBusy: another execution holds it.
            LockLost: another sweep is the VPC's open one by now.
        """
        values = {":id": sweep.id, ":holder": holder, ":none": "", ":now": iso(now), ":until": iso(now + LEASE)}
        try:
            item = self.table.update(
                _vpc(sweep.vpc),
                _SK,
                "SET #holder = :holder, #lease = :until",
                condition="#sweep = :id AND "
                "(attribute_not_exists(#holder) OR #holder IN (:none, :holder) OR begins_with(#holder, :id) "
                "OR #lease < :now)",
                values=values,
            )
        except ConditionFailed as error:
            found = ground_from(sweep.vpc, standing(error))
            if found.sweep != sweep.id:
                raise LockLost(f"{sweep.vpc}: {found.sweep or 'no sweep'} is open in it, not {sweep.id}") from None
            raise LockBusy(f"{sweep.vpc}: {found.holder} holds the lock until {found.lease}") from None
        return ground_from(sweep.vpc, item)

    def renew(self, sweep: Sweep, holder: str, now: datetime) -> Ground:
        """Prolong the lock that is ours. Raises `LockLost` where it is not, or its lease was over before."""
        try:
            item = self.table.update(
                _vpc(sweep.vpc),
                _SK,
                "SET #lease = :until",
                condition=_HELD,
                values={":id": sweep.id, ":holder": holder, ":now": iso(now), ":until": iso(now + LEASE)},
            )
        except ConditionFailed:
            raise LockLost(f"{sweep.vpc}: {holder} does not hold the lock any more") from None
        return ground_from(sweep.vpc, item)


_HELD = "#sweep = :id AND #holder = :holder AND #lease >= :now"


def _locked(sweep: Sweep, holder: str, now: datetime) -> Write:
    values = {":id": sweep.id, ":holder": holder, ":now": iso(now)}
    return Write("ConditionCheck", (_vpc(sweep.vpc), _SK), condition=_HELD, values=values)
