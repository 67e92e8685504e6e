"""AWS CloudFormation."""

from __future__ import annotations

from caretaker.aws import rates
from caretaker.aws.errors import AwsFailure, Invalid
from caretaker.aws.listing import Listing

# By PhysicalResourceId: all resources of the stack that the resource belongs to.
DESCRIBE_STACK_RESOURCES = Listing(
    "cloudformation:DescribeStackResources",
    "cloudformation",
    "describe_stack_resources",
    ("StackResources",),
    rates.CLOUDFORMATION,
)


def no_stack(error: AwsFailure) -> bool:
    """Whether the error of DescribeStackResources says that no stack has such a resource: `ValidationError`, "Stack
    for … does not exist" (CloudFormation has no error code of its own for it)."""
    return isinstance(error, Invalid) and "does not exist" in error.message
