"""What the parts of ECS share: the kernel, the neighbours, the store, and each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twin.ecs.deployment import Deployment
from twin.ecs.deployments import Deployments
from twin.ecs.events import Events
from twin.ecs.express.services import ExpressServices
from twin.ecs.express.trail import Trail
from twin.ecs.fargate import Fargate
from twin.ecs.gateways.gateways import Gateways
from twin.ecs.health import Health
from twin.ecs.hosts import Hosts
from twin.ecs.interfaces import Interfaces
from twin.ecs.lifecycle import Lifecycle
from twin.ecs.model import Task
from twin.ecs.native.releases import Releases
from twin.ecs.neighbours import Bus, LoadBalancing, Network
from twin.ecs.options import EcsOptions
from twin.ecs.scheduler import ServiceScheduler
from twin.ecs.store import Store
from twin.ecs.tasksets import TaskSets
from twin.ecs.throttle import Throttle
from twin.errors import Unmodelled
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.scheduler import Timer


class Engine:
    """ECS behind its API. `network`: the subnets in which Fargate tasks get their addresses; None: there are none."""

    def __init__(
        self, kernel: Kernel, bus: Bus, elbv2: LoadBalancing, options: EcsOptions, gateway: Gateway | None = None
    ) -> None:
        self.kernel = kernel
        self.bus = bus
        self.elbv2 = elbv2
        self.options = options
        self._gateway = gateway
        self.network: Network | None = None
        self.targets: dict[tuple[str, str, int], Task] = {}
        self.store = Store()
        self.throttle = Throttle(kernel.clock)
        self.placement_rng = kernel.rng("ecs/placement")
        self.task_set_tokens: dict[tuple[str, str | None], tuple[dict[str, Any], Deployment]] = {}
        self.run_tokens: dict[tuple[str, str], tuple[dict[str, Any], list[str]]] = {}
        self._ids = kernel.rng("ecs/ids")
        self.events = Events(self)
        self.health = Health(self)
        self.lifecycle = Lifecycle(self)
        self.interfaces = Interfaces(self)
        self.hosts = Hosts(self)
        self.deployments = Deployments(self)
        self.releases = Releases(self)
        self.task_sets = TaskSets(self)
        self.fargate = Fargate(self)
        self.express = ExpressServices(self)
        self.gateways = Gateways(self)
        self.trail = Trail(self)
        self.scheduler = ServiceScheduler(self)

    @property
    def gateway(self) -> Gateway:
        """By which ECS itself calls other services. `Unmodelled` in a world where it has none."""
        if self._gateway is None:
            raise Unmodelled("ecs: it calls load balancers, functions and alarms, but was built without a gateway")
        return self._gateway

    @property
    def elapsed(self) -> float:
        return self.kernel.clock.elapsed

    def new_id(self) -> str:
        """32 hexadecimal digits, as ECS's ids of tasks and container instances."""
        return f"{self._ids.getrandbits(128):032x}"

    def new_number(self) -> str:
        """19 digits, as the ids of deployments."""
        return f"{self._ids.randrange(10**18, 10**19)}"

    def later(self, seconds: float, fn: Callable[[], object], name: str) -> Timer:
        """A foreground timer: what ECS does of its own within `seconds` (at once while the world is being built)."""
        return self.kernel.scheduler.call_later(self.kernel.delay(seconds), fn, name=name)

    def background(self, seconds: float, fn: Callable[[], object], name: str) -> Timer:
        """A timer that keeps no world busy: retries, flaps, expiries."""
        return self.kernel.scheduler.call_later(seconds, fn, name=name, background=True)
