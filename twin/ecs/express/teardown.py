"""Deleting what an Express service had, once its tasks have stopped.

Source: ECS API: DeleteExpressGatewayService ("After all tasks stop, the service and infrastructure are permanently
removed"); Amazon ECS Developer Guide (a load balancer that no Express service uses any more is removed). The order is
not documented; what stays behind differs between reports, so the world chooses (`ExpressOptions.leaves`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from twin.ecs.express.model import Express, Managed
from twin.ecs.express.options import Kind
from twin.ecs.express.provisioning import Pauses
from twin.ecs.model import Service
from twin.errors import AwsError

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

_GONE = ("RuleNotFound",)


class Teardown:
    """The process that deletes the resources of one service."""

    def __init__(self, engine: Engine, service: Service, express: Express) -> None:
        self._engine = engine
        self._service = service
        self._express = express
        self._pauses = Pauses(engine)

    def start(self) -> None:
        self._engine.kernel.scheduler.spawn(self._run, name=f"ecs.express.delete:{self._service.name}")

    def _run(self) -> None:
        for kind, managed in [*self._own(), *self._shared()]:
            if managed.arn is None:
                continue
            if kind not in self._engine.options.express.leaves:
                self._delete(managed)
        self._express.deleted_at = self._engine.elapsed
        self._engine.scheduler.poke(self._service)

    def _own(self) -> Iterator[tuple[Kind, Managed]]:
        express = self._express
        yield "rule", express.rule
        for group in express.target_groups:
            yield "target_groups", group
        yield "certificate", express.certificate
        yield "alarm", express.alarm
        yield "scaling", express.policy
        yield "scaling", express.scalable_target
        yield "security_group", express.security_group

    def _shared(self) -> Iterator[tuple[Kind, Managed]]:
        """The load balancer, if nobody else is on it."""
        balancer = self._express.balancer
        if self._engine.express.balancers.leave(balancer, self._service):
            yield "load_balancer", balancer.load_balancer
            yield "load_balancer_security_group", balancer.security_group

    def _delete(self, managed: Managed) -> None:
        options, now = self._engine.options.express, self._engine.kernel.clock.now
        managed.become("DEPROVISIONING", now())
        for tries_left in reversed(range(options.delete_tries)):
            self._pauses.work(options.step)
            try:
                self._engine.express.resources.delete(managed, self._service.excess_by)
            except AwsError as error:
                if error.code not in _GONE:
                    managed.become("FAILED", now(), f"{error.code}: {error.message}")
                    if tries_left:
                        self._pauses.work(options.retry)
                    continue
            managed.become("DELETED", now())
            return
