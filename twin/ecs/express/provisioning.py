"""Making what an Express service needs, resource by resource, until its first deployment can begin.

Source: Amazon ECS Developer Guide, "Resources created by Amazon ECS Express Mode services"; ECS API:
ManagedResourceStatus. The order, and that ECS goes on trying what is refused, are not documented (reports have it try
for ever).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from twin.ecs.express.model import Express, Managed
from twin.ecs.model import Service
from twin.errors import AwsError
from twin.kernel.api import Call

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
    """The process that makes the resources of one new service.

    Args:
        done: called when everything is there.
    """

    def __init__(self, engine: Engine, service: Service, express: Express, cause: Call, done: Callable[[], None]):
        self._engine = engine
        self._service = service
        self._express = express
        self._cause = cause
        self._done = done
        self._pauses = Pauses(engine)

    def start(self) -> None:
        self._engine.kernel.scheduler.spawn(self._run, name=f"ecs.express:{self._service.name}")

    def _run(self) -> None:
        for managed, make in self._steps():
            if not self._made(managed, make):
                break
        if not self._express.deleting:
            self._done()
        self._express.provisioning = False
        self._engine.scheduler.poke(self._service)

    def _steps(self) -> Iterator[Step]:
        express, resources = self._express, self._engine.express.resources
        yield [express.log_group], lambda: resources.record_log_group(express.log_group)
        yield [express.certificate], lambda: resources.record_certificate(express.certificate)
        yield [express.security_group], lambda: resources.record_security_group(express.security_group)
        yield from self._balancer_steps()
        for one in express.target_groups:
            yield [one], lambda one=one: resources.make_target_group(express, one, self._cause)  # type: ignore[misc]
        yield [express.rule], lambda: resources.make_rule(express, self._cause)
        yield [express.alarm], lambda: resources.make_alarm(self._service, express, self._cause)
        scaling = [express.scalable_target, express.policy]
        yield scaling, lambda: resources.record_scaling(self._service, express)

    def _balancer_steps(self) -> Iterator[Step]:
        """The oldest service on a load balancer makes it; the others wait, and the next oldest goes on if it goes."""
        balancer, resources = self._express.balancer, self._engine.express.resources
        group, certificate = balancer.security_group, self._express.certificate
        while not balancer.ready and not self._express.deleting:
            if balancer.services[0] != self._service.arn:
                self._pauses.idle(self._engine.options.express.step, self._express)
                continue
            if group.arn is None:
                yield [group], lambda: resources.record_security_group(group)
            if balancer.load_balancer.arn is None:
                yield [balancer.load_balancer], lambda: resources.make_load_balancer(balancer, self._cause)
            yield [balancer.listener], lambda: resources.make_listener(balancer, certificate, self._cause)

    def _made(self, managed: list[Managed], make: Callable[[], None]) -> bool:
        """Try until it is made. False when the service is being deleted."""
        options = self._engine.options.express
        slow = managed == [self._express.balancer.load_balancer]
        self._pauses.work(options.load_balancer if slow else options.step)
        while not self._express.deleting:
            now = self._engine.kernel.clock.now()
            try:
                make()
            except AwsError as error:
                for one in managed:
                    one.become("FAILED", now, f"{error.code}: {error.message}")
                self._pauses.idle(options.retry, self._express)
                continue
            for one in managed:
                one.become("ACTIVE", now)
            return True
        return False
