"""Amazon CloudWatch Logs, as far as log groups go: they, their filters and their tags. No log event is simulated.

Sources: CloudWatch Logs API (CreateLogGroup, DescribeLogGroups, DeleteLogGroup, PutSubscriptionFilter, PutMetricFilter
and their kin); CloudWatch Logs user guide, "CloudWatch Logs quotas" (2 subscription filters and 100 metric filters a
log group). DeleteLogGroup asks nobody whether the group is in use: only deletion protection holds it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from twin.errors import AwsError
from twin.kernel.api import Api, Call, operation
from twin.kernel.kernel import Kernel
from twin.neighbours.common import page_by_name

SUBSCRIPTION_FILTERS = 2
METRIC_FILTERS = 100
TAGS_PER_GROUP = 50
RETENTION = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545),
    *(731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)  # fmt: skip
_NAME = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
_BAD_TOKEN = AwsError("InvalidParameterException", "The specified nextToken is invalid.")


@dataclass
class LogGroup:
    """A log group.

    Attributes:
        created: epoch milliseconds.
        stored_bytes: what it holds, as the world says.
        subscriptions, metrics: its filters by name, as the API shows them.
    """

    name: str
    created: int
    kind: str = "STANDARD"
    retention: int | None = None
    kms_key: str | None = None
    protected: bool = False
    stored_bytes: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)


class Logs(Api):
    """The API's operations on log groups.

    Attributes:
        groups: by name.
    """

    service = "logs"

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.groups: dict[str, LogGroup] = {}

    def arn(self, name: str) -> str:
        """As IAM and the tag operations name a log group."""
        return self.kernel.arn("logs", f"log-group:{name}")

    def store(self, name: str, stored_bytes: int) -> None:
        """The world's say of how much the group holds. AwsError ResourceNotFoundException if there is none."""
        self._group(name).stored_bytes = stored_bytes

    def tags_of(self, arn: str) -> Mapping[str, str]:
        """The group's tags; none for what does not exist. IAM's conditions on tags read them."""
        found = self.groups.get(_named(arn))
        return found.tags if found else {}

    # --- groups ------------------------------------------------------------------------------------------------------
    @operation("CreateLogGroup", ("logGroupName", "kmsKeyId", "tags", "logGroupClass", "deletionProtectionEnabled"))
    def create_log_group(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name = params["logGroupName"]
        if not _NAME.fullmatch(name):
            raise _invalid(f"Value '{name}' at 'logGroupName' failed to satisfy constraint.")
        if name in self.groups:
            raise AwsError("ResourceAlreadyExistsException", "The specified log group already exists")
        tags = dict(params.get("tags", {}))
        _check_tags(tags)
        self.groups[name] = LogGroup(
            name,
            self._milliseconds(),
            params.get("logGroupClass", "STANDARD"),
            None,
            params.get("kmsKeyId"),
            params.get("deletionProtectionEnabled", False),
            tags=tags,
        )
        return {}

    @operation(
        "DescribeLogGroups",
        (
            "logGroupNamePrefix",
            "logGroupNamePattern",
            "nextToken",
            "limit",
            "includeLinkedAccounts",
            "logGroupClass",
            "logGroupIdentifiers",
        ),
    )
    def describe_log_groups(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Sorted by name, at most 50 a page. No other account is linked to a world's."""
        prefix, part = params.get("logGroupNamePrefix"), params.get("logGroupNamePattern")
        if prefix is not None and part is not None:
            raise _invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
        names = sorted(self.groups)
        identifiers = params.get("logGroupIdentifiers")
        if identifiers is not None:
            if set(params) - {"logGroupIdentifiers", "includeLinkedAccounts", "nextToken", "limit"}:
                raise _invalid("logGroupIdentifiers cannot be combined with other filters.")
            wanted = {_named(one) for one in identifiers}
            names = [name for name in names if name in wanted]
        names = [name for name in names if name.startswith(prefix or "") and (part or "") in name]
        kind = params.get("logGroupClass")
        found = [self.groups[name] for name in names if kind in (None, self.groups[name].kind)]
        return self._page(found, params, "logGroups", lambda one: one.name, self._group_view)

    def _group_view(self, one: LogGroup) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "logGroupName": one.name,
            "creationTime": one.created,
            "metricFilterCount": len(one.metrics),
            "arn": f"{self.arn(one.name)}:*",
            "logGroupArn": self.arn(one.name),
            "storedBytes": one.stored_bytes,
            "logGroupClass": one.kind,
            "deletionProtectionEnabled": one.protected,
        }
        if one.retention:
            shown["retentionInDays"] = one.retention
        return shown | ({"kmsKeyId": one.kms_key} if one.kms_key else {})

    @operation("DeleteLogGroup", ("logGroupName",))
    def delete_log_group(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """With its events and its filters."""
        group = self._group(params["logGroupName"])
        if group.protected:
            raise AwsError(
                "ValidationException", f"Log group {group.name} cannot be deleted: deletion protection is enabled."
            )
        del self.groups[group.name]
        return {}

    @operation("PutLogGroupDeletionProtection", ("logGroupIdentifier", "deletionProtectionEnabled"))
    def put_log_group_deletion_protection(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        self._group(_named(params["logGroupIdentifier"])).protected = params["deletionProtectionEnabled"]
        return {}

    @operation("PutRetentionPolicy", ("logGroupName", "retentionInDays"))
    def put_retention_policy(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        if params["retentionInDays"] not in RETENTION:
            raise _invalid(f"Invalid retention value {params['retentionInDays']}.")
        self._group(params["logGroupName"]).retention = params["retentionInDays"]
        return {}

    @operation("DeleteRetentionPolicy", ("logGroupName",))
    def delete_retention_policy(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        self._group(params["logGroupName"]).retention = None
        return {}

    # --- filters -----------------------------------------------------------------------------------------------------
    @operation(
        "PutSubscriptionFilter",
        ("logGroupName", "filterName", "filterPattern", "destinationArn", "roleArn", "distribution"),
    )
    def put_subscription_filter(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group, name = self._group(params["logGroupName"]), params["filterName"]
        if name not in group.subscriptions and len(group.subscriptions) >= SUBSCRIPTION_FILTERS:
            raise AwsError("LimitExceededException", "Resource limit exceeded.")
        shown = {"distribution": "ByLogStream", **params, "creationTime": self._milliseconds()}
        group.subscriptions[name] = shown
        return {}

    @operation("DescribeSubscriptionFilters", ("logGroupName", "filterNamePrefix", "nextToken", "limit"))
    def describe_subscription_filters(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self._group(params["logGroupName"])
        found = _filters(group.subscriptions, params.get("filterNamePrefix"))
        return self._page(found, params, "subscriptionFilters", _filter_name, deepcopy)

    @operation("DeleteSubscriptionFilter", ("logGroupName", "filterName"))
    def delete_subscription_filter(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return self._delete_filter(self._group(params["logGroupName"]).subscriptions, params["filterName"])

    @operation("PutMetricFilter", ("logGroupName", "filterName", "filterPattern", "metricTransformations"))
    def put_metric_filter(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group, name = self._group(params["logGroupName"]), params["filterName"]
        if group.kind != "STANDARD":
            raise AwsError("InvalidOperationException", f"Log groups of class {group.kind} have no metric filters.")
        if name not in group.metrics and len(group.metrics) >= METRIC_FILTERS:
            raise AwsError("LimitExceededException", "Resource limit exceeded.")
        group.metrics[name] = {**params, "creationTime": self._milliseconds()}
        return {}

    @operation(
        "DescribeMetricFilters",
        ("logGroupName", "filterNamePrefix", "nextToken", "limit", "metricName", "metricNamespace"),
    )
    def describe_metric_filters(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Of one group or of all; the prefix counts with a group only."""
        if ("metricName" in params) != ("metricNamespace" in params):
            raise _invalid("metricName and metricNamespace must be specified together.")
        if "logGroupName" in params:
            found = _filters(self._group(params["logGroupName"]).metrics, params.get("filterNamePrefix"))
        else:
            found = [each for group in self.groups.values() for each in group.metrics.values()]
        if "metricName" in params:
            wanted = (params["metricNamespace"], params["metricName"])
            found = [
                one
                for one in found
                if wanted in [(each["metricNamespace"], each["metricName"]) for each in one["metricTransformations"]]
            ]
        found.sort(key=_group_and_filter)
        return self._page(found, params, "metricFilters", _group_and_filter, deepcopy)

    @operation("DeleteMetricFilter", ("logGroupName", "filterName"))
    def delete_metric_filter(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return self._delete_filter(self._group(params["logGroupName"]).metrics, params["filterName"])

    def _delete_filter(self, filters: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
        if name not in filters:
            raise AwsError("ResourceNotFoundException", "The specified filter does not exist.")
        del filters[name]
        return {}

    # --- tags --------------------------------------------------------------------------------------------------------
    @operation("ListTagsForResource", ("resourceArn",))
    def list_tags_for_resource(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"tags": dict(self._by_arn(params["resourceArn"]).tags)}

    @operation("TagResource", ("resourceArn", "tags"))
    def tag_resource(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self._by_arn(params["resourceArn"])
        tags = {**group.tags, **params["tags"]}
        _check_tags(tags)
        group.tags = tags
        return {}

    @operation("UntagResource", ("resourceArn", "tagKeys"))
    def untag_resource(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self._by_arn(params["resourceArn"])
        for key in params["tagKeys"]:
            group.tags.pop(key, None)
        return {}

    def _by_arn(self, arn: str) -> LogGroup:
        """The tag operations take a group's ARN without `:*`."""
        if not arn.startswith(self.arn("")) or arn.endswith(":*"):
            raise _invalid(f"1 validation error detected: Value '{arn}' at 'resourceArn' is no log group's ARN.")
        return self._group(_named(arn))

    # --- all ---------------------------------------------------------------------------------------------------------
    def _group(self, name: str) -> LogGroup:
        found = self.groups.get(name)
        if found is None:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
        return found

    def _milliseconds(self) -> int:
        return int(self.kernel.clock.time() * 1000)

    def _page(self, found: list[Any], params: Mapping[str, Any], member: str, name: Any, view: Any) -> dict[str, Any]:
        most = params.get("limit", 50)
        if not 1 <= most <= 50:
            raise _invalid(f"Value '{most}' at 'limit' failed to satisfy constraint: between 1 and 50.")
        shown, token = page_by_name(found, params.get("nextToken"), most, name, _BAD_TOKEN)
        return {member: [view(one) for one in shown]} | ({"nextToken": token} if token else {})


def _named(name_or_arn: str) -> str:
    return name_or_arn.partition(":log-group:")[2].removesuffix(":*") or name_or_arn


def _filters(filters: Mapping[str, dict[str, Any]], prefix: str | None) -> list[dict[str, Any]]:
    return [filters[name] for name in sorted(filters) if name.startswith(prefix or "")]


def _filter_name(one: Mapping[str, Any]) -> str:
    return str(one["filterName"])


def _group_and_filter(one: Mapping[str, Any]) -> str:
    return f"{one['filterName']}\n{one['logGroupName']}"


def _check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > TAGS_PER_GROUP:
        raise AwsError("TooManyTagsException", f"A log group can have at most {TAGS_PER_GROUP} tags.")


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidParameterException", text)
