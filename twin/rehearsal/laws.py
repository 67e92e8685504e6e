"""The laws, measured. Each is a plain function of the evidence; `held` is None where the run did not exercise it.

| law | held when |
| --- | --- |
| golden_rule | no loss that Caretaker caused took a replica service below min(desired, healthy at the claim), or below
|  | what somebody else allowed by setting another minimum percent meanwhile |
| host_empty | at every end of a host that Caretaker asked for, none of its tasks was alive |
| undo | after undone work, settings, protection and hosts are as before, but for what others changed |
| restore | after all other work, settings of services and the size and settings of groups are as before |
| observe_changes_nothing | work in observe mode made no call that changes anything but Caretaker's own |
| nobody_elses_acts | whatever somebody else set during the run is still set |
| host_budget | never more hosts of a cluster draining at once than its budget |
| every_outcome | every execution ended with an outcome and a reason |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twin.kernel import clock
from twin.kernel.api import Call
from twin.rehearsal.evidence import (
    OWN_SERVICES,
    Change,
    Evidence,
    GroupState,
    ServiceState,
    Work,
    mutating,
    ours,
)
from twin.rehearsal.report import Law


def judge(evidence: Evidence) -> list[Law]:
    """Every law, in the order of the table above."""
    return [law(evidence) for law in LAWS]


def iso(moment: datetime | None) -> str | None:
    return clock.iso(moment, "seconds") if moment else None


def short(name: str) -> str:
    return name.rsplit("/", 1)[-1]


# --- golden rule -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Loss:
    change: Change
    floor: int

    @property
    def below(self) -> int:
        return self.floor - self.change.healthy


def golden_rule(evidence: Evidence) -> Law:
    replicas = {arn: state for arn, state in evidence.before.services.items() if not state.daemon}
    replicas |= {arn: state for arn, state in evidence.after.services.items() if not state.daemon}
    works = [work for work in evidence.works if any(replicas[arn].cluster == work.cluster for arn in replicas)]
    if not works:
        return Law(name="golden_rule", held=None)
    losses = list(_losses(evidence, replicas))
    if not losses:
        return Law(name="golden_rule", held=True, worst="no replica service lost a healthy task because of Caretaker")
    worst = max(losses, key=lambda loss: (loss.below, -loss.change.at.timestamp()))
    change, name = worst.change, replicas[worst.change.service].name
    text = f"{name}: {change.healthy} healthy where {worst.floor} were due"
    if worst.below <= 0:
        text = f"closest: {name} went from {change.before} to {change.healthy} healthy, {worst.floor} were due"
    return Law(
        name="golden_rule", held=worst.below <= 0, worst=text, when=iso(change.at), who=str(_blamed(change.cause))
    )


def _losses(evidence: Evidence, replicas: Mapping[str, Any]) -> Iterator[_Loss]:
    """Losses of replica services that Caretaker caused, after the first claim in their cluster."""
    for change in evidence.changes:
        if change.healthy >= change.before or change.service not in replicas or not ours(change.cause):
            continue
        works = _works_at(evidence, replicas[change.service].cluster, change.at)
        if works:
            claimed = max(evidence.healthy_at(change.service, work.claimed) for work in works)
            allowed = _allowed_by_others(evidence, replicas[change.service].key, change)
            yield _Loss(change, min(change.desired, claimed, allowed))


def _allowed_by_others(evidence: Evidence, service: str, change: Change) -> int:
    """What the owner wants to keep, who set another minimumHealthyPercent while the work ran: that is their word."""
    minimum = None
    for call in evidence.calls:
        if call.at > change.at:
            break
        if not ours(call):
            minimum = written(call, evidence).get((service, "minimumHealthyPercent"), minimum)
    return change.desired if minimum is None else -(-change.desired * int(minimum) // 100)


def _works_at(evidence: Evidence, cluster: str, moment: datetime) -> list[Work]:
    """The works of a cluster that were open at a moment; else the last one before it."""
    claimed = [work for work in evidence.works if work.cluster == cluster and work.claimed <= moment]
    return [work for work in claimed if work.ended is None or work.ended >= moment] or claimed[-1:]


def _blamed(call: Call | None) -> Call | None:
    """The call of Caretaker's own at the root of a chain of causes."""
    while call is not None and call.caller.kind not in ("function", "machine"):
        call = call.cause
    return call


# --- the end of hosts ------------------------------------------------------------------------------------------------
def host_empty(evidence: Evidence) -> Law:
    if not evidence.ends:
        return Law(name="host_empty", held=None)
    worst = max(evidence.ends, key=lambda end: len(end.alive))
    if not worst.alive:
        ended = len({end.instance for end in evidence.ends})
        text = f"{_count(ended, 'host')} ended, with no task alive"
        return Law(name="host_empty", held=True, worst=text, when=iso(worst.call.at), who=str(worst.call))
    names = ", ".join(short(task) for task in worst.alive[:3])
    text = f"{worst.instance} ended with {_count(len(worst.alive), 'task')} alive: {names}"
    return Law(name="host_empty", held=False, worst=text, when=iso(worst.call.at), who=str(worst.call))


# --- settings --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Difference:
    what: str
    before: object
    after: object
    who: Call | None

    def __str__(self) -> str:
        return f"{self.what} was {self.before}, is {self.after}"


def undo(evidence: Evidence) -> Law:
    undone = [work for work in evidence.works if work.outcome in ("undone", "failed")]
    if not undone:
        return Law(name="undo", held=None)
    last = {host: work for work in evidence.works for host in work.hosts}
    hosts = {host for host, work in last.items() if work in undone}  # a later attempt may have replaced the others
    differences = [*_settings_differences(evidence), *_host_differences(evidence, hosts), *_idle_surplus(evidence)]
    return _unchanged("undo", differences, f"all as before {_count(len(undone), 'piece')} of work")


def restore(evidence: Evidence) -> Law:
    done = [work for work in evidence.works if work.ended and work.outcome not in ("undone", "failed", None)]
    if not done or any(work.outcome in ("undone", "failed") or not work.ended for work in evidence.works):
        return Law(name="restore", held=None)
    differences = list(_settings_differences(evidence))
    return _unchanged("restore", differences, f"sizes and settings as before {_count(len(done), 'piece')} of work")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _unchanged(name: str, differences: list[_Difference], good: str) -> Law:
    if not differences:
        return Law(name=name, held=True, worst=good)
    more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
    first = differences[0]
    return Law(
        name=name,
        held=False,
        worst=f"{first}{more}",
        when=iso(first.who.at) if first.who else None,
        who=str(first.who) if first.who else None,
    )


def _settings_differences(evidence: Evidence) -> Iterator[_Difference]:
    """Settings of services and groups that differ from before, and that nobody else has set since."""
    others = written_by_others(evidence)
    before, after = _settings(evidence, "before"), _settings(evidence, "after")
    for key in sorted(before):
        if key not in after or key in others or before[key] == after[key]:
            continue
        if key[1] == "DesiredCapacity" and (
            key[0] in evidence.scaled
            or _explained_by_surplus(evidence, key[0], before[key], after[key])
            or _explained_by_policy(evidence, key[0], before[key], after[key])
        ):
            continue
        yield _Difference(f"{key[0]} {key[1]}", before[key], after[key], _last_writer(evidence, key))


def _settings(evidence: Evidence, which: str) -> dict[tuple[str, str], Any]:
    snapshot = evidence.before if which == "before" else evidence.after
    found: dict[tuple[str, str], Any] = {}
    owners: list[ServiceState | GroupState] = [*snapshot.services.values(), *snapshot.groups.values()]
    for owner in owners:
        found |= {(owner.key, setting): value for setting, value in owner.settings.items()}
    for group in snapshot.groups.values():
        found |= {(instance, "ProtectedFromScaleIn"): value for instance, value in group.protected.items()}
    return found


def _explained_by_surplus(evidence: Evidence, group: str, before: Any, after: Any) -> bool:
    """A launched host that carries tasks stays after an undo: the group is larger by just those."""
    carrying = sum(1 for host, owner in evidence.launched.items() if owner == group and _tasks_on(evidence, host) > 0)
    undone = any(work.outcome == "undone" for work in evidence.works)
    return undone and 0 < int(after) - int(before) <= carrying


def _explained_by_policy(evidence: Evidence, group: str, before: Any, after: Any) -> bool:
    """The owner lets the group shrink: it is smaller by at most the hosts that were ended with decrement."""
    members = evidence.before.groups[group].protected
    ended = {end.instance for end in evidence.ends if end.call.params.get("ShouldDecrementDesiredCapacity")}
    return group in evidence.may_shrink and 0 < int(before) - int(after) <= len(ended & set(members))


def _tasks_on(evidence: Evidence, instance: str) -> int:
    host = evidence.after.hosts.get(instance)
    return host.tasks if host else 0


def _host_differences(evidence: Evidence, hosts: set[str]) -> Iterator[_Difference]:
    """Hosts of undone work that were ACTIVE and are not, though nobody else drained or ended them."""
    others = written_by_others(evidence)
    for instance in sorted(hosts):
        before, after = evidence.before.hosts.get(instance), evidence.after.hosts.get(instance)
        if before is None or (instance, "status") in others:
            continue
        present = after.status if after else "gone"
        if before.status != present:
            who = _last_writer(evidence, (instance, "status"))
            yield _Difference(f"host {instance}", before.status, present, who)


def _idle_surplus(evidence: Evidence) -> Iterator[_Difference]:
    """Launched hosts of a group larger than before that carry nothing: an undo should have ended them."""
    for instance, group in sorted(evidence.launched.items()):
        host = evidence.after.hosts.get(instance)
        before, after = evidence.before.groups.get(group), evidence.after.groups.get(group)
        theirs = group in evidence.scaled or (group, "DesiredCapacity") in written_by_others(evidence)
        if host is None or host.tasks or before is None or after is None or theirs:
            continue
        if int(str(after.settings["DesiredCapacity"])) > int(str(before.settings["DesiredCapacity"])):
            yield _Difference(f"empty host {instance}", "not there", "left in the group", None)


# --- who set what ----------------------------------------------------------------------------------------------------
def written(call: Call, evidence: Evidence) -> dict[tuple[str, str], Any]:
    """(resource, setting) -> value that a successful call set."""
    if not mutating(call):
        return {}
    reader = _WRITES.get(f"{call.service}:{call.operation}")
    return reader(call.params, evidence) if reader else {}


def _update_service(params: Mapping[str, Any], _: Evidence) -> dict[tuple[str, str], Any]:
    name = f"{short(params.get('cluster', 'default'))}/{short(params['service'])}"
    configuration = params.get("deploymentConfiguration", {})
    values = {
        "desiredCount": params.get("desiredCount"),
        "minimumHealthyPercent": configuration.get("minimumHealthyPercent"),
        "maximumPercent": configuration.get("maximumPercent"),
        "availabilityZoneRebalancing": params.get("availabilityZoneRebalancing"),
        "taskDefinition": params.get("taskDefinition"),
    }
    return {(name, setting): value for setting, value in values.items() if value is not None}


def _update_group(params: Mapping[str, Any], evidence: Evidence) -> dict[tuple[str, str], Any]:
    """The sizes; with a minimum above what the group wants Auto Scaling raises that too, to a value of its own."""
    sizes = {name: params[name] for name in ("MinSize", "MaxSize", "DesiredCapacity") if name in params}
    before = evidence.before.groups.get(params["AutoScalingGroupName"])
    if before is not None and int(params.get("MinSize", 0)) > int(str(before.settings["DesiredCapacity"])):
        sizes.setdefault("DesiredCapacity", None)
    return {(params["AutoScalingGroupName"], name): value for name, value in sizes.items()}


def _processes(params: Mapping[str, Any], _: Evidence) -> dict[tuple[str, str], Any]:
    return {(params["AutoScalingGroupName"], "SuspendedProcesses"): None}


def _protection(params: Mapping[str, Any], _: Evidence) -> dict[tuple[str, str], Any]:
    return {(host, "ProtectedFromScaleIn"): params["ProtectedFromScaleIn"] for host in params.get("InstanceIds", ())}


def _host_status(params: Mapping[str, Any], evidence: Evidence) -> dict[tuple[str, str], Any]:
    by_id = {
        short(host.arn): host.instance for host in (*evidence.before.hosts.values(), *evidence.after.hosts.values())
    }
    ids = [short(arn) for arn in params.get("containerInstances", ())]
    return {(by_id[each], "status"): params["status"] for each in ids if each in by_id}


def _ended(params: Mapping[str, Any], _: Evidence) -> dict[tuple[str, str], Any]:
    ids = [*params.get("InstanceIds", ()), *([params["InstanceId"]] if "InstanceId" in params else [])]
    values: dict[tuple[str, str], Any] = {(each, "status"): "gone" for each in ids}
    if params.get("ShouldDecrementDesiredCapacity") and "AutoScalingGroupName" in params:
        values[params["AutoScalingGroupName"], "DesiredCapacity"] = None
    return values


_WRITES: dict[str, Callable[[Mapping[str, Any], Evidence], dict[tuple[str, str], Any]]] = {
    "ecs:UpdateService": _update_service,
    "ecs:UpdateContainerInstancesState": _host_status,
    "autoscaling:UpdateAutoScalingGroup": _update_group,
    "autoscaling:SetDesiredCapacity": _update_group,
    "autoscaling:SuspendProcesses": _processes,
    "autoscaling:ResumeProcesses": _processes,
    "autoscaling:SetInstanceProtection": _protection,
    "autoscaling:TerminateInstanceInAutoScalingGroup": _ended,
    "ec2:TerminateInstances": _ended,
    "ec2:StopInstances": _ended,
}


def written_by_others(evidence: Evidence) -> dict[tuple[str, str], tuple[Any, Call]]:
    """(resource, setting) -> (value, call) of the last write by somebody who is not Caretaker, after the start."""
    found: dict[tuple[str, str], tuple[Any, Call]] = {}
    for call in evidence.calls:
        if not ours(call) and call.caller.kind != "world":
            found |= {key: (value, call) for key, value in written(call, evidence).items()}
    return found


def _last_writer(evidence: Evidence, key: tuple[str, str]) -> Call | None:
    for call in reversed(evidence.calls):
        if ours(call) and key in written(call, evidence):
            return call
    return None


# --- the others ------------------------------------------------------------------------------------------------------
def observe_changes_nothing(evidence: Evidence) -> Law:
    name = "observe_changes_nothing"
    observed = {work.cluster for work in evidence.works if work.mode == "observe"}
    acting = {work.cluster for work in evidence.works if work.mode != "observe"}
    only = observed - acting
    if not only:
        return Law(name=name, held=None)
    changing = [call for call in evidence.calls if ours(call) and mutating(call) and call.service not in OWN_SERVICES]
    bad = [call for call in changing if not acting or _concerns(call, only, evidence)]
    if not bad:
        return Law(name=name, held=True, worst="0 calls that change anything")
    return Law(name=name, held=False, worst=_count(len(bad), "call"), when=iso(bad[0].at), who=str(bad[0]))


def _concerns(call: Call, clusters: set[str], evidence: Evidence) -> bool:
    """Whether a call names one of the clusters, or a host of theirs."""
    text = repr(call.params)
    hosts = [host for host in evidence.before.hosts.values() if host.cluster in clusters]
    return any(cluster in text for cluster in clusters) or any(host.instance in text for host in hosts)


def nobody_elses_acts(evidence: Evidence) -> Law:
    """What somebody else set last is what is set at the end."""
    acts = written_by_others(evidence)
    if not acts:
        return Law(name="nobody_elses_acts", held=None)
    after = _settings(evidence, "after") | {
        (host.instance, "status"): host.status for host in evidence.after.hosts.values()
    }
    undone: list[_Difference] = []
    for key, (value, call) in sorted(acts.items(), key=lambda item: item[1][1].number):
        present = after.get(key)
        if value is not None and present is not None and present != value and _ours_after(evidence, key, call):
            undone.append(_Difference(f"{key[0]} {key[1]}", value, present, _last_writer(evidence, key)))
    others = sorted({str(call.caller) for _, call in acts.values()})
    return _unchanged("nobody_elses_acts", undone, f"{len(acts)} settings of {', '.join(others)} still stand")


def _ours_after(evidence: Evidence, key: tuple[str, str], call: Call) -> bool:
    return any(
        later.number > call.number and ours(later) and key in written(later, evidence) for later in evidence.calls
    )


def host_budget(evidence: Evidence) -> Law:
    if not evidence.drained:
        return Law(name="host_budget", held=None)
    worst = max(evidence.drained, key=lambda each: each.hosts - each.budget)
    text = f"{worst.hosts} of a budget of {worst.budget} draining at once in {worst.cluster}"
    held = worst.hosts <= worst.budget
    return Law(name="host_budget", held=held, worst=text, when=iso(worst.call.at), who=str(worst.call))


def every_outcome(evidence: Evidence) -> Law:
    if not evidence.executions:
        return Law(name="every_outcome", held=None)
    missing = [*evidence.unfinished, *evidence.without_outcome]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        return Law(name="every_outcome", held=False, worst=f"{missing[0]}{more}")
    text = f"{evidence.executions} of {evidence.executions} executions ended with an outcome and a reason"
    return Law(name="every_outcome", held=True, worst=text)


LAWS: tuple[Callable[[Evidence], Law], ...] = (
    golden_rule,
    host_empty,
    undo,
    restore,
    observe_changes_nothing,
    nobody_elses_acts,
    host_budget,
    every_outcome,
)
