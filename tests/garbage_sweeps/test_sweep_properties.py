"""Over random fleets, people's own things, races and faults: nothing that is used is ever deleted, and in the end all
garbage is gone where nothing holds it. That this can fail is shown by mistakes that are planted."""

from __future__ import annotations

import pytest

from tests.garbage_sweeps.fleet_case import run
from tests.garbage_sweeps.mistakes import MISTAKES, plant

QUICK, LONG, PER_TEST = 200, 2_000, 10
WITHIN = 25
"""Cases within which each planted mistake has to be found."""


def check(first: int, patch: pytest.MonkeyPatch) -> None:
    for seed in range(first, first + PER_TEST):
        with patch.context() as each:
            case = run(seed, each)
        assert not case.wrong, str(case)
        assert not case.left, str(case)


@pytest.mark.parametrize("first", range(0, QUICK, PER_TEST))
def test_nothing_in_use_is_deleted_and_all_garbage_goes(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    check(first, monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("first", range(QUICK, LONG, PER_TEST))
def test_nothing_in_use_is_deleted_in_many_more_cases(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    check(first, monkeypatch)


SOON = ("age is death", "names are identities", "rules are of the revision", "taken over is ECS's still")
"""Mistakes that the first few cases find."""


@pytest.mark.parametrize(
    "name", [name if name in SOON else pytest.param(name, marks=pytest.mark.long) for name in MISTAKES]
)
def test_a_planted_mistake_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(WITHIN):
        with monkeypatch.context() as each:
            plant(each, MISTAKES[name])
            if run(seed, each, enough=lambda case: bool(case.wrong)).wrong:
                return
    pytest.fail(f"{MISTAKES[name].text}: not found within {WITHIN} cases")
