"""Conditions of rules: checked as AWS checks them, and brought into the form in which AWS returns them.

The twin keeps conditions; it does not match requests against them: simulated traffic names its rule.

Source: ELBv2 API (RuleCondition and the configurations in it), Application Load Balancer guide ("Condition types for
listener rules", "Quotas").
"""

from __future__ import annotations

import copy
import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

from twin.errors import AwsError
from twin.neighbours.common import only

VALUES_PER_RULE = 5
WILDCARDS_PER_RULE = 5
_CONFIGS = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "query-string": "QueryStringConfig",
    "source-ip": "SourceIpConfig",
}
_MEMBERS = {"HttpHeaderConfig": {"Values", "HttpHeaderName"}}
_SHORT = ("host-header", "path-pattern")
_SEVERAL = ("http-header", "query-string")
_WILD = ("host-header", "path-pattern", "http-header", "query-string")
_LONGEST = {"http-request-method": 40}
_METHOD = re.compile(r"[A-Z_-]+")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def checked_conditions(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`given` as AWS returns it: host and path conditions in both forms.

    Raises:
        AwsError: ValidationError.
        Unmodelled: regular expressions, and what else the twin does not model.
    """
    if not given:
        raise _invalid("A condition must be specified")
    shown = [_checked(condition) for condition in given]
    fields = [condition["Field"] for condition in shown]
    for field in fields:
        if field not in _SEVERAL and fields.count(field) > 1:
            raise _invalid(f"A rule can only have one '{field}' condition")
    values = [value for condition in shown for value in _values(condition)]
    if len(values) > VALUES_PER_RULE:
        raise _invalid(f"A rule can only have '{VALUES_PER_RULE}' condition values")
    wild = [text for one in shown if one["Field"] in _WILD for value in _values(one) for text in _texts(value)]
    if sum(text.count("*") + text.count("?") for text in wild) > WILDCARDS_PER_RULE:
        raise _invalid(f"A rule can only have '{WILDCARDS_PER_RULE}' condition wildcards")
    return shown


def _checked(condition: Mapping[str, Any]) -> dict[str, Any]:
    field = condition.get("Field")
    if field not in _CONFIGS:
        raise _invalid(f"Condition field '{field}' must be one of '[{', '.join(sorted(_CONFIGS))}]'")
    name = _CONFIGS[field]
    only(condition, {"Field", "Values", name}, f"elbv2: condition on {field}")
    if "Values" in condition and field not in _SHORT:
        raise _invalid(f"The 'Values' field is not compatible with '{field}'")
    config = copy.deepcopy(condition.get(name))
    if config is None:
        config = {"Values": _short_values(condition, field)}
    elif condition.get("Values") not in (None, config.get("Values")):
        # AWS refuses both forms at once, but takes back unchanged what it returned.
        raise _invalid(f"You cannot provide both Values and '{name}' for a condition of type '{field}'")
    only(config, _MEMBERS.get(name, {"Values"}), f"elbv2: {name}")
    _check_values(field, config)
    short = {"Values": list(config["Values"])} if field in _SHORT else {}
    return {"Field": field, **short, name: config}


def _short_values(condition: Mapping[str, Any], field: str) -> list[str]:
    if "Values" not in condition:
        raise _invalid(f"A '{_CONFIGS[field]}' must be specified with '{field}'")
    if len(condition["Values"]) > 1:
        raise _invalid(f"The '{field}' field contains too many values; the limit is '1'")
    return list(condition["Values"])


def _check_values(field: str, config: Mapping[str, Any]) -> None:
    values = config.get("Values", [])
    if not values or any(not text for value in values for text in _texts(value)):
        raise _invalid("A condition value must be specified")
    longest = _LONGEST.get(field, 128)
    if any(len(text) > longest for value in values for text in _texts(value)):
        raise _invalid(f"The '{field}' value is too long; the limit is '{longest}'")
    if field == "http-header" and not (_HEADER.fullmatch(name := config.get("HttpHeaderName", "")) and len(name) <= 40):
        raise _invalid("The 'HttpHeaderName' must have 1 to 40 characters of a header name")
    if field == "http-request-method" and not all(_METHOD.fullmatch(value) for value in values):
        raise _invalid("The 'http-request-method' value is invalid; the allowed characters are A-Z, hyphen, underscore")
    if field == "source-ip" and not all(_is_block(value) for value in values):
        raise _invalid(f"The 'source-ip' value must be a CIDR block: {', '.join(values)}")


def _is_block(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return "/" in value


def _values(condition: Mapping[str, Any]) -> list[Any]:
    return list(condition[_CONFIGS[condition["Field"]]]["Values"])


def _texts(value: Any) -> list[str]:
    """A value's texts: query string conditions have pairs of an optional key and a value."""
    if isinstance(value, str):
        return [value]
    return [value.get("Value", ""), *([value["Key"]] if "Key" in value else [])]


def _invalid(text: str) -> AwsError:
    return AwsError("ValidationError", text)
