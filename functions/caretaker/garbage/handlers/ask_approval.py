"""Ask a person, and wait: `caretaker approve` and `caretaker reject` answer the token that is written here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from caretaker.aws import sns
from caretaker.garbage.desk import open_desk
from caretaker.garbage.report import question_of
from caretaker.runtime import logging
from caretaker.runtime.approval import Approval, answered
from caretaker.runtime.clock import iso


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write the question down with its token, then send it. An answer that is there already goes on at once."""
    desk = open_desk(event)
    acts = [act for act in desk.records.acts(desk.sweep.id) if act.status == "planned"]
    keys = tuple(act.key for act in acts)
    known = desk.sweep.approval
    if known is not None and known.answer is not None and set(keys) <= set(known.keys):
        return answered(event["token"], known.answer)
    expires = desk.now + timedelta(seconds=int(event["expires"]))
    asked = desk.records.update(
        desk.sweep.id, approval=Approval(desk.now, expires, event["token"], keys=keys), when={"approval": known}
    )
    question = question_of(asked, acts, expires)
    sns.publish(desk.settings.topic_arn, question["subject"], question["text"])
    logging.logger().info(f"asked until {iso(expires)}")
    return {"waiting": True}
