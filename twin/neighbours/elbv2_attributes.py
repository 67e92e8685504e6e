"""Attributes of load balancers and target groups: their defaults, and which the twin lets change.

Source: ELBv2 API, LoadBalancerAttribute and TargetGroupAttribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twin.errors import AwsError, Unmodelled

_APPLICATION: Mapping[str, str] = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "idle_timeout.timeout_seconds": "60",
    "deletion_protection.enabled": "false",
    "routing.http2.enabled": "true",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "client_keep_alive.seconds": "3600",
    "waf.fail_open.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "zonal_shift.config.enabled": "false",
    "connection_logs.s3.enabled": "false",
    "connection_logs.s3.bucket": "",
    "connection_logs.s3.prefix": "",
}
_NETWORK: Mapping[str, str] = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "load_balancing.cross_zone.enabled": "false",
    "dns_record.client_routing_policy": "any_availability_zone",
    "zonal_shift.config.enabled": "false",
}
TARGET_GROUP_ATTRIBUTES: Mapping[str, str] = {
    "stickiness.enabled": "false",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
    "deregistration_delay.timeout_seconds": "300",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "stickiness.type": "lb_cookie",
    "stickiness.lb_cookie.duration_seconds": "86400",
    "slow_start.duration_seconds": "0",
    "stickiness.app_cookie.duration_seconds": "86400",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "stickiness.app_cookie.cookie_name": "",
}
_TARGET_GROUP_CHANGEABLE = (
    "deregistration_delay.timeout_seconds",
    "stickiness.",
    "slow_start.",
    "load_balancing.algorithm.",
)
_BALANCER_CHANGEABLE = ("deletion_protection.enabled", "idle_timeout.timeout_seconds", "client_keep_alive.seconds")
_RANGES = {
    "deregistration_delay.timeout_seconds": (0, 3_600),
    "idle_timeout.timeout_seconds": (1, 4_000),
    "client_keep_alive.seconds": (60, 604_800),
}


def new_load_balancer_attributes(kind: str) -> dict[str, str]:
    """The defaults of an `application` or `network` load balancer."""
    return dict(_APPLICATION if kind == "application" else _NETWORK)


def set_target_group_attributes(attributes: dict[str, str], given: Sequence[Mapping[str, Any]]) -> None:
    """Set all of `given`, or none: ValidationError, or Unmodelled for what the twin takes no account of."""
    _set(attributes, given, "Target group", _TARGET_GROUP_CHANGEABLE)


def set_load_balancer_attributes(attributes: dict[str, str], given: Sequence[Mapping[str, Any]]) -> None:
    _set(attributes, given, "Load balancer", _BALANCER_CHANGEABLE)


def attributes_view(attributes: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in attributes.items()]


def _set(
    attributes: dict[str, str], given: Sequence[Mapping[str, Any]], what: str, changeable: tuple[str, ...]
) -> None:
    for one in given:
        key, value = one["Key"], one.get("Value", "")
        if key not in attributes:
            raise AwsError("ValidationError", f"{what} attribute key '{key}' is not recognized")
        if not key.startswith(changeable):
            raise Unmodelled(f"elbv2: {what.lower()} attribute {key}={value!r} is not modelled")
        if key in _RANGES:
            least, most = _RANGES[key]
            if not (value.isdigit() and least <= int(value) <= most):
                raise AwsError("ValidationError", f"'{key}' must be a number between {least} and {most}")
        elif key.endswith(".enabled") and value not in ("true", "false"):
            raise AwsError("ValidationError", f"'{key}' must be 'true' or 'false', not '{value}'")
    for one in given:
        attributes[one["Key"]] = one.get("Value", "")
