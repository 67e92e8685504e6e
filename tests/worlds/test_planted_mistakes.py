"""Mistakes planted into a copy of the product: a law, or what a run must leave behind, catches each of them.

A law that cannot fail holds nothing. Each mistake is an edit of files that are deployed, and a world in which it hurts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from crash_stage import OLD, Stage, Strike, copied, small
from strikes import deaths, ends_at_states, stops_at_calls

HOSTS = "functions/caretaker/hosts"


@dataclass(frozen=True)
class Mistake:
    """One edit.

    Attributes:
        file: what is edited.
        right, wrong: text that stands there once, and what takes its place.
        caught: words of what must be broken.
        world: in which it hurts.
        strikes: what else goes wrong there.
        alone: whether nobody else acts in it.
        also: a second edit, where a second look would catch the first one.
    """

    file: str
    right: str
    wrong: str
    caught: str
    world: dict[str, Any] = field(default_factory=small)
    strikes: tuple[Strike, ...] = ()
    alone: bool = True
    also: tuple[str, str, str] | None = None

    @property
    def edits(self) -> list[tuple[str, str, str]]:
        return [(self.file, self.right, self.wrong), *([self.also] if self.also else [])]


def operator(state: str, call: str, after: float = 1.0, **params: Any) -> dict[str, Any]:
    """Somebody who acts when an execution enters a state."""
    when = {"machine": "ReplaceHost", "state": state, "after": after}
    return {"when": when, "as": "dora", "call": call, "params": params}


STOP = operator("Wait for tasks", "stepfunctions.StopExecution", after=2.0, executionArn="{execution}")
LOSING = [
    {"name": "web", "desired_count": 2, "minimum_healthy_percent": 0, "maximum_percent": 200, "cpu": 700},
]
SLOW = [{"name": "web", "desired_count": 2, "cpu": 700, "stop_seconds": 900, "stop_timeout": 900}]
THROTTLED = {
    "kind": "api_error",
    "service": "ecs",
    "operation": "DescribeContainerInstances",
    "function": "HostsUndoReplacement",
    "times": 12,
}
NONE = {"cluster": "small", "service": "web", "desiredCount": 0}

MISTAKES: dict[str, Mistake] = {
    "drains before the new host is ready": Mistake(
        f"{HOSTS}/handlers/wait_for_hosts.py",
        "    adopt(desk)\n",
        "    return []\n    adopt(desk)\n",
        "drained before launched host",
        also=(
            f"{HOSTS}/handlers/confirm_plan.py",
            "    work = desk.work\n",
            '    return {"reason": ""}\n    work = desk.work\n',
        ),
    ),
    "no surge": Mistake(
        f"{HOSTS}/handlers/raise_surge.py",
        "    for surge in surges:\n",
        "    for surge in ():\n",
        "golden_rule",
        small(services=LOSING),
    ),
    "ends hosts without waiting": Mistake(
        f"{HOSTS}/handlers/wait_for_tasks.py",
        "    tasks = tasks_left(plan.batch, _surveyed(plan), look)\n    if tasks:\n        return tasks\n",
        "    return ()\n",
        "host_empty",
        also=(
            f"{HOSTS}/handlers/end_hosts.py",
            "        last_look(desk, plan)\n",
            "",
        ),
    ),
    "takes what is stopping for gone": Mistake(
        "functions/caretaker/aws/ecs.py",
        'for status in ("RUNNING", "STOPPED")',
        'for status in ("RUNNING",)',
        "host_empty",
        small(
            services=SLOW,
            actors=[{"at": "+1s", "as": "dora", "call": "ecs.UpdateService", "params": NONE}],
        ),
        alone=False,
    ),
    "restores what somebody else has changed": Mistake(
        f"{HOSTS}/undo.py",
        "    if service.percents != percents_of(lease.set):\n",
        "    if False:\n",
        "nobody_elses_acts",
        small(
            actors=[
                operator(
                    "Wait for tasks",
                    "ecs.UpdateService",
                    cluster="small",
                    service="both",
                    deploymentConfiguration={"minimumHealthyPercent": 50, "maximumPercent": 150},
                ),
                STOP,
            ]
        ),
        alone=False,
    ),
    "the reaper never runs": Mistake(
        f"{HOSTS}/handlers/reap_replacements.py",
        "    settings = Settings.from_env()\n",
        '    return {"done": []}\n    settings = Settings.from_env()\n',
        "every_outcome",
        strikes=(ends_at_states("timed out", 1.0, only="Protect hosts"),),
    ),
    "the undo leaves the host draining": Mistake(
        f"{HOSTS}/undo.py",
        '    arns = sorted(step.intent["instances"])\n',
        "    arns: list[str] = []\n",
        f"host {OLD} is DRAINING",
        small(actors=[STOP]),
    ),
    "a fresh token for each try of a launch": Mistake(
        f"{HOSTS}/steps.py",
        'autoscaling.launch_instances(intent["group"], 1, intent["token"], zone',
        'autoscaling.launch_instances(intent["group"], 1, f"{intent[\'token\']}{id(step)}"[:60], zone',
        "group hosts had 2 hosts",
        strikes=(deaths(lambda point: str(point) == "HostsLaunchCapacity after autoscaling:LaunchInstances 1"),),
    ),
    "ends hosts without lowering the group's size": Mistake(
        f"{HOSTS}/steps.py",
        "autoscaling.terminate_instance(instance, decrement=less)",
        "autoscaling.terminate_instance(instance, decrement=False)",
        "restore: hosts DesiredCapacity",
    ),
    "the undo does not wait for a function that still runs": Mistake(
        f"{HOSTS}/handlers/undo_replacement.py",
        "    late = under_way(desk, event, work.undoing, steps)\n",
        "    late: dict[int, str] = {}\n",
        "undo:",
        strikes=(stops_at_calls(lambda point: str(point) == "HostsRaiseSurge before ecs:UpdateService 1", hang=60.0),),
    ),
    "the undo gives percents back while hosts drain": Mistake(
        f"{HOSTS}/handlers/undo_replacement.py",
        "        if words := late.get(step.seq) or held(step, waiting):\n",
        "        if words := late.get(step.seq):\n",
        "golden_rule",
        small(services=LOSING, actors=[{**STOP, "when": {**STOP["when"], "after": 25}}], faults=[THROTTLED]),
        also=(f"{HOSTS}/handlers/undo_replacement.py", "        settle(desk, step, tries)\n", "        pass\n"),
    ),
    "closed work is never told of": Mistake(
        f"{HOSTS}/handlers/reap_replacements.py",
        '            return self._untold(work) or f"{name}: closed"\n',
        '            return f"{name}: closed"\n',
        "no outcome event",
        strikes=(ends_at_states("timed out", only="Publish outcome"),),
    ),
    "leaves AZRebalance suspended": Mistake(
        f"{HOSTS}/undo.py",
        '        autoscaling.resume_processes(step.intent["group"], [REBALANCE])\n',
        "        pass\n",
        "['AZRebalance'] suspended",
    ),
    "the point of no return is not written": Mistake(
        f"{HOSTS}/handlers/end_hosts.py",
        "        journal.pass_return(desk.table, desk.name)\n",
        "",
        f"replaced: [], gone: ['{OLD}']",
        small(actors=[{**STOP, "when": {**STOP["when"], "state": "Wait for end"}}]),
    ),
}

QUICK = ("no surge", "restores what somebody else has changed")


def planted(folder: Path, mistake: Mistake) -> Path:
    """The template of a copy of the product with a mistake in it."""
    template = copied(folder)
    for name, right, wrong in mistake.edits:
        file = folder / name
        text = file.read_text(encoding="utf-8")
        assert text.count(right) == 1, f"{name} no longer has once: {right!r}"
        file.write_text(text.replace(right, wrong), encoding="utf-8")
    return template


def broken(mistake: Mistake, template: Path | None) -> list[str]:
    """What is broken in the last run: the one in which the strike came, where there is one."""
    ended = Stage(mistake.world, *mistake.strikes, template=template, alone=mistake.alone).explore()
    assert len(ended) == 1 + len(mistake.strikes)
    return list(ended[-1].broken)


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_mistake_is_caught(tmp_path: Path, name: str) -> None:
    found = broken(MISTAKES[name], planted(tmp_path, MISTAKES[name]))
    assert [text for text in found if MISTAKES[name].caught in text], found


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in MISTAKES if name not in QUICK])
def test_every_planted_mistake_is_caught(tmp_path: Path, name: str) -> None:
    found = broken(MISTAKES[name], planted(tmp_path, MISTAKES[name]))
    assert [text for text in found if MISTAKES[name].caught in text], found


@pytest.mark.long
@pytest.mark.parametrize("name", list(MISTAKES))
def test_nothing_is_caught_where_no_mistake_is(name: str) -> None:
    """The same world and the same strike without the mistake."""
    assert broken(MISTAKES[name], None) == []
