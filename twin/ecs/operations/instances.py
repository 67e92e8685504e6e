"""Container instances and their attributes."""

from __future__ import annotations

from twin.ecs import render
from twin.ecs.model import Cluster, Host
from twin.ecs.operations.common import Operations, Params, at_most, included, invalid, missing, page
from twin.ecs.query import compile_expression
from twin.ecs.store import Index
from twin.errors import AwsError
from twin.kernel.api import Call, operation

DRAIN_LIMIT = 10
DESCRIBE_LIMIT = 100
ATTRIBUTE_LIMIT = 10
_STATUSES = ("ACTIVE", "DRAINING", "REGISTERING", "DEREGISTERING", "REGISTRATION_FAILED")


class InstanceOperations(Operations):
    @operation("ListContainerInstances", ["cluster", "filter", "nextToken", "maxResults", "status"])
    def list_container_instances(self, params: Params, call: Call) -> Params:
        cluster = self.engine.store.cluster(params.get("cluster"))
        status = params.get("status")
        if status is not None and status not in _STATUSES:
            raise invalid(f"Invalid status '{status}'.")
        matches = compile_expression(params["filter"]) if params.get("filter") else None

        def keep(host: Host) -> bool:
            wanted = host.status == status if status else host.status != "INACTIVE"
            return wanted and (matches is None or matches(host))

        arns, token = page(self.engine.store.cluster_hosts[cluster.name], params, lambda host: host.arn, keep)
        return {"containerInstanceArns": arns, **token}

    @operation("DescribeContainerInstances", ["cluster", "containerInstances", "include"])
    def describe_container_instances(self, params: Params, call: Call) -> Params:
        cluster = self.engine.store.cluster(params.get("cluster"))
        wanted = at_most(params, "containerInstances", DESCRIBE_LIMIT, "Container instances")
        include = included(params, ("TAGS", "CONTAINER_INSTANCE_HEALTH"))
        hosts, failures = self._find(cluster, wanted)
        tags, health = "TAGS" in include, "CONTAINER_INSTANCE_HEALTH" in include
        return {
            "containerInstances": [render.container_instance(host, tags=tags, health=health) for host in hosts],
            "failures": failures,
        }

    def _find(self, cluster: Cluster, references: list[str]) -> tuple[list[Host], list[dict[str, str]]]:
        hosts: list[Host] = []
        failures: list[dict[str, str]] = []
        for reference in dict.fromkeys(references):
            host = self.engine.store.find_host(cluster, reference)
            if host is None or host.cluster is not cluster:
                name = reference.rsplit("/", 1)[-1]
                stem = f"container-instance/{cluster.name}/{name}"
                failures.append(missing(reference if ":" in reference else self.engine.kernel.arn("ecs", stem)))
            else:
                hosts.append(host)
        return hosts, failures

    @operation("UpdateContainerInstancesState", ["cluster", "containerInstances", "status"])
    def update_container_instances_state(self, params: Params, call: Call) -> Params:
        cluster = self.engine.store.cluster(params.get("cluster"))
        wanted = at_most(params, "containerInstances", DRAIN_LIMIT, "instanceIds")
        status = params["status"]
        if status not in ("ACTIVE", "DRAINING"):
            raise invalid("Container instance status must be one of [ACTIVE, DRAINING].")
        hosts, failures = self._find(cluster, wanted)
        changed: list[Host] = []
        for host in hosts:
            again = status == "DRAINING" == host.status and self.engine.options.redrain_refused
            if again:
                raise invalid(f"Container instance {host.id} cannot be set to DRAINING: it is {host.status}.")
            if host.status == "INACTIVE":
                failures.append(missing(host.arn, "INACTIVE"))
            else:
                changed.append(host)
        for host in changed:
            if status == "DRAINING":
                self.engine.hosts.drain(host, call)
            else:
                self.engine.hosts.activate(host, call)
        return {"containerInstances": [render.container_instance(host) for host in changed], "failures": failures}

    @operation("DeregisterContainerInstance", ["cluster", "containerInstance", "force"])
    def deregister_container_instance(self, params: Params, call: Call) -> Params:
        cluster = self.engine.store.cluster(params.get("cluster"))
        host = self.engine.store.find_host(cluster, params["containerInstance"])
        if host is None or host.status == "INACTIVE":
            raise invalid("Container instance not found.")
        if host.tasks and not params.get("force"):
            raise invalid("Found running tasks on the instance.")
        self.engine.hosts.deregister(host, call)
        return {"containerInstance": render.container_instance(host)}

    # --- attributes --------------------------------------------------------------------------------------------------
    @operation("PutAttributes", ["cluster", "attributes"])
    def put_attributes(self, params: Params, call: Call) -> Params:
        return self._change_attributes(params, put=True)

    @operation("DeleteAttributes", ["cluster", "attributes"])
    def delete_attributes(self, params: Params, call: Call) -> Params:
        return self._change_attributes(params, put=False)

    def _change_attributes(self, params: Params, *, put: bool) -> Params:
        cluster = self.engine.store.cluster(params.get("cluster"))
        items = params["attributes"]
        if not 1 <= len(items) <= ATTRIBUTE_LIMIT:
            raise invalid("You can specify up to 10 attributes in a single call.")
        targets = [(self._attribute_target(cluster, item), item) for item in items]
        for host, item in targets:
            name = item["name"]
            if put and len(host.custom_attributes | {name}) > ATTRIBUTE_LIMIT:
                raise AwsError("AttributeLimitExceededException", "You can apply up to 10 custom attributes.")
            if put:
                host.attributes[name] = item.get("value")
                host.custom_attributes.add(name)
            elif name in host.attributes:
                del host.attributes[name]
                host.custom_attributes.discard(name)
        for host in dict.fromkeys(host for host, _ in targets):
            self.engine.events.host(host)
            self.engine.hosts.attributes_changed(host)
        shown = [
            {"name": item["name"], "targetType": "container-instance", "targetId": host.arn}
            | ({"value": item["value"]} if "value" in item else {})
            for host, item in targets
        ]
        return {"attributes": shown}

    def _attribute_target(self, cluster: Cluster, item: Params) -> Host:
        if item.get("targetType", "container-instance") != "container-instance":
            raise invalid("The target type must be container-instance.")
        host = self.engine.store.find_host(cluster, item.get("targetId", ""))
        if host is None or host.status == "INACTIVE":
            raise AwsError("TargetNotFoundException", "The specified target wasn't found.")
        name = item["name"]
        if name.startswith(("ecs.", "com.amazonaws.")):
            raise invalid(f"The attribute name '{name}' is reserved.")
        return host

    @operation(
        "ListAttributes", ["cluster", "targetType", "attributeName", "attributeValue", "nextToken", "maxResults"]
    )
    def list_attributes(self, params: Params, call: Call) -> Params:
        cluster = self.engine.store.cluster(params.get("cluster"))
        if params["targetType"] != "container-instance":
            raise invalid("The target type must be container-instance.")
        name, value = params.get("attributeName"), params.get("attributeValue")
        if value is not None and name is None:
            raise invalid("You must also specify an attribute name to use attributeValue.")
        index: Index[_Attribute] = Index()
        number = 0
        for host in self.engine.store.cluster_hosts[cluster.name]:
            if host.status == "INACTIVE":
                continue
            for item in render.attributes(host):
                number += 1
                if name in (None, item["name"]) and value in (None, item.get("value")):
                    shown = {**item, "targetType": "container-instance", "targetId": host.arn}
                    index.add(_Attribute(number, shown))
        found, token = page(index, params, lambda item: item.shown)
        return {"attributes": found, **token}


class _Attribute:
    def __init__(self, number: int, shown: Params) -> None:
        self.number = number
        self.shown = shown
