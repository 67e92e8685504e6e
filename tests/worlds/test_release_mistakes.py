"""Mistakes planted into what works on releases: a law catches each of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from crash_stage import copied
from rehearsals import WORLDS, broken, law, rehearsed

from twin.rehearsal.loading import load_world

RELEASES = "functions/caretaker/releases"


@dataclass(frozen=True)
class Mistake:
    """An edit of a deployed file, a world in which it hurts, and the laws of which one catches it."""

    file: str
    right: str
    wrong: str
    world: str
    caught: tuple[str, ...]


MISTAKES = {
    "weights are not read back": Mistake(
        "shift.py",
        "    after = _read_back(rules, canary, baseline, plans)\n    return Shifted(",
        "    after = before\n    return Shifted(",
        "release_drive_bad",
        ("weights_before_tasks",),
    ),
    "weights are not taken back": Mistake(
        "drive_back.py",
        "    shift.shift(rules, release.canary_group, release.baseline_group, was=0.0",
        "    return\n    shift.shift(rules, release.canary_group, release.baseline_group, was=0.0",
        "release_drive_bad",
        ("weights_before_tasks", "weights_settled"),
    ),
    "no verdict counts as a good one": Mistake(
        "next_step.py",
        '        outcome = "inconclusive"\n        words = f"the deployment ended before enough was seen',
        '        outcome = "promoted"\n        words = f"the deployment ended before enough was seen',
        "release_watch_little",
        ("no_data_is_not_health",),
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", list(MISTAKES))
def test_a_planted_mistake_is_caught(tmp_path: Path, name: str) -> None:
    mistake = MISTAKES[name]
    template = copied(tmp_path)
    file = tmp_path / RELEASES / mistake.file
    text = file.read_text(encoding="utf-8")
    assert text.count(mistake.right) == 1, f"{mistake.file} no longer has once: {mistake.right!r}"
    file.write_text(text.replace(mistake.right, mistake.wrong), encoding="utf-8")
    report = rehearsed(load_world(WORLDS / f"{mistake.world}.yaml"), template=template)
    assert {each.name for each in broken(report)} & set(mistake.caught), [law(report, name) for name in mistake.caught]
