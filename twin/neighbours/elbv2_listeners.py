"""Listeners of load balancers, as the ELBv2 API knows them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation
from twin.neighbours.common import only, tag_map
from twin.neighbours.elbv2_certificates import CertificateOperations
from twin.neighbours.elbv2_model import DEFAULT, SECURE, Listener, LoadBalancer, invalid, paged
from twin.neighbours.elbv2_rules import RuleOperations

LISTENERS_PER_BALANCER = 50
_PROTOCOLS = {"application": ("HTTP", "HTTPS"), "network": ("TCP", "TLS")}
_SSL_POLICY = "ELBSecurityPolicy-2016-08"
"""What the API takes when none is given (the console takes a newer one)."""
_SETTINGS = ("Protocol", "Port", "DefaultActions", "Certificates", "SslPolicy")


class ListenerOperations(CertificateOperations, RuleOperations):
    """Operations on listeners."""

    @operation("CreateListener", ("LoadBalancerArn", "Tags", *_SETTINGS))
    def create_listener(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        balancer = self.balancer(params["LoadBalancerArn"])
        listener = Listener(
            arn=balancer.arn.replace(":loadbalancer/", ":listener/") + "/" + self._hex(),
            load_balancer=balancer,
            number=self._number(),
            port=_port(params),
            protocol=_protocol(params, balancer),
            tags=tag_map(params.get("Tags", [])),
        )
        self._secure(listener, params)
        same = self._on_port(balancer, listener.port)
        actions = self._actions(listener, params["DefaultActions"], self.default_rule(same.arn).actions if same else ())
        if same:
            alike = (listener.protocol, listener.default_certificate, listener.ssl_policy, actions) == (
                same.protocol,
                same.default_certificate,
                same.ssl_policy,
                self.default_rule(same.arn).actions,
            )
            if not alike:
                raise AwsError("DuplicateListener", "A listener already exists on this port for this load balancer")
            return {"Listeners": [self._listener_view(same)]}
        if len(self.listeners_of(balancer.arn)) >= LISTENERS_PER_BALANCER:
            raise AwsError("TooManyListeners", f"A load balancer can have at most {LISTENERS_PER_BALANCER} listeners")
        self.listeners[listener.arn] = listener
        if listener.default_certificate:
            self._take(listener, listener.default_certificate)
        self._add_rule(listener, DEFAULT, [], actions, call)
        return {"Listeners": [self._listener_view(listener)]}

    @operation("DescribeListeners", ("LoadBalancerArn", "ListenerArns", "Marker", "PageSize"))
    def describe_listeners(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        if ("LoadBalancerArn" in params) == ("ListenerArns" in params):
            raise invalid("You must specify either listener ARNs or a load balancer ARN")
        if "LoadBalancerArn" in params:
            found = self.listeners_of(self.balancer(params["LoadBalancerArn"]).arn)
        else:
            found = sorted((self.listener(arn) for arn in params["ListenerArns"]), key=lambda one: one.number)
        return paged(found, params, "Listeners", self._listener_view)

    @operation("ModifyListener", ("ListenerArn", *_SETTINGS))
    def modify_listener(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """What is given replaces the old; DefaultActions replace the whole list. What is left out stays."""
        listener = self.listener(params["ListenerArn"])
        balancer = listener.load_balancer
        changed = copy.copy(listener)
        changed.port = params.get("Port", listener.port)
        changed.protocol = _protocol({"Protocol": listener.protocol, **params}, balancer)
        self._secure(changed, params)
        if self._on_port(balancer, changed.port) not in (None, listener):
            raise AwsError("DuplicateListener", "A listener already exists on this port for this load balancer")
        if changed.protocol != listener.protocol and any(
            one.actions[0]["Type"].startswith("authenticate") for one in (self.rules_of(listener.arn))
        ):
            raise Unmodelled("elbv2: ModifyListener to another protocol with authentication actions is not modelled")
        rule = self.default_rule(listener.arn)
        if "DefaultActions" in params:
            self._set_actions(rule, self._actions(changed, params["DefaultActions"], rule.actions), call)
        listener.port, listener.protocol = changed.port, changed.protocol
        listener.ssl_policy = changed.ssl_policy
        self._change_certificates(listener, changed.default_certificate)
        return {"Listeners": [self._listener_view(listener)]}

    @operation("DeleteListener", ("ListenerArn",))
    def delete_listener(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Deletes its rules with it."""
        listener = self.listener(params["ListenerArn"])
        if self.is_target(listener.load_balancer.arn, listener.port):
            raise AwsError("ResourceInUse", f"Listener '{listener.arn}' is currently in use by a target group")
        self._remove_listener(listener, call)
        return {}

    def _remove_listener(self, listener: Listener, call: Call) -> None:
        for rule in self.rules_of(listener.arn):
            self._remove_rule(rule, call)
        self._change_certificates(listener, None)
        del self.listeners[listener.arn]

    def _change_certificates(self, listener: Listener, default: str | None) -> None:
        """Another default certificate: the former one is on the listener no more, unless it is in its list. None: no
        certificate at all."""
        former, listed = listener.default_certificate, listener.more_certificates
        listener.default_certificate, listener.more_certificates = default, list(listed) if default else []
        if default:
            self._take(listener, default)
        for arn in dict.fromkeys([*([former] if former else []), *listed]):
            self._let_go(listener, arn)

    def _on_port(self, balancer: LoadBalancer, port: int) -> Listener | None:
        return next((one for one in self.listeners_of(balancer.arn) if one.port == port), None)

    def _secure(self, listener: Listener, params: Mapping[str, Any]) -> None:
        """Certificate and security policy: HTTPS and TLS listeners have exactly one default of each, others none."""
        given = params.get("Certificates")
        if listener.protocol not in SECURE:
            if given or params.get("SslPolicy"):
                raise invalid(f"A certificate or security policy cannot be specified for {listener.protocol} listeners")
            listener.default_certificate, listener.ssl_policy = None, None
            return
        if given is not None:
            if len(given) != 1:
                raise invalid("You must specify exactly one default certificate")
            only(given[0], {"CertificateArn"}, "elbv2: Certificates")
            self._check_certificate(given[0]["CertificateArn"])
            listener.default_certificate = given[0]["CertificateArn"]
        if not listener.default_certificate:
            raise AwsError("CertificateNotFound", f"A certificate must be specified for {listener.protocol} listeners")
        listener.ssl_policy = params.get("SslPolicy", listener.ssl_policy or _SSL_POLICY)

    def _listener_view(self, listener: Listener) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "ListenerArn": listener.arn,
            "LoadBalancerArn": listener.load_balancer.arn,
            "Port": listener.port,
            "Protocol": listener.protocol,
            "DefaultActions": copy.deepcopy(self.default_rule(listener.arn).actions),
        }
        if listener.default_certificate:
            shown["Certificates"] = [{"CertificateArn": listener.default_certificate}]
        if listener.ssl_policy:
            shown["SslPolicy"] = listener.ssl_policy
        return shown


def _port(params: Mapping[str, Any]) -> int:
    port = params.get("Port")
    if port is None:
        raise invalid("A listener port must be specified")
    if not 1 <= port <= 65_535:
        raise invalid(f"Listener port must be between 1 and 65535, not {port}")
    return int(port)


def _protocol(params: Mapping[str, Any], balancer: LoadBalancer) -> str:
    protocol = params.get("Protocol")
    if protocol is None:
        raise invalid("A listener protocol must be specified")
    allowed = _PROTOCOLS[balancer.kind]
    if protocol in allowed:
        return str(protocol)
    if balancer.kind == "network" and protocol not in _PROTOCOLS["application"]:
        raise Unmodelled(f"elbv2: listener Protocol={protocol!r} is not modelled")
    raise invalid(f"Listener protocol '{protocol}' must be one of '{', '.join(allowed)}'")
