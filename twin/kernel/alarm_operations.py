"""The CloudWatch API's operations on alarms.

Source: CloudWatch API: PutMetricAlarm, PutCompositeAlarm, DescribeAlarms, DeleteAlarms, SetAlarmState, TagResource.
That DeleteAlarms refuses alarms that a composite alarm names, all of the request with them, and in which words:
published answers (cloud-custodian issue 7763).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twin.errors import AwsError
from twin.kernel import alarm_shapes
from twin.kernel.alarms import Alarm, Alarms
from twin.kernel.api import Call, operation
from twin.kernel.composites import Composite
from twin.kernel.kernel import Kernel

TAGS_PER_ALARM = 50
ALARMS_PER_DELETION = 100


class AlarmOperations:
    _alarms: Alarms
    _kernel: Kernel

    @operation("PutMetricAlarm", alarm_shapes.MEMBERS)
    def put_metric_alarm(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """An alarm of that name is overwritten and keeps its state and its tags."""
        if params["AlarmName"] in self._alarms.composites:
            raise invalid(f"Alarm {params['AlarmName']} is a composite alarm.")
        self._alarms.add(alarm_shapes.alarm_of(params, self._alarm_arn(params["AlarmName"])))
        return {}

    @operation("PutCompositeAlarm", alarm_shapes.COMPOSITE_MEMBERS)
    def put_composite_alarm(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """The alarms of its rule must exist."""
        if params["AlarmName"] in self._alarms.alarms:
            raise invalid(f"Alarm {params['AlarmName']} is a metric alarm.")
        alarm = alarm_shapes.composite_of(params, self._alarm_arn(params["AlarmName"]))
        missing = [name for name in alarm.children if self._alarm(name) is None]
        if missing:
            raise invalid(
                f"Could not save the composite alarm as alarms [{', '.join(missing)}] in the alarm rule do not exist"
            )
        self._alarms.add_composite(alarm)
        return {}

    @operation(
        "DescribeAlarms",
        ["AlarmNames", "AlarmNamePrefix", "AlarmTypes", "StateValue", "ActionPrefix", "MaxRecords", "NextToken"],
    )
    def describe_alarms(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Metric alarms, unless AlarmTypes asks for composite ones (too). Pages of 50 unless MaxRecords is given."""
        names, prefix = params.get("AlarmNames"), params.get("AlarmNamePrefix", "")
        if names and prefix:
            raise invalid("AlarmNames and AlarmNamePrefix cannot be specified together.")
        types = params.get("AlarmTypes") or ["MetricAlarm"]
        known: list[Alarm | Composite] = []
        if "MetricAlarm" in types:
            known += [alarm for _, alarm in sorted(self._alarms.alarms.items())]
        if "CompositeAlarm" in types:
            known += [alarm for _, alarm in sorted(self._alarms.composites.items())]
        wanted = set(names or ())
        chosen = [
            alarm
            for alarm in known
            if (not wanted or alarm.name in wanted)
            and alarm.name.startswith(prefix)
            and params.get("StateValue") in (None, alarm.state)
            and any(action.startswith(params.get("ActionPrefix", "")) for action in (*alarm.alarm_actions, ""))
        ]
        first, most = offset(params.get("NextToken")), params.get("MaxRecords", 100 if names else 50)
        shown = chosen[first : first + most]
        answer: dict[str, Any] = {
            "MetricAlarms": [alarm_shapes.view(one) for one in shown if isinstance(one, Alarm)],
            "CompositeAlarms": [alarm_shapes.composite_view(one) for one in shown if isinstance(one, Composite)],
        }
        return answer | ({"NextToken": str(first + most)} if len(chosen) > first + most else {})

    @operation("DeleteAlarms", ["AlarmNames"])
    def delete_alarms(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Names of no alarm are no error ("the alarms you specify with correct names are still deleted"). If a
        composite alarm depends on one of them, none is deleted."""
        names = params["AlarmNames"]
        if len(names) > ALARMS_PER_DELETION:
            raise invalid(f"At most {ALARMS_PER_DELETION} alarms can be deleted at once.")
        if sum(name in self._alarms.composites for name in names) > 1:
            raise invalid("At most one composite alarm can be deleted at once.")
        held = [name for name in names if self._alarm(name) is not None and self._alarms.parents(name)]
        if held:
            them = "it" if len(held) == 1 else "them"
            raise invalid(f"Cannot delete {','.join(held)} as there are composite alarm(s) depending on {them}.")
        for name in names:
            self._alarms.remove(name)
        return {}

    @operation("SetAlarmState", ["AlarmName", "StateValue", "StateReason"])
    def set_alarm_state(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """It holds until the alarm is next evaluated, at the minute's end."""
        if self._alarm(params["AlarmName"]) is None:
            raise AwsError("ResourceNotFound", f"Alarm {params['AlarmName']} does not exist", 404)
        self._alarms.set_state(params["AlarmName"], params["StateValue"], params["StateReason"])
        return {}

    # --- tags --------------------------------------------------------------------------------------------------------
    @operation("ListTagsForResource", ["ResourceARN"])
    def list_tags_for_resource(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self._tagged(params).tags.items()]}

    @operation("TagResource", ["ResourceARN", "Tags"])
    def tag_resource(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        alarm = self._tagged(params)
        tags = {**alarm.tags, **{tag["Key"]: tag["Value"] for tag in params["Tags"]}}
        if len(tags) > TAGS_PER_ALARM:
            raise invalid(f"An alarm can have at most {TAGS_PER_ALARM} tags.")
        alarm.tags = tags
        return {}

    @operation("UntagResource", ["ResourceARN", "TagKeys"])
    def untag_resource(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        alarm = self._tagged(params)
        for key in params["TagKeys"]:
            alarm.tags.pop(key, None)
        return {}

    def tags_of(self, arn: str) -> Mapping[str, str]:
        """The alarm's tags; none for what does not exist. IAM's conditions on tags read them."""
        found = self._alarm(arn.partition(":alarm:")[2])
        return found.tags if found else {}

    def _tagged(self, params: Mapping[str, Any]) -> Alarm | Composite:
        found = self._alarm(params["ResourceARN"].partition(":alarm:")[2])
        if found is None:
            raise AwsError("ResourceNotFoundException", f"{params['ResourceARN']} does not exist", 404)
        return found

    def _alarm(self, name: str) -> Alarm | Composite | None:
        return self._alarms.alarms.get(name) or self._alarms.composites.get(name)

    def _alarm_arn(self, name: str) -> str:
        return self._kernel.arn("cloudwatch", f"alarm:{name}")


def offset(token: str | None) -> int:
    """Where a page begins."""
    if token is None:
        return 0
    if not token.isdigit():
        raise AwsError("InvalidNextToken", "The next token specified is invalid.")
    return int(token)


def invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)
