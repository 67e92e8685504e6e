"""The CloudWatch alarms of a deployment.

Source: Amazon ECS Developer Guide, "How CloudWatch alarms detect Amazon ECS deployment failures": ECS polls
DescribeAlarms; an alarm that is in ALARM at the start is not minded "for the duration of that deployment".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from twin.ecs.deployment import Deployment
from twin.errors import AwsError
from twin.kernel.api import AWS_ECS

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

WatchStatus = Literal["TRIGGERED", "MONITORING", "MONITORING_COMPLETE", "DISABLED"]


class AlarmWatch:
    """Polls the alarms of one deployment until one goes into ALARM, or the deployment ends.

    Attributes:
        status: ServiceDeploymentRollbackMonitorsStatus; DISABLED when an alarm was in ALARM at the start.
        triggered: names of the alarms that went into ALARM.
    """

    def __init__(self, engine: Engine, deployment: Deployment, on_alarm: Callable[[list[str]], None]) -> None:
        self._engine = engine
        self._deployment = deployment
        self._on_alarm = on_alarm
        self.names: list[str] = list(deployment.configuration["alarms"]["alarmNames"])
        self.status: WatchStatus = "MONITORING"
        self.triggered: list[str] = []

    def start(self) -> None:
        """Look once, and from then on at every interval."""
        if not self._engine.kernel.settled:
            self.status = "DISABLED"
            return
        if self._in_alarm():
            self.status = "DISABLED"
            self._engine.kernel.note(
                "release.alarms_ignored",
                f"{self._deployment.service.name}: an alarm is in ALARM at the start of the deployment: ECS minds none",
                service=self._deployment.service.arn,
                deployment=self._deployment.arn,
            )
            return
        self._later()

    def stop(self) -> None:
        """The deployment has ended."""
        if self.status == "MONITORING":
            self.status = "MONITORING_COMPLETE"

    def _later(self) -> None:
        engine = self._engine
        engine.background(engine.options.alarm_poll, self._poll, f"ecs.alarms:{self._deployment.id}")

    def _poll(self) -> None:
        if self.status != "MONITORING":
            return
        self.triggered = self._in_alarm()
        if not self.triggered:
            self._later()
            return
        self.status = "TRIGGERED"
        self._on_alarm(self.triggered)

    def _in_alarm(self) -> list[str]:
        try:
            answer = self._engine.gateway.call(
                "cloudwatch", "DescribeAlarms", {"AlarmNames": self.names}, AWS_ECS, cause=self._deployment.cause
            )
        except AwsError:  # ECS "might miss the alarm" while it is throttled; it polls on
            return []
        return [alarm["AlarmName"] for alarm in answer.get("MetricAlarms", ()) if alarm["StateValue"] == "ALARM"]

    def shown(self) -> dict[str, Any]:
        """ECS API: ServiceDeploymentAlarms."""
        answer: dict[str, Any] = {"status": self.status, "alarmNames": list(self.names)}
        return {**answer, "triggeredAlarmNames": list(self.triggered)} if self.triggered else answer
