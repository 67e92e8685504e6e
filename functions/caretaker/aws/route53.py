"""Amazon Route 53."""

from __future__ import annotations

from caretaker.aws import rates
from caretaker.aws.listing import Listing

LIST_HOSTED_ZONES = Listing(
    "route53:ListHostedZones",
    "route53",
    "list_hosted_zones",
    ("HostedZones",),
    rates.ROUTE53,
    tokens=(("Marker", "NextMarker"),),
    fixed={"MaxItems": "100"},
)
LIST_RESOURCE_RECORD_SETS = Listing(
    "route53:ListResourceRecordSets",
    "route53",
    "list_resource_record_sets",
    ("ResourceRecordSets",),
    rates.ROUTE53,
    tokens=(
        ("StartRecordName", "NextRecordName"),
        ("StartRecordType", "NextRecordType"),
        ("StartRecordIdentifier", "NextRecordIdentifier"),
    ),
    fixed={"MaxItems": "300"},
)
