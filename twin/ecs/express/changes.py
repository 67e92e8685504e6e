"""What an update changes of an Express service's resources, and what becomes of those that it replaces.

Sources: Amazon ECS Developer Guide, "Updating an Amazon ECS Express Mode service" (unchanged resources are used again);
ECS API: UpdateExpressGatewayService. Whether ECS deletes what an update replaced is not documented: the world chooses
(`ExpressOptions.update_leaves`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twin.ecs.deployment import Deployment
from twin.ecs.express.calls import Job
from twin.ecs.express.model import Ingress, Managed, Settings
from twin.ecs.express.removal import Removal
from twin.ecs.express.scaling import policy_name
from twin.ecs.native import revisions
from twin.errors import AwsError

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

LOOK = 15.0
"""Simulated seconds between looks whether a deployment has ended."""


class Changes:
    """What ECS is refused shows as FAILED; the update itself was accepted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- before the deployment ---------------------------------------------------------------------------------------
    def prepare(self, job: Job, port: int) -> None:
        """A service that had no security group of ECS's gets one when none is given any more."""
        express, groups = job.express, self._engine.express.resources.groups
        ingress = express.ingress
        if not express.settings.own_group or express.security_group.status == "ACTIVE":
            return
        ingress.security_group = group = Managed(express.updated_at)
        if self._try([group], lambda: groups.make_service_group(ingress, job)):
            self._try([group], lambda: groups.connect(ingress, port, job))

    # --- with it -----------------------------------------------------------------------------------------------------
    def scale(self, job: Job, before: Settings, group: str) -> None:
        """Write the scaling settings; another metric has a policy of another name."""
        express, scalings = job.express, self._engine.express.resources.scalings
        old = express.policy
        renamed = policy_name(job.service, before.scaling) != policy_name(job.service, express.settings.scaling)
        by_requests = express.settings.scaling.metric == "REQUEST_COUNT_PER_TARGET"
        if express.settings.scaling == before.scaling and not by_requests:
            return
        if renamed:
            express.policy = Managed(express.updated_at)
        if not self._try([express.scalable_target, express.policy], lambda: scalings.put(job, group)):
            return
        if renamed and old.arn is not None and "scaling" not in self._engine.options.express.update_leaves:
            self._try([old], lambda: scalings.delete_policy(old, job))

    def set_health_check(self, job: Job, deployment: Deployment) -> None:
        """The health check path of the target group that the new revision will use."""
        express = job.express
        group = str(revisions.groups(deployment.revision)[0])
        managed = next(one for one in express.target_groups if one.arn == group)
        path, paths = express.settings.health_check_path, self._engine.express.resources.paths
        self._try([managed], lambda: paths.set_health_check(managed, path, job))

    # --- after it ----------------------------------------------------------------------------------------------------
    def tidy_up(self, job: Job, deployment: Deployment) -> None:
        """The security group of ECS's that no revision is in any more goes once the deployment has ended well."""
        express = job.express
        ingress = express.ingress
        if express.settings.own_group or express.security_group.status != "ACTIVE":
            return

        def tidy() -> None:
            removal, groups = self._removal(job), self._engine.express.resources.groups
            port = ingress.target_groups[0].facts["port"]
            former = ingress.without_group(self._engine.kernel.clock.now())
            express.former.append(former)
            if removal.goes("security_group_rules"):
                removal.attempt(former.security_group, lambda: groups.disconnect(former, port, job))
            removal.delete("security_group", former.security_group)

        self._afterwards(job, deployment, tidy, lambda: None)

    def moved(self, job: Job, before: Ingress, deployment: Deployment) -> None:
        """A service has a new place: the old one goes, or after a rollback the new one."""
        after = job.express.ingress

        def go_back() -> None:
            express = job.express
            express.ingress = before
            done = job.service.completed
            if done is not None:
                express.settings = express.by_revision.get(done.arn, express.settings)
            role = express.infrastructure_role
            paths = self._engine.express.resources.paths
            job.service.load_balancers = paths.load_balancers(before, deployment.definition, role)
            self._engine.express.set_network(job.service, express)
            self._watch(job)
            self._leave(after, job)

        self._afterwards(job, deployment, lambda: self._leave(before, job), go_back)

    def _watch(self, job: Job) -> None:
        """Alarm and scaling are about the present load balancer and target groups again."""
        express, scalings = job.express, self._engine.express.resources.scalings
        self._try([express.alarm], lambda: scalings.make_alarm(job))
        group = str(express.target_groups[0].arn)
        self._try([express.scalable_target, express.policy], lambda: scalings.put(job, group))

    def _leave(self, ingress: Ingress, job: Job) -> None:
        """Delete what a service had on a load balancer that it left."""
        ingress.left = True
        resources, port = self._engine.express.resources, ingress.target_groups[0].facts["port"]
        removal, certificate = self._removal(job), job.express.certificate
        removal.delete("rule", ingress.rule)
        for group in ingress.target_groups:
            removal.delete("target_groups", group)
        if removal.goes("listener_certificate"):
            others = self._engine.express.certificates_beside(job.service, ingress.balancer)
            removal.attempt(certificate, lambda: resources.paths.remove_certificate(ingress, others, job))
        if removal.goes("security_group_rules"):
            removal.attempt(ingress.security_group, lambda: resources.groups.disconnect(ingress, port, job))
        removal.delete("security_group", ingress.security_group)
        balancers = self._engine.express.balancers
        if balancers.leave(ingress, job.service):
            removal.delete("load_balancer", ingress.balancer.load_balancer)
            removal.delete("load_balancer_security_group", ingress.balancer.security_group)
            balancers.after(ingress.balancer)

    def _removal(self, job: Job) -> Removal:
        return Removal(self._engine, job, self._engine.options.express.update_leaves)

    # --- common ------------------------------------------------------------------------------------------------------
    def _afterwards(
        self, job: Job, deployment: Deployment, well: Callable[[], None], badly: Callable[[], None]
    ) -> None:
        """Act when a deployment has ended and its tasks are gone; not for a service that is deleted meanwhile."""
        scheduler, express = self._engine.kernel.scheduler, job.express

        def wait() -> None:
            while not deployment.ended and not express.deleting:
                scheduler.sleep(LOOK if self._engine.kernel.settled else 0.0)
            if not express.deleting:
                (well if deployment.deployment_status == "SUCCESSFUL" else badly)()

        scheduler.spawn(wait, name=f"ecs.express.update:{job.service.name}")

    def _try(self, managed: list[Managed], act: Callable[[], None]) -> bool:
        now = self._engine.kernel.clock.now()
        try:
            act()
        except AwsError as error:
            for one in managed:
                one.become("FAILED", now, f"{error.code}: {error.message}")
            return False
        for one in managed:
            if one.status in ("PROVISIONING", "FAILED"):
                one.become("ACTIVE", now)
        return True
