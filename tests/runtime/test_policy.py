from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from caretaker.runtime import policy_source
from caretaker.runtime.policy import HostPolicy, ServicePolicy
from caretaker.runtime.policy_source import BadPolicy
from caretaker.runtime.table import Table
from hypothesis import given
from hypothesis import strategies as st

PATH = "/caretaker/policy"
Put = Callable[..., None]


@pytest.fixture
def put(store: Table) -> Put:
    def write(name: str, document: Any) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        boto3.client("ssm").put_parameter(Name=f"{PATH}/{name}", Value=text, Type="String", Overwrite=True)

    return write


def load(store: Table, *services: str) -> policy_source.Loaded:
    return policy_source.load(store, PATH, "shop", services)


def test_without_documents_hosts_are_only_observed(store: Table) -> None:
    loaded = load(store)
    assert loaded.hosts == HostPolicy()
    assert (loaded.hosts.mode, loaded.hosts.budget, loaded.hosts.lead) == ("observe", 1, None)
    assert loaded.refused == ()


def test_later_documents_override_field_by_field(store: Table, put: Put) -> None:
    put("defaults", {"hosts": {"mode": "act", "budget": 3, "lead": 86400, "drain_timeout": 1200}})
    put("clusters/shop", {"hosts": {"budget": 2, "lead": None}})
    put("clusters/other", {"hosts": {"mode": "observe"}})
    put("services/shop/web", {"hosts": {"surge": False}})
    hosts = load(store, "web", "api").hosts
    assert (hosts.mode, hosts.budget, hosts.lead) == ("act", 2, None)
    assert hosts.drain_timeout == timedelta(seconds=1200)
    assert hosts.service("web") == ServicePolicy(surge=False, standalone="wait")
    assert hosts.service("api") == ServicePolicy(surge=True, standalone="wait")


def test_a_service_without_a_policy_has_its_clusters(store: Table, put: Put) -> None:
    put("clusters/shop", {"hosts": {"standalone": "block", "surge": False}})
    put("services/shop/web", {"hosts": {"surge": True}})
    hosts = load(store, "web").hosts
    assert hosts.service("web") == ServicePolicy(surge=True, standalone="block")
    assert hosts.service("api") == ServicePolicy(surge=False, standalone="block")


def test_a_group_that_no_parameter_can_be_named_after_has_its_clusters_policy(store: Table, put: Put) -> None:
    put("clusters/shop", {"hosts": {"standalone": "block"}})
    put("services/shop/web", {"hosts": {"standalone": "wait"}})
    hosts = load(store, "web", "nightly run", "batch:7", "a/b", "").hosts
    assert [hosts.service(name).standalone for name in ("web", "nightly run", "batch:7")] == ["wait", "block", "block"]
    names = policy_source.names_of(PATH, "shop", ["nightly run", "batch:7", "a/b"])
    assert names == [f"{PATH}/defaults", f"{PATH}/clusters/shop"]


def test_many_services_are_read_in_batches(store: Table, put: Put) -> None:
    names = [f"s{n}" for n in range(25)]
    for name in names:
        put(f"services/shop/{name}", {"hosts": {"surge": False}})
    assert not any(load(store, *names).hosts.service(name).surge for name in names)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "not JSON"),
        ([], "document: []"),
        ({"host": {}}, "host: {}: Extra inputs are not permitted"),
        ({"hosts": {"mode": "on"}}, "hosts.mode: 'on'"),
        ({"hosts": {"budgets": 1}}, "hosts.budgets: 1: Extra inputs"),
        ({"hosts": {"budget": 11}}, "hosts.budget: 11"),
        ({"hosts": {"budget": "2"}}, "hosts.budget: '2'"),
        ({"hosts": {"lead": -1}}, "hosts.lead: -1"),
        ({"hosts": {"surge": "yes"}}, "hosts.surge: 'yes'"),
        ({"hosts": {"ready_timeout": 1}}, "hosts.ready_timeout: 1"),
        ({"hosts": {"mode": 1, "budget": 0}}, "(and 1 more)"),
    ],
)
def test_a_bad_document_is_refused_with_field_and_value(document: Any, words: str) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    with pytest.raises(BadPolicy) as caught:
        policy_source.check(PATH, f"{PATH}/defaults", text)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{PATH}/defaults: ")
    assert "\n" not in str(caught.value)


def test_a_service_may_set_only_its_own_fields() -> None:
    with pytest.raises(BadPolicy, match=r"hosts\.mode"):
        policy_source.check(PATH, f"{PATH}/services/shop/web", '{"hosts": {"mode": "act"}}')


def test_the_last_good_document_stays_in_force(store: Table, put: Put, capsys: pytest.CaptureFixture[str]) -> None:
    put("defaults", {"hosts": {"mode": "act", "budget": 4}})
    assert load(store).hosts.budget == 4
    put("defaults", {"hosts": {"mode": "act", "budget": 40}})
    loaded = load(store)
    assert (loaded.hosts.mode, loaded.hosts.budget) == ("act", 4)
    assert [refusal.name for refusal in loaded.refused] == [f"{PATH}/defaults"]
    printed = capsys.readouterr().out
    assert "hosts.budget: 40" in printed
    metrics = [json.loads(line) for line in printed.splitlines() if "_aws" in line]
    assert metrics[0]["PolicyRefused"] == [1.0]


def test_without_a_good_one_before_it_a_bad_document_means_observe(store: Table, put: Put) -> None:
    put("defaults", {"hosts": {"mode": "act"}})
    put("clusters/shop", {"hosts": {"mode": "obsreve"}})
    loaded = load(store)
    assert loaded.hosts.mode == "observe"
    assert len(loaded.refused) == 1
    put("services/shop/web", "nonsense")
    assert not load(store, "web").hosts.service("web").surge


def test_a_document_that_is_gone_says_nothing(store: Table, put: Put) -> None:
    put("defaults", {"hosts": {"mode": "act"}})
    load(store)
    boto3.client("ssm").delete_parameter(Name=f"{PATH}/defaults")
    assert load(store).hosts.mode == "observe"


def test_good_documents_are_written_once(store: Table, put: Put) -> None:
    put("defaults", {"hosts": {"mode": "act"}})
    load(store)
    kept = policy_source.last_good(store, f"{PATH}/defaults")
    assert kept == json.dumps({"hosts": {"mode": "act"}})
    policy_source.forget(store, f"{PATH}/defaults")
    assert policy_source.last_good(store, f"{PATH}/defaults") is None


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("/caretaker/policy/defaults", True),
        ("/caretaker/policy/clusters/shop", True),
        ("/caretaker/policy/services/shop/web", True),
        ("/caretaker/policy/cluster/shop", False),
        ("/caretaker/policy/clusters", False),
        ("/caretaker/policy/services/shop", False),
        ("/caretaker/policy/defaults/x", False),
        ("/other/defaults", False),
    ],
)
def test_names_that_policy_is_read_from(name: str, read: bool) -> None:
    assert policy_source.is_policy(PATH, name) is read


KEYS = ["hosts", "releases", "garbage", "mode", "budget", "lead", "surge", "steps", "bake", "slow_over", "cap", "x"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)


@given(json_values)
def test_any_json_is_a_policy_or_one_line(document: Any) -> None:
    try:
        fields = policy_source.check(PATH, f"{PATH}/defaults", json.dumps(document))
    except BadPolicy as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert set(fields) == {"hosts", "releases", "garbage"}
        assert set(fields["hosts"]) <= {"mode", "budget", "lead", "surge"}
        assert set(fields["releases"]) <= {"mode", "steps", "bake", "slow_over"}
        assert set(fields["garbage"]) <= {"mode", "cap"}
