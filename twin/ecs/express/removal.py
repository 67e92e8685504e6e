"""How ECS deletes a resource: again and again where it is refused, until it gives it up as FAILED.

Not documented: how often and how long. Where its role lacks a permission ECS never gives up (Amazon ECS Developer
Guide, troubleshooting of Express Mode: the service stays DRAINING).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from twin.ecs.express.calls import Job, RoleLacks
from twin.ecs.express.model import Managed
from twin.ecs.express.options import Kind
from twin.ecs.express.provisioning import Pauses
from twin.ecs.express.resources import GONE
from twin.errors import AwsError

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

Act = Callable[[], None]


class Removal:
    """Deletes for one service.

    Args:
        leaves: kinds that are left behind.
    """

    def __init__(self, engine: Engine, job: Job, leaves: Collection[Kind]) -> None:
        self._engine = engine
        self._job = job
        self._leaves = leaves
        self._pauses = Pauses(engine)

    def goes(self, kind: Kind) -> bool:
        return kind not in self._leaves

    def delete(self, kind: Kind, managed: Managed) -> None:
        """Delete a resource for good, if it was made and is not to be left."""
        if managed.arn is None or managed.status == "DELETED" or not self.goes(kind):
            return
        resources, now = self._engine.express.resources, self._engine.kernel.clock.now

        def act() -> None:
            try:
                resources.delete(kind, managed, self._job)
            except RoleLacks:
                raise
            except AwsError:
                if resources.exists(kind, managed, self._job):
                    raise

        managed.become("DEPROVISIONING", now())
        if self.attempt(managed, act, takes=self._engine.options.express.step):
            managed.become("DELETED", now())

    def attempt(self, managed: Managed, act: Act, *, takes: float = 0.0) -> bool:
        """Act until it is done, or given up: then the resource is FAILED. `takes`: simulated seconds for each try."""
        options, tries = self._engine.options.express, 0
        while True:
            if takes:
                self._pauses.work(takes)
            try:
                act()
            except AwsError as error:
                if error.code in GONE:
                    break
                managed.become("FAILED", self._engine.kernel.clock.now(), f"{error.code}: {error.message}")
                if isinstance(error, RoleLacks):
                    self._pauses.idle(options.retry, self._job.express)
                    continue
                tries += 1
                if tries >= options.delete_tries:
                    return False
                self._pauses.work(options.retry)
            else:
                break
        if managed.status == "FAILED":
            managed.become("ACTIVE", self._engine.kernel.clock.now())
        return True
