"""The command line: exit codes, one clear line for bad input, what is printed and written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import run

ROOT = Path(__file__).resolve().parents[2]
NOTICE = ROOT / "events" / "health-ec2-retirement.json"
SMALL = """
cluster: lab
policy: {defaults: {hosts: {mode: observe}}}
groups: [{name: hosts, desired_capacity: 2, instances: [i-0a1b2c3d4e5f60001]}]
services: [{name: web, desired_count: 2}]
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr of a command that must end with 2."""
    assert run(list(arguments)) == 2
    text = capsys.readouterr().err
    assert text.startswith("caretaker: ")
    assert text.count("\n") == 1
    return text


def test_a_rehearsal_that_goes_as_it_should(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert run(["rehearse", str(NOTICE), "--world", str(world), "--json", str(out), "--seed", "5"]) == 0
    printed = capsys.readouterr().out
    data = json.loads(out.read_text(encoding="utf-8"))
    assert (data["verdict"], data["seed"], data["world"]) == ("ok", 5, "small")
    assert [execution["outcome"] for execution in data["executions"]] == ["planned"]
    assert "+0:00:00  aws.health: AWS Health Event" in printed
    assert "web" in printed
    assert printed.rstrip().endswith("verdict: ok")
    assert "\x1b[" not in printed


def test_a_rehearsal_that_does_not(world: Path, tmp_path: Path) -> None:
    world.write_text(SMALL + "expect: replaced\n", encoding="utf-8")
    out = tmp_path / "out.json"
    assert run(["rehearse", str(NOTICE), "--world", str(world), "--json", str(out)]) == 1
    assert json.loads(out.read_text(encoding="utf-8"))["verdict"] == "unexpected"


def test_two_runs_differ_in_wall_time_only(world: Path, tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        out = tmp_path / name
        assert run(["rehearse", str(NOTICE), "--world", str(world), "--json", str(out)]) == 0
        lines = out.read_text(encoding="utf-8").splitlines()
        texts.append([line for line in lines if '"wall_seconds"' not in line])
    assert texts[0] == texts[1]


def test_an_event_about_a_host_that_the_world_lacks(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = NOTICE.read_text(encoding="utf-8").replace("i-0a1b2c3d4e5f60001", "i-0a1b2c3d4e5f60009")
    event = tmp_path / "event.json"
    event.write_text(text, encoding="utf-8")
    assert run(["rehearse", str(event), "--world", str(world)]) == 0
    assert "warning" in (error := capsys.readouterr().err)
    assert "i-0a1b2c3d4e5f60009" in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rehears"], ["rehears"]),
        (["rehearse", "--sed", "1"], ["--sed"]),
        (["rehearse", "--seed", "one"], ["--seed", '"one"']),
        (["rehearse", "--seed", "-1"], ["--seed", '"-1"']),
        (["rehearse", "--until", "tomorrow"], ["--until", '"tomorrow"']),
        (["rehearse", "--until", "0"], ["--until", '"0"']),
        (["rehearse", "--until", "-5m"], ["--until"]),
        (["rehearse", "--world", "nowhere.yaml"], ["nowhere.yaml", "cannot be read"]),
        (["rehearse", "nothing.json"], ["nothing.json", "cannot be read"]),
        (["rehearse", f"{NOTICE}@+late"], ["late"]),
        (["rehearse", "--json", "/nowhere/out.json"], ["--json", "/nowhere"]),
        (["event"], ["FUNCTION"]),
        (["event", "InboundIntake"], ["FILE"]),
        (["event", "InboundIntake", "nothing.json"], ["nothing.json"]),
        (["event", "InboundIntak", str(NOTICE)], ["InboundIntak", "InboundIntake"]),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = complaint(capsys, *arguments)
    for word in words:
        assert word in text


def test_a_bad_world_is_one_line_and_exit_2(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world.write_text(SMALL.replace("desired_count: 2", "desired_count: two"), encoding="utf-8")
    text = complaint(capsys, "rehearse", "--world", str(world))
    assert f'{world}: services[0].desired_count: "two" is not a whole number' in text


def test_without_a_command_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "rehearse" in capsys.readouterr().out
    assert run(["rehearse", "--help"]) == 0
    assert "--until" in capsys.readouterr().out


# --- event -----------------------------------------------------------------------------------------------------------
def printed_event(capsys: pytest.CaptureFixture[str], function: str, file: Path = NOTICE) -> tuple[object, str]:
    assert run(["event", function, str(file)]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


def test_a_function_behind_a_queue_gets_its_envelope(capsys: pytest.CaptureFixture[str]) -> None:
    payload, error = printed_event(capsys, "InboundIntake")
    assert isinstance(payload, dict)
    (record,) = payload["Records"]
    assert json.loads(record["body"]) == json.loads(NOTICE.read_text(encoding="utf-8"))
    assert record["eventSource"] == "aws:sqs"
    assert "IntakeQueue" in record["eventSourceARN"]
    assert error == ""


def test_other_functions_get_the_event_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    timed_out = ROOT / "events" / "sfn-execution-timed-out.json"
    payload, _ = printed_event(capsys, "HostsReapReplacements", timed_out)
    assert payload == json.loads(timed_out.read_text(encoding="utf-8"))
    payload, _ = printed_event(capsys, "HostsPlanReplacement")
    assert payload == json.loads(NOTICE.read_text(encoding="utf-8"))


def test_an_event_that_no_rule_sends_there_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    _, error = printed_event(capsys, "InboundSignal")
    assert "no rule of the template sends aws.health: AWS Health Event to InboundSignal" in error


def test_the_script_itself() -> None:
    """As the installed command runs it: no traceback, whatever is given."""
    done = subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", "rehearse", "--until", "x"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith('caretaker: --until: "x"')
