"""Clusters and capacity providers."""

from __future__ import annotations

from typing import Any

from twin.ecs import render
from twin.ecs.model import CapacityProvider, Cluster
from twin.ecs.operations.common import Operations, Params, included, invalid, missing, page, tags_of
from twin.ecs.store import Index
from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation

_MANAGED = {
    "status": "ENABLED",
    "targetCapacity": 100,
    "minimumScalingStepSize": 1,
    "maximumScalingStepSize": 10000,
    "instanceWarmupPeriod": 300,
}


class ClusterOperations(Operations):
    @operation(
        "CreateCluster", ["clusterName", "tags", "settings", "capacityProviders", "defaultCapacityProviderStrategy"]
    )
    def create_cluster(self, params: Params, call: Call) -> Params:
        name = params.get("clusterName", "default")
        store = self.engine.store
        cluster = store.clusters.get(name)
        if cluster is None:
            cluster = Cluster(name, self.engine.kernel.arn("ecs", f"cluster/{name}"), tags=tags_of(params))
            cluster.settings = [{"name": "containerInsights", "value": "disabled"}]
            for item in params.get("settings") or ():
                cluster.settings = [one for one in cluster.settings if one["name"] != item["name"]] + [dict(item)]
            store.add_cluster(cluster)
            self._set_providers(cluster, params.get("capacityProviders") or [], params)
        return {"cluster": self._shown(cluster)}

    def _set_providers(self, cluster: Cluster, names: list[str], params: Params) -> None:
        short = [name.rsplit("/", 1)[-1] for name in names]
        for name in short:
            if name in ("FARGATE", "FARGATE_SPOT"):
                raise Unmodelled(f"ecs: capacity provider {name} is not modelled")
            if name not in self.engine.store.providers:
                raise invalid("The specified capacity provider was not found.")
        strategy = params.get("defaultCapacityProviderStrategy") or []
        cluster.capacity_providers = short
        cluster.default_strategy = self.provider_strategy(cluster, strategy)

    def provider_strategy(self, cluster: Cluster, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """A capacity provider strategy as stored. Raises InvalidParameterException.

        Source: ECS API: CapacityProviderStrategyItem (at most 20 items, one base, weight default 0).
        """
        found: list[dict[str, Any]] = []
        for item in items:
            name = item["capacityProvider"].rsplit("/", 1)[-1]
            if name in ("FARGATE", "FARGATE_SPOT"):
                raise Unmodelled(f"ecs: capacity provider {name} is not modelled")
            if name not in cluster.capacity_providers:
                raise invalid(f"The specified capacity provider '{name}' is not associated with the cluster.")
            weight, base = int(item.get("weight", 0)), int(item.get("base", 0))
            found.append({"capacityProvider": name, "weight": weight, "base": base})
        if len(found) > 20:
            raise invalid("A capacity provider strategy can contain a maximum of 20 capacity providers.")
        if sum(item["base"] > 0 for item in found) > 1:
            raise invalid("Only one capacity provider in a strategy can have a base defined.")
        if found and not any(item["weight"] for item in found):
            raise invalid("At least one capacity provider must have a weight greater than zero.")
        return found

    def _shown(self, cluster: Cluster, include: set[str] | None = None) -> Params:
        store = self.engine.store
        tasks = store.task_index("cluster", cluster.arn, "RUNNING")
        shown = render.cluster(
            cluster, store.cluster_hosts[cluster.name], store.services_of(cluster), render.counts(tasks)
        )
        if include and "TAGS" in include:
            shown["tags"] = render.tag_list(cluster.tags)
        return shown

    @operation("DescribeClusters", ["clusters", "include"])
    def describe_clusters(self, params: Params, call: Call) -> Params:
        wanted = params.get("clusters") or ["default"]
        if len(wanted) > 100:
            raise invalid("Clusters can have at most 100 items.")
        include = included(params, ("ATTACHMENTS", "CONFIGURATIONS", "SETTINGS", "STATISTICS", "TAGS"))
        if "STATISTICS" in include or "ATTACHMENTS" in include:
            raise Unmodelled("ecs:DescribeClusters: include STATISTICS and ATTACHMENTS are not modelled")
        found, failures = [], []
        for reference in wanted:
            cluster = self.engine.store.find_cluster(reference)
            if cluster is None:
                arn = self.engine.kernel.arn("ecs", f"cluster/{reference.rsplit('/', 1)[-1]}")
                failures.append(missing(arn))
            else:
                found.append(self._shown(cluster, include))
        return {"clusters": found, "failures": failures}

    @operation("ListClusters", ["nextToken", "maxResults"])
    def list_clusters(self, params: Params, call: Call) -> Params:
        index: Index[_Numbered] = Index()
        for number, cluster in enumerate(self.engine.store.clusters.values(), 1):
            index.add(_Numbered(number, cluster.arn))
        arns, token = page(index, params, lambda item: item.arn)
        return {"clusterArns": arns, **token}

    @operation("PutClusterCapacityProviders", ["cluster", "capacityProviders", "defaultCapacityProviderStrategy"])
    def put_cluster_capacity_providers(self, params: Params, call: Call) -> Params:
        cluster = self.engine.store.cluster(params["cluster"])
        self._set_providers(cluster, params["capacityProviders"], params)
        for host in self.engine.store.cluster_hosts[cluster.name]:
            if host.capacity_provider is None:
                self.engine.hosts.find_provider(host)
        return {"cluster": self._shown(cluster)}

    @operation("CreateCapacityProvider", ["name", "autoScalingGroupProvider", "tags"])
    def create_capacity_provider(self, params: Params, call: Call) -> Params:
        name = params["name"]
        given = params.get("autoScalingGroupProvider")
        if given is None:
            raise Unmodelled("ecs:CreateCapacityProvider without autoScalingGroupProvider is not modelled")
        if name in self.engine.store.providers:
            raise AwsError("ClientException", "The specified capacity provider already exists.")
        if name.lower().startswith(("aws", "ecs", "fargate")):
            raise invalid("The capacity provider name can't begin with aws, ecs, or fargate.")
        group_arn = given["autoScalingGroupArn"]
        scaling = given.get("managedScaling", {})
        managed = {**_MANAGED, **scaling} if scaling.get("status") == "ENABLED" else {**_MANAGED, "status": "DISABLED"}
        provider = CapacityProvider(
            name=name,
            arn=self.engine.kernel.arn("ecs", f"capacity-provider/{name}"),
            group_arn=group_arn,
            group_name=group_arn.rsplit("/", 1)[-1],
            provider={
                "autoScalingGroupArn": group_arn,
                "managedScaling": managed,
                "managedTerminationProtection": given.get("managedTerminationProtection", "DISABLED"),
                "managedDraining": given.get("managedDraining", "ENABLED"),
            },
            tags=tags_of(params),
        )
        if provider.provider["managedTerminationProtection"] == "ENABLED" and managed["status"] != "ENABLED":
            raise invalid("The managed termination protection setting requires managed scaling.")
        self.engine.store.providers[name] = provider
        return {"capacityProvider": render.capacity_provider(provider)}

    @operation("DescribeCapacityProviders", ["capacityProviders", "cluster", "include", "maxResults", "nextToken"])
    def describe_capacity_providers(self, params: Params, call: Call) -> Params:
        tags = "TAGS" in included(params, ("TAGS",))
        providers = self.engine.store.providers
        names = [name.rsplit("/", 1)[-1] for name in params.get("capacityProviders") or ()]
        if params.get("cluster"):
            names = names or self.engine.store.cluster(params["cluster"]).capacity_providers
        found = [providers[name] for name in names if name in providers] if names else list(providers.values())
        failures = [
            missing(self.engine.kernel.arn("ecs", f"capacity-provider/{name}"))
            for name in names
            if name not in providers
        ]
        if len(found) > int(params.get("maxResults") or 10):
            raise Unmodelled("ecs:DescribeCapacityProviders: more than one page is not modelled")
        return {
            "capacityProviders": [render.capacity_provider(provider, tags=tags) for provider in found],
            "failures": failures,
        }


class _Numbered:
    def __init__(self, number: int, arn: str) -> None:
        self.number = number
        self.arn = arn
