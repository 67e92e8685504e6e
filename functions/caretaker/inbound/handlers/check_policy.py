"""InboundCheckPolicy: checks a policy document as soon as its parameter is written, and keeps the last good one."""

from __future__ import annotations

from typing import Any

from caretaker.aws import ssm
from caretaker.runtime import logging, policy_source
from caretaker.runtime.policy_source import BadPolicy, Refusal
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import Table, table


def handler(event: dict[str, Any], context: object) -> dict[str, str]:
    """Say whether the parameter of a Parameter Store event holds a document that can be used."""
    settings = Settings.from_env()
    name = str(event["detail"]["name"])
    logging.bind(parameter=name)
    verdict = _check(table(settings.table_name), settings.policy_path, name, str(event["detail"]["operation"]))
    return {"parameter": name, "verdict": verdict}


def _check(store: Table, path: str, name: str, operation: str) -> str:
    if not policy_source.is_policy(path, name):
        words = f"{name}: not read by anybody; the names are {path}/defaults, {path}/clusters/<cluster> and "
        policy_source.refuse(Refusal(name, f"{words}{path}/services/<cluster>/<service>", "nothing changes"))
        return "refused"
    # The event holds no value, and may be late: what stands there now counts.
    text = ssm.get_parameters([name]).get(name)
    if text is None:
        policy_source.forget(store, name)
        logging.logger().info("policy document is gone", extra={"operation": operation})
        return "gone"
    try:
        policy_source.check(path, name, text)
    except BadPolicy as error:
        kept = policy_source.last_good(store, name) is not None
        words = "the last good document stays in force" if kept else "there is no good one before it"
        policy_source.refuse(Refusal(name, str(error), words))
        return "refused"
    policy_source.keep(store, name, text)
    logging.logger().info("policy document is in force", extra={"operation": operation})
    return "accepted"
