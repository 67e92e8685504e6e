"""Look again at fresh state, with the new hosts there, before anything that runs is touched."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from caretaker.hosts.desk import load_policy, open_desk, policy_names, still_wanted, the_plan, update_plan
from caretaker.hosts.errors import PlanChanged, PlanWaits
from caretaker.hosts.plan import confirm
from caretaker.hosts.steps import launched
from caretaker.hosts.survey import survey
from caretaker.runtime import logging
from caretaker.runtime.clock import iso, parse


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Confirm the plan, brought up to date.

    Raises:
        PlanWaits: something is in the way that may pass by itself; the machine looks again in a minute.
        PlanChanged: the plan no longer holds, or what was to pass did not within `ready_timeout`.
        Withdrawn: the notice no longer holds.
    """
    desk = open_desk(event)
    still_wanted(desk)
    work = desk.work
    began = desk.begin("confirm", {"since": iso(desk.now)})
    seen = survey(desk.table, work.cluster, work.hosts, desk.now, work.deadline, work.name)
    policy = load_policy(desk, policy_names(seen))
    answer = confirm(the_plan(desk), seen, launched(desk), desk.now, policy)
    logging.logger().info(f"confirm: {answer.decision}: {answer.reason}")
    if answer.decision == "wait":
        patience = timedelta(seconds=policy.ready_timeout)
        if desk.now - parse(began.intent["since"]) < patience:
            raise PlanWaits(answer.reason)
        raise PlanChanged(f"still in the way after {patience}: {answer.reason}")
    if answer.decision != "go" or answer.plan is None:
        raise PlanChanged(answer.reason)
    update_plan(desk, answer.plan)
    desk.complete(began, {"at": iso(desk.now)})
    return {"reason": answer.reason[:1000]}
