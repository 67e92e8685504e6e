"""Taking back what a replacement did, step by step, and giving back its settings after a good end.

Each undo works from the journal and from AWS as it is now: nothing that somebody else did meanwhile is undone, and
running it again is no change. It returns words for what stays behind, "" if nothing does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from caretaker.aws import autoscaling, ecs
from caretaker.aws.errors import Missing
from caretaker.hosts.desk import Desk
from caretaker.hosts.model import Host, Service, Task, percents_of, short
from caretaker.hosts.progress import live
from caretaker.hosts.steps import (
    GONE,
    LAUNCH,
    REBALANCE,
    forget,
    launched_by,
    launched_ids,
    new_members,
    successor_of,
    terminate,
)
from caretaker.hosts.survey import groups_now, instance_states
from caretaker.runtime import surges
from caretaker.runtime.journal import Step

# Tasks that are on their way in or out, of a launched host or of a service, get this many runs of the undo to settle.
PATIENCE = 4


class NotYet(Exception):
    """A step cannot be taken back yet; the undo is run again."""


# --- settings --------------------------------------------------------------------------------------------------------


def settle(desk: Desk, step: Step, tries: int) -> None:
    """Raise `NotYet` while a service has more tasks than it wants, which a drain that was broken off leaves it with.

    ECS then stops the ones in excess, whichever it chooses. With its own percents the service could lose healthy tasks
    to successors that are not healthy yet; with the raised ones it cannot.
    """
    found = ecs.describe_services(desk.work.cluster, [step.intent["service"]]).items
    service = Service.from_ecs(found[0]) if found else None
    if service is None or service.status != "ACTIVE" or tries >= PATIENCE:
        return
    count = service.running + service.pending
    if count > service.desired:
        raise NotYet(f"service {service.name} has {count} tasks where it wants {service.desired}")


def restore_surge(desk: Desk, step: Step) -> str:
    """Leave the lease; the last holder gives the percents back, if they are still the ones that were set."""
    arn = step.intent["service"]
    lease = surges.begin_restore(desk.table, arn, desk.name)
    if lease is None:
        return ""
    note = _give_back(desk, arn, lease)
    surges.end_restore(desk.table, arn, desk.name)
    return note


def _give_back(desk: Desk, arn: str, lease: surges.Surge) -> str:
    found = ecs.describe_services(desk.work.cluster, [arn]).items
    service = Service.from_ecs(found[0]) if found else None
    if service is None or service.status != "ACTIVE":
        return ""  # its owner deleted it
    minimum, maximum = percents_of(lease.original)
    if service.percents == (minimum, maximum):
        return ""
    if service.percents != percents_of(lease.set):
        return (
            f"service {service.name} keeps {service.percents[0]}/{service.percents[1]} percent, which somebody else "
            f"set; it had {minimum}/{maximum}"
        )
    # Only the percents are ours: whatever else of the configuration was changed meanwhile is sent back as it is.
    whole = {**service.configuration, "minimumHealthyPercent": minimum, "maximumPercent": maximum}
    ecs.update_service(desk.work.cluster, arn, deploymentConfiguration=whole)
    return ""


def unprotect(desk: Desk, step: Step) -> str:
    """Take scale-in protection off again that we set, unless a capacity provider owns it."""
    group = groups_now([step.intent["group"]]).get(step.intent["group"])
    member = next((item for item in group.members if item.instance_id == step.key), None) if group else None
    if group is None or member is None or not member.protected or member.lifecycle != "InService":
        return ""
    if step.intent.get("managed"):
        return ""  # ECS protects hosts with tasks and takes it off empty ones
    autoscaling.set_instance_protection(group.name, [step.key], protected=False)
    return ""


def resume_rebalance(desk: Desk, step: Step) -> str:
    """Let AZRebalance run again, since it ran before."""
    try:
        autoscaling.resume_processes(step.intent["group"], [REBALANCE])
    except Missing:
        return ""
    return ""


SETTINGS: Mapping[str, Callable[[Desk, Step], str]] = {
    "surge": restore_surge,
    "protect": unprotect,
    "suspend_rebalance": resume_rebalance,
}


# --- the drain -------------------------------------------------------------------------------------------------------


def undrain(desk: Desk, step: Step) -> str:
    """Set hosts to ACTIVE again that were ACTIVE before us and are still DRAINING.

    A host that its group is ending meanwhile stays DRAINING: that is somebody else's, and it cannot come back.
    """
    arns = sorted(step.intent["instances"])
    found = ecs.describe_container_instances(desk.work.cluster, arns) if arns else None
    draining = {
        item["containerInstanceArn"]: item.get("ec2InstanceId", "")
        for item in (found.items if found else ())
        if item.get("status") == "DRAINING"
    }
    ending = _ending(draining.values())
    back = sorted(arn for arn, instance in draining.items() if instance not in ending)
    answer = ecs.update_container_instances_state(desk.work.cluster, back, "ACTIVE")
    if answer.failures:
        raise NotYet("; ".join(f"ACTIVE refused for {failure}" for failure in answer.failures))
    left = sorted(instance for instance in draining.values() if instance in ending)
    return f"{', '.join(left)}: somebody else is ending it, it stays DRAINING" if left else ""


def _ending(instances: Iterable[str]) -> set[str]:
    wanted = sorted(set(instances))
    states = instance_states(wanted) if wanted else {}
    gone = {name for name in wanted if states.get(name, "terminated") in GONE}
    members = autoscaling.describe_instances(wanted) if wanted else []
    return gone | {item["InstanceId"] for item in members if item["LifecycleState"].startswith("Terminat")}


# --- launched hosts --------------------------------------------------------------------------------------------------


def give_up_launch(desk: Desk, step: Step, tries: int) -> str:
    """End the host of a launch, if it carries nobody's task; else it stays, as a surplus of the group.

    Args:
        tries: how often the undo has been run before.
    """
    if step.result is not None and step.result.get("error"):
        return ""
    instances = launched_by(step) or _found_late(desk, step)
    risen = _risen(desk, step)
    if not instances:
        return _lower(step) if risen else ""
    return "; ".join(note for instance in instances if (note := _end_launched(desk, step, instance, risen, tries)))


def _found_late(desk: Desk, step: Step) -> list[str]:
    """Hosts of a launch whose answer was never written down.

    Where the group has newcomers, LaunchInstances is asked once more with the same token: if the first request came
    through, the answer names its instances, and if it did not, the one that this launches is known and ended at once.
    Newcomers of others are never touched.
    """
    newcomers = new_members(desk, step)
    if not newcomers:
        return []
    if step.intent["method"] != LAUNCH:
        return newcomers[:1]
    answer = autoscaling.launch_instances(
        step.intent["group"], 1, step.intent["token"], zone=step.intent["zone"] or None
    )
    instances = launched_ids(answer)
    desk.complete(step, {"instances": instances} if instances else {"instances": [], "error": "nothing was launched"})
    return instances


def _risen(desk: Desk, step: Step) -> bool:
    """Whether the group's desired capacity rose for this launch."""
    if step.intent["method"] != LAUNCH:
        group = groups_now([step.intent["group"]]).get(step.intent["group"])
        return step.result is not None or (group is not None and group.desired > step.intent["desired"])
    settled = [item for item in desk.steps("desired") if item.key == step.intent["group"]]
    if settled:
        count = settled[0].result["raised"] if settled[0].result else settled[0].intent["risen"]
        return bool(count)
    group = groups_now([step.intent["group"]]).get(step.intent["group"])
    return group is not None and group.desired > step.intent["desired"]


def _lower(step: Step) -> str:
    """Take a raise of the desired capacity back for which no host came, where that can cost no running host."""
    group = groups_now([step.intent["group"]]).get(step.intent["group"])
    if group is None or group.desired <= step.intent["desired"]:
        return ""
    if group.desired > live(group) and group.desired > group.minimum:
        autoscaling.set_desired_capacity(group.name, group.desired - 1)
        return ""
    return f"group {group.name} wants {group.desired} hosts, one more than before: lowering it would end a running host"


def _end_launched(desk: Desk, step: Step, instance: str, risen: bool, tries: int) -> str:
    if instance_states([instance]).get(instance, "terminated") in GONE:
        successor = successor_of(desk, step) if risen else ""
        if not successor:
            return _lower_after(step, risen)
        instance = successor
    found = ecs.find_container_instances(desk.work.cluster, [instance]).items
    if found:
        note = _emptied(desk, Host.from_ecs(found[0]), tries)
        if note:
            return note
    if not autoscaling.describe_instances([instance]):
        return f"host {instance} was launched for this work; somebody else has taken it out of its group, so it stays"
    terminate(instance, decrement=risen)
    if found and not found[0].get("agentConnected"):
        forget(desk, Host.from_ecs(found[0]))
    return ""


def _lower_after(step: Step, risen: bool) -> str:
    """The host ended: by us, which lowered the desired capacity too, or by itself, and then its group wants another."""
    group = groups_now([step.intent["group"]]).get(step.intent["group"])
    if group is None or not risen or group.desired <= step.intent["desired"]:
        return ""
    return _lower(step)


def _emptied(desk: Desk, host: Host, tries: int) -> str:
    """Close a launched host to new tasks and see that it carries none. Words if it stays."""
    if words := _carries(desk, host, tries):
        return words
    if host.status == "ACTIVE":
        closed = ecs.update_container_instances_state(desk.work.cluster, [host.arn], "DRAINING")
        if closed.failures:
            raise NotYet(f"DRAINING refused for {closed.failures[0]}")
    words = _carries(desk, host, PATIENCE)
    if words:
        # A task came in between. Open the host again: its task must not be moved by an undo.
        ecs.update_container_instances_state(desk.work.cluster, [host.arn], "ACTIVE")
    return words


def _carries(desk: Desk, host: Host, tries: int) -> str:
    tasks = _foreign_tasks(desk, host)
    settled = [task for task in tasks if task.last_status == "RUNNING" and not task.stopping]
    if tasks and len(settled) < len(tasks) and tries < PATIENCE:
        raise NotYet(f"host {host.instance_id}: {len(tasks) - len(settled)} tasks are on their way in or out")
    if not tasks:
        return ""
    names = ", ".join(short(task.arn) for task in tasks[:5]) + (" …" if len(tasks) > 5 else "")
    what = f"carries {len(tasks)} tasks ({names}) and stays as surplus"
    return f"host {host.instance_id} was launched for this work, {what}"


def _foreign_tasks(desk: Desk, host: Host) -> list[Task]:
    """Live tasks of the host that are not a daemon's."""
    arns = ecs.list_all_tasks(desk.work.cluster, host.arn)
    tasks = [Task.from_ecs(item) for item in ecs.describe_tasks(desk.work.cluster, arns).items] if arns else []
    alive = [task for task in tasks if not task.stopped]
    if not alive:
        return []
    daemons = {short(arn) for arn in ecs.list_services(desk.work.cluster, scheduling="DAEMON")}
    return [task for task in alive if task.service not in daemons]
