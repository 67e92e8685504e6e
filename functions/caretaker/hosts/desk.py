"""What every function of replace_host begins with, and how those that wait do so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from caretaker.aws import stepfunctions
from caretaker.aws.errors import TokenGone
from caretaker.hosts.errors import Withdrawn
from caretaker.hosts.model import Plan, Policy, ServicePolicy, Survey, short
from caretaker.hosts.plain import from_plain, to_plain
from caretaker.hosts.progress import Left
from caretaker.runtime import clock, journal, logging, waits
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import Table, table

# The waiting states look again by themselves after this long (their TimeoutSeconds): events get lost, and target health
# has none.
RECONCILE = timedelta(seconds=150)


class NoPlan(Exception):
    """The work has no stored plan or survey, which the state machine makes first."""


@dataclass(frozen=True)
class Desk:
    """One invocation for one piece of work.

    Attributes:
        now: when the machine entered the state that invokes this function.
        table, settings: of the deployment.
        work: the work item as it stands now.
    """

    now: datetime
    table: Table
    settings: Settings
    work: journal.Work

    @property
    def name(self) -> str:
        return self.work.name

    def claimed_input(self) -> dict[str, Any]:
        """The execution's input as it was at the claim."""
        given: dict[str, Any] = json.loads(self.work.input)
        return given

    def steps(self, *kinds: str) -> list[journal.Step]:
        """The work's steps that are not undone, of these kinds (all if none is named)."""
        found = journal.steps(self.table, self.name)
        return [step for step in found if not step.undone and (not kinds or step.kind in kinds)]

    def begin(self, kind: str, intent: Mapping[str, Any], key: str = "") -> journal.Step:
        """Write a step before its act, or find it as an earlier run of this function left it."""
        return journal.begin(self.table, self.name, kind, intent, key)

    def complete(self, step: journal.Step, result: Mapping[str, Any]) -> journal.Step:
        """Write what became of a step."""
        return journal.complete(self.table, step, result)


def open_desk(event: Mapping[str, Any]) -> Desk:
    """Read what every function needs; logs of the invocation carry the work's name."""
    settings = Settings.from_env()
    store = table(settings.table_name)
    logging.bind(work=event["work"])
    return Desk(clock.entered(event), store, settings, journal.get_work(store, event["work"]))


def still_wanted(desk: Desk) -> None:
    """Raise `Withdrawn` when the notice no longer holds. For steps before the point of no return."""
    if desk.work.withdrawn and not desk.work.point_of_no_return:
        raise Withdrawn(desk.work.withdrawn)


# --- documents -------------------------------------------------------------------------------------------------------


def save_plan(desk: Desk, survey: Survey, plan: Plan, policy: Policy) -> None:
    """Keep survey, plan and the policy that they were made under. The plan goes last: it vouches for the rest.

    The survey is kept for people who ask why; no function reads it again.
    """
    journal.put_blob(desk.table, desk.name, "SURVEY", to_plain(survey))
    managed = sorted(group.name for group in survey.groups if group.managed_termination_protection)
    journal.put_blob(desk.table, desk.name, "MANAGED", managed)
    journal.put_blob(desk.table, desk.name, "POLICY", to_plain(policy))
    journal.put_blob(desk.table, desk.name, "PLAN", to_plain(plan))


def update_plan(desk: Desk, plan: Plan) -> None:
    journal.put_blob(desk.table, desk.name, "PLAN", to_plain(plan))


def the_plan(desk: Desk) -> Plan:
    found = find_plan(desk)
    if found is None:
        raise NoPlan(f"{desk.name}: no plan is stored")
    return found


def find_plan(desk: Desk) -> Plan | None:
    data = journal.get_blob(desk.table, desk.name, "PLAN")
    return from_plain(Plan, data) if data is not None else None


def the_policy(desk: Desk) -> Policy:
    """The policy under which the plan was made; the defaults if it never came to a plan."""
    data = journal.get_blob(desk.table, desk.name, "POLICY")
    return from_plain(Policy, data) if data is not None else Policy()


def load_policy(desk: Desk, names: Iterable[str] = ()) -> Policy:
    """The owner's policy for the cluster and for services (or families of standalone tasks) by name, as it is now.

    Work that was begun to observe stays so, whatever policy says by now.
    """
    # Reading documents needs pydantic, whose import costs as much as a client: only functions that read policy pay.
    from caretaker.runtime import policy_source

    loaded = policy_source.load(desk.table, desk.settings.policy_path, short(desk.work.cluster), names).hosts
    return Policy(
        mode="observe" if desk.work.mode == "observe" else loaded.mode,
        lead=int(loaded.lead.total_seconds()) if loaded.lead is not None else None,
        budget=loaded.budget,
        surge=loaded.surge,
        standalone=loaded.standalone,
        ready_timeout=int(loaded.ready_timeout.total_seconds()),
        drain_timeout=int(loaded.drain_timeout.total_seconds()),
        retry_after=int(loaded.retry_after.total_seconds()),
        allow_shrink=loaded.allow_shrink,
        services={name: ServicePolicy(own.surge, own.standalone) for name, own in sorted(loaded.services.items())},
    )


def policy_names(survey: Survey) -> list[str]:
    """Names that may have a policy of their own: services with a task on the batch, and standalone tasks' families."""
    return sorted({task.service or task.group.removeprefix("family:") for task in survey.tasks} - {""})


def managed_groups(desk: Desk) -> frozenset[str]:
    """Groups whose scale-in protection a capacity provider owns (managed termination protection)."""
    return frozenset(journal.get_blob(desk.table, desk.name, "MANAGED") or ())


# --- waiting ---------------------------------------------------------------------------------------------------------


def wait(
    desk: Desk,
    state: str,
    event: Mapping[str, Any],
    look: Callable[[], Sequence[Left]],
    too_late: Callable[[Sequence[Left]], Exception | None],
    answer: Mapping[str, Any],
) -> dict[str, Any]:
    """Answer the state's token if nothing is left, else wait for events about what is left.

    The order closes the gap in which an event could get lost: look; register; look once more.

    Args:
        event: what the function was invoked with; holds the token.
        look: what is left now.
        too_late: an error to raise if it is, given what is left; None to go on waiting.
        answer: output of the state when nothing is left.
    """
    token = event["token"]
    left = look()
    if left:
        error = too_late(left)
        if error is not None:
            waits.finish(desk.table, desk.name, state)
            raise error
        waits.register(desk.table, desk.name, state, token, _keys(left), desk.now + RECONCILE)
        left = look()
    if not left:
        waits.finish(desk.table, desk.name, state)
        _succeed(token, answer)
        return {"waiting": False}
    logging.logger().info("waiting", extra={"state": state, "left": [str(item) for item in left[:20]]})
    return {"waiting": True, "left": len(left)}


def _keys(left: Iterable[Left]) -> set[str]:
    """Keys to be woken by. Services are left out while tasks are: the last task's end is the better moment to look."""
    ids = {item.id for item in left}
    tasks = {item for item in ids if ":task/" in item}
    return {waits.instance_key(item) if item.startswith("i-") else item for item in tasks or ids}


def _succeed(token: str, answer: Mapping[str, Any]) -> None:
    try:
        stepfunctions.succeed(token, answer)
    except TokenGone:
        # The state timed out meanwhile and has invoked this function anew with another token.
        logging.logger().info("the state waits with another token by now")
