"""CloudFormation, as far as tools ask it where the deployed stack's things are.

Source: CloudFormation API: DescribeStacks, Stack, Output; a name that no stack has is a ValidationError.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from twin.errors import AwsError
from twin.kernel.api import Api, Call, operation
from twin.kernel.kernel import Kernel
from twin.kernel.template import Deployment


@dataclass
class Stacks(Api):
    """Knows one stack: the one that the template was deployed as."""

    kernel: Kernel
    deployment: Deployment
    name: str = "caretaker"
    service: str = field(init=False, default="cloudformation")

    @operation("DescribeStacks", ("StackName",))
    def describe_stacks(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Without a name all stacks."""
        asked = params.get("StackName", self.name)
        if asked not in (self.name, self.arn):
            raise AwsError("ValidationError", f"Stack with id {asked} does not exist")
        return {"Stacks": [self._shown()]}

    @property
    def arn(self) -> str:
        return self.kernel.arn("cloudformation", f"stack/{self.name}/00000000-0000-4000-8000-000000000000")

    def _shown(self) -> dict[str, Any]:
        outputs = self.deployment.outputs
        return {
            "StackId": self.arn,
            "StackName": self.name,
            "CreationTime": self.kernel.clock.start,
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": [{"OutputKey": key, "OutputValue": str(value)} for key, value in outputs.items()],
        }
