"""From what an owner's policy says to how a release is judged."""

from __future__ import annotations

from dataclasses import replace

from caretaker.releases.model import Rules
from caretaker.runtime.policy import ReleasePolicy


def rules_of(policy: ReleasePolicy) -> Rules:
    """The judge's rules under a policy; what the policy does not speak of is the judge's own default.

    Only slow answers have a warm-up: a task that has just started may be slow, but it may not fail.
    """
    own = Rules()
    streams = {
        name: replace(
            rule,
            tolerated=policy.tolerated,
            bad=policy.bad,
            ignorable=policy.ignorable,
            warm_up=policy.discard if name == "slow" else rule.warm_up,
        )
        for name, rule in own.streams.items()
    }
    return replace(own, alpha=policy.alpha, bake=policy.bake, patience=policy.patience, streams=streams)
