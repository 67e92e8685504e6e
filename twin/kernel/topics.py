"""SNS topics: what was published, kept for people and tests to read. Subscribers are outside of the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twin.errors import AwsError
from twin.kernel.api import AWS_EVENTS, Api, Call, Caller, operation
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel

_MAX_MESSAGE = 262_144
_MAX_SUBJECT = 100


@dataclass(frozen=True)
class Topic:
    arn: str
    name: str


@dataclass(frozen=True)
class Message:
    """A message as a subscriber would get it."""

    at: datetime
    topic_arn: str
    message_id: str
    subject: str | None
    body: str
    attributes: Mapping[str, Any]
    caller: Caller


@dataclass(eq=False)
class Topics(Api):
    """Amazon SNS, as far as publishing goes.

    Attributes:
        messages: everything published, in order.
    """

    kernel: Kernel
    gateway: Gateway
    messages: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.service = "sns"
        self._topics: dict[str, Topic] = {}
        self._rng = self.kernel.rng("sns")
        self.gateway.register(self)

    def add(self, name: str) -> Topic:
        arn = self.kernel.arn("sns", name)
        self._topics[arn] = Topic(arn, name)
        return self._topics[arn]

    def publish_from_service(self, principal: str, source_arn: str, topic_arn: str, subject: str, body: str) -> None:
        """Publish as one of AWS's services, e.g. an alarm's action; `AwsError` when the topic's policy forbids it."""
        self._found(topic_arn)
        iam = self.gateway.iam
        # A topic without a policy of its own has the default one, which lets alarms of the same account publish.
        by_default = principal == "cloudwatch.amazonaws.com" and not iam.has_resource_policy(topic_arn)
        denied = None if by_default else iam.service_denied(principal, "SNS:Publish", topic_arn, source_arn)
        if denied:
            raise AwsError("AuthorizationError", denied, 403)
        self._deliver(topic_arn, subject, body, {}, AWS_EVENTS if principal.startswith("events") else _AWS_CLOUDWATCH)

    @operation("Publish", ["TopicArn", "Message", "Subject", "MessageAttributes"])
    def publish(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """SNS API: Publish."""
        topic_arn = params.get("TopicArn")
        if not topic_arn:
            raise AwsError("InvalidParameter", "Invalid parameter: TopicArn or TargetArn Reason: no value for required")
        self._found(topic_arn)
        body, subject = params["Message"], params.get("Subject")
        if not body:
            raise AwsError("InvalidParameter", "Invalid parameter: Empty message")
        if len(body.encode()) > _MAX_MESSAGE:
            raise AwsError("InvalidParameter", "Invalid parameter: Message too long")
        if subject is not None:
            _check_subject(subject)
        message = self._deliver(topic_arn, subject, body, params.get("MessageAttributes", {}), call.caller)
        return {"MessageId": message.message_id}

    def _found(self, topic_arn: str) -> Topic:
        topic = self._topics.get(topic_arn)
        if topic is None:
            raise AwsError("NotFound", "Topic does not exist", 404)
        return topic

    def _deliver(
        self, topic_arn: str, subject: str | None, body: str, attributes: Mapping[str, Any], caller: Caller
    ) -> Message:
        message_id = f"{self._rng.getrandbits(128):032x}"
        message_id = "-".join(message_id[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
        message = Message(self.kernel.clock.now(), topic_arn, message_id, subject, body, attributes, caller)
        self.messages.append(message)
        first_line = body.splitlines()[0] if body.strip() else ""
        self.kernel.note("message", f"{subject or first_line}", topic=topic_arn, message=message_id)
        return message


_AWS_CLOUDWATCH = Caller("aws", "cloudwatch")


def _check_subject(subject: str) -> None:
    """SNS API, Publish, Subject: ASCII, begins with a letter, number or punctuation, no line breaks, under 100 long."""
    plain = subject.isascii() and subject.isprintable()
    if not subject or not plain or subject[0].isspace() or len(subject) > _MAX_SUBJECT:
        raise AwsError("InvalidParameter", "Invalid parameter: Subject")
