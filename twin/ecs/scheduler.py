"""The service scheduler: what it starts and what it stops, within minimumHealthyPercent and maximumPercent.

Sources: ECS API: UpdateContainerInstancesState, DeploymentConfiguration, UpdateService (placement and stop order),
Service (schedulingStrategy, availabilityZoneRebalancing); Amazon ECS Developer Guide: services, service events,
managed instance draining (daemon tasks stop last), Availability Zone rebalancing, task scale-in protection.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twin.ecs import placement
from twin.ecs.daemons import Daemons
from twin.ecs.deployment import Blocked, Deployment
from twin.ecs.model import Cluster, Service, Task
from twin.ecs.placement import Candidates, Refusal, Request
from twin.ecs.pools import Pool, pools_of
from twin.ecs.waiting import Waiting
from twin.ecs.zones import Zones

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

WORDS = {
    "RESOURCE:CPU": "has insufficient CPU units available.",
    "RESOURCE:MEMORY": "has insufficient memory available.",
    "RESOURCE:PORTS": "is already using a port required by your task.",
    "RESOURCE:ENI": "has no available elastic network interface.",
    "RESOURCE:GPU": "has insufficient GPU units available.",
    "ATTRIBUTE": "is missing an attribute required by your task.",
}


@dataclass
class View:
    """A pool's tasks as the scheduler sorts them: every task is in one of `keepers`, `leaving` and `stopping`.

    Attributes:
        keepers: tasks that stay: of the pool's deployment, not failing, not on a draining instance.
        leaving: tasks to be replaced, as (task, the reason's kind).
        stopping: tasks that ECS stops already.
    """

    keepers: list[Task]
    leaving: list[tuple[Task, str]]
    stopping: list[Task]

    @property
    def active(self) -> list[Task]:
        return [*self.keepers, *(task for task, _ in self.leaving)]

    @property
    def healthy(self) -> int:
        return sum(task.healthy for task in self.active)


class ServiceScheduler:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.waiting = Waiting(engine)
        self._zones = Zones(engine)
        self.daemons = Daemons(engine)

    # --- being told --------------------------------------------------------------------------------------------------
    def poke(self, service: Service) -> None:
        """Something about a service changed: look at it soon."""
        if service.wake is None and service.status != "INACTIVE":
            engine = self._engine
            service.wake = engine.later(
                engine.options.scheduling, lambda: self._awake(service), f"ecs.service:{service.name}"
            )

    def _awake(self, service: Service) -> None:
        service.wake = None
        self.evaluate(service)

    def capacity_changed(self, cluster: Cluster) -> None:
        """Room may have come up: what could not be placed is tried again."""
        cluster.epoch += 1
        for service in self._engine.store.services_of(cluster):
            if service.blocked:
                self.poke(service)
        self.waiting.place_soon(cluster)

    # --- one service -------------------------------------------------------------------------------------------------
    def evaluate(self, service: Service) -> None:
        """Start and stop what the service's limits allow now."""
        if service.status == "INACTIVE":
            return
        if service.strategy == "DAEMON" and service.status == "ACTIVE":
            self.daemons.evaluate(service)
        else:
            self._stop_pending_on_draining(service)
            self._zones.rebalance(service)
            for pool in pools_of(service):
                self._evaluate(pool)
        self._settle(service)

    def _evaluate(self, pool: Pool) -> None:
        view = self.sort(pool)
        self._stop_excess(pool, view)
        self._stop_leaving(pool, view)
        self._start(pool, self.sort(pool))

    def sort(self, pool: Pool) -> View:
        """Sort a pool's tasks into what stays, what leaves and what stops."""
        view = View([], [], [])
        for task in pool.tasks:
            if not task.wanted:
                view.stopping.append(task)
            elif kind := self._why_leaving(pool, task):
                view.leaving.append((task, kind))
            else:
                view.keepers.append(task)
        return view

    def _why_leaving(self, pool: Pool, task: Task) -> str | None:
        protected = self.protected(task)
        if task.failing:
            return "failing"
        failed = pool.deployment is not None and pool.deployment.rollout == "FAILED"
        if task.deployment is not pool.deployment and not failed and not protected:
            return "deployment"
        if task.host is not None and task.host.status == "DRAINING":
            return None if protected and self._engine.options.protection_holds_draining else "draining"
        return None

    def protected(self, task: Task) -> bool:
        """Whether task protection (UpdateTaskProtection) is on and has not expired."""
        until = task.protected_until
        return until is not None and until > self._engine.kernel.clock.now()

    # --- stopping ----------------------------------------------------------------------------------------------------
    def _stop(self, task: Task, kind: str) -> None:
        service, deployment = task.service, task.deployment
        assert service is not None
        cause = deployment.ended_by if deployment is not None and deployment.ended_by else service.excess_by
        if kind == "draining" and task.host is not None:
            cause = task.host.drained_by
        elif kind == "deployment" and service.primary is not None:
            cause = service.primary.cause
        elif kind == "failing":
            cause = None
        reason = f"Scaling activity initiated by (deployment {deployment.id if deployment else 'none'})"
        if kind == "failing":
            target = task.targets[0].group_arn if task.target_failed and task.targets else None
            reason = f"Task failed ELB health checks in (target-group {target})"
            if target is None:
                reason = "Task failed container health checks"
            self._engine.deployments.task_failed(task)
        self._engine.lifecycle.stop(task, "ServiceSchedulerInitiated", reason, cause)
        self._engine.events.message(service, f"has stopped 1 running tasks: (task {task.id}).")

    def _stop_pending_on_draining(self, service: Service) -> None:
        """ECS API, UpdateContainerInstancesState: service tasks that are PENDING there are stopped immediately."""
        for task in list(service.tasks.values()):
            draining = task.host is not None and task.host.status == "DRAINING"
            if draining and task.wanted and task.last_status in ("PROVISIONING", "PENDING", "ACTIVATING"):
                self._stop(task, "draining")

    def _wanted(self, pool: Pool) -> int:
        return pool.desired + (1 if pool.service.rebalance_zone else 0)

    def _stop_excess(self, pool: Pool, view: View) -> None:
        """More tasks stay than are wanted: the desired count or the deployment's share of it fell, a host came back,
        or zones were evened out."""
        excess = len(view.keepers) - self._wanted(pool)
        if excess <= 0:
            return
        free = [task for task in view.keepers if not self.protected(task)]
        unhealthy = [task for task in free if not task.healthy]
        healthy = placement.stop_order([task for task in free if task.healthy], view.active)
        room = view.healthy - pool.lower_limit
        for task in [*reversed(unhealthy), *healthy][:excess]:
            if task.healthy:
                if room <= 0:
                    break
                room -= 1
            self._stop(task, "excess")
            view.keepers.remove(task)
            view.stopping.append(task)

    def _stop_leaving(self, pool: Pool, view: View) -> None:
        """Stop what must be replaced, as far as the lower limit allows; what is not healthy does not count for it."""
        room = view.healthy - pool.lower_limit
        kinds = {task.arn: kind for task, kind in view.leaving}
        ready = [task for task, kind in view.leaving if not task.healthy and self._may_stop(pool, view, task, kind)]
        healthy = placement.stop_order([task for task, _ in view.leaving if task.healthy], view.active)
        for task in [*ready, *healthy[: max(0, room)]]:
            self._stop(task, kinds[task.arn])

    def _may_stop(self, pool: Pool, view: View, task: Task, kind: str) -> bool:
        """Failing tasks that served once are replaced by starting first, where the upper limit leaves room for it."""
        if kind != "failing" or not task.was_healthy:
            return True
        if sum(each.healthy for each in view.keepers) >= pool.desired:
            return True
        others_stop = bool(view.stopping)
        first = next(each for each, why in view.leaving if why == "failing" and each.was_healthy)
        return self._room(pool, view) <= 0 and not others_stop and task is first

    # --- starting ----------------------------------------------------------------------------------------------------
    def _room(self, pool: Pool, view: View) -> int:
        stopping = len(view.stopping) if self._engine.options.stopping_counts_to_maximum else 0
        return pool.upper_limit - len(view.keepers) - len(view.leaving) - stopping

    def _start(self, pool: Pool, view: View) -> None:
        service, deployment = pool.service, pool.deployment
        if deployment is None:
            return
        wanted = self._wanted(pool)
        count = min(wanted - len(view.keepers), self._room(pool, view))
        if count <= 0 or service.status != "ACTIVE" or deployment.rollout == "FAILED":
            if wanted <= len(view.keepers):
                deployment.blocked = None
            return
        if deployment.not_before > self._engine.elapsed:
            self._retry(service, deployment.not_before - self._engine.elapsed)
            return
        blocked = deployment.blocked
        if blocked and blocked.epoch == service.cluster.epoch and blocked.retry_at > self._engine.elapsed:
            return
        if deployment.revision.launch_type == "FARGATE":
            self._engine.fargate.start(service, deployment, count)
        else:
            self._place_tasks(service, deployment, count, view)

    def _place_tasks(self, service: Service, deployment: Deployment, count: int, view: View) -> None:
        engine = self._engine
        pools: dict[str | None, Candidates] = {}
        active = view.active
        own = deployment.task_set is not None  # task sets have a strategy of their own
        strategy = [dict(item) for item in deployment.revision.capacity_strategy] if own else service.capacity_strategy
        providers = Counter(task.capacity_provider for task in active)
        started: list[Task] = []
        for _ in range(count):
            provider = self.pick_provider(strategy, providers)
            if provider not in pools:
                request = placement.request_for_service(
                    service, deployment.definition, provider, service.rebalance_zone, deployment
                )
                hosts = engine.store.cluster_hosts[service.cluster.name]
                pools[provider] = placement.candidates(hosts, request, active)
            pool = pools[provider]
            host = placement.choose(pool, engine.placement_rng)
            if host is None and (
                provider is None or service.rebalance_zone or not self.waiting.may_wait(service.cluster)
            ):
                self._blocked(deployment, pool.refusal)
                break
            task = self.new_task(
                service.cluster,
                pool.request,
                provider=provider,
                started_by=deployment.id,
                service=service,
                deployment=deployment,
            )
            started.append(task)
            providers[provider] += 1
            if host is None:
                self.waiting.add(task)
            else:
                engine.lifecycle.place(task, host)
                placement.took(pool, host)
        else:
            deployment.blocked = None
        if started:
            ids = " ".join(f"(task {task.id})" for task in started)
            engine.events.message(service, f"has started {len(started)} tasks: {ids}.")

    def pick_provider(self, strategy: list[dict[str, object]], used: Counter[str | None]) -> str | None:
        """The capacity provider of the next task: bases first, then by weight. None without a strategy.

        Source: ECS API: CapacityProviderStrategyItem.
        """
        for item in strategy:
            if used[str(item["capacityProvider"])] < int(str(item.get("base", 0))):
                return str(item["capacityProvider"])
        weighted = [item for item in strategy if int(str(item.get("weight", 0))) > 0]
        if not weighted:
            return None

        def load(item: dict[str, object]) -> float:
            above = used[str(item["capacityProvider"])] - int(str(item.get("base", 0)))
            return above / int(str(item["weight"]))

        return str(min(weighted, key=load)["capacityProvider"])

    def new_task(
        self,
        cluster: Cluster,
        request: Request,
        *,
        provider: str | None,
        started_by: str | None,
        service: Service | None = None,
        deployment: Deployment | None = None,
    ) -> Task:
        """A task in PROVISIONING, without an instance yet."""
        engine = self._engine
        now = engine.kernel.clock.now()
        task_id = engine.new_id()
        definition = request.definition
        task = Task(
            number=engine.store.next_number(),
            arn=engine.kernel.arn("ecs", f"task/{cluster.name}/{task_id}"),
            cluster=cluster,
            definition=definition,
            group=request.group,
            created_at=now,
            updated_at=now,
            service=service,
            deployment=deployment,
            capacity_provider=provider,
            constraints=request.constraints,
            strategies=request.strategies,
            started_by=started_by,
            container_ids=tuple(f"{task_id[:30]}{number:02x}" for number in range(len(definition.images))),
        )
        engine.store.add_task(task)
        if service is not None:
            service.tasks[task.arn] = task
        return task

    # --- failed placement --------------------------------------------------------------------------------------------
    def _blocked(self, deployment: Deployment, why: Refusal) -> None:
        options, service = self._engine.options, deployment.service
        before = deployment.blocked
        pause = options.placement_retry
        if before is not None and before.reason == why.reason:
            pause = min(options.placement_retry_most, before.pause * 2)
        deployment.blocked = Blocked(why.reason, service.cluster.epoch, pause, self._engine.elapsed + pause)
        self.report_blocked(service, why)
        if service.rebalance_zone:
            service.rebalance_zone = None
            return
        self._retry(service, pause)

    def report_blocked(self, service: Service, why: Refusal) -> None:
        """Say that a task could not be placed, and why."""
        arns = [why.host.arn] if why.host else []
        self._engine.events.action(
            service, "SERVICE_TASK_PLACEMENT_FAILURE", "ERROR", containerInstanceArns=arns, reason=why.reason
        )
        text = "was unable to place a task because no container instance met all of its requirements."
        if why.host is None:
            text += " Reason: No Container Instances were found in your cluster."
        else:
            words = WORDS.get(why.reason, f'encountered error "{why.reason}".')
            text += f" The closest matching (container-instance {why.host.id}) {words}"
        self._engine.events.message(service, text)
        if self._engine.kernel.settled:
            self._engine.kernel.note(
                "service.blocked",
                f"{service.name}: no host for a task: {why.reason}",
                service=service.arn,
                reason=why.reason,
                instance=why.host.instance_id if why.host else None,
            )

    def _retry(self, service: Service, seconds: float) -> None:
        pending = service.retry
        if pending is not None and not pending.cancelled:
            if len(service.deployments) > 1 and service.side_by_side and pending.when <= self._engine.elapsed + seconds:
                return  # another deployment of the service is to be tried earlier: all are looked at then
            pending.cancel()
        service.retry = self._engine.background(seconds, lambda: self.evaluate(service), f"ecs.retry:{service.name}")

    # --- steady state, zones -----------------------------------------------------------------------------------------
    def _settle(self, service: Service) -> None:
        if service.status == "DRAINING" and not service.tasks and not self._engine.express.holds(service):
            service.status = "INACTIVE"
            self._engine.store.remove_service(service)
            self._engine.releases.gone(service)
            return
        pools = pools_of(service)
        steady = (
            (bool(pools) or not service.desired)
            and all(self.is_steady(pool) for pool in pools)
            and service.rebalance_zone is None
            and not self._engine.releases.running(service)
        )
        if steady and not service.steady:
            self._engine.events.action(service, "SERVICE_STEADY_STATE")
            self._engine.events.message(service, "has reached a steady state.")
        service.steady = steady
        self._engine.deployments.check(service)
        self._engine.releases.tasks_changed(service)
        if steady:
            self._zones.look(service)

    def is_steady(self, pool: Pool) -> bool:
        """Whether a pool has its tasks, all of them healthy, and no other."""
        view = self.sort(pool)
        moving = view.leaving or view.stopping
        return not moving and len(view.keepers) == pool.desired and view.healthy == pool.desired
