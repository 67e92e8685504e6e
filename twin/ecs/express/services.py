"""Express services: how they come, change and go.

Sources: Amazon ECS Developer Guide, "Amazon ECS Express Mode services", "Updating an Amazon ECS Express Mode service"
(canary of 5 % for 3 minutes, then 100 % with 3 minutes of bake, which cannot be changed; the two target groups take
turns), "Resources created by Amazon ECS Express Mode services"; ECS API: CreateExpressGatewayService and its kin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twin.ecs.deployment import Deployment, Revision
from twin.ecs.express.balancers import Balancers
from twin.ecs.express.model import Express, Managed, Settings
from twin.ecs.express.provisioning import Provisioning
from twin.ecs.express.requests import main_container
from twin.ecs.express.resources import Resources, alarm_name
from twin.ecs.express.teardown import Teardown
from twin.ecs.model import Cluster, Service, Tags, TaskDefinition
from twin.ecs.native import revisions
from twin.ecs.neighbours import Subnet
from twin.errors import AwsError
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
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.balancers = Balancers(engine)
        self.resources = Resources(engine)

    # --- coming ------------------------------------------------------------------------------------------------------
    def log_group(self, cluster: Cluster, name: str) -> str:
        """The name of a new service's log group."""
        return f"/aws/ecs/{cluster.name}/{name}-{self.resources.hex(4)}"

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
    ) -> Service:
        """A new service. Its first deployment begins when what it needs has been made."""
        engine = self._engine
        balancer = self.balancers.place(subnets)
        service = self._service(cluster, name, settings, tags, cause)
        now = engine.kernel.clock.now()
        endpoint = f"{name[:2].lower()}-{self.resources.hex(32)}.ecs.{engine.kernel.region}.on.aws"
        port = main_container(definition)["portMappings"][0]["containerPort"]
        check = {"healthCheckPath": settings.health_check_path, "healthCheckPort": port, "port": port}
        service.express = express = Express(
            infrastructure_role=role,
            settings=settings,
            endpoint=endpoint,
            balancer=balancer,
            rule=Managed(now),
            target_groups=[Managed(now, dict(check)), Managed(now, dict(check))],
            certificate=Managed(now, {"domainName": endpoint}),
            security_group=Managed(now),
            log_group=Managed(now, {"logGroupName": _log_group(definition)}),
            alarm=Managed(now),
            scalable_target=Managed(now),
            policy=Managed(now, {"policyType": "TargetTrackingScaling"}),
            updated_at=now,
        )
        self._scale(express)
        self.balancers.join(balancer, service)
        number = engine.new_number()
        revision = revisions.make(engine, service, definition, number, alternate=False)
        express.first = (number, revision, definition, cause)
        express.by_revision[revision.arn] = settings
        engine.store.add_service(service)
        Provisioning(engine, service, express, cause, lambda: self._begin(service, express)).start()
        return service

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
            minimum=100,
            maximum=200,
            configuration={},
            load_balancers=[],
            constraints=(),
            strategies=(),
            raw={},
            grace=0.0,
            az_rebalancing="DISABLED",
            launch_type="FARGATE",
            capacity_strategy=[],
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
        """What the service needs is there: its first deployment begins."""
        assert express.first is not None
        number, revision, definition, cause = express.first
        service.load_balancers = self.resources.load_balancers(express, definition)
        self._network(service, express)
        deployment = self._engine.releases.begin(service, definition, cause, number)
        deployment.revision = replace(deployment.revision, created_at=revision.created_at)
        express.first = None

    def _network(self, service: Service, express: Express) -> None:
        group = str(express.security_group.arn).rpartition("/")[2]
        service.raw["networkConfiguration"] = {
            "awsvpcConfiguration": {
                "subnets": list(express.settings.subnets),
                "securityGroups": [*express.settings.given_groups, group],
                "assignPublicIp": "ENABLED" if express.public else "DISABLED",
            }
        }

    def _scale(self, express: Express) -> None:
        scaling = express.settings.scaling
        express.scalable_target.facts |= {"minCapacity": scaling.minimum, "maxCapacity": scaling.maximum}
        express.policy.facts |= {"targetValue": float(scaling.target), "metric": scaling.metric}

    # --- changing ----------------------------------------------------------------------------------------------------
    def update(self, service: Service, definition: TaskDefinition, settings: Settings, cause: Call) -> Deployment:
        """Deploy a new revision with these settings."""
        express = service.express
        assert express is not None
        express.settings = settings
        express.updated_at = self._engine.kernel.clock.now()
        self._scale(express)
        self._network(service, express)
        if service.desired < settings.scaling.minimum:
            service.desired, service.excess_by = settings.scaling.minimum, cause
        deployment = self._engine.releases.begin(service, definition, cause)
        express.by_revision[deployment.revision.arn] = settings
        group = str(revisions.groups(deployment.revision)[0])
        managed = next(one for one in express.target_groups if one.arn == group)
        try:
            self.resources.set_health_check(managed, settings.health_check_path, cause)
        except AwsError as error:  # the update was accepted; the resource tells of the trouble
            managed.become("FAILED", express.updated_at, f"{error.code}: {error.message}")
        return deployment

    # --- going -------------------------------------------------------------------------------------------------------
    def delete(self, service: Service, cause: Call) -> None:
        """The service's tasks end, then what it had; INACTIVE after that."""
        express = service.express
        assert express is not None
        express.deleting = True
        express.first = None
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
            Teardown(self._engine, service, express).start()
        return True

    # --- looking -----------------------------------------------------------------------------------------------------
    def revision(self, service: Service, arn: str) -> Revision | None:
        """A revision of a service, also the first while what it needs is being made."""
        express = service.express
        if express is not None and express.first is not None and express.first[1].arn == arn:
            return express.first[1]
        return revisions.find(service, arn)


def _log_group(definition: TaskDefinition) -> str:
    options: dict[str, Any] = (main_container(definition).get("logConfiguration") or {}).get("options") or {}
    return str(options.get("awslogs-group", ""))
