"""The operations of Express Mode, and what other operations do with Express services."""

from __future__ import annotations

from typing import Any

from twin.ecs.express import describe, requests
from twin.ecs.express.model import Express
from twin.ecs.model import Cluster, Service, TaskDefinition
from twin.ecs.native import revisions
from twin.ecs.neighbours import Subnet
from twin.ecs.operations.common import Params, at_most, included, invalid, missing, tags_of
from twin.ecs.operations.releases import DESCRIBE_LIMIT, ReleaseOperations
from twin.ecs.operations.services import UPDATE
from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation

_CONTAINER = ("executionRoleArn", "taskRoleArn", "primaryContainer", "cpu", "memory", "cpuArchitecture")
_SETTINGS = ("healthCheckPath", "networkConfiguration", "scalingTarget", "taskDefinitionArn")
_CREATE = ("infrastructureRoleArn", "serviceName", "cluster", "tags", *_CONTAINER, *_SETTINGS)
_BY_UPDATE_SERVICE = ("cluster", "service", "taskDefinition", "desiredCount", "forceNewDeployment")
"""What the twin's UpdateService may change of an Express service (Developer Guide: it stays managed)."""
_FIXED = ("deploymentConfiguration", "loadBalancers", "capacityProviderStrategy")
INACTIVE_KEPT = 3600.0
"""Simulated seconds for which a deleted service is still described; how long AWS does is not documented."""


class ExpressOperations(ReleaseOperations):
    # --- Express Mode's own ------------------------------------------------------------------------------------------
    @operation("CreateExpressGatewayService", _CREATE)
    def create_express_gateway_service(self, params: Params, call: Call) -> Params:
        return self._told(call, lambda: self._create_express(params, call))

    def _create_express(self, params: Params, call: Call) -> Params:
        engine = self.engine
        requests.check_source(params)
        cluster = self._express_cluster(params, call)
        name = params.get("serviceName") or self._generated_name(params)
        known = engine.store.find_service(cluster, name)
        if known is not None and known.status != "INACTIVE":
            raise invalid("Creation of service was not idempotent.")
        found = engine.express.balancers.subnets((params.get("networkConfiguration") or {}).get("subnets") or ())
        subnets = tuple(one.subnet_id for one in found)
        engine.express.balancers.place(found)  # what it may refuse, before anything is made
        settings = requests.settings(params, subnets, None, engine.options.express, engine.kernel.clock.now())
        definition, log_group = self._first_definition(params, cluster, name, call)
        role, tags = params["infrastructureRoleArn"], tags_of(params)
        service = engine.express.create(cluster, name, definition, settings, found, role, tags, call, log_group)
        return {"service": describe.service(service, _express_of(service), tags=True)}

    def _express_cluster(self, params: Params, call: Call) -> Cluster:
        """The cluster; `default` is made if the account has none."""
        store, reference = self.engine.store, params.get("cluster")
        if store.find_cluster(reference) is None and reference in (None, "default"):
            self.create_cluster({"clusterName": "default"}, call)
        return store.cluster(reference)

    def _generated_name(self, params: Params) -> str:
        if params.get("taskDefinitionArn"):
            stem = str(params["taskDefinitionArn"]).rpartition("/")[2].partition(":")[0]
        else:
            stem = params["primaryContainer"]["image"].rpartition("/")[2].partition(":")[0].partition("@")[0]
        return f"{stem}-{self.engine.express.resources.calls.hex(4)}"

    def _first_definition(
        self, params: Params, cluster: Cluster, name: str, call: Call
    ) -> tuple[TaskDefinition, str | None]:
        """The task definition, and the name of the log group that ECS makes; None if it is the customer's."""
        if params.get("taskDefinitionArn"):
            return self._own_definition(params["taskDefinitionArn"]), None
        log_group = self.engine.express.log_group(cluster, name)
        workload = requests.new_workload(params, log_group, self.engine.options.express)
        given = (params["primaryContainer"].get("awsLogsConfiguration") or {}).get("logGroup")
        return self._register(cluster, name, workload, call), None if given else log_group

    def _own_definition(self, reference: str) -> TaskDefinition:
        definition = self.definition_named(reference)
        requests.main_container(definition)
        return definition

    def _register(self, cluster: Cluster, name: str, workload: Params, call: Call) -> TaskDefinition:
        family = f"{cluster.name}-{name}"
        made = requests.task_definition(family, workload, self.engine.kernel.region)
        return self.definition_named(self.register_task_definition(made, call)["taskDefinition"]["taskDefinitionArn"])

    @operation("DescribeExpressGatewayService", ("serviceArn", "include"))
    def describe_express_gateway_service(self, params: Params, call: Call) -> Params:
        tags = "TAGS" in included(params, ("TAGS",))
        service = self._express_named(params["serviceArn"], "ResourceNotFoundException")
        return {"service": describe.service(service, _express_of(service), tags=tags)}

    @operation("UpdateExpressGatewayService", ("serviceArn", *_CONTAINER, *_SETTINGS))
    def update_express_gateway_service(self, params: Params, call: Call) -> Params:
        return self._told(call, lambda: self._update_express(params, call))

    def _update_express(self, params: Params, call: Call) -> Params:
        engine = self.engine
        service = self._express_active(params["serviceArn"])
        express = _express_of(service)
        if express.pending is not None or service.primary is None:
            raise Unmodelled("ecs: UpdateExpressGatewayService before the service's first deployment has begun")
        before = service.primary.definition
        found = self._changed_subnets(params)
        subnets = tuple(one.subnet_id for one in found) if found else express.settings.subnets
        moves = found is not None and self._moves(found, express)
        now = engine.kernel.clock.now()
        settings = requests.settings(params, subnets, express.settings, engine.options.express, now)
        definition = self._next_express_definition(service, before, params, call)
        if requests.container_port(definition) != requests.container_port(before):
            raise Unmodelled("ecs: UpdateExpressGatewayService with another containerPort")
        revision = engine.express.update(service, definition, settings, found if moves else None, call)
        engine.scheduler.poke(service)
        return {"service": describe.updated(service, express, revision)}

    def _changed_subnets(self, params: Params) -> list[Subnet] | None:
        given = (params.get("networkConfiguration") or {}).get("subnets")
        return self.engine.express.balancers.subnets(given) if given else None

    def _moves(self, found: list[Subnet], express: Express) -> bool:
        """Whether the service comes to another VPC or scheme, and so to another load balancer."""
        balancers, balancer = self.engine.express.balancers, express.balancer
        if (balancers.scheme(found), found[0].vpc_id) != (balancer.scheme, balancer.vpc_id):
            balancers.place(found)  # what it may refuse, before anything changes
            return True
        balancers.check_zones(balancer, found)
        return False

    def _next_express_definition(
        self, service: Service, before: TaskDefinition, params: Params, call: Call
    ) -> TaskDefinition:
        if params.get("taskDefinitionArn"):
            if any(params.get(name) for name in _CONTAINER):
                raise invalid("taskDefinitionArn cannot be specified together with members of a task definition.")
            return self._own_definition(params["taskDefinitionArn"])
        if not any(params.get(name) for name in _CONTAINER):
            return before
        options, old = self.engine.options.express, requests.workload_of(before)
        log_group = _express_of(service).log_group.facts["logGroupName"]
        workload = requests.changed_workload(params, old, log_group, options)
        return self._register(service.cluster, service.name, workload, call)

    @operation("DeleteExpressGatewayService", ("serviceArn",))
    def delete_express_gateway_service(self, params: Params, call: Call) -> Params:
        return self._told(call, lambda: self._delete_express(params, call))

    def _delete_express(self, params: Params, call: Call) -> Params:
        service = self._express_active(params["serviceArn"])
        self.engine.express.delete(service, call)
        return {"service": describe.service(service, _express_of(service))}

    def _told(self, call: Call, act: Any) -> Params:
        """Do it, and let CloudTrail tell of it."""
        try:
            response: Params = act()
        except AwsError as error:
            self.engine.trail.tell(call, None, error)
            raise
        self.engine.trail.tell(call, response)
        return response

    def _express_named(self, arn: str, code: str) -> Service:
        service = self.engine.store.services.get(arn)
        if service is None:
            raise AwsError(code, "Service not found.")
        if service.express is None:
            raise invalid(f"The service {service.name} is not an Express service.")
        ended = service.express.deleted_at
        if ended is not None and self.engine.elapsed > ended + INACTIVE_KEPT:
            raise AwsError(code, "Service not found.")
        return service

    def _express_active(self, arn: str) -> Service:
        service = self._express_named(arn, "ServiceNotFoundException")
        if service.status != "ACTIVE":
            raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
        return service

    # --- what others do with Express services ------------------------------------------------------------------------
    @operation("DescribeServices", ("cluster", "services", "include"))
    def describe_services(self, params: Params, call: Call) -> Params:
        answer = super().describe_services(params, call)
        answer["services"] = [self._managed(shown) for shown in answer["services"]]
        return answer

    def _managed(self, shown: Params) -> Params:
        """An Express service shows no taskDefinition, and may show no loadBalancers."""
        if self.engine.store.services[shown["serviceArn"]].express is None:
            return {**shown, "resourceManagementType": "CUSTOMER"}
        shown.pop("taskDefinition", None)  # there is none before the first deployment
        if not self.engine.options.express.shows_load_balancers:
            shown["loadBalancers"] = []
        return {**shown, "resourceManagementType": "ECS"}

    @operation("DescribeServiceRevisions", ("serviceRevisionArns",))
    def describe_service_revisions(self, params: Params, call: Call) -> Params:
        wanted = at_most(params, "serviceRevisionArns", DESCRIBE_LIMIT, "serviceRevisionArns")
        found, failures = [], []
        for arn in dict.fromkeys(wanted):
            shown = self._shown_revision(arn)
            if shown is None:
                failures.append(missing(arn))
            else:
                found.append(shown)
        return {"serviceRevisions": found, "failures": failures}

    def _shown_revision(self, arn: str) -> Params | None:
        service = self._owner(arn, "service-revision")
        if service is None:
            return None
        if service.express is not None and service.status == "INACTIVE":
            raise invalid("Cannot call DescribeServiceRevisions for a service that is INACTIVE")
        revision = self.engine.express.revision(service, arn)
        if revision is None or service.express is None:
            return revisions.shown(revision) if revision is not None else None
        shown = revisions.shown(revision)
        if not self.engine.options.express.shows_load_balancers:
            shown["loadBalancers"] = []
            shown.pop("resolvedConfiguration", None)
        return {**shown, "ecsManagedResources": describe.managed_resources(service.express, arn)}

    @operation("UpdateService", UPDATE)
    def update_service(self, params: Params, call: Call) -> Params:
        """Express services take a new task definition or desired count by it, and stay managed."""
        service = self.engine.store.find_service(self.engine.store.cluster(params.get("cluster")), params["service"])
        if service is not None and service.express is not None:
            self._check_plain_update(service, service.express, params)
        answer = super().update_service(params, call)
        answer["service"] = self._managed(answer["service"])
        return answer

    def _check_plain_update(self, service: Service, express: Express, params: Params) -> None:
        for member in _FIXED:
            if params.get(member):
                raise invalid(f"{member} cannot be updated for a service that has ResourceManagementType=ECS.")
        for member in params:
            if member not in _BY_UPDATE_SERVICE:
                raise Unmodelled(f"ecs:UpdateService of an Express service: {member} is not modelled")
        if service.status == "ACTIVE" and (express.pending is not None or service.primary is None):
            raise Unmodelled("ecs:UpdateService before an Express service's first deployment has begun")
        if params.get("taskDefinition"):
            self._own_definition(params["taskDefinition"])

    @operation("DeleteService", ("cluster", "service", "force"))
    def delete_service(self, params: Params, call: Call) -> Params:
        service = self.engine.store.find_service(self.engine.store.cluster(params.get("cluster")), params["service"])
        if service is not None and service.express is not None:
            words = "has ResourceManagementType=ECS use DeleteExpressGatewayService"
            raise invalid(f"Service {service.name} {words}")
        return super().delete_service(params, call)


def _express_of(service: Service) -> Express:
    assert service.express is not None
    return service.express
