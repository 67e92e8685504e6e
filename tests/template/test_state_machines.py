"""The definitions of state machines, checked for what neither `sam validate` nor cfn-lint look at."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from twin.kernel import query

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "statemachines"
PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9]+)\}")
TERMINAL = ("Succeed", "Fail")
# Errors that the functions raise on purpose, and where the machine's own decision on them is.
OUR_ERRORS = {
    "SlotBusy", "NoSlot", "Withdrawn", "InsufficientCapacity", "HostsNotReady", "PlanWaits", "PlanChanged",
    "ServiceChanged", "HostsChanged", "DrainStuck", "UndoIncomplete", "WorkPassedReturn", "WorkUndoing", "WorkClosed",
    "LookAgain",
}  # fmt: skip
Definition = dict[str, Any]


class CloudFormation(yaml.SafeLoader):
    """Reads templates: `!Ref X` and the like become {"Ref": X}."""


def _tag(loader: CloudFormation, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix: value}


CloudFormation.add_multi_constructor("!", _tag)


def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), Loader=CloudFormation)
    return loaded


def machines() -> dict[str, dict[str, Any]]:
    """State machine resources by definition file name."""
    found = {}
    for logical_id, resource in template()["Resources"].items():
        if resource["Type"] == "AWS::Serverless::StateMachine":
            found[Path(resource["Properties"]["DefinitionUri"]).name] = {"id": logical_id, **resource["Properties"]}
    return found


FILES = sorted(path.name for path in FOLDER.glob("*.asl.yaml"))


def read(name: str) -> Definition:
    loaded: Definition = yaml.safe_load((FOLDER / name).read_text())
    return loaded


def targets(state: dict[str, Any]) -> Iterator[str]:
    """Names of the states to which a state can go."""
    for holder in (state, *state.get("Choices", ()), *state.get("Catch", ())):
        if "Next" in holder:
            yield holder["Next"]
    if "Default" in state:
        yield state["Default"]


def problems(definition: Definition) -> list[str]:
    """What is wrong with the flow of a definition."""
    states: dict[str, Any] = definition["States"]
    found = [] if definition["StartAt"] in states else [f"StartAt names no state: {definition['StartAt']}"]
    for name, state in states.items():
        found += [f"{name} goes to {target}, which is no state" for target in targets(state) if target not in states]
        found += _state_problems(name, state)
    found += [f"{name} is never reached" for name in sorted(set(states) - _reached(definition))]
    return found


def _reached(definition: Definition) -> set[str]:
    states, seen, ahead = definition["States"], set(), [definition["StartAt"]]
    while ahead:
        name = ahead.pop()
        if name in seen or name not in states:
            continue
        seen.add(name)
        ahead += targets(states[name])
    return seen


def _state_problems(name: str, state: dict[str, Any]) -> Iterator[str]:
    if not state.get("Comment"):
        yield f"{name} has no Comment"
    if state["Type"] not in (*TERMINAL, "Choice") and not state.get("Next") and not state.get("End"):
        yield f"{name} goes nowhere"
    if state["Type"] == "Choice" and "Default" not in state:
        yield f"{name} has no Default"
    if state["Type"] != "Task":
        return
    if "TimeoutSeconds" not in state:
        yield f"{name} has no TimeoutSeconds"
    if not state.get("Retry"):
        yield f"{name} has no Retry"
    for kind in ("Retry", "Catch"):
        yield from _handler_problems(name, kind, state.get(kind, ()))


def _handler_problems(name: str, kind: str, handlers: Any) -> Iterator[str]:
    """States.ALL stands alone and last (Amazon States Language); every retry has a limit."""
    for place, handler in enumerate(handlers):
        errors = handler["ErrorEquals"]
        if "States.ALL" in errors and (len(errors) > 1 or place != len(handlers) - 1):
            yield f"{name}: {kind}: States.ALL has to stand alone and last"
        if kind == "Retry" and "MaxAttempts" not in handler:
            yield f"{name}: a retry of {errors} has no MaxAttempts"
        if kind == "Retry" and handler.get("MaxAttempts", 1) > 0 and "IntervalSeconds" not in handler:
            yield f"{name}: a retry of {errors} has no IntervalSeconds"


@pytest.mark.parametrize("name", FILES)
def test_the_flow_is_whole(name: str) -> None:
    assert problems(read(name)) == []


Spoil = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda states: states["Done"].pop("Comment"), "Done has no Comment"),
        (lambda states: states["End hosts"].pop("Retry"), "End hosts has no Retry"),
        (lambda states: states["End hosts"].pop("TimeoutSeconds"), "End hosts has no TimeoutSeconds"),
        (lambda states: states["Drain hosts"].update(Next="Wait for task"), "Wait for task, which is no state"),
        (lambda states: states["Route"].update(Choices=[]), "is never reached"),
        (lambda states: states["Done"].update(Type="Pass"), "Done goes nowhere"),
        (lambda states: states["Decide"].pop("Default"), "Decide has no Default"),
        (lambda states: states["Drain hosts"]["Catch"].insert(0, {"ErrorEquals": ["States.ALL"]}), "alone and last"),
        (lambda states: states["Drain hosts"]["Retry"][-1].pop("MaxAttempts"), "has no MaxAttempts"),
    ],
)
def test_a_planted_mistake_is_found(spoil: Spoil, words: str) -> None:
    definition = copy.deepcopy(read("replace_host.asl.yaml"))
    spoil(definition["States"])
    assert any(words in problem for problem in problems(definition))


@pytest.mark.parametrize("name", FILES)
def test_it_parses_before_and_after_substitution(name: str) -> None:
    text = (FOLDER / name).read_text()
    filled = yaml.safe_load(PLACEHOLDER.sub("7", text))
    assert list(filled["States"]) == list(read(name)["States"])
    assert filled["TimeoutSeconds"] == 7, "the time-out has to be a number once its placeholder is filled"
    assert read(name)["QueryLanguage"] == "JSONata"


@pytest.mark.parametrize("name", FILES)
def test_service_integrations_are_of_the_stacks_own_partition(name: str) -> None:
    tasks = [state["Resource"] for state in read(name)["States"].values() if state["Type"] == "Task"]
    assert tasks
    assert [task for task in tasks if not task.startswith("arn:${Partition}:states:::")] == []


@pytest.mark.parametrize(("looks", "seconds"), [(0, 150), (1, 300), (2, 600), (3, 600), (5_000, 600)])
def test_a_drain_is_looked_at_ever_more_rarely_however_long_it_takes(looks: int, seconds: int) -> None:
    """A power of all looks so far would be too large a number after a week, and its failure an undo."""
    states = read("replace_host.asl.yaml")["States"]
    expression = states["Wait for tasks"]["TimeoutSeconds"].removeprefix("{%").removesuffix("%}")
    entered = "2026-10-05T08:00:00.000Z"
    given = {"input": {"looks": looks, "until": entered}, "context": {"State": {"EnteredTime": entered}}}
    assert query.evaluate(expression, {"states": given}) == seconds


@pytest.mark.parametrize("name", FILES)
def test_placeholders_are_the_templates(name: str) -> None:
    # Comments may explain what a placeholder is.
    lines = [line for line in (FOLDER / name).read_text().splitlines() if not line.lstrip().startswith("#")]
    used = set(PLACEHOLDER.findall("\n".join(lines)))
    assert used == set(machines()[name]["DefinitionSubstitutions"])


def test_every_machine_has_its_file() -> None:
    assert sorted(machines()) == FILES


# --- names -----------------------------------------------------------------------------------------------------------


def functions(capability: str) -> dict[str, dict[str, Any]]:
    """Function resources of a capability by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function" and name.startswith(capability)
    }


def invoked(definition: Definition) -> dict[str, str]:
    """Placeholder of the function by state name."""
    return {
        name: PLACEHOLDER.findall(state["Arguments"]["FunctionName"])[0]
        for name, state in definition["States"].items()
        if "lambda:invoke" in state.get("Resource", "")
    }


# Functions that events, schedules or ECS call, not a state.
CALLED = {
    "Hosts": {"HostsReapReplacements"},
    "Releases": {"ReleasesReapReleases", "ReleasesAnswerHook"},
    "Garbage": {"GarbagePatrol", "GarbageReapSweeps", "GarbageRecordInventory"},
}
MACHINES = {
    "Hosts": "replace_host.asl.yaml",
    "Releases": "bake_release.asl.yaml",
    "Garbage": "sweep_express.asl.yaml",
}


@pytest.mark.parametrize("capability", sorted(MACHINES))
def test_logical_id_module_and_state_say_the_same(capability: str) -> None:
    by_state = invoked(read(MACHINES[capability]))
    assert {state: capability + "".join(word.capitalize() for word in state.split()) for state in by_state} == by_state
    declared = functions(capability)
    assert set(declared) - CALLED[capability] == set(by_state.values())
    for logical_id, properties in declared.items():
        module = re.sub(r"(?<!^)(?=[A-Z])", "_", logical_id.removeprefix(capability)).lower()
        room = capability.lower()
        assert properties["Handler"] == f"caretaker.{room}.handlers.{module}.handler"
        assert (ROOT / "functions" / "caretaker" / room / "handlers" / f"{module}.py").is_file()


@pytest.mark.parametrize("capability", sorted(MACHINES))
def test_every_handler_module_is_deployed(capability: str) -> None:
    folder = ROOT / "functions" / "caretaker" / capability.lower() / "handlers"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    deployed = {properties["Handler"].split(".")[-2] for properties in functions(capability).values()}
    assert modules == deployed


def test_state_names_in_waits_are_the_machines() -> None:
    """A wait is registered under its state's name."""
    for path in (ROOT / "functions/caretaker/hosts/handlers").glob("*.py"):
        for name in re.findall(r'^STATE = "(.+)"$', path.read_text(), re.MULTILINE):
            state = read("replace_host.asl.yaml")["States"][name]
            assert state["Resource"].endswith(".waitForTaskToken")
            assert "token" in state["Arguments"]["Payload"]


@pytest.mark.parametrize("capability", sorted(MACHINES))
def test_functions_end_before_their_states_do(capability: str) -> None:
    """A state that gives up first would leave its function acting on after the next state has begun."""
    default = template()["Globals"]["Function"]["Timeout"]
    states, declared = read(MACHINES[capability])["States"], functions(capability)
    for state, logical_id in invoked(read(MACHINES[capability])).items():
        limit = states[state]["TimeoutSeconds"]
        if isinstance(limit, int):
            assert declared[logical_id].get("Timeout", default) < limit, state


# --- the way back ----------------------------------------------------------------------------------------------------

BEFORE_RETURN = [
    "Wait for start", "Take slot", "Plan replacement", "Launch capacity", "Wait for hosts", "Confirm plan",
    "Protect hosts", "Raise surge", "Drain hosts", "Wait for tasks",
]  # fmt: skip
AFTER_RETURN = ["Wait for end", "Restore settings"]


@pytest.mark.parametrize("name", BEFORE_RETURN)
def test_every_failure_before_the_point_of_no_return_is_undone(name: str) -> None:
    last = read("replace_host.asl.yaml")["States"][name]["Catch"][-1]
    assert last["ErrorEquals"] == ["States.ALL"]
    assert last["Next"] == "Undo replacement"
    assert "failure" in last["Output"]


def test_after_the_point_of_no_return_nothing_is_undone() -> None:
    states = read("replace_host.asl.yaml")["States"]
    for name in AFTER_RETURN:
        assert states[name]["Catch"][-1]["Next"] == "Call for help"
        assert "Undo replacement" not in list(targets(states[name]))
    assert states["Hold before going on"]["Next"] == "End hosts"
    undone = states["End hosts"]["Catch"][0]["ErrorEquals"]
    assert undone == ["HostsChanged", "Withdrawn", "WorkUndoing", "WorkClosed"], "what is raised before the write"


def test_named_errors_exist_and_are_not_retried() -> None:
    """What a function raises on purpose is caught at once: retrying it would only lose time."""
    for name, state in read("replace_host.asl.yaml")["States"].items():
        first = state.get("Retry", [{}])[0]
        named = {error for catcher in state.get("Catch", ()) for error in catcher["ErrorEquals"]}
        ours = named - {"States.ALL", "States.Timeout"}
        assert ours <= OUR_ERRORS, name
        if ours:
            assert first["MaxAttempts"] == 0, name
            assert ours <= set(first["ErrorEquals"]), name
