"""What the template tells every function through its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


class BadSettings(RuntimeError):
    """The function was deployed without something that it needs. `str()` names the variable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one function.

    Attributes:
        table_name: the DynamoDB table.
        policy_path: path of the policy parameters, without a slash at its end.
        topic_arn: topic for messages to people.
        region: the function's own region.
        replace_host_arn, bake_release_arn, sweep_express_arn: alias ARNs of the machines; empty in functions that start
            no executions of them.
        cluster_names: name of the clusters that the roles allow, with wildcards.
    """

    table_name: str
    policy_path: str
    topic_arn: str
    region: str
    replace_host_arn: str = ""
    cluster_names: str = "*"
    bake_release_arn: str = ""
    sweep_express_arn: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment; raises `BadSettings` naming what is missing."""
        env = os.environ if environ is None else environ
        return cls(
            table_name=_need(env, "TABLE_NAME"),
            policy_path=_need(env, "POLICY_PATH").rstrip("/"),
            topic_arn=_need(env, "TOPIC_ARN"),
            region=_need(env, "AWS_REGION"),
            replace_host_arn=env.get("REPLACE_HOST_ARN", ""),
            cluster_names=env.get("CLUSTER_NAMES", "*"),
            bake_release_arn=env.get("BAKE_RELEASE_ARN", ""),
            sweep_express_arn=env.get("SWEEP_EXPRESS_ARN", ""),
        )

    def machine(self) -> str:
        """Alias ARN of replace_host, for the functions that start executions."""
        if not self.replace_host_arn:
            raise BadSettings("REPLACE_HOST_ARN: '' names no state machine; this function may not start executions")
        return self.replace_host_arn

    def bake_machine(self) -> str:
        """Alias ARN of bake_release, for the functions that start executions."""
        if not self.bake_release_arn:
            raise BadSettings("BAKE_RELEASE_ARN: '' names no state machine; this function may not start executions")
        return self.bake_release_arn

    def sweep_machine(self) -> str:
        """Alias ARN of sweep_express, for the functions that start executions."""
        if not self.sweep_express_arn:
            raise BadSettings("SWEEP_EXPRESS_ARN: '' names no state machine; this function may not start executions")
        return self.sweep_express_arn


def _need(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise BadSettings(f"{name}: {value!r} is empty; the template sets it on every function")
    return value
