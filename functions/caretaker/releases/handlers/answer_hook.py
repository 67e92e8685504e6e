"""ReleasesAnswerHook: what ECS asks at the lifecycle stages of a native deployment.

ECS takes an exception, a time-out and an answer that it cannot read for a failed hook and rolls back. So nothing here
raises: an error is answered IN_PROGRESS, and ECS asks again. The function loads little and calls little (one read of
the record; where there is none StartExecution, and DescribeExecution if that is over), since a deployment waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from caretaker.aws import clients, ecs, stepfunctions
from caretaker.releases import hook
from caretaker.releases.hook import Answer, Limits, Request
from caretaker.releases.record import Records, release_id
from caretaker.runtime import logging
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import Table

# Policy allows no shorter `gate_limit`; before, it need not be read.
LEAST_LIMIT = 60
# Where policy cannot be read either: what it is when nobody wrote one, and the answer that promotes nothing.
UNKNOWN = Limits(gate=1800, on_error="fail")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer ECS."""
    logging.bind(deployment=event.get("resourceArn"), stage=event.get("lifecycleStage"))
    answer = _guarded(event, str(context.invoked_function_arn))
    logging.logger().info(f"{answer.status}: {answer.reason}")
    return hook.response(answer, hook.details(event))


def _guarded(event: Mapping[str, Any], function: str) -> Answer:
    """The answer; every error is one too."""
    try:
        answer = _answer(hook.read(event), function)
    except Exception as error:  # noqa: BLE001  # an exception would make ECS roll back, which is policy's to decide
        logging.logger().exception("the gate cannot do its work")
        logging.count("GateError")
        answer = hook.failed(hook.waited(hook.details(event)), f"{type(error).__name__}: {error}")
    if not answer.trouble or answer.waited.seconds < LEAST_LIMIT:
        return answer
    bounded = hook.bounded(answer, _limits(event))
    if bounded.status != "IN_PROGRESS":
        logging.count("GateLimitReached")
    return bounded


def _answer(request: Request, function: str) -> Answer:
    answer = hook.at_once(request)
    if answer is None and request.stage == hook.SHIFT:
        found = ecs.describe_service_deployments([request.deployment])
        answer = hook.at_shift(next(iter(found.items), None), function)
    if answer is not None:
        return answer
    settings = Settings.from_env()
    name = release_id(request.deployment, request.revision)
    answer = hook.at_gate(request, Records(_table(settings)).find(name))
    if answer.start and not _started(settings.bake_machine(), name, request) and answer.status == "IN_PROGRESS":
        answer = hook.after(answer, stepfunctions.describe(settings.bake_machine(), name))
    return answer


def _started(machine: str, name: str, request: Request) -> bool:
    """Whether the machine runs by this call. Not so if it was started by another one, or is over."""
    return stepfunctions.start(machine, name, json.dumps(hook.execution(request, name), sort_keys=True))


def _table(settings: Settings) -> Table:
    return Table(settings.table_name, clients.dynamodb())


def _limits(event: Mapping[str, Any]) -> Limits:
    """Policy for trouble. Read in trouble only: it loads more than all the rest."""
    from caretaker.runtime import policy_source

    try:
        settings, request = Settings.from_env(), hook.read(event)
        cluster, service = request.cluster.rpartition("/")[2], request.service.rpartition("/")[2]
        loaded = policy_source.load(_table(settings), settings.policy_path, cluster, [service])
    except Exception:  # noqa: BLE001  # as above
        logging.logger().exception("policy cannot be read either")
        logging.count("GateError")
        return UNKNOWN
    return hook.limits(loaded.releases.service(service))
