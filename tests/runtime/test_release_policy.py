from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from caretaker.runtime import policy_source
from caretaker.runtime.policy import OnPush, ReleasePolicies, ReleasePolicy
from caretaker.runtime.policy_fields import BadPolicy, ReleaseFields, check
from caretaker.runtime.table import Table

PATH = "/caretaker/policy"
Put = Callable[..., None]


@pytest.fixture
def put(store: Table) -> Put:
    def write(name: str, **releases: Any) -> None:
        text = json.dumps({"releases": releases})
        boto3.client("ssm").put_parameter(Name=f"{PATH}/{name}", Value=text, Type="String", Overwrite=True)

    return write


def load(store: Table, *services: str) -> policy_source.Loaded:
    return policy_source.load(store, PATH, "shop", services)


def test_without_documents_releases_are_only_observed(store: Table) -> None:
    assert load(store).releases == ReleasePolicies()
    assert load(store, "web").releases.service("web") == ReleasePolicy()
    assert ReleasePolicy().mode == "observe"


def test_the_defaults_of_documents_and_of_the_policy_are_the_same() -> None:
    fields = {name: field.default for name, field in ReleaseFields.model_fields.items()}
    own = ReleasePolicy()
    plain = vars(own) | {
        "steps": list(own.steps),
        "approval_expires": own.approval_expires.total_seconds(),
        "gate_limit": own.gate_limit.total_seconds(),
        "ready_limit": own.ready_limit.total_seconds(),
        "session_limit": own.session_limit.total_seconds(),
    }
    del plain["on_push"]
    assert fields == plain


def test_a_service_overrides_every_field_of_its_cluster(store: Table, put: Put) -> None:
    put("defaults", mode="act", bake=20, steps=[10, 100], approval_expires=600)
    put("clusters/shop", bake=15, slow_over=0.5)
    put("services/shop/web", way="gate", slow_over=None, gate_limit=90, on_push={"repository": "shop/web", "tag": "v*"})
    releases = load(store, "web", "api").releases
    api, web = releases.service("api"), releases.service("web")
    assert (api.mode, api.way, api.bake, api.slow_over, api.steps) == ("act", "auto", 15, 0.5, (10, 100))
    assert (web.mode, web.way, web.bake, web.slow_over, web.steps) == ("act", "gate", 15, None, (10, 100))
    assert (web.approval_expires, web.gate_limit) == (timedelta(minutes=10), timedelta(seconds=90))
    assert web.on_push == OnPush("shop/web", "v*")
    assert api.on_push is None


@pytest.mark.parametrize(
    ("repository", "tag", "fits"),
    [("shop/web", "v1.2", True), ("shop/web", "main", False), ("shop/api", "v1.2", False)],
)
def test_pushes_that_ask_for_a_release(repository: str, tag: str, fits: bool) -> None:
    assert OnPush("shop/web", "v*").fits(repository, tag) is fits


@pytest.mark.parametrize(
    ("releases", "words"),
    [
        ({"mode": "on"}, "releases.mode: 'on'"),
        ({"way": "canary"}, "releases.way: 'canary'"),
        ({"baking": 3}, "releases.baking: 3: Extra inputs"),
        ({"steps": [5, 25]}, "releases.steps: [5, 25]: Value error, the last step must be 100"),
        ({"steps": [25, 5, 100]}, "every step must be above the one before"),
        ({"steps": [0.25, 100]}, "at most one decimal"),
        ({"steps": [0, 100]}, "releases.steps.0: 0"),
        ({"steps": []}, "releases.steps: []"),
        ({"bake": 0}, "releases.bake: 0"),
        ({"bake": 20, "patience": 10}, "releases.patience: 10: must be at least bake (20)"),
        ({"alpha": 0}, "releases.alpha: 0"),
        ({"alpha": "0.01"}, "releases.alpha: '0.01'"),
        ({"tolerated": 2.9, "bad": 3}, "releases.tolerated: 2.9: must be below 0.9 times bad (3)"),
        ({"ignorable": 1}, "releases.ignorable: 1"),
        ({"slow_over": 0}, "releases.slow_over: 0"),
        ({"on_inconclusive": "promote"}, "releases.on_inconclusive: 'promote'"),
        ({"on_error": "retry"}, "releases.on_error: 'retry'"),
        ({"approval_expires": 10}, "releases.approval_expires: 10"),
        ({"gate_limit": 100_000}, "releases.gate_limit: 100000"),
        ({"ready_limit": 30}, "releases.ready_limit: 30"),
        ({"session_limit": 50_000}, "releases.session_limit: 50000"),
        ({"by_zone": 1}, "releases.by_zone: 1"),
        ({"discard": -1}, "releases.discard: -1"),
        ({"on_push": {"repository": "web"}}, "releases.on_push"),
    ],
)
def test_a_bad_document_is_refused_with_field_and_value(releases: dict[str, Any], words: str) -> None:
    with pytest.raises(BadPolicy) as caught:
        check(PATH, f"{PATH}/defaults", json.dumps({"releases": releases}))
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{PATH}/defaults: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("push", [{}, {"repository": "Web"}, {"repository": "web", "tag": "a b"}])
def test_a_bad_push_is_refused(push: dict[str, Any]) -> None:
    with pytest.raises(BadPolicy, match=r"releases\.on_push\."):
        check(PATH, f"{PATH}/services/shop/web", json.dumps({"releases": {"on_push": push}}))


def test_documents_that_contradict_each_other_mean_observe(store: Table, put: Put) -> None:
    put("defaults", mode="act", bad=10)
    put("clusters/shop", tolerated=8)
    put("services/shop/web", bad=2, bake=12)
    loaded = load(store, "web")
    assert (loaded.releases.cluster.mode, loaded.releases.cluster.tolerated) == ("act", 8)
    web = loaded.releases.service("web")
    assert (web.mode, web.bad, web.bake) == ("observe", 10, 10)
    [refusal] = loaded.refused
    assert refusal.reason == f"{PATH}/services/shop/web: releases.tolerated: 8: must be below 0.9 times bad (2)"
    assert "only observed" in refusal.in_force


def test_a_document_that_never_was_good_means_observe(store: Table, put: Put) -> None:
    put("defaults", mode="act")
    put("services/shop/web", mode="actt")
    loaded = load(store, "web", "api")
    assert loaded.releases.service("web").mode == "observe"
    assert loaded.releases.service("api").mode == "act"
    put("services/shop/web", mode="act")
    assert load(store, "web").releases.service("web").mode == "act"
    put("services/shop/web", mode="actt")
    assert load(store, "web").releases.service("web").mode == "act"
