"""Deleting what an Express service had, once its tasks have stopped.

Source: ECS API: DeleteExpressGatewayService ("After all tasks stop, the service and infrastructure are permanently
removed"); Amazon ECS Developer Guide (a load balancer that no Express service uses any more is removed; without its
permissions ECS cannot delete, and the service stays DRAINING). The order is not documented; what stays behind differs
between reports, so the world chooses (`ExpressOptions.leaves` and its kin).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twin.ecs.express.calls import Job
from twin.ecs.express.model import Ingress
from twin.ecs.express.options import Kind, Staying
from twin.ecs.express.provisioning import Pauses
from twin.ecs.express.removal import Removal
from twin.errors import AwsError

if TYPE_CHECKING:
    from twin.ecs.engine import Engine
    from twin.ecs.express.resources import Item

Due = Callable[[Kind], bool]


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
        self._removal = Removal(engine, job, {*options.leaves, *(() if whole else options.failed_leaves)})
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

    def _pass(self, due: Due, *, named: bool) -> None:
        """Delete what is due. The certificate goes last: the listener of the last service goes with its load
        balancer. `named`: also what has the name of a service, which may be another's by now."""
        express, resources = self._express, self._engine.express.resources
        for kind, managed in resources.named(express):
            if due(kind) and named:
                self._removal.delete(kind, managed)
        here = list(dict.fromkeys([*express.ingresses.values(), express.ingress]))
        for ingress in [one for one in here if not one.left]:
            self._leave(ingress, due)
        if due("certificate"):
            self._removal.delete("certificate", express.certificate)

    def _leave(self, ingress: Ingress, due: Due) -> None:
        express, resources, job = self._express, self._engine.express.resources, self._job
        for kind, managed in resources.of_ingress(ingress):
            if kind == "security_group" and due("security_group_rules") and self._removal.goes("security_group_rules"):
                self._removal.attempt(managed, lambda: resources.groups.disconnect(ingress, self._port, job))
            if due(kind):
                self._removal.delete(kind, managed)
        self._balancer(ingress, due)
        detaches = due("listener_certificate") and self._removal.goes("listener_certificate")
        if detaches and ingress.balancer.load_balancer.status != "DELETED":
            others = self._engine.express.certificates_beside(job.service, ingress.balancer)
            act = lambda: resources.paths.remove_certificate(ingress, others, job)  # noqa: E731
            self._removal.attempt(express.certificate, act)

    def _balancer(self, ingress: Ingress, due: Due) -> None:
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
                self._removal.delete(kind, managed)
        balancers.after(balancer)

    def _also(self, kinds: tuple[Staying, ...]) -> None:
        """What stays by most reports. What is refused, such as a cluster that is still used, stays."""
        service, log_group = self._job.service, self._express.log_group
        if "task_definitions" in kinds:
            for one in self._engine.store.definitions.get(f"{service.cluster.name}-{service.name}", []):
                if one.status == "ACTIVE":
                    self._tried("ecs", "DeregisterTaskDefinition", taskDefinition=one.arn)
        made, name = log_group.arn is not None, log_group.facts["logGroupName"]
        if "log_group" in kinds and made and self._tried("logs", "DeleteLogGroup", logGroupName=name):
            log_group.become("DELETED", self._engine.kernel.clock.now())
        if "cluster" in kinds:
            self._tried("ecs", "DeleteCluster", cluster=service.cluster.name)

    def _tried(self, api: str, operation: str, **params: str) -> bool:
        try:
            self._engine.express.resources.calls(api, operation, self._job, **params)
        except AwsError as error:
            text = f"{self._job.service.name}: {operation} is refused: {error.code}: {error.message}"
            self._engine.kernel.note("express.refused", text, service=self._job.service.arn)
            return False
        return True
