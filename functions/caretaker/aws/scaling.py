"""Application Auto Scaling, for ECS services (namespace `ecs`)."""

from __future__ import annotations

from caretaker.aws import rates
from caretaker.aws.listing import Listing

_SERVICE = "application-autoscaling"
_NEXT = (("NextToken", "NextToken"),)
_ECS = {"ServiceNamespace": "ecs"}

# Application Auto Scaling API: MaxResults; at most 50 targets or actions a page, and 10 policies.
DESCRIBE_SCALABLE_TARGETS = Listing(
    f"{_SERVICE}:DescribeScalableTargets",
    _SERVICE,
    "describe_scalable_targets",
    ("ScalableTargets",),
    rates.SCALING,
    tokens=_NEXT,
    fixed={**_ECS, "MaxResults": 50},
)
DESCRIBE_SCALING_POLICIES = Listing(
    f"{_SERVICE}:DescribeScalingPolicies",
    _SERVICE,
    "describe_scaling_policies",
    ("ScalingPolicies",),
    rates.SCALING,
    tokens=_NEXT,
    fixed={**_ECS, "MaxResults": 10},
)
DESCRIBE_SCHEDULED_ACTIONS = Listing(
    f"{_SERVICE}:DescribeScheduledActions",
    _SERVICE,
    "describe_scheduled_actions",
    ("ScheduledActions",),
    rates.SCALING,
    tokens=_NEXT,
    fixed={**_ECS, "MaxResults": 50},
)
LIST_TAGS_FOR_RESOURCE = Listing(
    f"{_SERVICE}:ListTagsForResource", _SERVICE, "list_tags_for_resource", ("Tags",), rates.SCALING
)
