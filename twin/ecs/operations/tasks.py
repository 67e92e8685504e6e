"""Tasks, their protection, and task definitions."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from twin.ecs import definitions, placement, render
from twin.ecs.model import Cluster, Host, Task, TaskDefinition
from twin.ecs.operations.clusters import ClusterOperations
from twin.ecs.operations.common import Operations, Params, at_most, included, invalid, missing, only, page, tags_of
from twin.ecs.placement import Request
from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation

DESCRIBE_LIMIT = 100
PROTECT_LIMIT = 10
RUN_LIMIT = 10
_REGISTER = [
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "containerDefinitions",
    "volumes",
    "placementConstraints",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "tags",
    "pidMode",
    "ipcMode",
    "runtimePlatform",
]
_RUN = [
    "capacityProviderStrategy",
    "cluster",
    "count",
    "group",
    "launchType",
    "networkConfiguration",
    "overrides",
    "placementConstraints",
    "placementStrategy",
    "startedBy",
    "tags",
    "taskDefinition",
    "clientToken",
]


class DefinitionOperations(Operations):
    @operation("RegisterTaskDefinition", _REGISTER)
    def register_task_definition(self, params: Params, call: Call) -> Params:
        store = self.engine.store
        revisions = store.definitions.setdefault(params["family"], [])
        revision = len(revisions) + 1
        arn = self.engine.kernel.arn("ecs", f"task-definition/{params['family']}:{revision}")
        definition = definitions.parse(arn, revision, params, self.engine.kernel.clock.now())
        revisions.append(definition)
        return {"taskDefinition": render.definition(definition), "tags": render.tag_list(definition.tags)}

    @operation("DescribeTaskDefinition", ["taskDefinition", "include"])
    def describe_task_definition(self, params: Params, call: Call) -> Params:
        tags = "TAGS" in included(params, ("TAGS",))
        definition = self.engine.store.find_definition(params["taskDefinition"])
        if definition is None:
            raise AwsError("ClientException", "Unable to describe task definition.")
        shown: Params = {"taskDefinition": render.definition(definition)}
        return {**shown, "tags": render.tag_list(definition.tags)} if tags else shown

    def definition_named(self, reference: str) -> TaskDefinition:
        """An ACTIVE task definition. Raises ClientException as RunTask, CreateService and UpdateService do."""
        definition = self.engine.store.find_definition(reference)
        if definition is None:
            raise AwsError("ClientException", "TaskDefinition not found.")
        if definition.status != "ACTIVE":
            raise AwsError("ClientException", "TaskDefinition is inactive")
        return definition


class TaskOperations(ClusterOperations, DefinitionOperations):
    # --- reading -----------------------------------------------------------------------------------------------------
    @operation(
        "ListTasks",
        [
            "cluster",
            "containerInstance",
            "family",
            "nextToken",
            "maxResults",
            "startedBy",
            "serviceName",
            "desiredStatus",
            "launchType",
        ],
    )
    def list_tasks(self, params: Params, call: Call) -> Params:
        store = self.engine.store
        store.purge(self.engine.elapsed)
        cluster = store.cluster(params.get("cluster"))
        filters = [name for name in ("containerInstance", "family", "serviceName") if params.get(name)]
        if params.get("startedBy") and filters:
            raise invalid("startedBy must be the only filter that you use.")
        only(params, "launchType", ("EC2", "FARGATE"), "ecs:ListTasks")
        fargate = params["launchType"] == "FARGATE" if params.get("launchType") else None
        status = params.get("desiredStatus", "RUNNING")
        if status not in ("RUNNING", "PENDING", "STOPPED"):
            raise invalid(f"Invalid desiredStatus '{status}'.")
        keys, tests = self._list_keys(cluster, params)
        index = store.task_index(*keys, status)  # desired status PENDING "doesn't return any results"

        def keep(task: Task) -> bool:
            return all(getattr(task, name) is value for name, value in tests) and (
                (not params.get("family") or task.definition.family == params["family"])
                and fargate in (None, task.host is not None and task.host.fargate)
            )

        narrow = tests or params.get("family") or fargate is not None
        arns, token = page(index, params, lambda task: task.arn, keep if narrow else None)
        return {"taskArns": arns, **token}

    def _list_keys(self, cluster: Cluster, params: Params) -> tuple[list[str], list[tuple[str, object]]]:
        """The index that answers the narrowest filter, and the other filters as (attribute, value)."""
        store = self.engine.store
        tests: list[tuple[str, object]] = []
        keys = ["cluster", cluster.arn]
        if params.get("startedBy"):
            return ["startedBy", cluster.name, params["startedBy"]], tests
        if params.get("family"):
            keys = ["family", cluster.name, params["family"]]
        if params.get("serviceName"):
            service = store.find_service(cluster, params["serviceName"])
            if service is None:
                raise AwsError("ServiceNotFoundException", "Service not found.")
            keys = ["service", service.arn]
            tests.append(("service", service))
        if params.get("containerInstance"):
            host = store.find_host(cluster, params["containerInstance"])
            if host is None:
                raise invalid("Container instance not found.")
            return ["host", host.arn], tests
        return keys, []

    @operation("DescribeTasks", ["cluster", "tasks", "include"])
    def describe_tasks(self, params: Params, call: Call) -> Params:
        self.engine.store.purge(self.engine.elapsed)
        cluster = self.engine.store.cluster(params.get("cluster"))
        wanted = at_most(params, "tasks", DESCRIBE_LIMIT, "Tasks")
        tags = "TAGS" in included(params, ("TAGS",))
        tasks, failures = self._find_tasks(cluster, wanted)
        return {"tasks": [render.task(task, tags=tags) for task in tasks], "failures": failures}

    def _find_tasks(self, cluster: Cluster, references: list[str]) -> tuple[list[Task], list[dict[str, str]]]:
        tasks: list[Task] = []
        failures: list[dict[str, str]] = []
        for reference in dict.fromkeys(references):
            task = self.engine.store.find_task(cluster, reference)
            if task is None or task.cluster is not cluster:
                stem = f"task/{cluster.name}/{reference.rsplit('/', 1)[-1]}"
                failures.append(missing(reference if ":" in reference else self.engine.kernel.arn("ecs", stem)))
            else:
                tasks.append(task)
        return tasks, failures

    # --- protection --------------------------------------------------------------------------------------------------
    @operation("GetTaskProtection", ["cluster", "tasks"])
    def get_task_protection(self, params: Params, call: Call) -> Params:
        cluster = self.engine.store.cluster(params["cluster"])
        wanted = at_most(params, "tasks", DESCRIBE_LIMIT, "Tasks")
        found, failures = self._protectable(cluster, wanted)
        return {"protectedTasks": [self._protection(task) for task in found], "failures": failures}

    def _protectable(self, cluster: Cluster, references: list[str]) -> tuple[list[Task], list[dict[str, str]]]:
        tasks, failures = self._find_tasks(cluster, references)
        for task in tasks:
            if task.service is None or not task.wanted:
                failures.append(missing(task.arn, "TASK_NOT_VALID"))
        return [task for task in tasks if task.service is not None and task.wanted], failures

    def _protection(self, task: Task) -> Params:
        protected = self.engine.scheduler.protected(task)
        shown: Params = {"taskArn": task.arn, "protectionEnabled": protected}
        return {**shown, "expirationDate": task.protected_until} if protected else shown

    @operation("UpdateTaskProtection", ["cluster", "tasks", "protectionEnabled", "expiresInMinutes"])
    def update_task_protection(self, params: Params, call: Call) -> Params:
        cluster = self.engine.store.cluster(params["cluster"])
        wanted = at_most(params, "tasks", PROTECT_LIMIT, "Tasks")
        minutes = params.get("expiresInMinutes")
        enabled = params["protectionEnabled"]
        if minutes is not None and not enabled:
            raise invalid("expiresInMinutes cannot be specified when protectionEnabled is false.")
        if minutes is not None and not 1 <= minutes <= 2880:
            raise invalid("expiresInMinutes must be between 1 and 2880.")
        found, failures = self._protectable(cluster, wanted)
        done: list[Task] = []
        for task in found:
            if enabled and self._deployment_blocked(task):
                failures.append(missing(task.arn, "DEPLOYMENT_BLOCKED"))
                continue
            self._protect(task, timedelta(minutes=minutes or 120) if enabled else None)
            done.append(task)
        return {"protectedTasks": [self._protection(task) for task in done], "failures": failures}

    def _deployment_blocked(self, task: Task) -> bool:
        """A deployment that only protected tasks keep from ending takes no further protection of old tasks."""
        service, scheduler = task.service, self.engine.scheduler
        if service is None or not self.engine.deployments.in_progress(service):
            return False
        old = [each for each in service.tasks.values() if each.wanted and each.deployment is not service.primary]
        return task in old and any(scheduler.protected(each) for each in old)

    def _protect(self, task: Task, lasts: timedelta | None) -> None:
        engine = self.engine
        service = task.service
        task.protected_until = None if lasts is None else engine.kernel.clock.now() + lasts
        if service is None:
            return
        if lasts is None:
            engine.scheduler.poke(service)
            return
        engine.background(lasts.total_seconds(), lambda: engine.scheduler.poke(service), f"ecs.protection:{task.id}")

    # --- starting and stopping ---------------------------------------------------------------------------------------
    @operation("RunTask", _RUN)
    def run_task(self, params: Params, call: Call) -> Params:
        store = self.engine.store
        cluster = store.cluster(params.get("cluster"))
        definition = self.definition_named(params["taskDefinition"])
        count = params.get("count", 1)
        if not 1 <= count <= RUN_LIMIT:
            raise invalid("Task count must be between 1 and 10.")
        only(params, "launchType", ("EC2",), "ecs:RunTask")
        if params.get("clientToken"):
            return self._run_once(params, call, cluster, definition, count)
        return self._run(params, cluster, definition, count)

    def _run_once(self, params: Params, call: Call, cluster: Cluster, definition: TaskDefinition, count: int) -> Params:
        """ECS API, RunTask: a client token gives the same tasks again, or ConflictException for another request."""
        tokens = self.engine.run_tokens
        token = (cluster.name, params["clientToken"])
        if token not in tokens:
            answer = self._run(params, cluster, definition, count)
            tokens[token] = (dict(params), [item["taskArn"] for item in answer["tasks"]])
            return answer
        known, arns = tokens[token]
        if known != params:
            raise AwsError(
                "ConflictException", "The clientToken is in use with another request.", fields={"resourceIds": arns}
            )
        return {"tasks": [render.task(self.engine.store.tasks[arn]) for arn in arns], "failures": []}

    def _run(self, params: Params, cluster: Cluster, definition: TaskDefinition, count: int) -> Params:
        engine = self.engine
        network = params.get("networkConfiguration", {}).get("awsvpcConfiguration", {})
        check_network(definition, params)
        given = placement.parse_constraints(params.get("placementConstraints") or ())
        request = Request(
            definition,
            params.get("group") or f"family:{definition.family}",
            (*definition.constraints, *given),
            placement.parse_strategies(params.get("placementStrategy") or ()),
            subnets=frozenset(network["subnets"]) if network else None,
        )
        strategy = self._strategy(cluster, params)
        hosts = list(engine.store.cluster_hosts[cluster.name])
        if not strategy and not any(host.status == "ACTIVE" for host in hosts):
            raise invalid("No Container Instances were found in your cluster.")
        started: list[Task] = []
        failures: list[dict[str, str]] = []
        used: Counter[str | None] = Counter()
        for _ in range(count):
            provider = engine.scheduler.pick_provider(strategy, used)
            one = Request(**{**_fields(request), "provider": provider})
            running = [task for host in hosts for task in host.tasks.values() if task.group == request.group]
            pool = placement.candidates(hosts, one, running)
            host = placement.choose(pool, engine.placement_rng)
            if host is None and provider is None:
                failures += self._why_not(hosts, one)
                break
            used[provider] += 1
            started.append(self._start(params, cluster, one, provider, host))
        return {"tasks": [render.task(task) for task in started], "failures": failures}

    def _start(
        self, params: Params, cluster: Cluster, request: Request, provider: str | None, host: Host | None
    ) -> Task:
        task = self.engine.scheduler.new_task(cluster, request, provider=provider, started_by=params.get("startedBy"))
        task.overrides = params.get("overrides") or {}
        task.tags = tags_of(params)
        task.network = params.get("networkConfiguration")
        if host is None:
            self.engine.scheduler.waiting.add(task)
        else:
            self.engine.lifecycle.place(task, host)
        return task

    def _strategy(self, cluster: Cluster, params: Params) -> list[dict[str, Any]]:
        if params.get("launchType") and params.get("capacityProviderStrategy"):
            raise invalid("Specifying both a launch type and capacity provider strategy is not supported.")
        if params.get("launchType"):
            return []
        if params.get("capacityProviderStrategy"):
            return self.provider_strategy(cluster, params["capacityProviderStrategy"])
        return cluster.default_strategy

    def _why_not(self, hosts: list[Host], request: Request) -> list[dict[str, str]]:
        found = ((host, placement.refusal(host, request)) for host in hosts if host.status == "ACTIVE")
        return [missing(host.arn, reason) for host, reason in found if reason]

    @operation("StopTask", ["cluster", "task", "reason"])
    def stop_task(self, params: Params, call: Call) -> Params:
        cluster = self.engine.store.cluster(params.get("cluster"))
        task = self.engine.store.find_task(cluster, params["task"])
        if task is None or task.cluster is not cluster:
            raise invalid("The referenced task was not found.")
        self.engine.lifecycle.stop(task, "UserInitiated", params.get("reason") or "Task stopped by user", call)
        if task.service is not None:
            self.engine.scheduler.poke(task.service)
        return {"task": render.task(task)}


def check_network(definition: TaskDefinition, params: Params) -> None:
    """`awsvpc` needs a network configuration, other modes refuse one."""
    given = bool(params.get("networkConfiguration"))
    if definition.network_mode == "awsvpc" and not given:
        raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if definition.network_mode != "awsvpc" and given:
        raise invalid("Network Configuration is not valid for the given networkMode of this task definition.")
    if given and params["networkConfiguration"]["awsvpcConfiguration"].get("assignPublicIp") == "ENABLED":
        raise Unmodelled("ecs: assignPublicIp ENABLED is not possible on EC2 instances")


def _fields(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in Request.__dataclass_fields__}
