"""The certificates of listeners: a default one, and the list of the others.

Source: ELBv2 API (AddListenerCertificates, RemoveListenerCertificates, DescribeListenerCertificates, ModifyListener);
Application Load Balancer guide, "SSL certificates", "Quotas" (25 certificates a load balancer beside the default ones).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from twin.errors import AwsError
from twin.kernel.api import Call, operation
from twin.neighbours.common import only
from twin.neighbours.elbv2_model import SECURE, Balancing, Listener, invalid, ordered_page

CERTIFICATES_PER_BALANCER = 25


class Certificates(Protocol):
    """What holds the certificates: ACM."""

    def check(self, arn: str) -> None: ...

    def released(self, arn: str, user: str) -> None: ...


class CertificateOperations(Balancing):
    """Operations on listeners' certificate lists.

    Attributes:
        certificates: what holds them; None in a world without ACM, where any ARN will do.
    """

    certificates: Certificates | None = None

    def users_of_certificate(self, arn: str) -> list[str]:
        """ARNs of the load balancers whose listeners have the certificate, as default or in their list."""
        listeners = [self.listeners[one] for one in self.listeners_with.get(arn, ())]
        return list(dict.fromkeys(one.load_balancer.arn for one in listeners))

    @operation("AddListenerCertificates", ("ListenerArn", "Certificates"))
    def add_listener_certificates(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        listener, arn = self._one_certificate(params)
        self._check_certificate(arn)
        if arn not in listener.more_certificates:
            mine = self.listeners_of(listener.load_balancer.arn)
            if len({one for each in mine for one in each.more_certificates} | {arn}) > CERTIFICATES_PER_BALANCER:
                raise AwsError(
                    "TooManyCertificates",
                    f"A load balancer can have at most {CERTIFICATES_PER_BALANCER} certificates beside default ones",
                )
            listener.more_certificates.append(arn)
            self._take(listener, arn)
        return {"Certificates": [{"CertificateArn": arn, "IsDefault": False}]}

    @operation("RemoveListenerCertificates", ("ListenerArn", "Certificates"))
    def remove_listener_certificates(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """From the list only; the default certificate cannot be removed. One that is not there is no error."""
        listener, arn = self._one_certificate(params)
        if arn in listener.more_certificates:
            listener.more_certificates.remove(arn)
            self._let_go(listener, arn)
        elif arn == listener.default_certificate:
            raise AwsError("OperationNotPermitted", "The default certificate of a listener cannot be removed")
        return {}

    @operation("DescribeListenerCertificates", ("ListenerArn", "Marker", "PageSize"))
    def describe_listener_certificates(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """The default certificate comes a second time if it is in the list too."""
        listener = self._secure_listener(params["ListenerArn"])
        shown = [(listener.default_certificate, True)] if listener.default_certificate else []
        shown += [(arn, False) for arn in listener.more_certificates]
        numbers = {one: number for number, one in enumerate(shown)}
        return ordered_page(
            shown,
            params,
            "Certificates",
            lambda one: {"CertificateArn": one[0], "IsDefault": one[1]},
            lambda one: numbers[one],
        )

    def _one_certificate(self, params: Mapping[str, Any]) -> tuple[Listener, str]:
        given = params["Certificates"]
        listener = self._secure_listener(params["ListenerArn"])
        if len(given) != 1:
            raise invalid("You can specify one certificate per call")
        only(given[0], {"CertificateArn"}, "elbv2: Certificates")
        return listener, given[0]["CertificateArn"]

    def _secure_listener(self, arn: str) -> Listener:
        listener = self.listener(arn)
        if listener.protocol not in SECURE:
            raise invalid(f"A certificate cannot be specified for {listener.protocol} listeners")
        return listener

    # --- for the operations on listeners ------------------------------------------------------------------------------
    def _check_certificate(self, arn: str) -> None:
        if self.certificates is not None:
            self.certificates.check(arn)

    def _take(self, listener: Listener, arn: str) -> None:
        """The listener has the certificate from now on."""
        self.listeners_with.setdefault(arn, {})[listener.arn] = None

    def _let_go(self, listener: Listener, arn: str) -> None:
        """The listener has the certificate no more, unless it has it in its other place still."""
        if arn == listener.default_certificate or arn in listener.more_certificates:
            return
        self.listeners_with[arn].pop(listener.arn)
        balancer = listener.load_balancer.arn
        if self.certificates is not None and balancer not in self.users_of_certificate(arn):
            self.certificates.released(arn, balancer)
