"""Ask a person, and wait: `caretaker approve` and `caretaker reject` answer the token that is written here."""

from __future__ import annotations

from typing import Any

from caretaker.aws import sns
from caretaker.releases.desk import open_desk
from caretaker.releases.report import question_of
from caretaker.runtime import logging
from caretaker.runtime.approval import Approval, answered
from caretaker.runtime.clock import iso


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write the question down with its token, then send it. An answer that is there already goes on at once."""
    desk = open_desk(event)
    release = desk.release
    if release.approval is not None and release.approval.answer is not None:
        return answered(event["token"], release.approval.answer)
    expires = desk.now + desk.policy().approval_expires
    asked = desk.records.update(
        release.id, approval=Approval(desk.now, expires, event["token"]), when={"approval": release.approval}
    )
    question = question_of(asked, str(event.get("reason", "")), expires)
    sns.publish(desk.settings.topic_arn, question["subject"], question["text"])
    logging.logger().info(f"asked until {iso(expires)}")
    return {"waiting": True}
