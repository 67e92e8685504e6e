"""JSONata as Step Functions has it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.kernel.query import QueryError, evaluate

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_a_variable_comes_back_as_it_was(value: Any) -> None:
    assert evaluate("$x", {"x": value}) == value
    assert evaluate("{'kept': $x}", {"x": value}) == {"kept": value}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$states.input.hosts", ["i-1"]),
        ("$count($states.input.hosts)", 1),
        ("[1..3]", [1, 2, 3]),
        ("4 / 2", 2),
        ("1 / 4", 0.25),
        ("$states.input.none", None),
        ("$states.input.none = null", True),
        ("$exists($states.input.missing)", False),
        ("$exists($unknown)", False),
        ("$merge([$states.input, {'a': 1}]).a", 1),
        ("$partition([1, 2, 3, 4, 5], 2)", [[1, 2], [3, 4], [5]]),
        ("$range(0, 10, 5)", [0, 5, 10]),
        ("$parse('{\"a\": [1, null]}').a", [1, None]),
        ("$hash('abc', 'MD5')", "900150983cd24fb0d6963f7d28e17f72"),
        ("$random(7) = $random(7)", True),
    ],
)
def test_values(expression: str, expected: Any) -> None:
    assert evaluate(expression, {"states": {"input": {"hosts": ["i-1"], "none": None}}}) == expected


@pytest.mark.parametrize(
    "expression",
    ["$states.input.missing", "function($x){1}", "$eval('1')", "1 +", "'a' + 1", "$error('no')", "$parse('{')", "1/0"],
)
def test_what_fails(expression: str) -> None:
    with pytest.raises(QueryError, match="JSONata expression"):
        evaluate(expression, {"states": {"input": {}}})


def test_results_share_nothing_with_their_variables() -> None:
    value = {"list": [1]}
    evaluate("$x", {"x": value})["list"].append(2)
    assert value == {"list": [1]}
