"""What a policy says is what a release is judged by."""

from __future__ import annotations

import json

from caretaker.releases.model import Rules
from caretaker.releases.rules import rules_of
from caretaker.runtime.policy import ReleasePolicy, overlay_releases
from caretaker.runtime.policy_fields import BadPolicy, check
from hypothesis import given
from hypothesis import strategies as st


def test_the_policys_defaults_are_the_judges_own() -> None:
    assert rules_of(ReleasePolicy()) == Rules()


def test_everything_that_a_policy_says_counts() -> None:
    policy = ReleasePolicy(bake=5, patience=30, alpha=0.05, tolerated=1.5, bad=4, ignorable=0.01, discard=7)
    rules = rules_of(policy)
    assert (rules.bake, rules.patience, rules.alpha) == (5, 30, 0.05)
    assert {(rule.tolerated, rule.bad, rule.ignorable) for rule in rules.streams.values()} == {(1.5, 4, 0.01)}
    assert {name: rule.warm_up for name, rule in rules.streams.items()} == {"5xx": 0, "4xx": 0, "slow": 7}


numbers = st.floats(0, 25, allow_nan=False)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "bake": st.integers(0, 2_000),
            "patience": st.integers(0, 2_000),
            "alpha": numbers,
            "tolerated": numbers,
            "bad": numbers,
            "ignorable": numbers,
            "discard": st.integers(-1, 70),
        },
    )
)
def test_a_policy_that_is_accepted_can_be_judged_by(fields: dict[str, float]) -> None:
    try:
        accepted = check("p", "p/defaults", json.dumps({"releases": fields}))
        policy = overlay_releases(ReleasePolicy(), accepted["releases"])
    except (BadPolicy, ValueError):
        return
    rules_of(policy)
