"""AWS Certificate Manager."""

from __future__ import annotations

from typing import Any

from caretaker.aws import clients, rates
from caretaker.aws.errors import call
from caretaker.aws.listing import Listing

# Without a filter ListCertificates gives RSA_2048 certificates only (ACM API: Filters.keyTypes).
_KEY_TYPES = (
    "RSA_1024",
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "EC_prime256v1",
    "EC_secp384r1",
    "EC_secp521r1",
)

LIST_CERTIFICATES = Listing(
    "acm:ListCertificates",
    "acm",
    "list_certificates",
    ("CertificateSummaryList",),
    rates.ACM_LIST,
    tokens=(("NextToken", "NextToken"),),
    fixed={"MaxItems": 1000, "Includes": {"keyTypes": list(_KEY_TYPES)}},
)
DESCRIBE_CERTIFICATE = Listing(
    "acm:DescribeCertificate", "acm", "describe_certificate", ("Certificate",), rates.ACM_DESCRIBE
)
LIST_TAGS_FOR_CERTIFICATE = Listing(
    "acm:ListTagsForCertificate", "acm", "list_tags_for_certificate", ("Tags",), rates.ACM_TAGS
)


def describe_certificate(arn: str) -> dict[str, Any]:
    """A certificate; `InUseBy` names the resources that it is deployed on. Raises `Missing` if there is none."""
    return dict(call(clients.client("acm").describe_certificate, CertificateArn=arn)["Certificate"])
