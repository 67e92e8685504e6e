"""The app's reading of the cluster query language is never kinder than the twin's, which models ECS by itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from caretaker.placement.expression import Facts, parse
from hypothesis import given
from hypothesis import strategies as st

from twin.ecs.query import compile_expression

SUBJECTS = ("attribute:stack", "attribute:ecs.instance-type", "attribute:absent", "task:group")
VALUES = ("prod", "test", "t2.small", "m5.large", "service:db", "service:web")
COMPARISONS = st.one_of(
    st.builds(
        "{} {} {}".format,
        st.sampled_from(SUBJECTS),
        st.sampled_from(["==", "!=", "equals", "not_equals"]),
        st.sampled_from(VALUES),
    ),
    st.builds(
        "{} {} [{}, {}]".format,
        st.sampled_from(SUBJECTS),
        st.sampled_from(["in", "not_in"]),
        st.sampled_from(VALUES),
        st.sampled_from(VALUES),
    ),
    st.builds("{} {}".format, st.sampled_from(SUBJECTS[:3]), st.sampled_from(["exists", "not_exists"])),
    st.builds("{} {} t2.*".format, st.sampled_from(SUBJECTS[:3]), st.sampled_from(["=~", "!~"])),
)
EXPRESSIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("not({})".format, inner),
        st.builds("!({})".format, inner),
    ),
    max_leaves=6,
)


@given(
    EXPRESSIONS,
    st.dictionaries(st.sampled_from(["stack", "ecs.instance-type"]), st.sampled_from(VALUES[:4])),
    st.frozensets(st.sampled_from(VALUES[4:])),
)
def test_where_the_app_gives_an_answer_the_twin_gives_the_same(
    text: str, attributes: dict[str, str], groups: frozenset[str]
) -> None:
    expression = parse(text)
    assert expression.problem == ""
    answer = expression.ask(Facts(attributes, "i-1", groups, complete=True))
    host = SimpleNamespace(attributes=attributes, group_counts=dict.fromkeys(groups, 1), instance_id="i-1")
    if answer is not None:
        assert compile_expression(text)(cast(Any, host)) is answer


def test_precedence_is_the_same() -> None:
    text = "attribute:stack == prod or attribute:stack == test and attribute:absent exists"
    host = SimpleNamespace(attributes={"stack": "prod"}, group_counts={}, instance_id="i-1")
    assert parse(text).ask(Facts({"stack": "prod"})) is compile_expression(text)(cast(Any, host)) is True
