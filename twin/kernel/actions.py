"""Which IAM actions, on which resources and with which condition keys, an API call needs.

Source: Service Authorization Reference, pages of Amazon ECS, EC2, EC2 Auto Scaling, Elastic Load Balancing V2,
DynamoDB, Systems Manager, EventBridge, SNS, SQS, Lambda, Step Functions, CloudWatch. A call that is not in the table
raises `Unmodelled` for callers with a role.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from twin.errors import Unmodelled
from twin.kernel.policies import Request, Values

Params = Mapping[str, Any]
Tags = Callable[[str], Mapping[str, str]]

_PREFIXES = {"stepfunctions": "states", "elbv2": "elasticloadbalancing"}
_ECS_KEYS = frozenset({"ecs:cluster", "ecs:service", "ecs:container-instances", "ecs:task-definition"})


@dataclass
class Names:
    """How names in requests become ARNs.

    Attributes:
        tag_sources: by IAM prefix (`ecs`, `ec2`, `autoscaling`, …), a function from a resource's ARN to its tags.
        partition_keys: name of the partition key of each DynamoDB table.
        group_of_instance: the Auto Scaling group that an instance belongs to.
    """

    region: str
    account: str
    tag_sources: dict[str, Tags] = field(default_factory=dict)
    partition_keys: dict[str, str] = field(default_factory=dict)
    group_of_instance: Callable[[str], str | None] = lambda _instance: None

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def named(self, service: str, kind: str, name: str) -> str:
        return name if name.startswith("arn:") else self.arn(service, f"{kind}/{name}")


@dataclass(frozen=True)
class Ask:
    """What a call needs, before the condition keys common to all calls are added."""

    resource: str
    action: str | None = None
    keys: Mapping[str, Values] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()


Derive = Callable[[Params, Names], Iterable[Ask]]


def requests(service: str, operation: str, params: Params, names: Names) -> Iterator[Request]:
    """Every (action, resource) that the call must be allowed."""
    derive = _TABLE.get((service, operation))
    if derive is None and operation.startswith("Describe") and service in ("ec2", "autoscaling", "elbv2"):
        derive = _unscoped  # none of these services' Describe actions that callers with roles use has resource types
    if derive is None:
        raise Unmodelled(f"authorization of {service}:{operation}")
    prefix = _PREFIXES.get(service, service)
    common = {"aws:requestedregion": (names.region,), "aws:securetransport": ("true",), **_given_tags(params)}
    for ask in derive(params, names):
        action = ask.action or f"{prefix}:{operation}"
        keys = {**common, **ask.keys}
        tags = names.tag_sources.get(action.partition(":")[0])
        yield Request(action, ask.resource, keys, tags, ask.absent)


def _unscoped(_params: Params, _names: Names) -> Iterable[Ask]:
    return [Ask("*")]


def _given_tags(params: Params) -> Mapping[str, Values]:
    """`aws:RequestTag/…` and `aws:TagKeys` of the tags that come with a request, however its service writes them."""
    lists = [params.get("Tags"), params.get("tags"), params.get("TagList")]
    lists += [spec.get("Tags") for spec in params.get("TagSpecifications") or ()]
    pairs: list[tuple[str, str]] = []
    for one in lists:
        if isinstance(one, Mapping):
            pairs += [(str(key), str(value)) for key, value in one.items()]
        for tag in one if isinstance(one, list) else ():
            key = tag.get("Key", tag.get("key"))
            pairs.append((str(key), str(tag.get("Value", tag.get("value", "")))))
    if not pairs:
        return {}
    found: dict[str, Values] = {f"aws:requesttag/{key.lower()}": (value,) for key, value in pairs}
    return {**found, "aws:tagkeys": tuple(key for key, _ in pairs)}


# --- ECS -------------------------------------------------------------------------------------------------------------
def _cluster_name(params: Params) -> str:
    return str(params.get("cluster") or "default").rpartition("/")[2]


def _ecs_keys(params: Params, names: Names, **more: str) -> Mapping[str, Values]:
    keys = {"ecs:cluster": (names.arn("ecs", f"cluster/{_cluster_name(params)}"),)}
    return {**keys, **{f"ecs:{key.replace('_', '-')}": (value,) for key, value in more.items()}}


def _ecs_unscoped(params: Params, names: Names) -> Iterable[Ask]:
    return [Ask("*", keys=_ecs_keys(params, names), absent=_ECS_KEYS)]


def _ecs_cluster(params: Params, names: Names) -> Iterable[Ask]:
    clusters = params.get("clusters") or [_cluster_name(params)]
    return [Ask(names.named("ecs", "cluster", name), absent=_ECS_KEYS) for name in clusters]


def _ecs_of_cluster(kind: str, member: str) -> Derive:
    """Resources of `kind`, given by id or ARN in `member` (one or a list), within the request's cluster."""

    def derive(params: Params, names: Names) -> Iterable[Ask]:
        given = params.get(member)
        for name in given if isinstance(given, list) else [given or "*"]:
            path = f"{kind}/{_cluster_name(params)}/{str(name).rpartition('/')[2]}"
            arn = name if name.startswith("arn:") and name.count("/") > 1 else names.arn("ecs", path)
            more = {"service": arn} if kind == "service" else {}
            yield Ask(arn, keys=_ecs_keys(params, names, **more), absent=_ECS_KEYS)

    return derive


def _task_sets(params: Params, names: Names) -> Iterable[Ask]:
    """Task sets by id or ARN; without any, all of the service's."""
    given = params.get("taskSets") or [params.get("taskSet", "*")]
    service = str(params["service"]).rpartition("/")[2]
    for each in given:
        path = f"task-set/{_cluster_name(params)}/{service}/{each}"
        yield Ask(
            each if each.startswith("arn:") else names.arn("ecs", path),
            keys=_ecs_keys(params, names),
            absent=_ECS_KEYS,
        )


def _register(params: Params, names: Names) -> Iterable[Ask]:
    """The family, and the roles that its tasks are given."""
    yield Ask(names.arn("ecs", f"task-definition/{params['family']}:*"), absent=_ECS_KEYS)
    passed = {"iam:passedtoservice": ("ecs-tasks.amazonaws.com",)}
    for member in ("executionRoleArn", "taskRoleArn"):
        if params.get(member):
            yield Ask(
                params[member], action="iam:PassRole", keys=passed, absent=frozenset({"iam:associatedresourcearn"})
            )


def _gateway(params: Params, names: Names) -> Iterable[Ask]:
    """The gateway by name or ARN; without one, all of them."""
    yield Ask(names.named("ecs", "gateway", str(params.get("gateway") or "*")), absent=_ECS_KEYS)


def _task_definitions(params: Params, names: Names) -> Iterable[Ask]:
    return [Ask(names.named("ecs", "task-definition", name), absent=_ECS_KEYS) for name in params["taskDefinitions"]]


def _capacity_providers(params: Params, names: Names) -> Iterable[Ask]:
    """Without names it describes all: only a grant on all of them covers that."""
    return [Ask(names.named("ecs", "capacity-provider", name)) for name in params.get("capacityProviders") or ["*"]]


def _arn_in(member: str) -> Derive:
    return lambda params, names: [Ask(params[member], absent=_ECS_KEYS)]


def _arns_in(member: str) -> Derive:
    return lambda params, names: [Ask(arn, absent=_ECS_KEYS) for arn in params[member]]


# --- the others ------------------------------------------------------------------------------------------------------
def _ec2_instances(params: Params, names: Names) -> Iterable[Ask]:
    return [Ask(names.arn("ec2", f"instance/{instance}")) for instance in params["InstanceIds"]]


def _security_group(params: Params, names: Names) -> Iterable[Ask]:
    """The group that is changed; for rules, whichever group they name."""
    return [Ask(names.arn("ec2", f"security-group/{params['GroupId']}"))]


def _create_security_group(params: Params, names: Names) -> Iterable[Ask]:
    """A group that is tagged as it is made needs CreateTags on it too; its id is not known yet."""
    yield Ask(names.arn("ec2", "security-group/*"))
    yield Ask(names.arn("ec2", f"vpc/{params.get('VpcId', '*')}"))
    if params.get("TagSpecifications"):
        yield Ask(
            names.arn("ec2", "security-group/*"),
            action="ec2:CreateTags",
            keys={"ec2:createaction": ("CreateSecurityGroup",)},
        )


_EC2_KINDS = {
    "i": "instance",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "eni": "network-interface",
    "lt": "launch-template",
}


def _ec2_tags(params: Params, names: Names) -> Iterable[Ask]:
    for resource in params["Resources"]:
        kind = _EC2_KINDS.get(resource.partition("-")[0])
        if kind is None:
            raise Unmodelled(f"authorization of ec2 tags of {resource!r}")
        yield Ask(names.arn("ec2", f"{kind}/{resource}"), absent=frozenset({"ec2:createaction"}))


def _group(params: Params, names: Names) -> Iterable[Ask]:
    name = params.get("AutoScalingGroupName") or names.group_of_instance(params.get("InstanceId", ""))
    # The group's id in its ARN is not in the request; policies that name it are not matched.
    yield Ask(names.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{name or '*'}"))


def _launch_instances(params: Params, names: Names) -> Iterable[Ask]:
    yield from _group(params, names)
    # EC2 Auto Scaling user guide, "Launching instances with synchronous provisioning", prerequisites.
    yield Ask("*", action="ec2:CreateFleet")
    yield Ask("*", action="ec2:DescribeLaunchTemplateVersions")


def _create_rule(params: Params, _names: Names) -> Iterable[Ask]:
    """A rule that is tagged as it is made needs AddTags on the rule, whose id is not known yet."""
    yield Ask(params["ListenerArn"])
    if params.get("Tags"):
        yield Ask(
            params["ListenerArn"].replace(":listener/", ":listener-rule/") + "/*", action="elasticloadbalancing:AddTags"
        )


def _rule_priorities(params: Params, _names: Names) -> Iterable[Ask]:
    return [Ask(one["RuleArn"]) for one in params["RulePriorities"]]


def _table_arn(name: str, names: Names) -> str:
    return names.named("dynamodb", "table", name)


def _leading(table: str, key: Mapping[str, Any] | None, names: Names) -> Mapping[str, Values]:
    """`dynamodb:LeadingKeys`: the partition key that an item operation touches."""
    attribute = names.partition_keys.get(table.rpartition("/")[2])
    value = (key or {}).get(attribute) if attribute else None
    return {} if value is None else {"dynamodb:leadingkeys": (str(next(iter(value.values()))),)}


def _dynamodb_item(member: str) -> Derive:
    def derive(params: Params, names: Names) -> Iterable[Ask]:
        table = params["TableName"]
        yield Ask(_table_arn(table, names), keys=_leading(table, params[member], names))

    return derive


_EQUALITY = re.compile(r"^\s*\(?\s*(#?\w+)\s*=\s*(:\w+)")


def _dynamodb_query(params: Params, names: Names) -> Iterable[Ask]:
    table, index = params["TableName"], params.get("IndexName")
    arn = _table_arn(table, names)
    found = _EQUALITY.match(params.get("KeyConditionExpression", ""))
    keys: Mapping[str, Values] = {}
    if found and not index:
        name = params.get("ExpressionAttributeNames", {}).get(found[1], found[1])
        keys = _leading(table, {name: params.get("ExpressionAttributeValues", {}).get(found[2])}, names)
    yield Ask(f"{arn}/index/{index}" if index else arn, keys=keys)


def _dynamodb_table(params: Params, names: Names) -> Iterable[Ask]:
    return [Ask(_table_arn(params["TableName"], names))]


def _dynamodb_batch(params: Params, names: Names) -> Iterable[Ask]:
    return [Ask(_table_arn(table, names)) for table in sorted(params["RequestItems"])]


_TRANSACTED = {
    "Put": ("dynamodb:PutItem", "Item"),
    "Update": ("dynamodb:UpdateItem", "Key"),
    "Delete": ("dynamodb:DeleteItem", "Key"),
    "ConditionCheck": ("dynamodb:ConditionCheckItem", "Key"),
    "Get": ("dynamodb:GetItem", "Key"),
}


def _dynamodb_transaction(params: Params, names: Names) -> Iterable[Ask]:
    for item in params["TransactItems"]:
        for kind, request in item.items():
            action, member = _TRANSACTED[kind]
            table = request["TableName"]
            yield Ask(_table_arn(table, names), action=action, keys=_leading(table, request[member], names))


def _parameters(member: str) -> Derive:
    def derive(params: Params, names: Names) -> Iterable[Ask]:
        given = params[member]
        for name in given if isinstance(given, list) else [given]:
            plain = name if name.startswith("arn:") else names.arn("ssm", f"parameter/{name.lstrip('/').rstrip('/')}")
            yield Ask(plain, absent=frozenset({"ssm:recursive", "ssm:overwrite"}))

    return derive


def _put_events(params: Params, names: Names) -> Iterable[Ask]:
    for entry in params["Entries"]:
        keys = {"events:source": (entry.get("Source", ""),), "events:detail-type": (entry.get("DetailType", ""),)}
        bus = entry.get("EventBusName", "default")
        yield Ask(names.named("events", "event-bus", bus), keys=keys, absent=frozenset({"events:eventbusinvocation"}))


def _publish(params: Params, _names: Names) -> Iterable[Ask]:
    return [Ask(params.get("TopicArn") or params.get("TargetArn") or "*")]


def _queue(params: Params, names: Names) -> Iterable[Ask]:
    return [Ask(names.arn("sqs", params["QueueUrl"].rpartition("/")[2]))]


def _function(params: Params, names: Names) -> Iterable[Ask]:
    name = params["FunctionName"]
    arn = name if name.startswith("arn:") else names.arn("lambda", f"function:{name}")
    qualifier = params.get("Qualifier")
    yield Ask(f"{arn}:{qualifier}" if qualifier else arn, action="lambda:InvokeFunction")


def _state_machine(params: Params, _names: Names) -> Iterable[Ask]:
    """Versions and aliases are authorized by the machine's own ARN; their name is a condition key."""
    parts = params["stateMachineArn"].split(":")
    keys = {"states:statemachinequalifier": (parts[7],)} if len(parts) > 7 else {}
    yield Ask(":".join(parts[:7]), keys=keys, absent=frozenset({"states:statemachinequalifier"}))


def _put_metric_data(params: Params, _names: Names) -> Iterable[Ask]:
    return [Ask("*", keys={"cloudwatch:namespace": (params["Namespace"],)})]


def _alarms(member: str) -> Derive:
    """The alarms that are named; all of them when none is."""

    def derive(params: Params, names: Names) -> Iterable[Ask]:
        given = params.get(member) or "*"
        for name in given if isinstance(given, list) else [given]:
            yield Ask(names.arn("cloudwatch", f"alarm:{name}"))

    return derive


def _describe_alarms(params: Params, names: Names) -> Iterable[Ask]:
    """Composite alarms are told to those only whose permission covers everything (CloudWatch API: DescribeAlarms)."""
    if set(params.get("AlarmTypes") or ()) - {"MetricAlarm"}:
        return [Ask("*")]
    return _alarms("AlarmNames")(params, names)


def _put_alarm(params: Params, names: Names) -> Iterable[Ask]:
    actions = [
        action
        for member in ("AlarmActions", "OKActions", "InsufficientDataActions")
        for action in params.get(member, [])
    ]
    yield Ask(
        names.arn("cloudwatch", f"alarm:{params['AlarmName']}"),
        keys={"cloudwatch:alarmactions": tuple(actions)} if actions else {},
        absent=frozenset({"cloudwatch:alarmactions"}),
    )


def _log_group(member: str) -> Derive:
    """The group that is named; all of them where none has to be."""

    def derive(params: Params, names: Names) -> Iterable[Ask]:
        given = str(params.get(member, "*"))
        name = given.partition(":log-group:")[2].removesuffix(":*") or given
        yield Ask(names.arn("logs", f"log-group:{name}"))

    return derive


def _stack(params: Params, names: Names) -> Iterable[Ask]:
    """The stack by name or id. By a resource's physical id any stack may be the one: a grant on all covers that."""
    return [Ask(names.named("cloudformation", "stack", f"{params.get('StackName', '*')}/*"))]


def _hosted_zone(params: Params, _names: Names) -> Iterable[Ask]:
    return [Ask(f"arn:aws:route53:::hostedzone/{str(params['HostedZoneId']).rpartition('/')[2]}")]


def _scalable_target(params: Params, names: Names) -> Iterable[Ask]:
    """The target's ARN, which is not in most requests: policies that name one are not matched."""
    arn = params.get("ResourceARN") or names.arn("application-autoscaling", "scalable-target/*")
    known = {"service-namespace": "ServiceNamespace", "scalable-dimension": "ScalableDimension"}
    keys = {f"application-autoscaling:{key}": (params[member],) for key, member in known.items() if params.get(member)}
    return [Ask(arn, keys=keys, absent=frozenset(f"application-autoscaling:{key}" for key in known))]


def _table() -> dict[tuple[str, str], Derive]:
    rows: dict[str, dict[str, Derive]] = {
        "ecs": {
            "ListClusters": _unscoped,
            "ListServices": _ecs_unscoped,
            "DescribeTaskDefinition": _unscoped,
            "DescribeClusters": _ecs_cluster,
            "ListContainerInstances": _ecs_cluster,
            "DeregisterContainerInstance": _ecs_cluster,
            "ListAttributes": _ecs_cluster,
            "DescribeContainerInstances": _ecs_of_cluster("container-instance", "containerInstances"),
            "UpdateContainerInstancesState": _ecs_of_cluster("container-instance", "containerInstances"),
            "ListTasks": _ecs_of_cluster("container-instance", "containerInstance"),
            "DescribeTasks": _ecs_of_cluster("task", "tasks"),
            "StopTask": _ecs_of_cluster("task", "task"),
            "GetTaskProtection": _ecs_of_cluster("task", "tasks"),
            "UpdateTaskProtection": _ecs_of_cluster("task", "tasks"),
            "DescribeServices": _ecs_of_cluster("service", "services"),
            "UpdateService": _ecs_of_cluster("service", "service"),
            "ListServiceDeployments": _ecs_of_cluster("service", "service"),
            "CreateTaskSet": _task_sets,
            "DescribeTaskSets": _task_sets,
            "UpdateTaskSet": _task_sets,
            "DeleteTaskSet": _task_sets,
            "UpdateServicePrimaryTaskSet": _ecs_of_cluster("service", "service"),
            "RegisterTaskDefinition": _register,
            "DescribeServiceDeployments": _arns_in("serviceDeploymentArns"),
            "DescribeServiceRevisions": _arns_in("serviceRevisionArns"),
            "StopServiceDeployment": _arn_in("serviceDeploymentArn"),
            "ContinueServiceDeployment": _arn_in("serviceDeploymentArn"),
            "DescribeCapacityProviders": _capacity_providers,
            "ListTagsForResource": _arn_in("resourceArn"),
            "TagResource": _arn_in("resourceArn"),
            **dict.fromkeys(
                [
                    "DeleteExpressGatewayService",
                    "DescribeExpressGatewayService",
                    "UpdateExpressGatewayService",
                ],
                _arn_in("serviceArn"),
            ),
            "ListGateways": lambda params, names: [Ask(names.arn("ecs", "gateway/*"), absent=_ECS_KEYS)],
            "DescribeGateway": _gateway,
            "DescribeGatewayResources": _gateway,
            "ListGatewayRoutes": _gateway,
            "DescribeGatewayRoute": _arn_in("gatewayRouteArn"),
            "ListTaskDefinitions": _ecs_unscoped,
            "DeregisterTaskDefinition": _unscoped,
            "DeleteTaskDefinitions": _task_definitions,
            "DeleteCluster": _ecs_cluster,
        },
        "ec2": {
            "TerminateInstances": _ec2_instances,
            "StopInstances": _ec2_instances,
            **dict.fromkeys(
                [
                    "AuthorizeSecurityGroupEgress",
                    "AuthorizeSecurityGroupIngress",
                    "DeleteSecurityGroup",
                    "RevokeSecurityGroupEgress",
                    "RevokeSecurityGroupIngress",
                ],
                _security_group,
            ),
            "CreateSecurityGroup": _create_security_group,
            "CreateTags": _ec2_tags,
            "DeleteTags": _ec2_tags,
        },
        "autoscaling": {
            **dict.fromkeys(
                [
                    "CompleteLifecycleAction",
                    "ResumeProcesses",
                    "SetDesiredCapacity",
                    "SetInstanceProtection",
                    "SuspendProcesses",
                    "TerminateInstanceInAutoScalingGroup",
                ],
                _group,
            ),
            "LaunchInstances": _launch_instances,
        },
        "elbv2": {
            **dict.fromkeys(
                [
                    "DeleteTargetGroup",
                    "DeregisterTargets",
                    "ModifyTargetGroup",
                    "ModifyTargetGroupAttributes",
                    "RegisterTargets",
                ],
                _arn_in("TargetGroupArn"),
            ),
            **dict.fromkeys(["DeleteRule", "ModifyRule"], _arn_in("RuleArn")),
            **dict.fromkeys(
                ["AddListenerCertificates", "DeleteListener", "ModifyListener", "RemoveListenerCertificates"],
                _arn_in("ListenerArn"),
            ),
            **dict.fromkeys(
                ["DeleteLoadBalancer", "ModifyLoadBalancerAttributes", "SetSecurityGroups"], _arn_in("LoadBalancerArn")
            ),
            **dict.fromkeys(["AddTags", "RemoveTags"], _arns_in("ResourceArns")),
            "CreateRule": _create_rule,
            "SetRulePriorities": _rule_priorities,
        },
        "acm": {
            "ListCertificates": _unscoped,
            "RequestCertificate": _unscoped,
            **dict.fromkeys(
                [
                    "AddTagsToCertificate",
                    "DeleteCertificate",
                    "DescribeCertificate",
                    "ListTagsForCertificate",
                    "RemoveTagsFromCertificate",
                ],
                _arn_in("CertificateArn"),
            ),
        },
        "cloudformation": {
            "DescribeStackResources": _stack,
            "DescribeStacks": _stack,
        },
        "wafv2": {
            "GetWebACLForResource": _arn_in("ResourceArn"),
        },
        "route53": {
            "ListHostedZones": _unscoped,
            "ListResourceRecordSets": _hosted_zone,
            "ChangeResourceRecordSets": _hosted_zone,
        },
        "iam": {
            "ListRoles": _unscoped,
            "GetRole": lambda params, names: [Ask(f"arn:aws:iam::{names.account}:role/{params['RoleName']}")],
        },
        "ecr": {
            "DescribeRepositories": lambda params, names: [
                Ask(names.arn("ecr", f"repository/{name}")) for name in params.get("repositoryNames") or ["*"]
            ],
        },
        "application-autoscaling": {
            **dict.fromkeys(
                [
                    "DeleteScalingPolicy",
                    "DeleteScheduledAction",
                    "DeregisterScalableTarget",
                    "ListTagsForResource",
                    "PutScalingPolicy",
                    "PutScheduledAction",
                    "RegisterScalableTarget",
                    "TagResource",
                    "UntagResource",
                ],
                _scalable_target,
            ),
            **dict.fromkeys(
                [
                    "DescribeScalableTargets",
                    "DescribeScalingActivities",
                    "DescribeScalingPolicies",
                    "DescribeScheduledActions",
                ],
                _unscoped,
            ),
        },
        "logs": {
            **dict.fromkeys(
                [
                    "CreateLogGroup",
                    "DeleteLogGroup",
                    "DeleteMetricFilter",
                    "DeleteRetentionPolicy",
                    "DeleteSubscriptionFilter",
                    "DescribeMetricFilters",
                    "DescribeSubscriptionFilters",
                    "PutMetricFilter",
                    "PutRetentionPolicy",
                    "PutSubscriptionFilter",
                ],
                _log_group("logGroupName"),
            ),
            **dict.fromkeys(
                ["ListTagsForResource", "TagResource", "UntagResource"],
                _log_group("resourceArn"),
            ),
            # Its resource type is the log group (Service Authorization Reference, Amazon CloudWatch Logs).
            "DescribeLogGroups": _log_group("logGroupName"),
        },
        "dynamodb": {
            "GetItem": _dynamodb_item("Key"),
            "PutItem": _dynamodb_item("Item"),
            "UpdateItem": _dynamodb_item("Key"),
            "DeleteItem": _dynamodb_item("Key"),
            "Query": _dynamodb_query,
            "Scan": _dynamodb_table,
            "DescribeTable": _dynamodb_table,
            "BatchGetItem": _dynamodb_batch,
            "BatchWriteItem": _dynamodb_batch,
            "TransactGetItems": _dynamodb_transaction,
            "TransactWriteItems": _dynamodb_transaction,
        },
        "ssm": {
            "GetParameter": _parameters("Name"),
            "GetParameters": _parameters("Names"),
            "GetParametersByPath": _parameters("Path"),
            "PutParameter": _parameters("Name"),
            "DeleteParameter": _parameters("Name"),
        },
        "events": {
            "PutEvents": _put_events,
            "ListEventBuses": _unscoped,
            "ListRules": _unscoped,
            "ListTargetsByRule": lambda params, names: [Ask(names.arn("events", f"rule/{params['Rule']}"))],
        },
        "scheduler": {
            "ListSchedules": _unscoped,
            "GetSchedule": lambda params, names: [
                Ask(names.arn("scheduler", f"schedule/{params.get('GroupName', 'default')}/{params['Name']}"))
            ],
        },
        "sns": {"Publish": _publish},
        "sqs": dict.fromkeys(
            ["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "ReceiveMessage", "SendMessage"], _queue
        ),
        "lambda": {"Invoke": _function},
        "stepfunctions": {
            "StartExecution": _state_machine,
            "DescribeStateMachine": _state_machine,
            "ListExecutions": _state_machine,
            "DescribeExecution": _arn_in("executionArn"),
            "GetExecutionHistory": _arn_in("executionArn"),
            "StopExecution": _arn_in("executionArn"),
            "SendTaskSuccess": _unscoped,
            "SendTaskFailure": _unscoped,
            "SendTaskHeartbeat": _unscoped,
        },
        "cloudwatch": {
            "PutMetricData": _put_metric_data,
            **dict.fromkeys(["GetMetricData", "GetMetricStatistics", "ListMetrics"], _unscoped),
            "PutMetricAlarm": _put_alarm,
            "PutCompositeAlarm": _put_alarm,
            **dict.fromkeys(["ListTagsForResource", "TagResource", "UntagResource"], _arn_in("ResourceARN")),
            "DescribeAlarms": _describe_alarms,
            "DeleteAlarms": _alarms("AlarmNames"),
            "SetAlarmState": _alarms("AlarmName"),
        },
    }
    return {(service, operation): derive for service, row in rows.items() for operation, derive in row.items()}


_TABLE = _table()
