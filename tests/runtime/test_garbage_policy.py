from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from caretaker.runtime import policy_source
from caretaker.runtime.policy import GarbagePolicies, GarbagePolicy
from caretaker.runtime.policy_fields import BadPolicy, GarbageFields, check
from caretaker.runtime.table import Table

PATH = "/caretaker/policy"
Put = Callable[..., None]


@pytest.fixture
def put(store: Table) -> Put:
    def write(name: str, **garbage: Any) -> None:
        text = json.dumps({"garbage": garbage})
        boto3.client("ssm").put_parameter(Name=f"{PATH}/{name}", Value=text, Type="String", Overwrite=True)

    return write


def load(store: Table, *services: str) -> GarbagePolicies:
    return policy_source.load(store, PATH, "shop", services).garbage


def test_without_documents_garbage_is_only_observed_and_no_data_is_lost(store: Table) -> None:
    policy = load(store, "web").service("web")
    assert policy == GarbagePolicy()
    assert (policy.mode, policy.grace, policy.cap) == ("observe", timedelta(hours=1), 50)
    assert (policy.log_groups, policy.task_definitions, policy.clusters) == ("keep", "keep", "keep")


def test_the_defaults_of_documents_and_of_the_policy_are_the_same() -> None:
    own = {
        name: value.total_seconds() if isinstance(value, timedelta) else value
        for name, value in vars(GarbagePolicy()).items()
    }
    del own["keep"]
    assert {name: field.default for name, field in GarbageFields.model_fields.items()} == own


def test_a_service_keeps_its_own_while_its_cluster_deletes(store: Table, put: Put) -> None:
    put("defaults", mode="approve", cap=10)
    put("clusters/shop", mode="act", grace=600, apart=120, log_groups="delete")
    put("services/shop/web", keep=True)
    put("services/shop/api", mode="observe")
    garbage = load(store, "web", "api", "job")
    assert garbage.service("web").keep
    assert garbage.service("api").mode == "observe"
    job = garbage.service("job")
    assert (job.mode, job.cap, job.grace, job.apart) == ("act", 10, timedelta(minutes=10), timedelta(minutes=2))
    assert (job.log_groups, job.keep) == ("delete", False)


@pytest.mark.parametrize(
    ("name", "garbage", "words"),
    [
        ("defaults", {"mode": "on"}, "garbage.mode: 'on'"),
        ("defaults", {"grace": 10}, "garbage.grace: 10"),
        ("defaults", {"apart": 0}, "garbage.apart: 0"),
        ("defaults", {"cap": 0}, "garbage.cap: 0"),
        ("defaults", {"log_groups": True}, "garbage.log_groups: True"),
        ("defaults", {"keep": True}, "garbage.keep: True: Extra inputs"),
        ("clusters/shop", {"roles": "delete"}, "garbage.roles: 'delete': Extra inputs"),
        ("services/shop/web", {"cap": 3}, "garbage.cap: 3: Extra inputs"),
    ],
)
def test_a_wrong_field_is_named_with_its_value(name: str, garbage: dict[str, Any], words: str) -> None:
    with pytest.raises(BadPolicy) as error:
        check(PATH, f"{PATH}/{name}", json.dumps({"garbage": garbage}))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_refused_document_makes_garbage_observed(store: Table, put: Put) -> None:
    put("defaults", mode="act")
    put("clusters/shop", mode="act", cap="many")
    assert load(store).cluster.mode == "observe"
