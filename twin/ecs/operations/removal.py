"""Listing, deregistering and deleting task definitions; deleting clusters.

Sources: ECS API: ListTaskDefinitions, ListTaskDefinitionFamilies, DeregisterTaskDefinition, DeleteTaskDefinitions (at
most 10; deregistered ones only; DELETE_IN_PROGRESS as long as tasks or services refer to them), DeleteCluster.
"""

from __future__ import annotations

from collections.abc import Iterator

from twin.ecs import render
from twin.ecs.model import TaskDefinition
from twin.ecs.operations.common import Operations, Params, at_most, invalid, missing, page
from twin.ecs.store import Index
from twin.errors import AwsError
from twin.kernel.api import Call, operation

DELETE_LIMIT = 10


class RemovalOperations(Operations):
    # --- task definitions --------------------------------------------------------------------------------------------
    @operation("ListTaskDefinitions", ["familyPrefix", "status", "sort", "nextToken", "maxResults"])
    def list_task_definitions(self, params: Params, call: Call) -> Params:
        """`familyPrefix` is the whole name of a family; ACTIVE ones unless `status` says otherwise."""
        self._purge()
        prefix, status = params.get("familyPrefix"), params.get("status", "ACTIVE")
        families = [prefix] if prefix else sorted(self.engine.store.definitions)
        found = [one for family in families for one in self.engine.store.definitions.get(family, [])]
        kept = [one.arn for one in found if one.status == status]
        if params.get("sort", "ASC") == "DESC":
            kept.reverse()
        arns, token = page(_numbered(kept), params, lambda item: item.text)
        return {"taskDefinitionArns": arns, **token}

    @operation("ListTaskDefinitionFamilies", ["familyPrefix", "status", "nextToken", "maxResults"])
    def list_task_definition_families(self, params: Params, call: Call) -> Params:
        self._purge()
        status = params.get("status", "ALL")
        kept: list[str] = []
        for family, revisions in sorted(self.engine.store.definitions.items()):
            states = {one.status for one in revisions} - {"DELETED"}
            active = "ACTIVE" in states
            fits = status == "ALL" or (status == "ACTIVE") is active
            if states and fits and family.startswith(params.get("familyPrefix", "")):
                kept.append(family)
        families, token = page(_numbered(kept), params, lambda item: item.text)
        return {"families": families, **token}

    @operation("DeregisterTaskDefinition", ["taskDefinition"])
    def deregister_task_definition(self, params: Params, call: Call) -> Params:
        """It is refused for new tasks and services at once; AWS may take up to ten minutes for it."""
        definition = self._revision(params["taskDefinition"])
        if definition is None:
            raise AwsError("ClientException", "The specified task definition does not exist.")
        if definition.status == "ACTIVE":
            definition.status = "INACTIVE"
            definition.deregistered_at = self.engine.kernel.clock.now()
        return {"taskDefinition": render.definition(definition)}

    @operation("DeleteTaskDefinitions", ["taskDefinitions"])
    def delete_task_definitions(self, params: Params, call: Call) -> Params:
        deleted, failures = [], []
        for reference in at_most(params, "taskDefinitions", DELETE_LIMIT, "taskDefinitions"):
            definition = self._revision(reference)
            if definition is None:
                failures.append(missing(reference, "The specified task definition does not exist."))
            elif definition.status == "ACTIVE":
                words = "The specified task definition is still in ACTIVE status. Please deregister the target."
                failures.append(missing(definition.arn, words))
            else:
                definition.status = "DELETE_IN_PROGRESS"
                deleted.append(render.definition(definition))
        self._purge()
        return {"taskDefinitions": deleted, "failures": failures}

    def _revision(self, reference: str) -> TaskDefinition | None:
        """By `family:revision` or ARN. InvalidParameterException for a family alone."""
        if ":" not in reference.rsplit("/", 1)[-1]:
            raise invalid("The specified task definition must have a revision.")
        return self.engine.store.find_definition(reference)

    def _purge(self) -> None:
        """What is being deleted is gone once no task and no service refers to it."""
        leaving = [one for revisions in self.engine.store.definitions.values() for one in revisions]
        leaving = [one for one in leaving if one.status == "DELETE_IN_PROGRESS"]
        if not leaving:
            return
        used = {definition.arn for definition in self._used()}
        for one in leaving:
            if one.arn not in used:
                one.status = "DELETED"

    def _used(self) -> Iterator[TaskDefinition]:
        store = self.engine.store
        yield from (task.definition for task in store.tasks.values() if task.last_status != "STOPPED")
        for service in store.services.values():
            if service.status != "INACTIVE":
                yield from (each.definition for each in service.deployments)

    # --- clusters ----------------------------------------------------------------------------------------------------
    @operation("DeleteCluster", ["cluster"])
    def delete_cluster(self, params: Params, call: Call) -> Params:
        store = self.engine.store
        cluster = store.cluster(params["cluster"])
        if any(host.status != "INACTIVE" for host in store.cluster_hosts[cluster.name]):
            words = "The Cluster cannot be deleted while Container Instances are active or draining."
            raise AwsError("ClusterContainsContainerInstancesException", words)
        if any(True for _ in store.services_of(cluster)):
            words = "The Cluster cannot be deleted while Services are active."
            raise AwsError("ClusterContainsServicesException", words)
        tasks = [task for task in store.tasks.values() if task.cluster is cluster and task.last_status != "STOPPED"]
        if tasks:
            words = "The Cluster cannot be deleted while Tasks are active."
            raise AwsError("ClusterContainsTasksException", words)
        store.remove_cluster(cluster)
        return {"cluster": render.cluster(cluster, [], [], (0, 0), status="INACTIVE")}


class _Text:
    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.text = text


def _numbered(texts: list[str]) -> Index[_Text]:
    index: Index[_Text] = Index()
    for number, text in enumerate(texts, 1):
        index.add(_Text(number, text))
    return index
