"""Weights change; everything else of a rule stays, or the change is refused in words."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from caretaker.releases.weights import (
    MOST,
    CannotKeep,
    difference,
    intended_share,
    is_sticky,
    weights_for,
    weights_of,
    with_share,
)
from hypothesis import given
from hypothesis import strategies as st

BLUE, GREEN, RED = (f"arn:aws:elasticloadbalancing:x:1:targetgroup/{name}/0" for name in ("blue", "green", "red"))
SIGN_IN = {
    "Type": "authenticate-oidc",
    "Order": 1,
    "AuthenticateOidcConfig": {"Issuer": "https://i", "ClientId": "c", "Scope": "openid", "SessionTimeout": 9},
}
COGNITO = {"Type": "authenticate-cognito", "Order": 1, "AuthenticateCognitoConfig": {"UserPoolArn": "u"}}
TOKEN = {"Type": "jwt-validation", "Order": 1, "JwtValidationConfig": {"Issuer": "i", "JwksEndpoint": "https://j"}}


def forward(weights: dict[str, int], sticky: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        "TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    }
    if sticky is not None:
        config["TargetGroupStickinessConfig"] = sticky
    return {"Type": "forward", "ForwardConfig": config, **more}


shares = st.integers(0, 1_000).map(lambda tenths: tenths / 1_000)
stickiness = st.none() | st.fixed_dictionaries(
    {"Enabled": st.booleans()}, optional={"DurationSeconds": st.integers(1, 604_800)}
)
firsts = st.sampled_from([None, SIGN_IN, COGNITO, TOKEN])
rules = st.builds(
    lambda blue, green, sticky, first: (
        [*([first] if first else []), forward({BLUE: blue, GREEN: green}, sticky, **({"Order": 2} if first else {}))]
    ),
    st.integers(0, MOST),
    st.integers(0, MOST),
    stickiness,
    firsts,
)


@given(rules, shares)
def test_only_the_weights_change(actions: list[dict[str, Any]], share: float) -> None:
    before = copy.deepcopy(actions)
    written = with_share(actions, GREEN, BLUE, share)
    assert actions == before
    assert intended_share(written, GREEN, BLUE) == pytest.approx(share, abs=1e-3)
    for old, new in zip(before, written, strict=True):
        if old["Type"] == "forward":
            old["ForwardConfig"].pop("TargetGroups")
            new["ForwardConfig"].pop("TargetGroups")
        new.get("AuthenticateOidcConfig", {}).pop("UseExistingClientSecret", None)
        assert old == new


@given(shares)
def test_weights_are_whole_and_within_limits(share: float) -> None:
    canary, baseline = weights_for(share)
    assert 0 <= canary <= MOST
    assert 0 <= baseline <= MOST
    assert canary / (canary + baseline) == pytest.approx(share, abs=1e-9)


@given(rules, shares)
def test_there_and_back_again(actions: list[dict[str, Any]], share: float) -> None:
    away = with_share(actions, GREEN, BLUE, share)
    back = with_share(away, GREEN, BLUE, 0.0)
    assert weights_of(back) == {BLUE: 100, GREEN: 0}
    assert difference(back, with_share(actions, GREEN, BLUE, 0.0)) is None


def test_a_share_out_of_range_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"not 1\.2"):
        weights_for(1.2)


def test_a_secret_that_is_never_returned_is_asked_for_by_name() -> None:
    written = with_share([SIGN_IN, forward({BLUE: 1, GREEN: 0}, Order=2)], GREEN, BLUE, 0.05)
    assert written[0]["AuthenticateOidcConfig"]["UseExistingClientSecret"] is True
    assert "ClientSecret" not in written[0]["AuthenticateOidcConfig"]
    assert "UseExistingClientSecret" not in SIGN_IN["AuthenticateOidcConfig"]


def test_a_rule_that_forwards_to_the_baseline_alone_gets_the_canary_too() -> None:
    [written] = with_share([forward({BLUE: 1}, TargetGroupArn=BLUE)], GREEN, BLUE, 0.05)
    assert weights_of([written]) == {BLUE: 95, GREEN: 5}
    assert "TargetGroupArn" not in written
    assert intended_share([{"Type": "forward", "TargetGroupArn": BLUE}], GREEN, BLUE) == 0.0
    assert intended_share([{"Type": "forward", "TargetGroupArn": GREEN}], GREEN, BLUE) == 1.0


def test_a_third_group_without_weight_stays_without() -> None:
    [written] = with_share([forward({RED: 0, BLUE: 7, GREEN: 0})], GREEN, BLUE, 0.25)
    assert weights_of([written]) == {RED: 0, BLUE: 75, GREEN: 25}


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ([forward({BLUE: 1, GREEN: 1, RED: 1})], "forwards to red too"),
        ([forward({RED: 1})], "forwards to neither green nor blue"),
        ([{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301"}}], "no forward action"),
        ([{"Type": "brew-coffee", "Order": 1}, forward({BLUE: 1, GREEN: 0}, Order=2)], "of type brew-coffee"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words(actions: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(CannotKeep, match=words):
        with_share(actions, GREEN, BLUE, 0.05)


@pytest.mark.parametrize(
    ("weights", "share"),
    [
        ({BLUE: 95, GREEN: 5}, 0.05),
        ({BLUE: 0, GREEN: 7}, 1.0),
        ({BLUE: 0, GREEN: 0}, None),
        ({BLUE: 1, GREEN: 1, RED: 1}, None),
        ({BLUE: 1, GREEN: 1, RED: 0}, 0.5),
        ({RED: 1}, None),
    ],
)
def test_the_intended_share(weights: dict[str, int], share: float | None) -> None:
    assert intended_share([forward(weights)], GREEN, BLUE) == share


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (forward({BLUE: 95, GREEN: 4}, {"Enabled": True, "DurationSeconds": 60}), "weights are blue 95, green 4"),
        (forward({BLUE: 95}, {"Enabled": True, "DurationSeconds": 60}), "weights are blue 95 where"),
        (forward({BLUE: 95, GREEN: 5}), "stickiness is {}"),
        (forward({BLUE: 95, GREEN: 5}, {"Enabled": True, "DurationSeconds": 61}), "stickiness is"),
    ],
)
def test_what_is_read_back_otherwise_is_named(changed: dict[str, Any], words: str) -> None:
    written = [forward({BLUE: 95, GREEN: 5}, {"Enabled": True, "DurationSeconds": 60})]
    assert words in (difference(written, [changed]) or "")
    assert difference(written, written) is None
    assert "actions are" in (difference(written, [COGNITO, changed]) or "")


def test_another_sign_in_than_was_written_is_named() -> None:
    other = {**COGNITO, "AuthenticateCognitoConfig": {"UserPoolArn": "v"}}
    last = forward({BLUE: 1, GREEN: 0}, Order=2)
    assert "authenticate-cognito is another one" in (difference([COGNITO, last], [other, last]) or "")
    read = [SIGN_IN, forward({BLUE: 100, GREEN: 0}, Order=2)]
    assert difference(with_share([last, SIGN_IN], GREEN, BLUE, 0.0), read) is None


def test_stickiness_is_seen() -> None:
    assert is_sticky([forward({BLUE: 1}, {"Enabled": True, "DurationSeconds": 60})])
    assert not is_sticky([forward({BLUE: 1}, {"Enabled": False})])
    assert not is_sticky([forward({BLUE: 1}), COGNITO])
