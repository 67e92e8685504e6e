"""What reports need of IAM and Amazon ECR: which roles and repositories there are. Nobody in the twin deletes them.

Sources: IAM API (GetRole, ListRoles), ECR API (CreateRepository, DescribeRepositories).
"""

from __future__ import annotations

from typing import Any

from twin.errors import AwsError
from twin.kernel.api import Api, Call, operation
from twin.kernel.iam import Iam
from twin.kernel.kernel import Kernel
from twin.neighbours.common import page_by_name, tag_map

ROLES_PER_PAGE = 100
_BAD_TOKEN = AwsError("InvalidParameterException", "Invalid parameter at 'nextToken' failed to satisfy constraint")
_BAD_MARKER = AwsError("ValidationError", "Invalid Marker.")


class IamApi(Api):
    """Roles: those that the template deployed, and those that the world adds."""

    service = "iam"

    def __init__(self, kernel: Kernel, iam: Iam) -> None:
        self.kernel = kernel
        self._iam = iam
        self._added: dict[str, dict[str, Any]] = {}

    def add_role(self, name: str, tags: dict[str, str] | None = None, path: str = "/") -> str:
        """A role of the world, e.g. an infrastructure role; returns its ARN. The twin holds no policies of it."""
        arn = f"arn:aws:iam::{self.kernel.account}:role{path}{name}"
        shown = self._shown(arn, name, path)
        self._added[name] = shown | {"Tags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()]}
        return arn

    def _shown(self, arn: str, name: str, path: str) -> dict[str, Any]:
        number = sum(name.encode()) % 10**6
        return {
            "Path": path,
            "RoleName": name,
            "RoleId": f"AROA{number:06d}{'TWIN' * 3}"[:21],
            "Arn": arn,
            "CreateDate": self.kernel.clock.start,
            "MaxSessionDuration": 3_600,
        }

    def _roles(self) -> dict[str, dict[str, Any]]:
        deployed = {
            role.name: self._shown(role.arn, role.name, role.arn.partition(":role")[2].removesuffix(role.name))
            for role in self._iam.roles.values()
        }
        return {**deployed, **self._added}

    @operation("GetRole", ("RoleName",))
    def get_role(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        found = self._roles().get(params["RoleName"])
        if found is None:
            raise AwsError("NoSuchEntity", f"The role with name {params['RoleName']} cannot be found.", 404)
        return {"Role": found}

    @operation("ListRoles", ("PathPrefix", "Marker", "MaxItems"))
    def list_roles(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """At most 100 a page unless MaxItems (up to 1,000) is given; without tags."""
        prefix = params.get("PathPrefix", "/")
        found = [role for _, role in sorted(self._roles().items()) if role["Path"].startswith(prefix)]
        most = params.get("MaxItems", ROLES_PER_PAGE)
        shown, marker = page_by_name(found, params.get("Marker"), most, lambda one: str(one["RoleName"]), _BAD_MARKER)
        views = [{key: value for key, value in one.items() if key != "Tags"} for one in shown]
        return {"Roles": views, "IsTruncated": marker is not None} | ({"Marker": marker} if marker else {})


class Ecr(Api):
    """Repositories, without images."""

    service = "ecr"

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.repositories: dict[str, dict[str, Any]] = {}

    @operation("CreateRepository", ("repositoryName", "tags", "imageTagMutability"))
    def create_repository(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name = params["repositoryName"]
        if name in self.repositories:
            raise AwsError(
                "RepositoryAlreadyExistsException",
                f"The repository with name '{name}' already exists in the registry with id '{self.kernel.account}'",
            )
        self.repositories[name] = {
            "repositoryArn": self.kernel.arn("ecr", f"repository/{name}"),
            "registryId": self.kernel.account,
            "repositoryName": name,
            "repositoryUri": f"{self.kernel.account}.dkr.ecr.{self.kernel.region}.amazonaws.com/{name}",
            "createdAt": self.kernel.clock.now(),
            "imageTagMutability": params.get("imageTagMutability", "MUTABLE"),
            "tags": tag_map(params.get("tags", [])),
        }
        return {"repository": self._view(name)}

    @operation("DescribeRepositories", ("registryId", "repositoryNames", "nextToken", "maxResults"))
    def describe_repositories(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """At most 100 a page unless maxResults (up to 1,000) is given, which names exclude."""
        if params.get("registryId", self.kernel.account) != self.kernel.account:
            raise AwsError("InvalidParameterException", f"The registry {params['registryId']} is another account's.")
        names = params.get("repositoryNames")
        if names and ("nextToken" in params or "maxResults" in params):
            raise AwsError("InvalidParameterException", "maxResults and nextToken cannot be used with repositoryNames.")
        for name in names or ():
            if name not in self.repositories:
                raise AwsError(
                    "RepositoryNotFoundException",
                    f"The repository with name '{name}' does not exist in the registry with id '{self.kernel.account}'",
                )
        found = sorted(names or self.repositories)
        most = params.get("maxResults", 100)
        shown, token = page_by_name(found, params.get("nextToken"), most, str, _BAD_TOKEN)
        return {"repositories": [self._view(name) for name in shown]} | ({"nextToken": token} if token else {})

    def _view(self, name: str) -> dict[str, Any]:
        return {key: value for key, value in self.repositories[name].items() if key != "tags"}
