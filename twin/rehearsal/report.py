"""What a rehearsal found: the JSON that `caretaker rehearse --json` writes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 3

Verdict = Literal["ok", "violated", "unexpected", "unfinished"]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Law(Part):
    """One law and what was measured of it.

    Attributes:
        held: null when the run did not exercise it.
        worst: the worst figure that was seen, in words.
        when: simulated moment of the worst, ISO 8601.
        who: the API call and the caller that caused it.
    """

    name: str
    held: bool | None
    worst: str | None = None
    when: str | None = None
    who: str | None = None


class Execution(Part):
    """One execution of a state machine.

    Attributes:
        machine: logical id in the template.
        status: AWS's word: RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED.
        outcome: ours; for an execution that ended without one, the outcome of the one that cleaned up after it.
        work: the piece of work that it belongs to; clean-ups carry the work of the execution they clean up after.
        state_transitions: entered states.
    """

    machine: str
    name: str
    status: str
    outcome: str | None
    reason: str | None
    work: str
    mode: str | None
    cluster: str | None
    hosts: list[str]
    started: str
    ended: str | None
    state_transitions: int
    left_behind: list[str]


class Move(Part):
    """What the plan says of one task."""

    task: str
    service: str | None
    how: str
    to: str | None
    reason: str


class Plan(Part):
    """The plan of one execution, as its outcome event gives it.

    Attributes:
        decision: go, planned, blocked or nothing.
        steps: launches, changed percents and ends, in words.
        obstacles: what stands in the way, in words.
        omitted: tasks that did not fit into the event.
    """

    execution: str
    decision: str
    summary: str
    steps: list[str]
    moves: list[Move]
    obstacles: list[str]
    omitted: int


class Service(Part):
    """One service over the run.

    Attributes:
        healthy_at_claim: healthy tasks when the first work was claimed; null when none was.
        lowest_healthy: fewest healthy tasks after that moment (after the start, when nothing was claimed).
        tasks_moved: of the tasks that were on the hosts of a claimed work, those that have left them.
    """

    service: str
    cluster: str
    scheduling_strategy: str
    desired: int
    healthy_at_claim: int | None
    lowest_healthy: int
    healthy: int
    tasks_moved: int


class Host(Part):
    """One host that ended or was launched during the run."""

    instance: str
    group: str | None
    zone: str | None
    fate: Literal["ended", "launched"]


class Stream(Part):
    """What one look counted in one stream."""

    canary_errors: int
    canary_requests: int
    baseline_errors: int
    baseline_requests: int


class Evidence(Part):
    """One look at a release, as Caretaker wrote it down.

    Attributes:
        action: the judge's word: continue, promote, roll back, inconclusive.
        share: of the requests that the new revision was meant to have, 0 to 1.
        log_against: log of the evidence against it; it is rolled back from `line` on.
        streams: 5xx, 4xx and slow.
    """

    at: str
    action: str
    share: float
    log_against: float
    line: float
    streams: dict[str, Stream]


class Release(Part):
    """One release that Caretaker baked.

    Attributes:
        way: watch, gate or drive.
        mode: observe, approve or act.
        revision, baseline: task definitions of the new and of the former revision.
        first_bad_at: when users first met the new revision while it was worse than the former; null if it never was.
        weights_zero_at: when its weight fell to 0 for good; null while it has some, and if it never had any.
        seconds_to_zero: from the one to the other.
        canary_requests: so many requests came to it (the twin's expected number, as the next).
        users_errors: so many of them were answered with errors, or not at all, from `first_bad_at` on.
        looks: number of looks; `evidence` has each.
        done: what Caretaker changed, in words.
    """

    id: str
    service: str
    cluster: str
    way: str | None
    mode: str | None
    revision: str
    baseline: str
    outcome: str | None
    reason: str | None
    started: str
    ended: str | None
    first_bad_at: str | None
    weights_zero_at: str | None
    seconds_to_zero: float | None
    canary_requests: int
    users_errors: int
    looks: int
    evidence: list[Evidence]
    done: list[str]


class Taken(Part):
    """Something that a sweep took away, as AWS saw it.

    Attributes:
        at: of the call, simulated.
        operation: AWS's name of it.
        resource: ARN of what is gone, or of the shared thing from which a reference was removed.
        name: of that resource, for people.
    """

    at: str
    operation: str
    kind: str
    resource: str
    name: str


class Sweep(Part):
    """One sweep of one VPC.

    Attributes:
        mode: observe, approve or act.
        trigger: why it was begun.
        deleted: what it took away, in order.
        remains: what is left and why, as Caretaker tells it.
        savings: what it saves a month, as Caretaker tells it.
    """

    id: str
    vpc: str
    mode: str | None
    trigger: str
    outcome: str | None
    reason: str | None
    started: str
    ended: str | None
    deleted: list[Taken]
    remains: list[str]
    savings: list[str]


class Calls(Part):
    caller: str
    service: str
    operation: str
    calls: int
    errors: int


class TimelineEntry(Part):
    at: str
    kind: str
    text: str


class Report(Part):
    """The whole result. Byte for byte the same for the same world and seed, but for `wall_seconds`.

    Attributes:
        unexpected: each way in which outcomes differ from the world's `expect`, in words.
        dead_letters: messages in dead-letter queues at the end, by queue.
        cost_usd: what the run would have cost on AWS, roughly; docs/worlds.md says how it is reckoned.
        events: what Caretaker published on the bus.
    """

    schema_version: int = SCHEMA_VERSION
    verdict: Verdict
    world: str
    seed: int
    started: str
    ended: str
    unexpected: list[str]
    laws: list[Law]
    executions: list[Execution]
    plans: list[Plan]
    services: list[Service]
    releases: list[Release]
    sweeps: list[Sweep]
    hosts: list[Host]
    simulated_seconds: float
    wall_seconds: float
    state_transitions: int
    lambda_invocations: int
    signal_invocations: int
    aws_calls: list[Calls]
    cost_usd: float
    dead_letters: dict[str, int]
    alarms: list[str]
    events: list[dict[str, Any]]
    timeline: list[TimelineEntry]

    @property
    def exit_code(self) -> int:
        return 0 if self.verdict == "ok" else 1
