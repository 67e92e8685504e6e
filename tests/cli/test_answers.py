"""A person answers a release that waits, with the command, in a running world."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.frame import Frame
from cli.main import run
from cli.watch import Watch
from twin.kernel.api import Caller
from twin.kernel.kernel import Entry
from twin.rehearsal.events import from_world
from twin.rehearsal.loading import load_world
from twin.rehearsal.rehearsal import Rehearsal
from twin.rehearsal.report import Release

WORLDS = Path(__file__).resolve().parents[2] / "worlds"
ANN = Caller("operator", "ann")


@dataclass
class Answered:
    """What became of the release; exit codes of the commands; what the view showed before and after them."""

    release: Release
    codes: list[int]
    frames: list[Frame]


def answered(monkeypatch: pytest.MonkeyPatch, *commands: list[str], name: str = "release_watch_approve") -> Answered:
    """The world's release, with these commands given a minute after it asked."""
    loaded = load_world(WORLDS / f"{name}.yaml")
    codes: list[int] = []
    frames: list[Frame] = []
    with Rehearsal(loaded, from_world(loaded.spec, loaded.folder, loaded.where)) as rehearsal:
        world = rehearsal.world
        watch = Watch(rehearsal)
        key, secret = world.gateway.credentials(ANN)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

        def act() -> None:
            frames.append(watch.frame())
            codes.extend(run(command) for command in commands)

        def noted(entry: Entry) -> None:
            if entry.kind == "state.entered" and entry.data["state"] == "Ask approval":
                world.kernel.scheduler.call_later(60, act, name="ann")

        world.kernel.listeners.append(noted)
        rehearsal.run()
        frames.append(watch.frame())
        [release] = rehearsal.report(0.0).releases
    return Answered(release, codes, frames)


def test_an_approved_rollback_is_done(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    id_ = "bake-release"
    found = answered(
        monkeypatch, ["releases"], ["approve", id_, "--by", "ann"], ["reject", id_, "--by", "bob"], ["releases", id_]
    )
    release = found.release
    assert found.codes == [0, 0, 2, 0]
    said = capsys.readouterr()
    assert "waits for caretaker approve or reject until" in said.out
    assert re.search(r"approved: bake-release-[0-9a-f]{16}-1 of web", said.out)
    assert "was approved before by ann" in said.err
    assert "approved by ann" in said.out
    assert release.outcome == "rolled_back"
    assert release.seconds_to_zero is not None
    assert release.seconds_to_zero > 60
    assert release.evidence[-1].log_against >= release.evidence[-1].line
    assert len(release.evidence) == release.looks
    [before], [after] = (frame.releases for frame in found.frames)
    assert (before.service, before.way, before.share, before.word, before.running) == (
        "web",
        "watch",
        0.05,
        "roll back",
        True,
    )
    assert [name for name, _, _ in before.counts] == ["5xx", "4xx", "slow"]
    assert len(before.points) >= 2
    assert before.points[-1][1] >= before.line > 0
    assert (after.share, after.word, after.running) == (0.0, "rolled_back", False)


def test_a_rejected_one_is_not(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = answered(monkeypatch, ["reject", "bake-release", "--by", "ann", "--why", "the load test runs"])
    release = found.release
    assert found.codes == [0]
    assert release.outcome == "planned"
    assert "reject" in (release.reason or "")
    assert release.done == []
    assert (release.weights_zero_at, release.seconds_to_zero) == (None, None)
    assert release.first_bad_at is not None
    assert release.users_errors > 100


def test_a_driven_release_begins_once_it_is_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    found = answered(monkeypatch, ["approve", "bake-release", "--by", "ann"], name="release_drive_approve")
    assert found.codes == [0]
    assert found.release.outcome == "promoted"
    assert [words.split()[1] for words in found.release.done if words.startswith("shifted")] == [
        "5.0%",
        "25.0%",
        "100.0%",
    ]


def test_a_driven_release_that_is_rejected_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = answered(monkeypatch, ["reject", "bake-release", "--by", "ann"], name="release_drive_approve")
    assert (found.codes, found.release.outcome, found.release.done) == ([0], "planned", [])
    assert "rejected" in (found.release.reason or "")
