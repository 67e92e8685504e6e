"""`caretaker releases`, `approve` and `reject`, on the table of a deployed stack in the twin."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from release_records import START, after, release, world

from cli.main import run
from cli.product import Approval

RUNNING = release()
PAST = replace(
    release("cart", "fedcba9876543210", "other"), outcome="rolled_back", reason="5xx 41 of 3,020 against 22 of 57,400"
)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr."""
    assert run(list(arguments)) == 2
    text = capsys.readouterr().err
    assert text.startswith("caretaker: ")
    assert text.count("\n") == 1
    return text


def test_running_bakes_have_counts_evidence_and_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with world(monkeypatch, RUNNING, PAST, looks=12):
        text = said(capsys, "releases")
    running, _, past = text.partition("Past")
    for words in (
        "shop shop:2 beside shop:1",
        "gate, act",
        "5 % of the traffic for 12m 00s, 12 looks, the last at 2026-10-05 10:14Z: continue",
        "3 of 720",
        "22 of 13,680",
        "36.6 to 1, the line is 100 to 1",
        "260 more (5 min at this rate)",
    ):
        assert words in running
    assert "rolled_back" in past
    assert "after 20m 00s" in past
    assert "5xx 41 of 3,020 against 22 of 57,400" in past
    assert "\x1b[" not in text


def test_what_the_gate_holds_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with world(monkeypatch, replace(RUNNING, decision="hold", decision_weight=RUNNING.weight), looks=2):
        assert "held: caretaker approve promotes it, reject rolls it back" in said(capsys, "releases")


def test_releases_of_one_service_or_cluster(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with world(monkeypatch, RUNNING, PAST):
        assert "cart" not in said(capsys, "releases", "--service", "shop")
        assert "cart" not in said(capsys, "releases", "--cluster", "fleet")
        assert "shop" not in said(capsys, "releases", "--cluster", PAST.cluster, "--service", PAST.service)


def test_one_release_by_a_part_of_its_id_with_its_plot(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with world(monkeypatch, RUNNING, PAST, looks=20):
        text = said(capsys, "releases", "01234567")
        assert "there is no release nothing" in refused(capsys, "releases", "nothing")
        assert "may be any of" in refused(capsys, "releases", "bake-release")
    for words in ("line 100 to 1", "1 to 1", "19 min", "look 20", "because", "ECS asks before production traffic"):
        assert words in text
    assert any("⠀" < letter <= "⣿" for letter in text)


def test_json_holds_everything_but_the_task_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = replace(RUNNING, approval=Approval(START, after(60), "secret"))
    with world(monkeypatch, asked, PAST, looks=3):
        text = said(capsys, "releases", "--json")
    assert "secret" not in text
    found = {each["id"]: each for each in json.loads(text)}
    shown = found[RUNNING.id]
    assert (shown["status"], shown["weight"], len(shown["looks"])) == ("open", 0.05, 3)
    assert shown["looks"][2]["counts"]["5xx"]["canary_requests"] == 180
    assert shown["approval"] == {
        "asked": "2026-10-05T10:00:00.000Z",
        "expires": "2026-10-05T11:00:00.000Z",
        "answer": None,
        "by": "",
    }
    assert found[PAST.id]["outcome"] == "rolled_back"


def test_nothing_baked_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with world(monkeypatch):
        text = said(capsys, "releases")
        assert "no release is baked now" in text
        assert "none in the last 90 days" in text
        assert json.loads(said(capsys, "releases", "--json")) == []


def test_a_stack_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with world(monkeypatch):
        assert "Stack with id other does not exist" in refused(capsys, "releases", "--stack", "other")
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        assert "region" in refused(capsys, "releases")


# --- approve, reject -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", ["approve", "reject"])
def test_answers_are_refused_where_nobody_asks(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    question = Approval(START, after(60), "token")
    releases = [
        replace(RUNNING, approval=replace(question, answer="approved", by="bob")),
        replace(release("one", "1" * 16), approval=replace(question, answer="expired")),
        replace(release("two", "2" * 16), approval=question, outcome="ignored", reason="the service is gone"),
        release("three", "3" * 16),
        replace(release("four", "4" * 16), approval=question),
    ]
    with world(monkeypatch, *releases):
        assert "was approved before by bob" in refused(capsys, command, RUNNING.id)
        assert "has expired at 2026-10-05 11:00Z; nothing was done" in refused(capsys, command, "1" * 16)
        assert "has ended as ignored: the service is gone" in refused(capsys, command, "2" * 16)
        assert "asks for no approval: its mode is act" in refused(capsys, command, "3" * 16)
        assert "waits for an answer no longer" in refused(capsys, command, "4" * 16)
        assert "there is no release" in refused(capsys, command, "5" * 16)
