"""Services and their deployments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, Literal

from twin.ecs import placement, render
from twin.ecs.model import Cluster, Service, TaskDefinition
from twin.ecs.native import settings
from twin.ecs.operations.common import Operations, Params, at_most, included, invalid, missing, only, page, tags_of
from twin.ecs.operations.tasks import TaskOperations, check_network
from twin.ecs.tasksets import Wanted
from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation

DESCRIBE_LIMIT = 10
LIST_SIZE = 10
MAX_TASKS = 5000
_MANAGED = "resourceManagementType"
_CREATE = [
    "cluster",
    "serviceName",
    "taskDefinition",
    "availabilityZoneRebalancing",
    "loadBalancers",
    "desiredCount",
    "clientToken",
    "launchType",
    "capacityProviderStrategy",
    "role",
    "deploymentConfiguration",
    "placementConstraints",
    "placementStrategy",
    "networkConfiguration",
    "healthCheckGracePeriodSeconds",
    "schedulingStrategy",
    "deploymentController",
    "tags",
    "enableECSManagedTags",
    "propagateTags",
    "enableExecuteCommand",
]
UPDATE = [
    "cluster",
    "service",
    "desiredCount",
    "taskDefinition",
    "capacityProviderStrategy",
    "deploymentConfiguration",
    "availabilityZoneRebalancing",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "forceNewDeployment",
    "healthCheckGracePeriodSeconds",
    "enableExecuteCommand",
    "enableECSManagedTags",
    "propagateTags",
    "loadBalancers",
]
_SETTINGS = (
    "minimum",
    "maximum",
    "configuration",
    "load_balancers",
    "constraints",
    "strategies",
    "raw",
    "grace",
    "az_rebalancing",
    "launch_type",
    "capacity_strategy",
)
_CONTROLLED_ELSEWHERE = ("taskDefinition", "networkConfiguration", "loadBalancers", "forceNewDeployment")
_DEFAULTS = {"REPLICA": (100, 200), "DAEMON": (0, 100)}


class ServiceOperations(TaskOperations, Operations):
    # --- reading -----------------------------------------------------------------------------------------------------
    @operation("ListServices", ["cluster", "nextToken", "maxResults", "launchType", "schedulingStrategy", _MANAGED])
    def list_services(self, params: Params, call: Call) -> Params:
        cluster = self.engine.store.cluster(params.get("cluster"))
        only(params, "launchType", ("EC2", "FARGATE"), "ecs:ListServices")
        strategy, launch, managed = params.get("schedulingStrategy"), params.get("launchType"), params.get(_MANAGED)

        def keep(service: Service) -> bool:
            """A service that drains is not listed (ECS API: DeleteService)."""
            if service.status != "ACTIVE":
                return False
            kept = strategy in (None, service.strategy) and launch in (None, service.launch_type)
            return kept and managed in (None, "CUSTOMER" if service.express is None else "ECS")

        index = self.engine.store.cluster_services[cluster.name]
        arns, token = page(index, params, lambda service: service.arn, keep, LIST_SIZE)
        return {"serviceArns": arns, **token}

    @operation("DescribeServices", ["cluster", "services", "include"])
    def describe_services(self, params: Params, call: Call) -> Params:
        cluster = self.engine.store.cluster(params.get("cluster"))
        wanted = at_most(params, "services", DESCRIBE_LIMIT, "Services")
        tags = "TAGS" in included(params, ("TAGS",))
        found, failures = [], []
        for reference in dict.fromkeys(wanted):
            service = self.engine.store.find_service(cluster, reference)
            if service is None or service.cluster is not cluster:
                stem = f"service/{cluster.name}/{reference.rsplit('/', 1)[-1]}"
                failures.append(missing(reference if ":" in reference else self.engine.kernel.arn("ecs", stem)))
            else:
                found.append(render.service(service, tags=tags))
        return {"services": found, "failures": failures}

    def _service(self, cluster: Cluster, reference: str) -> Service:
        service = self.engine.store.find_service(cluster, reference)
        if service is None or service.cluster is not cluster:
            raise AwsError("ServiceNotFoundException", "Service not found.")
        return service

    # --- creating ----------------------------------------------------------------------------------------------------
    @operation("CreateService", _CREATE)
    def create_service(self, params: Params, call: Call) -> Params:
        engine = self.engine
        cluster = engine.store.cluster(params.get("cluster"))
        name = params["serviceName"]
        known = engine.store.find_service(cluster, name)
        if known is not None and known.status != "INACTIVE":
            raise invalid("Creation of service was not idempotent.")
        strategy = params.get("schedulingStrategy", "REPLICA")
        controller = params.get("deploymentController", {}).get("type", "ECS")
        definition = self._definition_for(params, controller, call)
        self._check_strategy(params, strategy, controller)
        launch, capacity = self._capacity(cluster, params)
        service = Service(
            number=engine.store.next_number(),
            name=name,
            arn=engine.kernel.arn("ecs", f"service/{cluster.name}/{name}"),
            cluster=cluster,
            desired=0 if strategy == "DAEMON" else params["desiredCount"],
            strategy=strategy,
            controller=controller,
            az_rebalancing=params.get("availabilityZoneRebalancing") or self._default_rebalancing(params, strategy),
            launch_type=launch,
            capacity_strategy=capacity,
            created_at=engine.kernel.clock.now(),
            tags=tags_of(params),
        )
        self._set_configuration(service, params.get("deploymentConfiguration") or {}, whole=True)
        self._set_placement(service, params, definition)
        if definition is not None:
            self._set_network(service, params, definition)
            self._set_balancers(service, params, definition)
        settings.check_balancers(service.load_balancers, service.configuration.get("strategy", "ROLLING"))
        self._set_plain(service, params)
        engine.store.add_service(service)
        if definition is not None:
            self._first_deployment(service, definition, call)
        return {"service": render.service(service)}

    def _first_deployment(self, service: Service, definition: TaskDefinition, call: Call) -> None:
        engine = self.engine
        if service.controller == "EXTERNAL":  # the builder of a world gives it its first task set at once
            network, balancers = service.raw.get("networkConfiguration"), service.load_balancers
            launch, capacity = service.launch_type, service.capacity_strategy
            wanted = Wanted(definition, 100.0, balancers, network, launch, capacity, None, {})
            engine.task_sets.make_primary(engine.task_sets.create(service, wanted, call))
            return
        deployment = engine.deployments.begin(service, definition, call)
        if service.controller != "ECS":
            deployment.rollout = "COMPLETED"
            deployment.task_set = engine.task_sets.record(deployment)

    def _definition_for(self, params: Params, controller: str, call: Call) -> TaskDefinition | None:
        if params.get("taskDefinition"):
            # an EXTERNAL service gets its tasks by CreateTaskSet: only the builder of a world may take the short way
            if controller == "EXTERNAL" and call.caller.kind != "world":
                raise invalid("TaskDefinition must not be specified for the EXTERNAL deployment controller.")
            return self.definition_named(params["taskDefinition"])
        if controller != "EXTERNAL":
            raise invalid("TaskDefinition can not be blank.")
        return None

    def _check_strategy(self, params: Params, strategy: str, controller: str) -> None:
        if strategy == "DAEMON":
            if controller != "ECS":
                raise invalid("The daemon scheduling strategy is not supported by this deployment controller.")
            for member in ("desiredCount", "placementStrategy"):
                if params.get(member):
                    raise invalid(f"{member} is not supported with the DAEMON scheduling strategy.")
        elif "desiredCount" not in params:
            raise invalid("DesiredCount cannot be null.")
        elif not 0 <= params["desiredCount"] <= MAX_TASKS:
            raise invalid(f"DesiredCount must be between 0 and {MAX_TASKS}.")

    def _default_rebalancing(self, params: Params, strategy: str) -> Literal["ENABLED", "DISABLED"]:
        """ENABLED for new services; a service that cannot use it gets DISABLED rather than an error."""
        first = (params.get("placementStrategy") or [{"type": "spread", "field": placement.ZONE}])[0]
        maximum = (params.get("deploymentConfiguration") or {}).get("maximumPercent", 200)
        spreads = first.get("type") == "spread" and first.get("field") == placement.ZONE
        return "ENABLED" if strategy == "REPLICA" and spreads and maximum > 100 else "DISABLED"

    def _capacity(self, cluster: Cluster, params: Params) -> tuple[str | None, list[dict[str, Any]]]:
        if params.get("launchType") and params.get("capacityProviderStrategy"):
            raise invalid("Specifying both a launch type and capacity provider strategy is not supported.")
        only(params, "launchType", ("EC2",), "ecs:CreateService")
        if params.get("launchType"):
            return "EC2", []
        strategy = params.get("capacityProviderStrategy")
        found = self.provider_strategy(cluster, strategy) if strategy else list(cluster.default_strategy)
        return (None, found) if found else ("EC2", [])

    # --- members that create and update share ------------------------------------------------------------------------
    def _set_configuration(self, service: Service, given: Params, *, whole: bool) -> None:
        """deploymentConfiguration. `whole`: members left out return to their defaults."""
        after = settings.merged({} if whole else service.configuration, given)
        settings.check({**given, **after}, service.controller, service.strategy)
        percents = [given.get("minimumHealthyPercent"), given.get("maximumPercent")]
        if service.controller != "ECS" and any(value is not None for value in percents):
            raise invalid(f"Deployment configuration is not supported with the {service.controller} controller.")
        minimum, maximum = self._percents(service, percents, whole=whole)
        breaker = given.get("deploymentCircuitBreaker")
        if breaker is not None and service.controller != "ECS":
            raise invalid("Deployment circuit breaker is only supported with the ECS deployment controller.")
        service.minimum, service.maximum = minimum, maximum
        service.configuration = after

    def _percents(self, service: Service, given: list[int | None], *, whole: bool) -> tuple[int, int]:
        defaults = _DEFAULTS[service.strategy]
        before = defaults if whole else (service.minimum, service.maximum)
        minimum = before[0] if given[0] is None else given[0]
        maximum = before[1] if given[1] is None else given[1]
        if not 0 <= minimum <= 100:
            raise invalid("minimumHealthyPercent must be between 0 and 100.")
        if not 100 <= maximum <= 200 and not (service.strategy == "REPLICA" and maximum > 200):
            raise invalid("maximumPercent must be at least 100.")
        if service.strategy == "DAEMON" and maximum != 100:
            raise invalid("maximumPercent must be 100 with the DAEMON scheduling strategy.")
        if minimum == maximum == 100 and self.engine.options.both_percents_100_refused:
            raise invalid("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.")
        return minimum, maximum

    def _set_placement(self, service: Service, params: Params, definition: TaskDefinition | None) -> None:
        if params.get("placementConstraints") is not None:
            limit = placement.MAX_CONSTRAINTS - (len(definition.constraints) if definition else 0)
            service.constraints = placement.parse_constraints(params["placementConstraints"], limit)
            service.raw["placementConstraints"] = [dict(item) for item in params["placementConstraints"]]
        if params.get("placementStrategy") is not None:
            items = [dict(item) for item in params["placementStrategy"] if item]
            service.strategies = placement.parse_strategies(items)
            service.raw["placementStrategy"] = items

    def _set_network(self, service: Service, params: Params, definition: TaskDefinition) -> None:
        if params.get("networkConfiguration") or "networkConfiguration" not in service.raw:
            check_network(definition, params)
        if params.get("networkConfiguration"):
            inner = {"assignPublicIp": "DISABLED", **params["networkConfiguration"]["awsvpcConfiguration"]}
            service.raw["networkConfiguration"] = {"awsvpcConfiguration": inner}

    def _set_balancers(self, service: Service, params: Params, definition: TaskDefinition) -> None:
        balancers = params.get("loadBalancers")
        if balancers is None:
            return
        for item in balancers:
            if item.get("loadBalancerName") or not item.get("targetGroupArn"):
                raise Unmodelled("ecs: load balancers other than target groups are not modelled")
            check_port(definition, item)
        service.load_balancers = [dict(item) for item in balancers]

    def _set_plain(self, service: Service, params: Params) -> None:
        grace = params.get("healthCheckGracePeriodSeconds")
        if grace is not None:
            if not 0 <= grace <= 2_147_483_647:
                raise invalid("healthCheckGracePeriodSeconds must be between 0 and 2147483647.")
            service.grace = float(grace)
            service.raw["healthCheckGracePeriodSeconds"] = grace
        for name in ("enableECSManagedTags", "propagateTags", "enableExecuteCommand"):
            if params.get(name) is not None:
                service.raw[name] = params[name]

    # --- updating ----------------------------------------------------------------------------------------------------
    @operation("UpdateService", UPDATE)
    def update_service(self, params: Params, call: Call) -> Params:
        engine = self.engine
        cluster = engine.store.cluster(params.get("cluster"))
        service = self._service(cluster, params["service"])
        if service.status != "ACTIVE":
            raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
        self._check_update(service, params)
        definition = self._next_definition(service, params)
        with _all_or_nothing(service):
            deploys = self._deploys(service, params, definition)
            self._set_members(service, params, definition)
        if "desiredCount" in params and params["desiredCount"] != service.desired:
            service.desired = params["desiredCount"]
            service.excess_by = call
            engine.events.action(service, "SERVICE_DESIRED_COUNT_UPDATED", desiredCount=service.desired)
        service.unblock()
        if deploys and definition is not None:
            engine.deployments.begin(service, definition, call)
        engine.scheduler.poke(service)
        return {"service": render.service(service)}

    def _set_members(self, service: Service, params: Params, definition: TaskDefinition | None) -> None:
        if params.get("deploymentConfiguration"):
            whole = self.engine.options.partial_configuration_resets
            self._set_configuration(service, params["deploymentConfiguration"], whole=whole)
        self._set_placement(service, params, definition)
        if definition is not None:
            self._set_network(service, params, definition)
            self._set_balancers(service, params, definition)
        settings.check_balancers(service.load_balancers, service.configuration.get("strategy", "ROLLING"))
        self._set_plain(service, params)
        if params.get("availabilityZoneRebalancing"):
            service.az_rebalancing = params["availabilityZoneRebalancing"]
        if "capacityProviderStrategy" in params:
            strategy = self.provider_strategy(service.cluster, params["capacityProviderStrategy"])
            service.capacity_strategy, service.launch_type = strategy, None if strategy else "EC2"

    def _check_update(self, service: Service, params: Params) -> None:
        if service.strategy == "DAEMON":
            for member in ("desiredCount", "placementStrategy"):
                if params.get(member) is not None:
                    raise invalid(f"{member} cannot be updated with the DAEMON scheduling strategy.")
        elif not 0 <= params.get("desiredCount", 0) <= MAX_TASKS:
            raise invalid(f"DesiredCount must be between 0 and {MAX_TASKS}.")
        if service.controller != "ECS":
            for member in (*_CONTROLLED_ELSEWHERE, "capacityProviderStrategy", "availabilityZoneRebalancing"):
                if params.get(member):
                    raise invalid(f"Unable to update {member} on services with a {service.controller} controller.")
        rebalancing = params.get("availabilityZoneRebalancing") or service.az_rebalancing
        maximum = (params.get("deploymentConfiguration") or {}).get("maximumPercent", service.maximum)
        if params.get("availabilityZoneRebalancing") == "ENABLED" == rebalancing and (
            maximum <= 100 or service.strategy == "DAEMON"
        ):
            raise invalid("Availability Zone rebalancing requires a maximumPercent above 100.")

    def _next_definition(self, service: Service, params: Params) -> TaskDefinition | None:
        if params.get("taskDefinition"):
            return self.definition_named(params["taskDefinition"])
        return service.primary.definition if service.primary else None

    def _deploys(self, service: Service, params: Params, definition: TaskDefinition | None) -> bool:
        """Which members start a deployment (ECS API, UpdateService: "This parameter triggers a new deployment")."""
        if params.get("forceNewDeployment"):
            return True
        if service.primary is not None and definition is not service.primary.definition:
            return True
        network = params.get("networkConfiguration")
        if network:
            inner = {"assignPublicIp": "DISABLED", **network["awsvpcConfiguration"]}
            if inner != service.raw.get("networkConfiguration", {}).get("awsvpcConfiguration"):
                return True
        balancers = params.get("loadBalancers")
        return balancers is not None and [dict(item) for item in balancers] != service.load_balancers

    @operation("DeleteService", ["cluster", "service", "force"])
    def delete_service(self, params: Params, call: Call) -> Params:
        cluster = self.engine.store.cluster(params.get("cluster"))
        service = self._service(cluster, params["service"])
        if service.status != "ACTIVE":
            raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
        if service.desired > 0 and service.strategy == "REPLICA" and not params.get("force"):
            raise invalid("The service cannot be stopped while it is scaled above 0.")
        service.status = "DRAINING"
        service.desired = 0
        service.excess_by = call
        self.engine.releases.deleted(service, call)
        self.engine.scheduler.poke(service)
        return {"service": render.service(service)}


def check_port(definition: TaskDefinition, balancer: Params) -> None:
    """InvalidParameterException for a load balancer whose container port the task definition does not have."""
    container, port = balancer.get("containerName"), balancer.get("containerPort")
    ports = {(mapping.container, mapping.container_port) for mapping in definition.ports}
    if (container, port) not in ports:
        raise invalid(f"The container {container} does not have a container port {port} defined.")


@contextmanager
def _all_or_nothing(service: Service) -> Iterator[None]:
    """Put a service's settings back when a later member of the request is refused."""
    before = {name: copy(getattr(service, name)) for name in _SETTINGS}
    try:
        yield
    except BaseException:
        for name, value in before.items():
            setattr(service, name, value)
        raise
