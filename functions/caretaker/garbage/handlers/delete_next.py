"""Delete what nobody uses, one act after the other: the only function that deletes what Express Mode left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from caretaker.aws import removals
from caretaker.aws.errors import AwsFailure, Conflict, Missing, Throttled, Unavailable
from caretaker.garbage import acts, again, inventories, judging, modes, plain
from caretaker.garbage.desk import Desk, open_desk
from caretaker.garbage.model import Kind, Observation
from caretaker.garbage.plan import Step
from caretaker.garbage.standing import Keep, short
from caretaker.garbage.still import Halt, Stop, still
from caretaker.garbage.sweep import Act
from caretaker.runtime import logging
from caretaker.runtime.clock import iso
from caretaker.runtime.policy import GarbagePolicy, SweepMode

# Acts of one invocation; each is a handful of calls.
FEW = 5
# Milliseconds that one of them may take where AWS makes every call wait.
_ONE_ACT = 60_000


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The next few acts. Run again until it answers `close`.

    Raises:
        LockLost: the lock is not ours any more; nothing further is deleted.
        Throttled, Unavailable: AWS could not say; run again.
    """
    number = int(event["number"])
    # Entered before anything else: another observation gets another number, and is not this one.
    desk = judging.noted(open_desk(event), number)
    ground = desk.records.renew(desk.sweep, event["execution"], desk.now)
    if not judging.unchanged(desk, number, ground):
        return judging.look_again(desk, ground)
    tried: list[int] = []
    for _ in range(FEW):
        if tried and context.get_remaining_time_in_millis() < _ONE_ACT:
            break
        turn = acts.turn(desk.records.acts(desk.sweep.id), desk.now, tried)
        if turn.over:
            return {"next": "close"}
        if turn.act is None:
            return {"next": "wait", "seconds": turn.seconds, "number": number}
        whole = None
        if Kind(turn.act.kind) in acts.WHOLE:
            whole = _whole(desk, number, turn.act)
            if whole is None:
                return judging.next_look(desk, ground, "delete")
        tried.append(turn.act.number)
        Deed(desk, event["execution"], turn.act).do(whole)
    return {"next": "delete", "number": number}


def _whole(desk: Desk, number: int, act: Act) -> Observation | None:
    """A whole observation that began after every other act was over, and after this one had to wait; None if it has to
    be made first."""
    seen = judging.load(desk, number)
    times = [act.due, *(each.at for each in desk.records.acts(desk.sweep.id))]
    last = max((each for each in times if each is not None), default=None)
    return None if last is not None and seen.began <= last else seen


@dataclass(frozen=True)
class Deed:
    """One act, about to be done."""

    desk: Desk
    holder: str
    act: Act

    def do(self, whole: Observation | None) -> None:
        """Look once more, write the intent with its proof, make the call, write what became of it."""
        desk, step = self.desk, acts.step_from(self.act.step)
        live = whole or again.look(step, desk.records.table, desk.sweep.vpc, desk.now)
        policies = judging.policies_for(desk, {*step.owners, *_claiming(step, live)})
        stop = self._forbidden(step, policies) or self._held(step, live, policies, whole is not None)
        if stop is not None:
            self._stopped(stop)
            return
        proven = replace(self.act, live={"at": iso(desk.now), "readings": _readings(step, live)})
        begun = desk.records.intend(desk.sweep, proven, self.holder, desk.now)
        replace(self, act=begun)._call()

    def _forbidden(self, step: Step, policies: Mapping[str, GarbagePolicy]) -> Stop | None:
        """The off switch works until the last moment."""
        given = self.desk.sweep.approval
        least: SweepMode = "approve" if given is not None and given.answer == "approved" else "act"
        if not step.owners or any(modes.RANK[policies[arn].mode] < modes.RANK[least] for arn in step.owners):
            return Stop(Halt.SKIP, f"policy does not say {least} any more")
        return None

    def _held(self, step: Step, live: Observation, policies: Mapping[str, GarbagePolicy], whole: bool) -> Stop | None:
        stop = still(step, live, Keep(services=policies), self.desk.now)
        if stop is not None or not whole:
            return stop
        return self._judged(step, live) or (self._occupied(step, live) if step.kind is Kind.LOAD_BALANCER else None)

    def _judged(self, step: Step, live: Observation) -> Stop | None:
        """The whole observation says again that it is garbage, with all that AWS deletes along with it."""
        policies = judging.policies(self.desk, [live])
        judged = judging.judged(live, policies, self.desk.now)
        for arn in (step.target.arn, *step.takes):
            if judged.graph.whole_of(arn) == arn and arn in judged.verdicts and arn not in judged.garbage:
                given = judged.verdicts[arn]
                return Stop(Halt.SKIP, f"{given.resource.kind} {given.resource.name} is {given.word}: {given.reason}")
        return None

    def _occupied(self, step: Step, live: Observation) -> Stop | None:
        """Who has come to a load balancer since it was observed."""
        # ECS places a new service on it long before a rule shows that, and CloudTrail's event takes minutes.
        known = {owner.arn for owner in live.owners}
        try:
            new = [arn for arn in inventories.services() if arn not in known]
        except (Throttled, Unavailable):
            raise
        except AwsFailure as error:
            return Stop(Halt.SKIP, f"the services could not be listed again: {error}")
        if new:
            return Stop(
                Halt.WAIT, f"service {short(new[0])} has been created since it was observed: it may be placed there"
            )
        # AWS deletes a load balancer with every rule that is on it: the very last look is at these.
        sheet = again.balancer(step.resource, self.desk.sweep.vpc, self.desk.now)
        rules = [
            each for each in sheet.resources.values() if each.kind is Kind.RULE and each.facts["default"] != "true"
        ]
        listeners = [each for each in sheet.resources.values() if each.kind is Kind.LISTENER]
        doubts = [each for each in sheet.readings.values() if each.status != "whole"]
        if doubts:
            return Stop(Halt.SKIP, f"its rules could not be read again: {doubts[0].reason}")
        if not listeners:
            return None
        return Stop(Halt.SKIP, f"it has {rules[0].name} again ({rules[0].arn})") if rules else None

    def _stopped(self, stop: Stop) -> None:
        unanswered = self.act.status == "intended"
        if stop.halt is Halt.GONE:
            # What this sweep was about to delete when its function died, and is not there any more, it has deleted.
            reason = "its call got no answer, and it is not there any more" if unanswered else stop.reason
            self._write("done" if unanswered else "gone", reason)
        elif stop.halt is Halt.SKIP:
            self._write("skipped", stop.reason)
        else:
            self._later(stop.reason)

    def _call(self) -> None:
        try:
            answer = removals.remove(self.act.action, self.act.params)
        except (Throttled, Unavailable):
            raise  # whether it was done is looked up by whoever runs next
        except Missing as error:
            self._write("gone", str(error))
        except Conflict as error:
            self._later(str(error))
        except AwsFailure as error:
            self._write("refused", str(error))
        else:
            self._write("done", "", answer)

    def _later(self, reason: str) -> None:
        """AWS says that it is in use, or something of the sweep's own is in the way: tried again for a while."""
        desk = self.desk
        if acts.too_late(self.act, desk.now):
            self._write("refused", f"{reason}; tried {self.act.tries} times since {iso(self.act.first or desk.now)}")
            return
        # A look that said so counts as a try as well as a call.
        tries = self.act.tries if self.act.status == "intended" else self.act.tries + 1
        waits = {"due": desk.now + acts.pause(tries), "first": self.act.first or desk.now, "tries": tries}
        desk.records.answered(desk.sweep.id, self.act, status="planned", reason=reason, **waits)
        logging.logger().info(f"{self.act.kind} {self.act.resource} has to wait: {reason}")

    def _write(self, status: Any, reason: str, answer: str = "") -> None:
        self.desk.records.answered(
            self.desk.sweep.id, self.act, status=status, reason=reason, answer=answer, at=self.desk.now
        )
        words = f"{status} {self.act.action} {self.act.resource}" + (f": {reason}" if reason else "")
        logging.logger().info(words)


def _claiming(step: Step, live: Observation) -> set[str]:
    """The services that claim what is deleted, by now."""
    together = {step.target.arn, *step.takes}
    return {claim.owner.arn for claim in live.claims if claim.resource.arn in together}


def _readings(step: Step, live: Observation) -> list[Mapping[str, Any]]:
    """What was read again, of what the step asks for."""
    asked = {(ask.operation, ask.scope) for ask in step.again}
    return [plain.reading(each) for each in live.readings if (each.operation, each.scope) in asked]
