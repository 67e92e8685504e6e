"""AWS Certificate Manager: certificates, who uses them, and that none in use can be deleted.

Sources: ACM API (RequestCertificate, DescribeCertificate, ListCertificates with its default filters, DeleteCertificate,
ListTagsForCertificate …); ACM user guide, "Quotas" (2,500 certificates, 10 domain names each). Who uses a certificate
is asked of the services that can, at the moment of the question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from twin.errors import AwsError
from twin.kernel.api import Api, Call, operation
from twin.kernel.kernel import Kernel
from twin.neighbours.common import after, only, page, tag_list, tag_map, uuid

CERTIFICATES = 2_500
NAMES_PER_CERTIFICATE = 10
TAGS_PER_CERTIFICATE = 50
_PAGE = 100
_SHOWN_BY_DEFAULT = ("RSA_1024", "RSA_2048")
_VALID = timedelta(days=198)
_TOKEN_LIFE = 3_600.0
_BAD_TOKEN = AwsError("InvalidArgsException", "The NextToken is not valid.")


@dataclass(frozen=True)
class AcmOptions:
    """A world's choices. Times in simulated seconds.

    Attributes:
        issuance: a request until the certificate is ISSUED; the twin's world has every validation record in place.
        in_use_linger: how long a certificate still counts as in use after the last listener let go of it ("eventually
            consistent"; how long is not documented).
    """

    issuance: float = 5.0
    in_use_linger: float = 0.0


@dataclass
class Certificate:
    """A certificate; `number` is its place in the order of creation."""

    arn: str
    number: int
    domain: str
    names: list[str]
    algorithm: str
    created: datetime
    tags: dict[str, str] = field(default_factory=dict)
    issued: datetime | None = None

    @property
    def status(self) -> str:
        return "ISSUED" if self.issued else "PENDING_VALIDATION"


class Acm(Api):
    """The ACM API.

    Attributes:
        certificates: by ARN, oldest first.
        users: functions from a certificate's ARN to the ARNs of the resources that use it now.
    """

    service = "acm"

    def __init__(self, kernel: Kernel, options: AcmOptions | None = None) -> None:
        self.kernel = kernel
        self.options = options or AcmOptions()
        self.certificates: dict[str, Certificate] = {}
        self.users: list[Callable[[str], Iterable[str]]] = []
        self._lingering: dict[str, dict[str, float]] = {}
        self._tokens: dict[str, tuple[float, str]] = {}
        self._ids: Random = kernel.rng("acm/ids")
        self._made = 0

    # --- for the twin's other services --------------------------------------------------------------------------------
    def check(self, arn: str) -> None:
        """What Elastic Load Balancing asks of a certificate: AwsError CertificateNotFound, UnsupportedCertificate."""
        found = self.certificates.get(arn)
        if found is None:
            raise AwsError("CertificateNotFound", f"Certificate '{arn}' not found")
        if not found.issued:
            raise AwsError(
                "UnsupportedCertificate",
                f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, and a "
                "supported key size.",
            )

    def released(self, arn: str, user: str) -> None:
        """`user` (ARN) uses the certificate no more; it counts as in use for a while yet if the world says so."""
        if self.kernel.settled and self.options.in_use_linger > 0:
            self._lingering.setdefault(arn, {})[user] = self.kernel.clock.elapsed + self.options.in_use_linger

    def in_use_by(self, arn: str) -> list[str]:
        """ARNs of the resources that use the certificate, each once."""
        now = self.kernel.clock.elapsed
        lingering = {user: until for user, until in self._lingering.get(arn, {}).items() if until > now}
        if arn in self._lingering:
            self._lingering[arn] = lingering
        found = [user for ask in self.users for user in ask(arn)]
        return list(dict.fromkeys([*found, *lingering]))

    def tags_of(self, arn: str) -> Mapping[str, str]:
        """The certificate's tags; none for what does not exist. IAM's conditions on tags read them."""
        found = self.certificates.get(arn)
        return found.tags if found else {}

    # --- certificates -------------------------------------------------------------------------------------------------
    @operation(
        "RequestCertificate",
        (
            "DomainName",
            "ValidationMethod",
            "SubjectAlternativeNames",
            "IdempotencyToken",
            "KeyAlgorithm",
            "Options",
            "Tags",
        ),
    )
    def request_certificate(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        known = self._tokens.get(params.get("IdempotencyToken", ""))
        if known and self.kernel.clock.elapsed - known[0] < _TOKEN_LIFE and known[1] in self.certificates:
            return {"CertificateArn": known[1]}
        names = list(dict.fromkeys([params["DomainName"], *params.get("SubjectAlternativeNames", [])]))
        if len(names) > NAMES_PER_CERTIFICATE:
            raise AwsError("LimitExceededException", f"A certificate can have at most {NAMES_PER_CERTIFICATE} names.")
        if len(self.certificates) >= CERTIFICATES:
            raise AwsError(
                "LimitExceededException", f"The account has {CERTIFICATES} certificates, which is the limit."
            )
        tags = tag_map(params.get("Tags", []))
        _check_tags(tags)
        self._made += 1
        arn = self.kernel.arn("acm", f"certificate/{uuid(self._ids)}")
        made = Certificate(
            arn,
            self._made,
            params["DomainName"],
            names,
            params.get("KeyAlgorithm", "RSA_2048"),
            self.kernel.clock.now(),
            tags,
        )
        self.certificates[arn] = made
        if "IdempotencyToken" in params:
            self._tokens[params["IdempotencyToken"]] = (self.kernel.clock.elapsed, arn)
        after(self.kernel, self.options.issuance, lambda: self._issue(made), name=f"acm:{made.domain}")
        return {"CertificateArn": arn}

    def _issue(self, certificate: Certificate) -> None:
        certificate.issued = self.kernel.clock.now()

    @operation("DescribeCertificate", ("CertificateArn",))
    def describe_certificate(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        one = self._certificate(params["CertificateArn"])
        shown: dict[str, Any] = {
            "CertificateArn": one.arn,
            "DomainName": one.domain,
            "SubjectAlternativeNames": list(one.names),
            "Subject": f"CN={one.domain}",
            "Issuer": "Amazon",
            "CreatedAt": one.created,
            "Status": one.status,
            "KeyAlgorithm": one.algorithm,
            "InUseBy": self.in_use_by(one.arn),
            "Type": "AMAZON_ISSUED",
            "RenewalEligibility": "ELIGIBLE" if self.in_use_by(one.arn) else "INELIGIBLE",
            "CertificateKeyPairOrigin": "AWS_MANAGED",
        }
        if one.issued:
            shown |= {"IssuedAt": one.issued, "NotBefore": one.issued, "NotAfter": one.issued + _VALID}
        return {"Certificate": shown}

    @operation(
        "ListCertificates",
        (
            "CertificateStatuses",
            "CertificateKeyPairOrigins",
            "Includes",
            "NextToken",
            "MaxItems",
        ),
    )
    def list_certificates(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Without `Includes.keyTypes` only RSA_1024 and RSA_2048."""
        only(params.get("Includes", {}), {"keyTypes"}, "acm:ListCertificates: Includes")
        algorithms = params.get("Includes", {}).get("keyTypes") or _SHOWN_BY_DEFAULT
        origins = params.get("CertificateKeyPairOrigins") or ["AWS_MANAGED"]
        found = [
            one
            for one in self.certificates.values()
            if one.algorithm in algorithms
            and one.status in (params.get("CertificateStatuses") or [one.status])
            and "AWS_MANAGED" in origins
        ]
        most = params.get("MaxItems", _PAGE)
        if not 1 <= most <= 1_000:
            raise AwsError("ValidationException", f"MaxItems must be between 1 and 1000, not {most}.")
        shown, token = page(found, params.get("NextToken"), most, lambda one: one.number, _BAD_TOKEN)
        answer = {"CertificateSummaryList": [self._summary(one) for one in shown]}
        return answer | ({"NextToken": token} if token else {})

    def _summary(self, one: Certificate) -> dict[str, Any]:
        return {
            "CertificateArn": one.arn,
            "DomainName": one.domain,
            "SubjectAlternativeNameSummaries": list(one.names),
            "HasAdditionalSubjectAlternativeNames": False,
            "Status": one.status,
            "Type": "AMAZON_ISSUED",
            "KeyAlgorithm": one.algorithm,
            "InUse": bool(self.in_use_by(one.arn)),
            "CreatedAt": one.created,
        } | ({"IssuedAt": one.issued} if one.issued else {})

    @operation("DeleteCertificate", ("CertificateArn",))
    def delete_certificate(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """ResourceInUseException while a listener has it."""
        one = self._certificate(params["CertificateArn"])
        if self.in_use_by(one.arn):
            raise AwsError(
                "ResourceInUseException",
                f"Certificate {one.arn} in account {self.kernel.account} is in use.",
            )
        del self.certificates[one.arn]
        return {}

    # --- tags ---------------------------------------------------------------------------------------------------------
    @operation("ListTagsForCertificate", ("CertificateArn",))
    def list_tags_for_certificate(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"Tags": tag_list(self._certificate(params["CertificateArn"]).tags)}

    @operation("AddTagsToCertificate", ("CertificateArn", "Tags"))
    def add_tags_to_certificate(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        one = self._certificate(params["CertificateArn"])
        tags = {**one.tags, **tag_map(params["Tags"])}
        _check_tags(tags)
        one.tags = tags
        return {}

    @operation("RemoveTagsFromCertificate", ("CertificateArn", "Tags"))
    def remove_tags_from_certificate(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """A tag with a value goes only if it has that value."""
        tags = self._certificate(params["CertificateArn"]).tags
        for tag in params["Tags"]:
            if "Value" not in tag or tags.get(tag["Key"]) == tag["Value"]:
                tags.pop(tag["Key"], None)
        return {}

    def _certificate(self, arn: str) -> Certificate:
        if ":certificate/" not in arn:
            raise AwsError("InvalidArnException", f"The certificate ARN {arn} is not valid.")
        found = self.certificates.get(arn)
        if found is None:
            raise AwsError(
                "ResourceNotFoundException", f"Could not find certificate {arn} in account {self.kernel.account}."
            )
        return found


def _check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > TAGS_PER_CERTIFICATE:
        raise AwsError("TooManyTagsException", f"A certificate can have at most {TAGS_PER_CERTIFICATE} tags.")
    for key in tags:
        if key.lower().startswith("aws:"):
            raise AwsError("InvalidTagException", f"The tag key {key} is not valid.")
