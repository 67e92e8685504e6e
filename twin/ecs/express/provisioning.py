"""Making what an Express service needs, resource by resource, until its deployment can begin.

Source: Amazon ECS Developer Guide, "Resources created by Amazon ECS Express Mode services"; ECS API:
ManagedResourceStatus. The order, and that ECS goes on trying what is refused, are not documented (reports have it try
for ever).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from twin.ecs.express.calls import Job
from twin.ecs.express.model import Express, Ingress, Managed
from twin.errors import AwsError

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

Step = tuple[list[Managed], Callable[[], None]]


class Pauses:
    """How the processes of Express Mode wait."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def work(self, seconds: float) -> None:
        """What takes its time; none while the world is being built."""
        self._engine.kernel.scheduler.sleep(self._engine.kernel.delay(seconds))

    def idle(self, seconds: float, express: Express) -> None:
        """Wait for what may never come: in the background, which keeps no world busy. Deletion ends it."""
        express.waits = woken = self._engine.kernel.scheduler.event()
        self._engine.background(seconds, woken.set, "ecs.express")
        woken.wait()
        express.waits = None


class Provisioning:
    """The process that makes the resources of one new service, or those that one needs where it moves to.

    Args:
        done: called when everything is there.
    """

    def __init__(self, engine: Engine, job: Job, ingress: Ingress, port: int, done: Callable[[], None]) -> None:
        self._engine = engine
        self._job = job
        self._express = job.express
        self._ingress = ingress
        self._port = port
        self._done = done
        self._pauses = Pauses(engine)

    def start(self) -> None:
        self._engine.kernel.scheduler.spawn(self._run, name=f"ecs.express:{self._job.service.name}")

    def _run(self) -> None:
        for managed, make in self._steps():
            if not self._made(managed, make):
                break
        if not self._express.deleting:
            self._done()
        self._express.provisioning = False
        self._engine.scheduler.poke(self._job.service)

    def _steps(self) -> Iterator[Step]:
        express, ingress, job, resources = self._express, self._ingress, self._job, self._engine.express.resources
        if express.own_log_group and express.log_group.arn is None:
            yield [express.log_group], lambda: resources.make_log_group(job)
        if express.certificate.arn is None:
            yield [express.certificate], lambda: resources.paths.make_certificate(job)
        own = [ingress.security_group] if express.settings.own_group else []
        if own:
            yield own, lambda: resources.groups.make_service_group(ingress, job)
        yield from self._balancer_steps()
        if own:
            yield own, lambda: resources.groups.connect(ingress, self._port, job)
        for one in ingress.target_groups:
            yield [one], lambda one=one: resources.paths.make_target_group(ingress, one, job)  # type: ignore[misc]
        yield [express.certificate], lambda: resources.paths.add_certificate(ingress, job)
        yield [ingress.rule], lambda: resources.paths.make_rule(ingress, job)
        yield [express.alarm], lambda: resources.scalings.make_alarm(job)
        scaling, group = [express.scalable_target, express.policy], str(ingress.target_groups[0].arn)
        yield scaling, lambda: resources.scalings.put(job, group)

    def _balancer_steps(self) -> Iterator[Step]:
        """The oldest service on a load balancer makes it; the others wait, and the next oldest goes on if it goes."""
        job, balancer, resources = self._job, self._ingress.balancer, self._engine.express.resources
        group, certificate = balancer.security_group, self._express.certificate
        while not balancer.ready and not self._express.deleting:
            if balancer.services[0] != job.service.arn:
                self._pauses.idle(self._engine.options.express.step, self._express)
                continue
            if group.arn is None:
                yield [group], lambda: resources.groups.make_balancer_group(balancer, job)
            if balancer.load_balancer.arn is None:
                yield [balancer.load_balancer], lambda: resources.paths.make_load_balancer(balancer, job)
            yield [balancer.listener], lambda: resources.paths.make_listener(balancer, certificate, job)

    def _made(self, managed: list[Managed], make: Callable[[], None]) -> bool:
        """Try until it is made. False when the service is being deleted."""
        options, express = self._engine.options.express, self._express
        slow = managed == [self._ingress.balancer.load_balancer]
        if any(one.status != "ACTIVE" for one in managed):
            self._pauses.work(options.load_balancer if slow else options.step)
        while not express.deleting:
            now = self._engine.kernel.clock.now()
            try:
                make()
            except AwsError as error:
                for one in managed:
                    one.become("FAILED", now, f"{error.code}: {error.message}")
                self._pauses.idle(options.retry, express)
                continue
            for one in managed:
                one.become("ACTIVE", now)
            return True
        return False
