import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.kernel.pattern import EventPattern, PatternError

SAMPLES = json.loads((Path(__file__).parent / "samples.json").read_text(encoding="utf-8"))


def matches(pattern: Any, event: Any) -> bool:
    return EventPattern.compile(pattern).matches(event)


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample["name"] for sample in SAMPLES])
def test_documented_events_match_their_documented_rules(sample: dict[str, Any]) -> None:
    assert matches(sample["pattern"], sample["event"])
    other = copy.deepcopy(sample["event"])
    other["detail-type"] += " of another kind"
    assert matches(sample["pattern"], other) is ("detail-type" not in sample["pattern"])


@pytest.mark.parametrize(
    ("condition", "matching", "others"),
    [
        (["a"], ["a", ["b", "a"]], ["A", "", None, 1, ["b"], [], {"a": "a"}]),
        ([None], [None], ["null", 0, "", False]),
        ([""], [""], [None, " "]),
        ([True], [True], ["true", 1, "True"]),
        ([1], [1], [True, "1", 1.0, 2]),
        ([{"prefix": "ab"}], ["ab", "abc"], ["a", "cab", 12, None]),
        ([{"prefix": {"equals-ignore-case": "AB"}}], ["abc", "ABc"], ["ba"]),
        ([{"suffix": ".png"}], ["a.png"], ["png", ".png.gz", 1]),
        ([{"suffix": {"equals-ignore-case": ".PNG"}}], ["a.png", "a.Png"], ["a.gif"]),
        ([{"equals-ignore-case": "Alice"}], ["alice", "ALICE"], ["alic", 1]),
        ([{"anything-but": "a"}], ["b", 1, None, "A", ["a", "b"]], ["a", ["a"], []]),
        ([{"anything-but": ["a", "b"]}], ["c"], ["a", "b"]),
        ([{"anything-but": 5}], [4, "5"], [5, 5.0]),
        ([{"anything-but": {"prefix": "init"}}], ["running", 5], ["initializing"]),
        ([{"anything-but": {"prefix": ["a", "b"]}}], ["cat"], ["ant", "bee"]),
        ([{"anything-but": {"suffix": ".txt"}}], ["a.png"], ["a.txt"]),
        ([{"anything-but": {"equals-ignore-case": ["ON", "off"]}}], ["maybe"], ["on", "OFF"]),
        ([{"anything-but": {"wildcard": "*/lib/*"}}], ["/usr/bin"], ["/usr/lib/x"]),
        ([{"numeric": ["=", 3.018e2]}], [301.8], [301, "301.8", True]),
        ([{"numeric": [">", 0, "<=", 5]}], [1, 5, 0.5], [0, 6, -1, "3", None]),
        ([{"numeric": ["<", 10]}], [9.999, -4], [10]),
        ([{"cidr": "10.0.0.0/24"}], ["10.0.0.7"], ["10.0.1.7", "host", 10]),
        ([{"cidr": "2001:db8::/32"}], ["2001:db8::1"], ["10.0.0.1"]),
        ([{"exists": True}], ["a", None, 0, ["a"]], [[], {"b": 1}]),
        ([{"wildcard": "a*c"}], ["ac", "abbc"], ["ab", "bac", 1]),
        ([{"wildcard": "*"}], ["", "x"], [1]),
        ([{"wildcard": "a*b*c"}], ["abc", "a-b-c", "abbcbc"], ["acb", "ac"]),
        ([{"wildcard": r"a\*\\*"}], [r"a*\x"], ["ab", r"a*"]),
        (["a", {"prefix": "b"}, 3], ["a", "bc", 3], ["c", 4]),
    ],
)
def test_comparison_operators(condition: list[Any], matching: list[Any], others: list[Any]) -> None:
    pattern = {"detail": {"x": condition}}
    for value in matching:
        assert matches(pattern, {"detail": {"x": value}}), value
    for value in others:
        assert not matches(pattern, {"detail": {"x": value}}), value
    assert not matches(pattern, {"detail": {}})


def test_absence_is_of_leaves_only() -> None:
    absent = {"detail": {"x": [{"exists": False}]}}
    assert matches(absent, {"detail": {}})
    assert matches(absent, {"detail": {"x": {"y": 1}}})
    assert not matches(absent, {"detail": {"x": None}})
    assert matches({"detail": {"x": [{"exists": False}, "a"]}}, {"detail": {"x": "a"}})


def test_a_pattern_sees_into_arrays_of_objects_but_keeps_their_elements_apart() -> None:
    event = {"people": [{"first": "John", "last": "Doe"}, {"first": "Jane", "last": "Roe"}]}
    assert matches({"people": {"first": ["Jane"]}}, event)
    assert matches({"people": {"first": ["Jane"], "last": ["Roe"]}}, event)
    assert not matches({"people": {"first": ["Jane"], "last": ["Doe"]}}, event)


def test_nested_arrays_are_crushed_out_and_consistent_on_every_level() -> None:
    event = {"a": [[{"b": [{"c": 1, "d": 2}, {"c": 3, "d": 4}]}], [{"b": [{"c": 5, "d": 6}]}]]}
    assert matches({"a": {"b": {"c": [3], "d": [4]}}}, event)
    assert not matches({"a": {"b": {"c": [3], "d": [6]}}}, event)
    assert not matches({"a": {"b": {"c": [1], "d": [4]}}}, event)


def test_absence_within_an_element_of_an_array() -> None:
    event = {"checks": [{"kind": "disk"}, {"kind": "net", "error": "lost"}]}
    assert matches({"checks": {"kind": ["disk"], "error": [{"exists": False}]}}, event) is False
    assert matches({"checks": {"a": [{"exists": False}], "kind": ["disk"]}}, event)


def test_or_is_one_branch_or_the_other_with_what_surrounds_it() -> None:
    pattern = {
        "source": ["s"],
        "detail": {"$or": [{"a": [1]}, {"b": [2], "$or": [{"c": [3]}, {"d": [4]}]}]},
    }
    assert matches(pattern, {"source": "s", "detail": {"a": 1}})
    assert matches(pattern, {"source": "s", "detail": {"b": 2, "d": 4}})
    assert not matches(pattern, {"source": "s", "detail": {"b": 2}})
    assert not matches(pattern, {"source": "t", "detail": {"a": 1}})


@pytest.mark.parametrize(
    "pattern",
    [
        "not json",
        "[]",
        {},
        {"detail": {}},
        {"detail": "x"},
        {"detail": {"a": []}},
        {"detail": {"a": [["b"]]}},
        {"detail": {"a": [{}]}},
        {"detail": {"a": [{"prefix": "b", "suffix": "c"}]}},
        {"detail": {"a": [{"prefix": 1}]}},
        {"detail": {"a": [{"like": "b"}]}},
        {"detail": {"a": [{"exists": "yes"}]}},
        {"detail": {"a": [{"numeric": [">"]}]}},
        {"detail": {"a": [{"numeric": ["!=", 3]}]}},
        {"detail": {"a": [{"numeric": ["<", 5, ">", 0]}]}},
        {"detail": {"a": [{"numeric": [">", 5, "<", 5]}]}},
        {"detail": {"a": [{"numeric": [">", 6.0e9]}]}},
        {"detail": {"a": [{"numeric": [">", "5"]}]}},
        {"detail": {"a": [{"cidr": "10.0.0.0/99"}]}},
        {"detail": {"a": [{"cidr": "10.0.0.0"}]}},
        {"detail": {"a": [{"anything-but": []}]}},
        {"detail": {"a": [{"anything-but": ["b", 1]}]}},
        {"detail": {"a": [{"anything-but": {"prefix": ""}}]}},
        {"detail": {"a": [{"anything-but": {"numeric": ["=", 1]}}]}},
        {"detail": {"a": [{"wildcard": "a**b"}]}},
        {"detail": {"a": [{"wildcard": r"a\b"}]}},
        {"$or": [{"a": ["b"]}]},
        {"$or": {"a": ["b"]}},
        {"$or": [{"a": ["b"]}, {"prefix": ["c"]}]},
    ],
)
def test_invalid_patterns_are_refused(pattern: Any) -> None:
    with pytest.raises(PatternError):
        EventPattern.compile(pattern)


@given(st.text(alphabet="ab*c", max_size=6), st.text(alphabet="abc", max_size=8))
def test_wildcards_agree_with_a_plain_matcher(text: str, value: str) -> None:
    if "**" in text:
        return

    def plain(p: str, v: str) -> bool:
        if not p:
            return not v
        if p[0] == "*":
            return plain(p[1:], v) or bool(v and plain(p, v[1:]))
        return bool(v) and v[0] == p[0] and plain(p[1:], v[1:])

    assert matches({"x": [{"wildcard": text}]}, {"x": value}) is plain(text, value)
