"""Express services: how they come, change and go.

Sources: Amazon ECS Developer Guide, "Amazon ECS Express Mode services", "Updating an Amazon ECS Express Mode service"
(canary of 5 % for 3 minutes, then 100 % with 3 minutes of bake, which cannot be changed; the two target groups take
turns), "Resources created by Amazon ECS Express Mode services"; ECS API: CreateExpressGatewayService and its kin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from twin.ecs.deployment import Revision
from twin.ecs.express.balancers import Balancers
from twin.ecs.express.calls import Job
from twin.ecs.express.changes import Changes
from twin.ecs.express.model import Express, Ingress, Managed, Pending, Settings, SharedBalancer, group_id
from twin.ecs.express.provisioning import Provisioning
from twin.ecs.express.requests import container_port, log_group_of
from twin.ecs.express.resources import Resources
from twin.ecs.express.scaling import alarm_name, policy_facts
from twin.ecs.express.teardown import Teardown
from twin.ecs.model import Cluster, Service, Tags, TaskDefinition
from twin.ecs.native import revisions
from twin.ecs.neighbours import Subnet
from twin.kernel.api import Call

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

CANARY_PERCENT = 5.0
BAKE_MINUTES = 3


class ExpressServices:
    """
    Attributes:
        balancers: the load balancers that the services share.
        resources: makes and deletes what they need.
        changes: what updates change of it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.balancers = Balancers(engine)
        self.resources = Resources(engine)
        self.changes = Changes(engine)

    # --- coming ------------------------------------------------------------------------------------------------------
    def log_group(self, cluster: Cluster, name: str) -> str:
        """The name of a new service's log group."""
        return f"/aws/ecs/{cluster.name}/{name}-{self.resources.calls.hex(4)}"

    def create(
        self,
        cluster: Cluster,
        name: str,
        definition: TaskDefinition,
        settings: Settings,
        subnets: Sequence[Subnet],
        role: str,
        tags: Tags,
        cause: Call,
        log_group: str | None,
    ) -> Service:
        """A new service. Its first deployment begins when what it needs has been made. `log_group`: the name of the one
        that ECS makes for it; None if it writes to the customer's."""
        engine = self._engine
        service = self._service(cluster, name, settings, tags, cause)
        service.express = express = self._express(service, definition, settings, role, log_group)
        job = Job(service, express, cause)
        express.ingress.balancer = self.balancers.place(subnets, job)
        self.balancers.join(express.ingress, service)
        number = engine.new_number()
        revision = revisions.make(engine, service, definition, number, alternate=False)
        express.pending = Pending(number, revision, definition, cause)
        express.remember(revision.arn, settings, express.ingress)
        engine.store.add_service(service)
        port = container_port(definition)
        Provisioning(engine, job, express.ingress, port, lambda: self._begin(service, express)).start()
        return service

    def _express(
        self, service: Service, definition: TaskDefinition, settings: Settings, role: str, log_group: str | None
    ) -> Express:
        now, scaling = self._engine.kernel.clock.now(), settings.scaling
        region = self._engine.kernel.region
        endpoint = f"{service.name[:2].lower()}-{self.resources.calls.hex(32)}.ecs.{region}.on.aws"
        nowhere = SharedBalancer("", "internal", {}, Managed(now), Managed(now), Managed(now))
        return Express(
            infrastructure_role=role,
            settings=settings,
            endpoint=endpoint,
            ingress=self.ingress(nowhere, settings, definition),
            certificate=Managed(now, {"domainName": endpoint}),
            log_group=Managed(now, {"logGroupName": log_group or log_group_of(definition)}),
            own_log_group=log_group is not None,
            alarm=Managed(now),
            scalable_target=Managed(now, {"minCapacity": scaling.minimum, "maxCapacity": scaling.maximum}),
            policy=Managed(now, policy_facts(scaling)),
            updated_at=now,
        )

    def ingress(self, balancer: SharedBalancer, settings: Settings, definition: TaskDefinition) -> Ingress:
        """How requests are to come to a service on a load balancer; nothing of it is made yet."""
        now, port = self._engine.kernel.clock.now(), container_port(definition)
        check = {"healthCheckPath": settings.health_check_path, "healthCheckPort": port, "port": port}
        return Ingress(balancer, Managed(now), [Managed(now, dict(check)), Managed(now, dict(check))], Managed(now))

    def _service(self, cluster: Cluster, name: str, settings: Settings, tags: Tags, cause: Call) -> Service:
        engine = self._engine
        service = Service(
            number=engine.store.next_number(),
            name=name,
            arn=engine.kernel.arn("ecs", f"service/{cluster.name}/{name}"),
            cluster=cluster,
            desired=settings.scaling.minimum,
            strategy="REPLICA",
            controller="ECS",
            az_rebalancing="DISABLED",
            launch_type="FARGATE",
            created_at=engine.kernel.clock.now(),
            tags=tags,
        )
        service.configuration = {
            "strategy": "CANARY",
            "canaryConfiguration": {"canaryPercent": CANARY_PERCENT, "canaryBakeTimeInMinutes": BAKE_MINUTES},
            "bakeTimeInMinutes": BAKE_MINUTES,
            "alarms": {"alarmNames": [alarm_name(service)], "enable": True, "rollback": True},
        }
        return service

    def _begin(self, service: Service, express: Express) -> None:
        """What a deployment waited for is there: it begins."""
        pending = express.pending
        assert pending is not None
        role = express.infrastructure_role
        service.load_balancers = self.resources.paths.load_balancers(express.ingress, pending.definition, role)
        self.set_network(service, express)
        deployment = self._engine.releases.begin(service, pending.definition, pending.cause, pending.number)
        deployment.revision = replace(deployment.revision, created_at=pending.revision.created_at)
        express.pending = None

    def set_network(self, service: Service, express: Express) -> None:
        settings = express.settings
        groups = [*settings.given_groups, *([group_id(express.security_group)] if settings.own_group else [])]
        service.raw["networkConfiguration"] = {
            "awsvpcConfiguration": {
                "subnets": list(settings.subnets),
                "securityGroups": groups,
                "assignPublicIp": "ENABLED" if express.public else "DISABLED",
            }
        }

    # --- changing ----------------------------------------------------------------------------------------------------
    def update(
        self,
        service: Service,
        definition: TaskDefinition,
        settings: Settings,
        subnets: Sequence[Subnet] | None,
        cause: Call,
    ) -> Revision:
        """Deploy a new revision with these settings. `subnets`: those of another VPC or scheme, to which it moves."""
        express = service.express
        assert express is not None
        now = self._engine.kernel.clock.now()
        job, before = Job(service, express, cause), express.settings
        express.settings, express.updated_at = settings, now
        if service.desired < settings.scaling.minimum:
            service.desired, service.excess_by = settings.scaling.minimum, cause
        if subnets is not None:
            return self._move(job, definition, subnets, cause)
        self.changes.prepare(job, container_port(definition))
        self.set_network(service, express)
        deployment = self._engine.releases.begin(service, definition, cause)
        express.remember(deployment.revision.arn, settings, express.ingress)
        self.changes.scale(job, before, str(revisions.groups(deployment.revision)[0]))
        self.changes.set_health_check(job, deployment)
        self.changes.tidy_up(job, deployment)
        return deployment.revision

    def _move(self, job: Job, definition: TaskDefinition, subnets: Sequence[Subnet], cause: Call) -> Revision:
        """The new revision begins once what it needs in the other place has been made."""
        engine, service, express = self._engine, job.service, job.express
        before = express.ingress
        balancer = self.balancers.place(subnets, job)
        express.ingress = after = self.ingress(balancer, express.settings, definition)
        self.balancers.join(after, service)
        number = engine.new_number()
        revision = revisions.make(engine, service, definition, number, alternate=False)
        express.pending = Pending(number, revision, definition, cause)
        express.remember(revision.arn, express.settings, after)
        express.provisioning = True

        def begin() -> None:
            self._begin(service, express)
            self.changes.moved(job, before, service.history[-1])

        Provisioning(engine, job, after, container_port(definition), begin).start()
        return revision

    # --- going -------------------------------------------------------------------------------------------------------
    def delete(self, service: Service, cause: Call) -> None:
        """The service's tasks end, then what it had; INACTIVE after that."""
        express = service.express
        assert express is not None
        express.deleting = True
        express.updated_at = self._engine.kernel.clock.now()
        if express.waits is not None:
            express.waits.set()
        service.status, service.desired, service.excess_by = "DRAINING", 0, cause
        self._engine.releases.deleted(service, cause)
        self._engine.scheduler.poke(service)

    def holds(self, service: Service) -> bool:
        """Whether a service without tasks is not to be INACTIVE yet, because of what it still has."""
        express = service.express
        if express is None or express.deleted_at is not None:
            return False
        if not express.provisioning and not express.tearing_down:
            express.tearing_down = True
            whole, pending = express.pending is None, express.pending
            definition = pending.definition if pending else service.history[-1].definition
            job = Job(service, express, service.excess_by)
            Teardown(self._engine, job, container_port(definition), whole=whole).start()
        return True

    def certificates_beside(self, service: Service, balancer: SharedBalancer) -> list[str]:
        """Certificates of the other services on a load balancer, the oldest first."""
        found = [self._engine.store.services[arn] for arn in balancer.services]
        others = [one.express for one in found if one is not service and one.express is not None]
        return [one.certificate.arn for one in others if one.certificate.arn is not None]

    # --- looking -----------------------------------------------------------------------------------------------------
    def revision(self, service: Service, arn: str) -> Revision | None:
        """A revision of a service, also one that still waits for what it needs."""
        express = service.express
        if express is not None and express.pending is not None and express.pending.revision.arn == arn:
            return express.pending.revision
        return revisions.find(service, arn)
