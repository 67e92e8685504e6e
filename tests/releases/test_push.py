"""What an ECR push changes in a task definition."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from caretaker.releases.push import BadPush, alike, concerned, read, repository_of, revised, runs

EVENT = json.loads((Path(__file__).resolve().parents[2] / "events" / "ecr-image-push.json").read_text(encoding="utf-8"))
DIGEST = EVENT["detail"]["image-digest"]
REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop/web"


def event(**detail: Any) -> dict[str, Any]:
    changed: dict[str, Any] = copy.deepcopy(EVENT)
    changed["detail"] |= detail
    return changed


def definition(*images: str, **members: Any) -> dict[str, Any]:
    containers = [{"name": f"c{number}", "image": image, "memory": 256} for number, image in enumerate(images)]
    return {"family": "web", "containerDefinitions": containers, "cpu": "256", **members}


def test_a_push_is_read_with_its_digest() -> None:
    push = read(EVENT)
    assert push is not None
    assert (push.account, push.region, push.repository, push.tag) == (
        "123456789012",
        "us-east-1",
        "shop/web",
        "release-42",
    )
    assert push.digest == DIGEST
    assert str(push) == "shop/web:release-42@sha256:7f5b2640fe6f"


@pytest.mark.parametrize("other", [{"action-type": "DELETE"}, {"result": "FAILURE"}])
def test_other_image_actions_are_no_push(other: dict[str, Any]) -> None:
    assert read(event(**other)) is None
    assert read({**EVENT, "source": "aws.ecs"}) is None


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"image-digest": "latest"}, "image-digest"), ({"repository-name": None}, "repository-name")],
)
def test_what_cannot_be_read_is_named(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(BadPush, match=named):
        read(event(**changed))


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (f"{REPOSITORY}:1", ("123456789012", "us-east-1", "shop/web")),
        (f"{REPOSITORY}@{DIGEST}", ("123456789012", "us-east-1", "shop/web")),
        (REPOSITORY, ("123456789012", "us-east-1", "shop/web")),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a", ("123456789012", "cn-north-1", "a")),
        ("123456789012.dkr-ecr.us-east-1.on.aws/a:b", ("123456789012", "us-east-1", "a")),
        ("public.ecr.aws/nginx/nginx:1", None),
        ("nginx", None),
    ],
)
def test_the_repository_of_an_image(image: str, found: tuple[str, str, str] | None) -> None:
    assert repository_of(image) == found


def test_only_the_containers_of_that_repository_get_the_image() -> None:
    push = read(EVENT)
    assert push is not None
    described = definition(f"{REPOSITORY}:1", "envoy:2", f"{REPOSITORY}-other:1", revision=3, registeredAt="then")
    assert concerned(described, push) == ["c0"]
    made = revised(described, push, [{"key": "team", "value": "shop"}])
    assert [each["image"] for each in made["containerDefinitions"]] == [
        f"{REPOSITORY}@{DIGEST}",
        "envoy:2",
        f"{REPOSITORY}-other:1",
    ]
    assert made["tags"] == [{"key": "team", "value": "shop"}]
    assert not {"revision", "registeredAt"} & made.keys()
    assert made["cpu"] == "256"
    assert described["containerDefinitions"][0]["image"] == f"{REPOSITORY}:1"


def test_a_definition_that_runs_the_image_is_left() -> None:
    push = read(EVENT)
    assert push is not None
    assert runs(definition(f"{REPOSITORY}@{DIGEST}"), push)
    assert not runs(definition(f"{REPOSITORY}:release-42"), push), "a tag may have been another image"
    assert not runs(definition("envoy:2"), push)


def test_a_revision_that_was_registered_before_is_known_again() -> None:
    push = read(EVENT)
    assert push is not None
    made = revised(definition(f"{REPOSITORY}:1"), push, [{"key": "a", "value": "b"}])
    assert alike({**made, "revision": 4, "status": "ACTIVE"}, made)
    assert not alike(definition(f"{REPOSITORY}:1"), made)
