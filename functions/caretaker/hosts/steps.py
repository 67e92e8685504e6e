"""The acts of a replacement, each written to the journal before it is done, and each safe to be run again.

A function may die between any two calls. So every act reads the journal first (was it begun? is it known to be done?),
then AWS (is it there already?), and only then calls.

    launch/<name>/<n>       one host asked for in the n-th place of the plan
    desired/<group>         the group's desired capacity as it was, and by how much it rose for our hosts
    protect/<instance>      scale-in protection that was not there before
    suspend_rebalance/<group>  AZRebalance ran before
    surge/<service ARN>     percents raised under a lease
    drain                   container instances that were ACTIVE
    end/<instance>          the request to terminate, with or without decrement
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from caretaker.aws import autoscaling, ec2, ecs
from caretaker.aws.errors import Invalid, LimitReached, Missing, NoCapacity, Unsupported
from caretaker.hosts.desk import Desk
from caretaker.hosts.errors import HostsChanged, InsufficientCapacity, ServiceChanged
from caretaker.hosts.model import End, Group, Host, Launch, Option, Service, Surge, percents_of
from caretaker.hosts.preflight import starts_first
from caretaker.hosts.progress import live
from caretaker.hosts.survey import groups_now, instance_states, look_at_hosts
from caretaker.runtime import journal, surges
from caretaker.runtime.clock import iso
from caretaker.runtime.journal import Step

LAUNCH = "LaunchInstances"
SET_DESIRED = "SetDesiredCapacity"
REBALANCE = "AZRebalance"
NO_HOST = (NoCapacity, LimitReached, Invalid)
GONE = ("shutting-down", "terminated")


class NotVerified(Exception):
    """AWS took a change and does not show it yet; the state is run again."""


# --- launch ----------------------------------------------------------------------------------------------------------


def launch(desk: Desk, wanted: Launch) -> Step:
    """Ask for one host, in the plan's places in their order, until one takes the request.

    Raises:
        InsufficientCapacity: no place did; says why for each.
    """
    reasons: list[str] = []
    for place, option in enumerate((wanted.option, *wanted.alternatives)):
        step = _launch_in(desk, f"{wanted.name}/{place}", option)
        if step.result and step.result.get("unsupported"):
            reasons.append(_where(option) + ": " + step.result["error"])
            other = Option(option.group, "", SET_DESIRED, option.instance_type, option.reason)
            step = _launch_in(desk, f"{wanted.name}/{place}/desired", other)
        if step.result and not step.result.get("error"):
            return step
        reasons.append(f"{_where(option)}: {(step.result or {}).get('error', 'unknown')}")
    raise InsufficientCapacity(f"{wanted.name} could not be launched: {'; '.join(reasons)}")


def _where(option: Option) -> str:
    return f"group {option.group}" + (f" in {option.zone}" if option.zone else "")


def _launch_in(desk: Desk, key: str, option: Option) -> Step:
    known = [step for step in desk.steps("launch") if step.key == key]
    step = known[0] if known else _begin_launch(desk, key, option)
    if step.result is not None:
        return step
    act = _by_call if option.method == LAUNCH else _by_desired
    return desk.complete(step, act(step))


def _begin_launch(desk: Desk, key: str, option: Option) -> Step:
    group = the_group(option.group)
    # A launch may leave the zones uneven, and the group would then end hosts that are not drained, perhaps before ours
    # is ready. In the journal before the launch, so that an undo lets it run again only when our host is gone.
    suspend_rebalance(desk, [group])
    token = "caretaker-" + hashlib.sha256(f"{desk.name}/{key}".encode()).hexdigest()[:40]
    intent = {
        "group": option.group,
        "zone": option.zone,
        "method": option.method,
        "token": token,
        "desired": group.desired,
        "instances": sorted(member.instance_id for member in group.members),
        "at": iso(desk.now),
    }
    return desk.begin("launch", intent, key)


def _by_call(step: Step) -> dict[str, Any]:
    """LaunchInstances for one host. The token makes the same request launch nothing twice."""
    intent = step.intent
    try:
        answer = autoscaling.launch_instances(intent["group"], 1, intent["token"], zone=intent["zone"] or None)
    except Unsupported as error:
        return {"error": str(error), "instances": [], "unsupported": True}
    except NO_HOST as error:
        return {"error": str(error), "instances": []}
    instances = launched_ids(answer)
    errors = [f"{item.get('ErrorCode')}: {item.get('ErrorMessage')}" for item in answer.get("Errors", ())]
    if instances:
        return {"instances": instances}
    return {"error": "; ".join(errors) or "no instance was launched and no error named", "instances": []}


def launched_ids(answer: Mapping[str, Any]) -> list[str]:
    """Instance ids of an answer of LaunchInstances."""
    return sorted(name for item in answer.get("Instances", ()) for name in item.get("InstanceIds", ()))


def _by_desired(step: Step) -> dict[str, Any]:
    """Raise the desired capacity by one. It has no token: that it rose since the intent is taken for our own doing."""
    before: int = step.intent["desired"]
    group = the_group(step.intent["group"])
    if group.desired <= before:
        if group.desired + 1 > group.maximum:
            return {"error": f"group {group.name} is at its maximum of {group.maximum}", "instances": []}
        autoscaling.set_desired_capacity(group.name, group.desired + 1)
    return {"instances": [], "expected": 1, "raised": 1}


def settle_desired(desk: Desk) -> None:
    """See whether LaunchInstances raised each group's desired capacity, and raise it where it did not.

    No document says which. A group that wants fewer than it has would scale one of its hosts in.
    """
    by_group: dict[str, list[Step]] = {}
    for step in desk.steps("launch"):
        if step.intent["method"] == LAUNCH and step.result and step.result["instances"]:
            by_group.setdefault(step.intent["group"], []).append(step)
    for name in sorted(by_group):
        count = sum(len((step.result or {})["instances"]) for step in by_group[name])
        before = min(by_group[name], key=lambda step: step.seq).intent["desired"]
        _settle(desk, name, before, count)


def _settle(desk: Desk, name: str, before: int, count: int) -> None:
    group = the_group(name)
    risen = max(0, min(count, group.desired - before))
    intent = {"group": name, "before": before, "count": count, "risen": risen, "from": group.desired}
    step = desk.begin("desired", intent, name)
    if step.result is not None:
        return
    lacking = step.intent["count"] - step.intent["risen"]
    target = step.intent["from"] + lacking
    if lacking and group.desired < target:
        if target > group.maximum:
            raise InsufficientCapacity(
                f"group {name} launched {count} and keeps its desired capacity of {group.desired}; it cannot be raised "
                f"to {target}, its maximum is {group.maximum}"
            )
        autoscaling.set_desired_capacity(name, target)
    by = SET_DESIRED if lacking else LAUNCH
    desk.complete(step, {"raised": step.intent["count"], "by": by, "set": lacking})


def adopt(desk: Desk) -> None:
    """Find the hosts that groups launched because we raised their desired capacity, or in place of ours that ended."""
    for step in desk.steps("launch"):
        result = step.result
        if result is None or result.get("error"):
            continue
        if result["instances"]:
            successor_of(desk, step)
        elif result.get("expected") and (newcomers := new_members(desk, step)):
            desk.complete(step, {**result, "instances": newcomers[:1]})


def successor_of(desk: Desk, step: Step) -> str:
    """The host that the group started by itself in place of our launched one that ended; "" if there is none.

    It is then noted as the launched one. Only where it can be nobody else's: the group wants exactly what our launches
    made it want, and none of the hosts that it had before is missing.
    """
    result = step.result or {}
    states = instance_states(launched_by(step))
    if len(states) != 1 or any(state not in GONE for state in states.values()):
        return ""
    group = groups_now([step.intent["group"]]).get(step.intent["group"])
    first = min(item.intent["desired"] for item in desk.steps("launch") if item.intent["group"] == step.intent["group"])
    if group is None or group.desired != first + raised(desk).get(group.name, 0):
        return ""
    ours = {
        name for item in desk.steps("launch") for name in (*launched_by(item), *(item.result or {}).get("ended", ()))
    }
    here = {item.instance_id for item in group.members if _stays(item.lifecycle)}
    newcomers = new_members(desk, step)
    if not newcomers or not set(step.intent["instances"]) - ours <= here:
        return ""
    desk.complete(step, {**result, "instances": newcomers[:1], "ended": [*result.get("ended", ()), *states]})
    return newcomers[0]


def new_members(desk: Desk, step: Step) -> list[str]:
    """Instances of the step's group that were not there at its intent and belong to no other step."""
    group = groups_now([step.intent["group"]]).get(step.intent["group"])
    taken = {name for other in desk.steps("launch") if other.seq != step.seq for name in launched_by(other)}
    known = set(step.intent["instances"]) | taken
    members = group.members if group else ()
    return sorted(item.instance_id for item in members if item.instance_id not in known and _stays(item.lifecycle))


def _stays(lifecycle: str) -> bool:
    return lifecycle.startswith(("Pending", "InService"))


def launched_by(step: Step) -> list[str]:
    return list((step.result or {}).get("instances", ()))


def launched(desk: Desk) -> list[str]:
    """EC2 instance ids of all hosts that were launched for the work, as far as known."""
    return sorted(name for step in desk.steps("launch") for name in launched_by(step))


def awaited(desk: Desk) -> list[str]:
    """Groups that were asked for a host and have shown none yet."""
    return sorted(
        step.intent["group"]
        for step in desk.steps("launch")
        if step.result and not step.result.get("error") and not step.result["instances"]
    )


def raised(desk: Desk) -> dict[str, int]:
    """By how much the desired capacity of groups rose for our hosts."""
    found: dict[str, int] = {}
    for step in desk.steps("launch", "desired"):
        count = int((step.result or {}).get("raised", 0))
        if count:
            found[step.intent["group"]] = found.get(step.intent["group"], 0) + count
    return found


def the_group(name: str) -> Group:
    group = groups_now([name]).get(name)
    if group is None:
        raise HostsChanged(f"Auto Scaling group {name} does not exist any more")
    return group


# --- protection and rebalancing --------------------------------------------------------------------------------------


def protect(desk: Desk, instances: Iterable[str], groups: Sequence[Group], managed: frozenset[str]) -> None:
    """Protect instances from scale-in that are not yet. One that is not in service yet cannot be; it is passed over.

    Args:
        groups: groups as they are now.
        managed: names of groups whose scale-in protection a capacity provider owns.
    """
    wanted = set(instances)
    done = {step.key for step in desk.steps("protect") if step.result is not None}
    for group in groups:
        names = [
            item.instance_id
            for item in group.members
            if item.instance_id in wanted - done and not item.protected and item.lifecycle == "InService"
        ]
        # One that an earlier run of ours protected before it died shows as protected and has its intent in the journal.
        steps = [
            desk.begin("protect", {"group": group.name, "managed": group.name in managed}, name)
            for name in sorted(names)
        ]
        if steps:
            autoscaling.set_instance_protection(group.name, [step.key for step in steps], protected=True)
        for step in steps:
            desk.complete(step, {"protected": True})


def suspend_rebalance(desk: Desk, groups: Sequence[Group]) -> None:
    """Suspend AZRebalance where it runs: launching and ending hosts sets it off (Auto Scaling user guide)."""
    for group in groups:
        step = next((item for item in desk.steps("suspend_rebalance") if item.key == group.name), None)
        if step is None and REBALANCE in group.suspended:
            continue
        step = step or desk.begin("suspend_rebalance", {"group": group.name}, group.name)
        if step.result is None:
            autoscaling.suspend_processes(group.name, [REBALANCE])
            desk.complete(step, {"suspended": True})


# --- surge -----------------------------------------------------------------------------------------------------------


def raise_surge(desk: Desk, surge: Surge) -> None:
    """Set percents with which ECS starts first, under the service's lease.

    Raises:
        ServiceChanged: the service is not as it was when the plan was made.
    """
    table, arn = desk.table, surge.service_arn
    service = the_service(desk, surge)
    lease = surges.find(table, arn)
    expected = [surge.original, surge.configuration, *([lease.set, lease.original] if lease else [])]
    _unchanged(service, surge, expected)
    step = desk.begin("surge", {"service": arn, "name": surge.service}, arn)
    lease = surges.join(table, arn, desk.name, surge.original, surge.configuration)
    wanted = _wider(lease.set, surge.configuration)
    if wanted != dict(lease.set):
        lease = surges.widen(table, arn, lease.set, wanted)
    if service.percents != percents_of(lease.set):
        ecs.update_service(desk.work.cluster, arn, deploymentConfiguration=dict(lease.set))
        service = the_service(desk, surge)
    if service.percents != percents_of(lease.set):
        raise NotVerified(f"service {surge.service} has {service.percents} instead of {percents_of(lease.set)}")
    desk.complete(step, {"set": dict(lease.set), "percents": list(service.percents)})


def the_service(desk: Desk, surge: Surge) -> Service:
    found = ecs.describe_services(desk.work.cluster, [surge.service_arn]).items
    if not found or found[0].get("status") != "ACTIVE":
        raise ServiceChanged(f"service {surge.service} was deleted since the plan was made")
    return Service.from_ecs(found[0])


def _unchanged(service: Service, surge: Surge, expected: Sequence[Mapping[str, Any]]) -> None:
    if (deployment := service.in_progress) is not None:
        raise ServiceChanged(f"service {service.name} has deployment {deployment.id} in progress since the plan")
    if all(service.percents != percents_of(item) for item in expected):
        raise ServiceChanged(
            f"somebody set the percents of service {service.name} to {service.percents} since the plan was made"
        )
    if service.desired and not starts_first(service.desired, surge.minimum, surge.maximum):
        raise ServiceChanged(
            f"service {service.name} wants {service.desired} tasks now: {surge.minimum}/{surge.maximum} percent leave "
            "no room to start first"
        )


def _wider(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """`one` with percents at least those of `other`."""
    (low, high), (least, most) = percents_of(one), percents_of(other)
    if low >= least and high >= most:
        return dict(one)
    return {**one, "minimumHealthyPercent": max(low, least), "maximumPercent": max(high, most)}


# --- drain -----------------------------------------------------------------------------------------------------------


def drain(desk: Desk, hosts: Mapping[str, Host]) -> dict[str, list[str]]:
    """Set the ACTIVE ones of the batch to DRAINING.

    Those that are DRAINING already were set so by somebody else, or by an earlier run of this function: then they are
    in the journal.

    Raises:
        HostsChanged: a host is neither ACTIVE nor DRAINING.
    """
    for instance, host in sorted(hosts.items()):
        if host.status not in ("ACTIVE", "DRAINING"):
            raise HostsChanged(f"host {instance} is {host.status} since the plan was made")
    active = {host.arn: instance for instance, host in sorted(hosts.items()) if host.status == "ACTIVE"}
    step = desk.begin("drain", {"instances": active, "at": iso(desk.now)})
    ours: Mapping[str, str] = step.intent["instances"]
    if step.result is None:
        todo = [arn for arn in sorted(ours) if arn in active]
        found = ecs.update_container_instances_state(desk.work.cluster, todo, "DRAINING")
        if found.failures:
            raise NotVerified("; ".join(f"DRAINING refused for {failure}" for failure in found.failures))
        others = sorted(instance for instance, host in hosts.items() if host.arn not in ours)
        desk.complete(step, {"drained": sorted(ours.values()), "others": others})
    return {"drained": sorted(ours.values())}


# --- end -------------------------------------------------------------------------------------------------------------


def end(desk: Desk, plan: End) -> None:
    """Terminate one host of the batch; nothing happens if its end has begun.

    Decrement is applied only where the desired capacity was seen to rise for a host of ours (or policy lets the group
    shrink), never below the minimum, and not where the group wants fewer than it has by now.
    """
    step = desk.begin("end", _end_intent(desk, plan), plan.instance_id)
    if step.result is not None:
        return
    desk.complete(step, terminate(plan.instance_id, decrement=bool(step.intent["decrement"])))


def _end_intent(desk: Desk, plan: End) -> dict[str, Any]:
    used = sum(
        1
        for step in desk.steps("end")
        if step.intent["group"] == plan.group and step.intent["decrement"] and not step.intent["shrink"]
    )
    surplus = surplus_of_former(desk, plan.group)
    room = raised(desk).get(plan.group, 0) + surplus - used
    decrement = (plan.decrement or surplus > 0) and (plan.shrink or room > 0)
    return {"group": plan.group, "decrement": decrement, "shrink": plan.shrink, "at": iso(desk.now)}


def surplus_of_former(desk: Desk, group_name: str) -> int:
    """Hosts that former attempts launched in the group and had to leave there, since they carried tasks by then.

    They have room for what leaves now, and ending with decrement gives the group its size back. None, if anybody has
    set the group's size since.
    """
    base = desk.name.rsplit("-", 1)[0]
    left = [
        step
        for attempt in range(1, desk.work.attempt)
        for step in journal.steps(desk.table, f"{base}-{attempt}")
        if step.kind == "launch" and step.intent["group"] == group_name and step.undone and step.note
    ]
    if not left:
        return 0
    group = the_group(group_name)
    here = {member.instance_id for member in group.members if _stays(member.lifecycle)}
    stayed = {name for step in left for name in launched_by(step)} & here
    size = group.desired - raised(desk).get(group_name, 0) + _ended_with_decrement(desk, group_name)
    return len(stayed) if size == min(step.intent["desired"] for step in left) + len(stayed) else 0


def _ended_with_decrement(desk: Desk, group: str) -> int:
    """Hosts of the group that this work has ended so far, its desired capacity with them."""
    return sum(
        bool((step.result or {}).get("decremented")) for step in desk.steps("end") if step.intent["group"] == group
    )


def terminate(instance: str, *, decrement: bool) -> dict[str, Any]:
    """Request the end of an instance, by its group where it has one. Its end having begun is success.

    Safe to repeat: an instance that its group already holds in Terminating is not asked for again, so the desired
    capacity is never lowered twice.
    """
    if instance_states([instance]).get(instance, "terminated") in GONE:
        return {"terminated": "before", "decremented": False}
    found = autoscaling.describe_instances([instance])
    if not found:
        ec2.terminate_instances([instance])
        return {"terminated": "by EC2", "decremented": False}
    if found[0]["LifecycleState"].startswith(("Terminating", "Terminated")):
        return {"terminated": "before", "decremented": False}
    group = the_group(found[0]["AutoScalingGroupName"])
    less = decrement and group.desired > group.minimum and group.desired >= live(group)
    try:
        autoscaling.terminate_instance(instance, decrement=less)
    except (Missing, Invalid):
        if instance_states([instance]).get(instance, "terminated") not in GONE:
            raise
        return {"terminated": "before", "decremented": False}
    return {"terminated": "by group", "decremented": less}


def forget(desk: Desk, host: Host) -> None:
    """Deregister a container instance whose EC2 instance is terminated, or is on its way to be.

    ECS does not do so by itself where the agent was disconnected or the instance stopped (ECS API:
    DeregisterContainerInstance). `force` only where ECS still counts tasks on it, which ended with the instance.
    """
    try:
        ecs.deregister_container_instance(desk.work.cluster, host.arn)
    except Missing:
        return
    except Invalid:
        if look_at_hosts(desk.work.cluster, [host.instance_id], desk.now).hosts:
            ecs.deregister_container_instance(desk.work.cluster, host.arn, force=True)
