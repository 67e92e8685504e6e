"""Survey the hosts and decide how, or why not, each of their tasks can move."""

from __future__ import annotations

from typing import Any

from caretaker.hosts.desk import load_policy, open_desk, policy_names, save_plan, still_wanted
from caretaker.hosts.plan import explain, make_plan, summarise
from caretaker.hosts.survey import survey
from caretaker.runtime import logging

OUTCOMES = {"blocked": "blocked", "planned": "planned", "nothing": "ignored"}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Make the plan, keep it and log it line by line. Changes nothing in AWS."""
    desk = open_desk(event)
    still_wanted(desk)
    work = desk.work
    seen = survey(desk.table, work.cluster, work.hosts, desk.now, work.deadline, work.name)
    policy = load_policy(desk, policy_names(seen))
    plan = make_plan(seen, policy, desk.now)
    save_plan(desk, seen, plan, policy)
    for line in explain(plan):
        logging.logger().info(line)
    return {**summarise(plan), "outcome": OUTCOMES.get(plan.decision)}
