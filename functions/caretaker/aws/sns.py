"""Amazon SNS: messages to people from functions. Those of a replacement's outcome are the state machine's own."""

from __future__ import annotations

from caretaker.aws import clients
from caretaker.aws.errors import call


def publish(topic: str, subject: str, text: str) -> None:
    """Publish one message. `subject` is ASCII, at most 99 characters."""
    call(clients.sns().publish, TopicArn=topic, Subject=subject[:99], Message=text)
