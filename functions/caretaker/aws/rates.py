"""The rates that AWS documents for what an observation reads. They are defaults of an account in a Region."""

from __future__ import annotations

from caretaker.aws.listing import Rate

_ECS = "Amazon ECS API Reference: Request throttling for the Amazon ECS API"
_ELB = "Elastic Load Balancing User Guide: Request throttling for the Elastic Load Balancing API"
_EC2 = "Amazon EC2 Developer Guide: Request throttling for the Amazon EC2 API"

ECS_CLUSTERS = Rate("ecs cluster read", 50, 20, _ECS)
ECS_TASKS = Rate("ecs cluster resource read", 100, 20, _ECS)
# Operations of services that the page does not name (Express Mode's and the gateways') are counted here too.
ECS_SERVICES = Rate("ecs service read", 100, 20, _ECS)
ELB = Rate("elasticloadbalancing describe", 40, 10, _ELB)
# Uncontrolled listings (no ids, or no filter) have a smaller bucket than other Describe calls.
EC2 = Rate("ec2 describe unfiltered", 50, 10, _EC2)
CLOUDWATCH_ALARMS = Rate("cloudwatch DescribeAlarms", 9, 9, "Amazon CloudWatch User Guide: CloudWatch service quotas")
ACM_LIST = Rate("acm ListCertificates", 1, 1, "AWS Certificate Manager User Guide: Quotas, API rate quotas")
ACM_DESCRIBE = Rate("acm DescribeCertificate", 10, 10, ACM_LIST.source)
ACM_TAGS = Rate("acm ListTagsForCertificate", 10, 10, ACM_LIST.source)
_LOGS = "Amazon CloudWatch Logs User Guide: CloudWatch Logs quotas"
LOGS_GROUPS = Rate("logs DescribeLogGroups", 10, 10, _LOGS)
LOGS_METRIC_FILTERS = Rate("logs DescribeMetricFilters", 5, 5, _LOGS)
LOGS_SUBSCRIPTION_FILTERS = Rate("logs DescribeSubscriptionFilters", 5, 5, _LOGS)
LOGS_TAGS = Rate("logs ListTagsForResource", 5, 5, f"{_LOGS} (none published for it: the least of the others)")
WAF = Rate("wafv2 get", 1, 1, "AWS WAF Developer Guide: AWS WAF quotas, calls a second")
ROUTE53 = Rate("route53", 5, 5, "Amazon Route 53 Developer Guide: Quotas, maximums on Route 53 API requests")
# No rate is published for these two; this is a bound of our own.
SCALING = Rate("application-autoscaling describe", 10, 5, "none published")
CLOUDFORMATION = Rate("cloudformation describe", 20, 5, "none published")
EVENTS = Rate("events list", 50, 50, "Amazon EventBridge User Guide: EventBridge quotas, any other operation")
SCHEDULER = Rate("scheduler list", 50, 50, "EventBridge Scheduler User Guide: Quotas, the least request rate")
