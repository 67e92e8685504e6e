from __future__ import annotations

import json

import pytest
from caretaker.garbage import report
from caretaker.garbage.handlers import close_sweep
from caretaker.runtime.approval import Approval
from sweep_cases import NOW, act, sweep

CLOSED = sweep(status="closed", outcome="kept", reason="why", ended=NOW, remains=("x: in use",), savings=("$1",))


@pytest.mark.parametrize(
    ("statuses", "remains", "held", "outcome"),
    [
        (["done", "gone"], [], 0, "swept"),
        (["done"], ["load balancer x: shared"], 0, "swept"),
        (["done"], ["rule x: in use"], 1, "kept"),
        (["done", "refused"], [], 0, "kept"),
        (["done", "skipped"], [], 0, "kept"),
        (["done", "planned"], [], 0, "kept"),
    ],
)
def test_a_sweep_is_swept_only_if_nothing_stays_that_should_go(
    statuses: list[str], remains: list[str], held: int, outcome: str
) -> None:
    acts = [act(number, status=status, reason="in use") for number, status in enumerate(statuses, 1)]
    found, reason = report.outcome_of(acts, remains, held)
    assert found == outcome
    assert f"of {len(acts)} acts done" in reason


def test_the_event_tells_what_was_deleted_what_remains_and_what_it_saves() -> None:
    event = report.event_of(CLOSED, [act(1, status="done"), act(2, status="refused", reason="in use")], "arn")
    assert event["detail_type"] == "Sweep Kept"
    detail = event["detail"]
    assert detail["deletions"] == 1
    assert [each["status"] for each in detail["acts"]] == ["done", "refused"]
    assert detail["acts"][1]["reason"] == "in use"
    assert (detail["remains"], detail["savings"]) == (["x: in use"], ["$1"])


def test_an_event_fits_however_much_there_is() -> None:
    many = sweep(status="closed", outcome="kept", remains=("x" * 2_000,) * 1_000, plan=("y" * 2_000,) * 1_000)
    event = report.event_of(many, [act(n, reason="z" * 2_000, status="refused") for n in range(1, 1_001)], "arn")
    assert len(json.dumps(event)) < 256 * 1024


def test_people_are_told_of_what_needs_them() -> None:
    assert report.message_of(sweep(status="closed", outcome="swept"), [act(1, status="done")]) is None
    assert report.message_of(sweep(status="closed", outcome="planned"), [act(1)]) is None, "every day the same"
    expired = Approval(NOW, NOW, "token", answer="expired")
    for closed, acts in (
        (sweep(status="closed", outcome="failed", reason="broken"), []),
        (sweep(status="closed", outcome="planned", approval=expired), [act(1)]),
        (CLOSED, [act(1, status="refused", reason="in use")]),
    ):
        message = report.message_of(closed, acts)
        assert message is not None
        assert len(message["subject"]) < 100
        assert "Next: " in message["text"]


def test_what_was_cut_short_and_left_something_is_followed_by_another() -> None:
    name = "arn:aws:states:us-east-1:123456789012:execution:sweep:" + sweep().id
    assert close_sweep._another(sweep(), [], "kept", f"{name}-resume-1").endswith("something remains")
    assert close_sweep._another(sweep(), [], "swept", f"{name}-resume-1") == ""
    assert close_sweep._another(sweep(), [], "kept", name) == ""
    capped = sweep(notes={"capped": True})
    assert close_sweep._another(capped, [act(status="done")], "kept", name).endswith("policy's cap")
    assert close_sweep._another(capped, [act(status="skipped")], "kept", name) == ""
