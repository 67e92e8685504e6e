"""The cluster query language: what is known is answered, what is not is never taken for yes."""

from __future__ import annotations

import pytest
from caretaker.placement.expression import Facts, parse
from hypothesis import given
from hypothesis import strategies as st

HOST = Facts(
    {"ecs.instance-type": "t2.small", "ecs.availability-zone": "eu-west-1a", "stack": "prod", "gpu-ready": ""},
    instance_id="i-1",
    groups=frozenset({"service:db"}),
    known_groups=frozenset({"service:db", "service:web"}),
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("attribute:ecs.instance-type == t2.small", True),
        ("attribute:ecs.instance-type=~t2.*", True),
        ("attribute:ecs.instance-type =~ t2", False),
        ("attribute:ecs.instance-type !~ t2.*", False),
        ("attribute:ecs.instance-type equals t2.small", True),
        ("attribute:ecs.availability-zone in [eu-west-1a, eu-west-1b]", True),
        ("attribute:ecs.availability-zone not_in ['eu-west-1a']", False),
        ("attribute:ecs.availability-zone !in [eu-west-1b]", True),
        ("attribute:stack exists", True),
        ("attribute:absent exists", False),
        ("attribute:absent !exists", True),
        ("attribute:gpu-ready exists", True),
        ("attribute:absent == x", False),
        ("attribute:absent != x", None),
        ("not(attribute:absent == x)", True),
        ("!(attribute:stack == prod)", False),
        ("attribute:stack == prod and attribute:ecs.instance-type == m5.large", False),
        ("attribute:stack == prod && attribute:ecs.instance-type == t2.small", True),
        ("attribute:stack == test or attribute:stack == prod", True),
        ("attribute:stack == test || (attribute:stack == prod and attribute:absent exists)", False),
        ("task:group == service:db", True),
        ("task:group == service:web", False),
        ("task:group == service:unsurveyed", None),
        ("not(task:group == service:web)", True),
        ("not(task:group == service:unsurveyed)", None),
        ("task:group != service:db", False),
        ("ec2InstanceId == i-1", True),
        ("ec2InstanceId in ['i-2', 'i-3']", False),
        ("agentConnected == true", True),
    ],
)
def test_answers(text: str, answer: bool | None) -> None:
    expression = parse(text)
    assert expression.ask(HOST) is answer
    assert expression.problem == ""


@pytest.mark.parametrize(
    "text",
    ["runningTasksCount < 5", "agentVersion >= 1.50.0", "registeredAt > 2020-01-01", "attribute:stack =~ pro[d"],
)
def test_what_is_not_modelled_is_named_and_never_yes(text: str) -> None:
    expression = parse(text)
    assert expression.ask(HOST) is not True
    assert expression.problem


@pytest.mark.parametrize("text", ["", "attribute:stack", "(attribute:stack exists", "stack == ", "== prod", "a ? b"])
def test_what_cannot_be_read_is_named_and_never_yes(text: str) -> None:
    expression = parse(text)
    assert expression.ask(HOST) is not True
    assert expression.problem


def test_an_unknown_part_decides_only_where_it_matters() -> None:
    assert parse("attribute:stack == prod or runningTasksCount < 5").ask(HOST) is True
    assert parse("attribute:stack == test and runningTasksCount < 5").ask(HOST) is False
    assert parse("attribute:stack == prod and runningTasksCount < 5").ask(HOST) is None


def test_a_host_that_does_not_exist_yet_has_no_tasks_of_any_group() -> None:
    new = Facts({}, complete=True)
    assert parse("not(task:group == service:anything)").ask(new) is True
    assert parse("ec2InstanceId == i-1").ask(new) is None


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    expression = parse(text)
    assert expression.ask(HOST) in (True, False, None)
    assert expression.problem or expression.ask(HOST) is not None or "attribute" in text or "task" in text


@given(st.sampled_from(["attribute:stack", "attribute:absent"]), st.sampled_from(["prod", "test"]))
def test_not_never_turns_unknown_into_yes(subject: str, value: str) -> None:
    inner = parse(f"{subject} != {value}").ask(HOST)
    outer = parse(f"not({subject} != {value})").ask(HOST)
    assert outer == (None if inner is None else not inner)
