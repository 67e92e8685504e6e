"""CloudFormation resource types that the twin can create, with the properties of each that it models.

Source: CloudFormation resource and property reference. A type or property that is not listed raises `Unmodelled`.
Properties listed as `without_effect` change nothing that the twin shows (tags, descriptions, log settings, …).
"""

from __future__ import annotations

import hashlib
import json
from base64 import b32encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from twin.errors import AwsError, Unmodelled, WorldError
from twin.kernel import schedules
from twin.kernel.alarms import Alarm, Alarms, Metric
from twin.kernel.api import WORLD
from twin.kernel.bus import EventBus, Rule, Target
from twin.kernel.functions import FunctionSpec, Invocation
from twin.kernel.functions import Metric as EmittedMetric
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.pattern import EventPattern, PatternError
from twin.kernel.queues import Queue, Queues, SourceMapping
from twin.kernel.statistics import BASIC
from twin.kernel.topics import Topics

Properties = Mapping[str, Any]


class FunctionRuntime(Protocol):
    """What a deployment needs of the Lambda runtime."""

    def add(self, spec: FunctionSpec) -> Any: ...

    def publish_version(self, function_arn: str) -> str: ...

    def add_alias(self, alias: str, version_arn: str) -> str: ...

    @property
    def finished(self) -> list[Callable[[Invocation], None]]: ...

    @property
    def metrics(self) -> list[EmittedMetric]: ...


class MachineRuntime(Protocol):
    """What a deployment needs of Step Functions."""

    def add(self, logical_id: str, name: str, definition: str, role_arn: str) -> Any: ...

    def publish_version(self, machine_arn: str) -> str: ...

    def add_alias(self, alias: str, version_arn: str) -> str: ...


@dataclass(frozen=True)
class Created:
    """A resource of the stack: `ref` is what `Ref` gives, `attributes` what `Fn::GetAtt` gives."""

    logical_id: str
    type: str
    ref: str
    attributes: Mapping[str, Any]
    properties: Properties

    @property
    def arn(self) -> str | None:
        """The resource's ARN, where it has one."""
        found = self.attributes.get("Arn") or self.attributes.get("TopicArn")
        return str(found) if found else self.ref if self.ref.startswith("arn:") else None


@dataclass
class Site:
    """Where a stack is built."""

    stack: str
    kernel: Kernel
    gateway: Gateway
    functions: FunctionRuntime
    machines: MachineRuntime
    bus: EventBus
    queues: Queues
    topics: Topics
    alarms: Alarms
    definition_text: Callable[[str], str]
    timeouts: dict[str, float] = field(default_factory=dict)
    function_roles: dict[str, str] = field(default_factory=dict)

    def name(self, logical_id: str, limit: int = 80) -> str:
        """A physical name as CloudFormation makes one."""
        digest = hashlib.sha256(f"{self.kernel.account}/{self.stack}/{logical_id}".encode()).digest()
        suffix = b32encode(digest)[:12].decode()
        return f"{self.stack}-{logical_id}"[: limit - 13] + f"-{suffix}"


Maker = Callable[[Site, str, Properties], tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Kind:
    """A resource type: the properties that it needs, models and accepts without effect."""

    make: Maker
    needed: frozenset[str]
    modelled: frozenset[str]
    without_effect: frozenset[str]


def create(site: Site, logical_id: str, type_: str, properties: Properties) -> Created:
    """Create one resource from its resolved properties."""
    kind = _KINDS.get(type_)
    if kind is None:
        raise Unmodelled(f"template: resource {logical_id} of type {type_}")
    for name in sorted(properties):
        if name not in kind.needed | kind.modelled | kind.without_effect:
            raise Unmodelled(f"template: property {name} of {logical_id} ({type_})")
    for name in sorted(kind.needed):
        if name not in properties:
            raise WorldError(f"template: {logical_id} ({type_}) has no {name}")
    ref, attributes = kind.make(site, logical_id, properties)
    return Created(logical_id, type_, ref, attributes, properties)


def _only(value: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
    extra = sorted(set(value) - set(allowed))
    if extra:
        raise Unmodelled(f"template: property {extra[0]} of {where}")


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


# --- IAM -------------------------------------------------------------------------------------------------------------
def _role(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    name = properties.get("RoleName") or site.name(logical_id, 64)
    arn = f"arn:aws:iam::{site.kernel.account}:role{properties.get('Path', '/')}{name}"
    iam = site.gateway.iam
    role = iam.add_role(arn, name, properties["AssumeRolePolicyDocument"])
    for managed in properties.get("ManagedPolicyArns", ()):
        iam.add_managed_policy(role, managed)
    for policy in properties.get("Policies", ()):
        _only(policy, ("PolicyName", "PolicyDocument"), f"{logical_id}.Policies")
        iam.add_policy(role, policy["PolicyDocument"], f"{logical_id}, policy {policy['PolicyName']}")
    return name, {"Arn": arn, "RoleId": f"AROA{b32encode(name.encode())[:16].decode()}"}


def _policy(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    by_name = {role.name: role for role in site.gateway.iam.roles.values()}
    for name in properties["Roles"]:
        if name not in by_name:
            raise WorldError(f"template: {logical_id}: role {name} does not exist")
        site.gateway.iam.add_policy(by_name[name], properties["PolicyDocument"], logical_id)
    return site.name(logical_id), {}


# --- Lambda ----------------------------------------------------------------------------------------------------------
def _function(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    name = properties.get("FunctionName") or site.name(logical_id, 64)
    arn = site.kernel.arn("lambda", f"function:{name}")
    environment = properties.get("Environment", {})
    _only(environment, ("Variables",), f"{logical_id}.Environment")
    role, timeout = properties["Role"], float(properties.get("Timeout", 3))
    site.gateway.iam.require_trust(role, "lambda.amazonaws.com", f"function {logical_id}")
    site.functions.add(
        FunctionSpec(
            logical_id=logical_id,
            name=name,
            arn=arn,
            handler=properties["Handler"],
            environment={key: _variable(value) for key, value in environment.get("Variables", {}).items()},
            role_arn=role,
            timeout=timeout,
            memory=int(properties.get("MemorySize", 128)),
            dead_letter=_dead_letter(site, logical_id, properties),
        )
    )
    site.timeouts[arn], site.function_roles[arn] = timeout, role
    return name, {"Arn": arn}


def _dead_letter(
    site: Site, logical_id: str, properties: Properties
) -> Callable[[Any, Mapping[str, Any]], None] | None:
    """Where Lambda puts events whose function failed in all tries.

    Lambda developer guide, "Capturing records of Lambda asynchronous invocations": the event as it was, the error in
    the message's attributes.
    """
    config = properties.get("DeadLetterConfig")
    if config is None:
        return None
    _only(config, ("TargetArn",), f"{logical_id}.DeadLetterConfig")
    arn = config["TargetArn"]
    if arn.split(":")[2] != "sqs":
        raise Unmodelled(f"template: {logical_id}: DeadLetterConfig of service {arn.split(':')[2]}")
    queue = _queue_named(site, arn, logical_id)
    denied = site.gateway.iam.role_denied(properties["Role"], "sqs:SendMessage", arn, "lambda.amazonaws.com")
    if denied:
        raise WorldError(f"template: {logical_id}: DeadLetterConfig: {denied}")

    def send(event: Any, error: Mapping[str, Any]) -> None:
        message = str(error.get("errorMessage", ""))[:1024]
        attributes = {
            "ErrorCode": {"StringValue": "200", "DataType": "Number"},
            "ErrorMessage": {"StringValue": message, "DataType": "String"},
        }
        site.queues.send(queue, json.dumps(event), sender="lambda.amazonaws.com", attributes=attributes)

    return send


def _variable(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _function_arn(site: Site, name: str) -> str:
    return name if name.startswith("arn:") else site.kernel.arn("lambda", f"function:{name}")


def _unqualified(function_arn: str) -> str:
    return ":".join(function_arn.split(":")[:7])


def _function_name(name_or_arn: str) -> str:
    return name_or_arn.split(":")[6] if name_or_arn.startswith("arn:") else name_or_arn


def _lambda_version(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    name = _function_name(properties["FunctionName"])
    arn = site.functions.publish_version(_function_arn(site, name))
    return arn, {"Version": arn.rpartition(":")[2], "FunctionArn": arn}


def _lambda_alias(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    name = _function_name(properties["FunctionName"])
    arn = site.functions.add_alias(properties["Name"], f"{_function_arn(site, name)}:{properties['FunctionVersion']}")
    return arn, {"AliasArn": arn}


def _permission(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    function = _function_arn(site, properties["FunctionName"])
    conditions: dict[str, Any] = {}
    if "SourceArn" in properties:
        conditions["ArnLike"] = {"AWS:SourceArn": properties["SourceArn"]}
    if "SourceAccount" in properties:
        conditions["StringEquals"] = {"AWS:SourceAccount": properties["SourceAccount"]}
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": properties["Principal"]},
        "Action": properties["Action"],
        "Resource": function,
        "Condition": conditions,
    }
    site.gateway.iam.add_resource_policy(function, {"Statement": [statement]}, logical_id)
    return site.name(logical_id), {}


def _event_source_mapping(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    function, source = _function_arn(site, properties["FunctionName"]), properties["EventSourceArn"]
    if source.split(":")[2] != "sqs":
        raise Unmodelled(f"template: {logical_id}: an event source of service {source.split(':')[2]}")
    _check_poller(site, logical_id, _unqualified(function), source)
    scaling = properties.get("ScalingConfig", {})
    _only(scaling, ("MaximumConcurrency",), f"{logical_id}.ScalingConfig")
    kinds = properties.get("FunctionResponseTypes", [])
    if kinds not in ([], ["ReportBatchItemFailures"]):
        raise Unmodelled(f"template: {logical_id}: FunctionResponseTypes {kinds}")
    mapping = SourceMapping(
        queue=_queue_named(site, source, logical_id),
        function=function,
        batch_size=int(properties.get("BatchSize", 10)),
        window=float(properties.get("MaximumBatchingWindowInSeconds", 0)),
        partial=bool(kinds),
        concurrency=int(scaling["MaximumConcurrency"]) if "MaximumConcurrency" in scaling else None,
        enabled=_true(properties.get("Enabled", True)),
    )
    site.queues.add_mapping(mapping, site.timeouts[_unqualified(function)])
    return site.name(logical_id), {}


def _check_poller(site: Site, logical_id: str, function: str, queue: str) -> None:
    """Lambda refuses a mapping whose function's role may not read the queue."""
    if function not in site.function_roles:
        raise WorldError(f"template: {logical_id}: function {function} does not exist")
    for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
        role = site.function_roles[function]
        denied = site.gateway.iam.role_denied(role, action, queue, "lambda.amazonaws.com")
        if denied:
            raise WorldError(f"template: {logical_id}: {denied}")


# --- Step Functions --------------------------------------------------------------------------------------------------
def _state_machine(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    if properties.get("StateMachineType", "STANDARD") != "STANDARD":
        raise Unmodelled(f"template: {logical_id}: StateMachineType {properties['StateMachineType']}")
    name = properties.get("StateMachineName") or site.name(logical_id)
    arn = site.kernel.arn("states", f"stateMachine:{name}")
    role = properties["RoleArn"]
    site.gateway.iam.require_trust(role, "states.amazonaws.com", f"state machine {logical_id}")
    site.machines.add(logical_id, name, site.definition_text(logical_id), role)
    return arn, {"Arn": arn, "Name": name, "StateMachineRevisionId": "INITIAL"}


def _machine_version(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    arn = site.machines.publish_version(properties["StateMachineArn"])
    return arn, {"Arn": arn}


def _machine_alias(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    routing = properties.get("RoutingConfiguration")
    if routing:
        if len(routing) != 1 or int(routing[0]["Weight"]) != 100:
            raise Unmodelled(f"template: {logical_id}: an alias that routes to two versions")
        version = routing[0]["StateMachineVersionArn"]
    else:
        preference = properties.get("DeploymentPreference", {})
        if preference.get("Type") != "ALL_AT_ONCE":
            raise Unmodelled(f"template: {logical_id}: DeploymentPreference {preference.get('Type')}")
        version = preference["StateMachineVersionArn"]
    arn = site.machines.add_alias(properties["Name"], version)
    return arn, {"Arn": arn}


# --- SQS, SNS --------------------------------------------------------------------------------------------------------
def _queue(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    redrive = properties.get("RedrivePolicy", {})
    _only(redrive, ("deadLetterTargetArn", "maxReceiveCount"), f"{logical_id}.RedrivePolicy")
    settings: dict[str, Any] = {
        "visibility": _bounded(properties, "VisibilityTimeout", 30, 0, 43_200, logical_id),
        "retention": _bounded(properties, "MessageRetentionPeriod", 345_600, 60, 1_209_600, logical_id),
        "delay": _bounded(properties, "DelaySeconds", 0, 0, 900, logical_id),
    }
    if redrive:
        _queue_named(site, redrive["deadLetterTargetArn"], logical_id)
        settings["dead_letter_arn"] = redrive["deadLetterTargetArn"]
        settings["max_receive_count"] = int(_bounded(redrive, "maxReceiveCount", 1, 1, 1000, logical_id))
    queue = site.queues.add(properties.get("QueueName") or site.name(logical_id), **settings)
    return queue.url, {"Arn": queue.arn, "QueueName": queue.name, "QueueUrl": queue.url}


def _bounded(properties: Properties, name: str, default: float, low: float, high: float, logical_id: str) -> float:
    value = float(properties.get(name, default))
    if not low <= value <= high:
        raise WorldError(f"template: {logical_id}: {name} {value:g} is not between {low:g} and {high:g}")
    return value


def _queue_named(site: Site, arn: str, logical_id: str) -> Queue:
    try:
        return site.queues.by_arn(arn)
    except AwsError as error:
        raise WorldError(f"template: {logical_id}: queue {arn} does not exist") from error


def _queue_policy(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    for url in properties["Queues"]:
        queue = _queue_named(site, site.kernel.arn("sqs", url.rpartition("/")[2]), logical_id)
        site.gateway.iam.add_resource_policy(queue.arn, properties["PolicyDocument"], logical_id)
    return site.name(logical_id), {}


def _topic(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    for subscription in properties.get("Subscription", ()):
        _check_protocol(subscription, logical_id)
    topic = site.topics.add(properties.get("TopicName") or site.name(logical_id))
    return topic.arn, {"TopicArn": topic.arn, "TopicName": topic.name}


def _check_protocol(subscription: Properties, logical_id: str) -> None:
    """Subscribers outside of the account get what `Topics.messages` holds; those inside are not modelled."""
    if subscription["Protocol"] not in ("email", "email-json", "https", "sms"):
        raise Unmodelled(f"template: {logical_id}: a subscription by {subscription['Protocol']}")


def _topic_policy(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    for arn in properties["Topics"]:
        site.gateway.iam.add_resource_policy(arn, properties["PolicyDocument"], logical_id)
    return site.name(logical_id), {}


def _subscription(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    _check_protocol(properties, logical_id)
    return f"{properties['TopicArn']}:{site.name(logical_id)}", {}


# --- EventBridge -----------------------------------------------------------------------------------------------------
def _rule(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    name = properties.get("Name") or site.name(logical_id, 64)
    arn = site.kernel.arn("events", f"rule/{name}")
    bus, state = properties.get("EventBusName", "default"), properties.get("State", "ENABLED")
    if bus not in ("default", site.kernel.arn("events", "event-bus/default")):
        raise Unmodelled(f"template: {logical_id}: event bus {bus}")
    if state not in ("ENABLED", "DISABLED"):
        raise Unmodelled(f"template: {logical_id}: State {state}")
    expression = properties.get("ScheduleExpression")
    rule = Rule(
        name=name,
        arn=arn,
        pattern=_pattern(properties.get("EventPattern"), logical_id),
        schedule=schedules.parse(expression) if expression else None,
        targets=tuple(_target(target, logical_id) for target in properties["Targets"]),
        enabled=state == "ENABLED",
        text=expression or json.dumps(properties.get("EventPattern")),
    )
    if rule.pattern is None and rule.schedule is None:
        raise WorldError(f"template: {logical_id} has neither EventPattern nor ScheduleExpression")
    site.bus.add(rule)
    return name, {"Arn": arn}


def _pattern(pattern: Any, logical_id: str) -> EventPattern | None:
    if pattern is None:
        return None
    try:
        return EventPattern.compile(pattern)
    except PatternError as error:
        raise WorldError(f"template: {logical_id}: EventPattern: {error}") from error


def _target(target: Properties, logical_id: str) -> Target:
    where = f"{logical_id}.Targets"
    _only(target, ("Id", "Arn", "RoleArn", "DeadLetterConfig", "RetryPolicy", "Input"), where)
    retry, dead = target.get("RetryPolicy", {}), target.get("DeadLetterConfig", {})
    _only(retry, ("MaximumRetryAttempts", "MaximumEventAgeInSeconds"), f"{where}.RetryPolicy")
    return Target(
        id=target["Id"],
        arn=target["Arn"],
        role_arn=target.get("RoleArn"),
        dead_letter_arn=dead.get("Arn"),
        attempts=int(retry.get("MaximumRetryAttempts", 185)),
        max_age=float(retry.get("MaximumEventAgeInSeconds", 86_400)),
        input=target.get("Input"),
    )


# --- the others ------------------------------------------------------------------------------------------------------
def _table(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    name = properties.get("TableName") or site.name(logical_id, 255)
    if properties.get("BillingMode") != "PAY_PER_REQUEST":
        raise Unmodelled(f"template: {logical_id}: BillingMode {properties.get('BillingMode', 'PROVISIONED')}")
    same = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
    params = {"TableName": name, **{key: properties[key] for key in same if key in properties}}
    gateway = site.gateway
    gateway.call("dynamodb", "CreateTable", params, WORLD)
    expiry = properties.get("TimeToLiveSpecification")
    if expiry:
        setting = {"Enabled": _true(expiry["Enabled"]), "AttributeName": expiry["AttributeName"]}
        params = {"TableName": name, "TimeToLiveSpecification": setting}
        gateway.call("dynamodb", "UpdateTimeToLive", params, WORLD)
    hash_key = next(key["AttributeName"] for key in properties["KeySchema"] if key["KeyType"] == "HASH")
    gateway.iam.names.partition_keys[name] = hash_key
    return name, {"Arn": site.kernel.arn("dynamodb", f"table/{name}")}


def _parameter(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    name = properties.get("Name") or f"CFN-{site.name(logical_id)}"
    optional = {key: properties[key] for key in ("Description", "Tier") if key in properties}
    params = {"Name": name, "Type": properties["Type"], "Value": str(properties["Value"]), **optional}
    site.gateway.call("ssm", "PutParameter", params, WORLD)
    return name, {"Type": properties["Type"], "Value": params["Value"]}


def _alarm(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    name = properties.get("AlarmName") or site.name(logical_id, 255)
    dimensions = {item["Name"]: str(item["Value"]) for item in properties.get("Dimensions", ())}
    periods = int(properties["EvaluationPeriods"])
    active = _true(properties.get("ActionsEnabled", True))
    if properties["Statistic"] not in BASIC:
        raise Unmodelled(f"template: {logical_id}: statistic {properties['Statistic']}")
    alarm = Alarm(
        name=name,
        arn=site.kernel.arn("cloudwatch", f"alarm:{name}"),
        description=properties.get("AlarmDescription", ""),
        metric=Metric.of(properties["Namespace"], properties["MetricName"], dimensions),
        statistic=properties["Statistic"],
        period=int(properties["Period"]),
        periods=periods,
        to_alarm=int(properties.get("DatapointsToAlarm", periods)),
        threshold=float(properties["Threshold"]),
        comparison=properties["ComparisonOperator"],
        missing=properties.get("TreatMissingData", "missing"),
        alarm_actions=tuple(properties.get("AlarmActions", ())) if active else (),
        ok_actions=tuple(properties.get("OKActions", ())) if active else (),
    )
    for action in (*alarm.alarm_actions, *alarm.ok_actions):
        if action.split(":")[2] != "sns":
            raise Unmodelled(f"template: {logical_id}: alarm action {action}")
    site.alarms.add(alarm)
    return name, {"Arn": alarm.arn}


def _dashboard(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    try:
        json.loads(properties["DashboardBody"])
    except json.JSONDecodeError as error:
        raise WorldError(f"template: {logical_id}: DashboardBody is not JSON: {error}") from error
    return properties.get("DashboardName") or site.name(logical_id), {}


def _log_group(site: Site, logical_id: str, properties: Properties) -> tuple[str, Mapping[str, Any]]:
    name = properties.get("LogGroupName") or site.name(logical_id)
    return name, {"Arn": site.kernel.arn("logs", f"log-group:{name}:*")}


def _kind(make: Maker, needed: str = "", modelled: str = "", without_effect: str = "") -> Kind:
    return Kind(make, *(frozenset(names.split()) for names in (needed, modelled, without_effect)))


_KINDS: Mapping[str, Kind] = {
    "AWS::IAM::Role": _kind(
        _role, "AssumeRolePolicyDocument", "ManagedPolicyArns Policies RoleName Path", "Tags Description"
    ),
    "AWS::IAM::Policy": _kind(_policy, "PolicyDocument Roles", "", "PolicyName"),
    "AWS::Lambda::Function": _kind(
        _function,
        "Role Handler",
        "FunctionName Environment Timeout MemorySize DeadLetterConfig",
        "Code Runtime Tags Description TracingConfig Architectures LoggingConfig PackageType",
    ),
    "AWS::Lambda::Version": _kind(_lambda_version, "FunctionName", "", "Description"),
    "AWS::Lambda::Alias": _kind(_lambda_alias, "FunctionName FunctionVersion Name", "", "Description"),
    "AWS::Lambda::Permission": _kind(_permission, "Action FunctionName Principal", "SourceArn SourceAccount"),
    "AWS::Lambda::EventSourceMapping": _kind(
        _event_source_mapping,
        "EventSourceArn FunctionName",
        "BatchSize MaximumBatchingWindowInSeconds FunctionResponseTypes ScalingConfig Enabled",
        "Tags",
    ),
    "AWS::StepFunctions::StateMachine": _kind(
        _state_machine,
        "RoleArn",
        "StateMachineName StateMachineType DefinitionS3Location DefinitionString DefinitionSubstitutions",
        "Tags LoggingConfiguration TracingConfiguration",
    ),
    "AWS::StepFunctions::StateMachineVersion": _kind(
        _machine_version, "StateMachineArn", "", "StateMachineRevisionId Description"
    ),
    "AWS::StepFunctions::StateMachineAlias": _kind(
        _machine_alias, "Name", "RoutingConfiguration DeploymentPreference", "Description"
    ),
    "AWS::SQS::Queue": _kind(
        _queue,
        "",
        "QueueName VisibilityTimeout MessageRetentionPeriod DelaySeconds RedrivePolicy",
        "Tags SqsManagedSseEnabled KmsMasterKeyId KmsDataKeyReusePeriodSeconds",
    ),
    "AWS::SQS::QueuePolicy": _kind(_queue_policy, "PolicyDocument Queues"),
    "AWS::SNS::Topic": _kind(_topic, "", "TopicName Subscription", "DisplayName Tags KmsMasterKeyId"),
    "AWS::SNS::TopicPolicy": _kind(_topic_policy, "PolicyDocument Topics"),
    "AWS::SNS::Subscription": _kind(_subscription, "Protocol TopicArn", "", "Endpoint"),
    "AWS::Events::Rule": _kind(
        _rule, "Targets", "Name EventPattern ScheduleExpression State EventBusName", "Description Tags"
    ),
    "AWS::DynamoDB::Table": _kind(
        _table,
        "AttributeDefinitions KeySchema",
        "TableName BillingMode GlobalSecondaryIndexes TimeToLiveSpecification",
        "PointInTimeRecoverySpecification SSESpecification DeletionProtectionEnabled Tags TableClass",
    ),
    "AWS::SSM::Parameter": _kind(_parameter, "Type Value", "Name Description Tier", "Tags DataType"),
    "AWS::CloudWatch::Alarm": _kind(
        _alarm,
        "MetricName Namespace Statistic Period EvaluationPeriods Threshold ComparisonOperator",
        "AlarmName Dimensions DatapointsToAlarm TreatMissingData ActionsEnabled AlarmActions OKActions "
        "AlarmDescription",
        "Unit Tags",
    ),
    "AWS::CloudWatch::Dashboard": _kind(_dashboard, "DashboardBody", "DashboardName"),
    "AWS::Logs::LogGroup": _kind(
        _log_group, "", "LogGroupName", "RetentionInDays Tags KmsKeyId LogGroupClass DeletionProtectionEnabled"
    ),
}
