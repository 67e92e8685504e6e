"""Tags of ECS's resources."""

from __future__ import annotations

from twin.ecs import render
from twin.ecs.model import Tags
from twin.ecs.operations.common import Operations, Params, invalid, tags_of
from twin.errors import AwsError
from twin.kernel.api import Call, operation

MAX_TAGS = 50


class TagOperations(Operations):
    @operation("TagResource", ["resourceArn", "tags"])
    def tag_resource(self, params: Params, call: Call) -> Params:
        tags = self._tags(params["resourceArn"])
        added = tags_of(params)
        if any(key.lower().startswith("aws:") for key in added):
            raise invalid("Tag keys must not begin with aws:.")
        if len({**tags, **added}) > MAX_TAGS:
            raise AwsError("LimitExceededException", "A resource can have at most 50 tags.")
        tags.update(added)
        return {}

    @operation("UntagResource", ["resourceArn", "tagKeys"])
    def untag_resource(self, params: Params, call: Call) -> Params:
        tags = self._tags(params["resourceArn"])
        for key in params["tagKeys"]:
            tags.pop(key, None)
        return {}

    @operation("ListTagsForResource", ["resourceArn"])
    def list_tags_for_resource(self, params: Params, call: Call) -> Params:
        return {"tags": render.tag_list(self._tags(params["resourceArn"]))}

    def _tags(self, arn: str) -> Tags:
        store = self.engine.store
        kind = arn.split(":")[-1].split("/")[0] if ":task-definition/" not in arn else "task-definition"
        name = arn.rsplit("/", 1)[-1]
        found: object = None
        if kind == "task-definition":
            found = store.find_definition(arn)
        elif kind == "cluster":
            found = store.find_cluster(arn)
        elif kind == "capacity-provider":
            found = store.providers.get(name)
        else:
            found = store.services.get(arn) or store.hosts.get(arn) or store.tasks.get(arn)
        tags = getattr(found, "tags", None)
        if not isinstance(tags, dict):
            raise AwsError("InvalidParameterException", "The specified resource was not found.")
        return tags
