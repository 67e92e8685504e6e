"""What follows from a look at a driven release."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caretaker.releases.drive_next import after
from caretaker.releases.model import Action, Verdict
from caretaker.releases.next_step import Step
from caretaker.releases.release import Release
from caretaker.runtime.clock import iso
from caretaker.runtime.journal import Trigger
from caretaker.runtime.policy import ReleasePolicy

NOW = datetime(2026, 10, 5, 12, 0, tzinfo=UTC)
POLICY = ReleasePolicy(approval_expires=timedelta(hours=1))
SHIFT, WAIT = Step("shift", "why"), Step("wait", "why")


def release(weight: float = 0.05, **notes: Any) -> Release:
    return Release(
        id="bake-release-1",
        way="drive",
        mode="act",
        cluster="c",
        service="s",
        deployment="",
        revision="",
        task_definition="t",
        opened=NOW,
        trigger=Trigger("request", "a pipeline"),
        weight=weight,
        notes={"steps": [5, 25, 100], **notes},
    )


def verdict(action: Action) -> Verdict:
    return Verdict(action, "why", 1, 1, 0.0, 4.6, "beside", (), ())


@pytest.mark.parametrize(("weight", "share"), [(0.05, 0.25), (0.25, 1.0)])
def test_a_step_that_is_passed_gives_the_next_share(weight: float, share: float) -> None:
    assert after(release(weight), SHIFT, verdict(Action.PROMOTE), POLICY, NOW) == (SHIFT, share)


def test_after_the_last_step_the_release_is_promoted() -> None:
    step, share = after(release(1.0), SHIFT, verdict(Action.PROMOTE), POLICY, NOW)
    assert (step.next, step.outcome, share) == ("close", "promoted", None)


def test_a_share_is_raised_as_long_as_the_baseline_keeps_some() -> None:
    assert after(release(0.05), SHIFT, verdict(Action.INCONCLUSIVE), POLICY, NOW)[1] == 0.25
    step, share = after(release(0.25), SHIFT, verdict(Action.INCONCLUSIVE), POLICY, NOW)
    assert (step.next, share) == ("tell", None)
    step, _ = after(release(0.25, told=iso(NOW)), SHIFT, verdict(Action.INCONCLUSIVE), POLICY, NOW)
    assert step.next == "wait"


def test_what_nobody_decides_goes_back_and_is_called_inconclusive() -> None:
    doubtful = release(told=iso(NOW - timedelta(hours=1)))
    step, _ = after(doubtful, WAIT, verdict(Action.INCONCLUSIVE), POLICY, NOW)
    assert (step.next, step.outcome) == ("roll_back", "inconclusive")
    assert "nobody has decided" in step.reason
    earlier = replace(doubtful, notes={**doubtful.notes, "told": iso(NOW - timedelta(minutes=59))})
    assert after(earlier, WAIT, verdict(Action.INCONCLUSIVE), POLICY, NOW) == (WAIT, None)


@pytest.mark.parametrize("action", [Action.CONTINUE, Action.ROLL_BACK])
def test_everything_else_stays_as_it_is(action: Action) -> None:
    told = release(told=iso(NOW - timedelta(days=1)))
    assert after(told, WAIT, verdict(action), POLICY, NOW) == (WAIT, None)
    assert after(release(), WAIT, None, POLICY, NOW) == (WAIT, None)
