"""Deleting what an Express service had, once its tasks have stopped.

Source: ECS API: DeleteExpressGatewayService ("After all tasks stop, the service and infrastructure are permanently
removed"); Amazon ECS Developer Guide (a load balancer that no Express service uses any more is removed; without its
permissions ECS cannot delete, and the service stays DRAINING). The order is not documented; what stays behind differs
between reports, so the world chooses (`ExpressOptions.leaves` and its kin).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twin.ecs.express.calls import Job, RoleLacks
from twin.ecs.express.model import Ingress, Managed
from twin.ecs.express.options import Kind, Staying
from twin.ecs.express.provisioning import Pauses
from twin.errors import AwsError

if TYPE_CHECKING:
    from twin.ecs.engine import Engine
    from twin.ecs.express.resources import Item

_GONE = (
    "InvalidGroup.NotFound",
    "ListenerNotFound",
    "ObjectNotFoundException",
    "ResourceNotFoundException",
    "RuleNotFound",
)
Act = Callable[[], None]


class Teardown:
    """The process that deletes the resources of one service.

    Args:
        port: of its containers, which is in the rules of the security groups.
        whole: its creation came to its end.
    """

    def __init__(self, engine: Engine, job: Job, port: int, *, whole: bool) -> None:
        self._engine = engine
        self._job = job
        self._express = job.express
        self._port = port
        self._pauses = Pauses(engine)
        options = engine.options.express
        self._leaves = set(options.leaves) | (set() if whole else set(options.failed_leaves))
        self._late = set(options.late)

    def start(self) -> None:
        self._engine.kernel.scheduler.spawn(self._run, name=f"ecs.express.delete:{self._job.service.name}")

    def _run(self) -> None:
        """What is to go late goes when the service is INACTIVE already."""
        engine, options = self._engine, self._engine.options.express
        self._pass(lambda kind: kind not in self._late, named=True)
        self._express.deleted_at = engine.elapsed
        engine.scheduler.poke(self._job.service)
        if options.also_deletes:
            self._pauses.work(options.step)
            self._also(options.also_deletes)
        if self._late:
            self._pauses.work(options.late_by)
            again = engine.store.services.get(self._job.service.arn) is not self._job.service
            self._pass(lambda kind: kind in self._late, named=not again)

    def _pass(self, due: Callable[[Kind], bool], *, named: bool) -> None:
        """Delete what is due. The certificate goes last: the listener of the last service goes with its load
        balancer. `named`: also what has the name of a service, which may be another's by now."""
        express, resources = self._express, self._engine.express.resources
        for kind, managed in resources.named(express):
            if due(kind) and named:
                self._go(kind, managed)
        here = list(dict.fromkeys([*express.ingresses.values(), express.ingress]))
        for ingress in [one for one in here if not one.left]:
            self._leave(ingress, due)
        if due("certificate"):
            self._go("certificate", express.certificate)

    def _leave(self, ingress: Ingress, due: Callable[[Kind], bool]) -> None:
        express, resources, job = self._express, self._engine.express.resources, self._job
        for kind, managed in resources.of_ingress(ingress):
            if kind == "security_group" and self._goes("security_group_rules", due):
                self._try(managed, lambda: resources.groups.disconnect(ingress, self._port, job))
            if due(kind):
                self._go(kind, managed)
        self._balancer(ingress, due)
        if self._goes("listener_certificate", due) and ingress.balancer.load_balancer.status != "DELETED":
            others = self._engine.express.certificates_beside(job.service, ingress.balancer)
            self._try(express.certificate, lambda: resources.paths.remove_certificate(ingress, others, job))

    def _also(self, kinds: tuple[Staying, ...]) -> None:
        """What stays by most reports. A cluster that is still used stays."""
        service, job, calls = self._job.service, self._job, self._engine.express.resources.calls
        family = f"{service.cluster.name}-{service.name}"
        if "task_definitions" in kinds:
            for one in self._engine.store.definitions.get(family, []):
                if one.status == "ACTIVE":
                    calls("ecs", "DeregisterTaskDefinition", job, taskDefinition=one.arn)
        if "log_group" in kinds and self._express.log_group.arn is not None:
            calls("logs", "DeleteLogGroup", job, logGroupName=self._express.log_group.facts["logGroupName"])
            self._express.log_group.become("DELETED", self._engine.kernel.clock.now())
        if "cluster" in kinds and not list(self._engine.store.services_of(service.cluster)):
            calls("ecs", "DeleteCluster", job, cluster=service.cluster.name)

    def _balancer(self, ingress: Ingress, due: Callable[[Kind], bool]) -> None:
        """The load balancer goes if nobody else is on it."""
        balancer, balancers = ingress.balancer, self._engine.express.balancers
        if not balancers.leave(ingress, self._job.service):
            return
        shared: list[Item] = [
            ("load_balancer", balancer.load_balancer),
            ("load_balancer_security_group", balancer.security_group),
        ]
        for kind, managed in shared:
            if due(kind):
                self._go(kind, managed)
        balancers.after(balancer)

    # --- one resource ------------------------------------------------------------------------------------------------
    def _goes(self, kind: Kind, due: Callable[[Kind], bool]) -> bool:
        return due(kind) and kind not in self._leaves

    def _go(self, kind: Kind, managed: Managed) -> None:
        if managed.arn is None or kind in self._leaves or managed.status == "DELETED":
            return
        now = self._engine.kernel.clock.now
        managed.become("DEPROVISIONING", now())
        if self._try(managed, lambda: self._engine.express.resources.delete(kind, managed, self._job), works=True):
            managed.become("DELETED", now())

    def _try(self, managed: Managed, act: Act, *, works: bool = False) -> bool:
        """Act, again and again where it is refused. False if it was given up; where the role is at fault it never
        is."""
        options, tries = self._engine.options.express, 0
        while True:
            if works:
                self._pauses.work(options.step)
            try:
                act()
            except AwsError as error:
                if error.code in _GONE:
                    return True
                managed.become("FAILED", self._engine.kernel.clock.now(), f"{error.code}: {error.message}")
                if isinstance(error, RoleLacks):
                    self._pauses.idle(options.retry, self._express)
                    continue
                tries += 1
                if tries >= options.delete_tries:
                    return False
                self._pauses.work(options.retry)
                continue
            return True
