"""The cluster query language of `memberOf` constraints (ECS developer guide: "Cluster query language").

An expression is parsed once and evaluated against a host. The answer is True, False or None: None means that nobody
here knows, and a host is only used where the answer is True.

Known: `attribute:<name>` and `task:group` with `==` (`equals`), `!=` (`not_equals`), `in`, `!in` (`not_in`), `=~`
(`matches`), `!~` (`not_matches`), `exists`, `!exists` (`not_exists`), the subjects `ec2InstanceId` and `agentConnected`
with the same operators, `and` (`&&`), `or` (`||`), `not` (`!`) and parentheses. All else (versions, dates, counts,
greater and less) gives None.

Where the guide is silent, the answer is None: `!=`, `!in` and `!~` on an attribute that the host does not have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

Answer = bool | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What an expression may ask of a host.

    Attributes:
        attributes: attribute name to value.
        instance_id: EC2 instance id; "" for a host that does not exist yet.
        groups: groups of the tasks on it, as far as they are known.
        known_groups: groups whose tasks are all known; of any other group nobody can say that it is absent.
        complete: whether all its tasks are known (a host that does not exist yet).
    """

    attributes: Mapping[str, str]
    instance_id: str = ""
    groups: frozenset[str] = frozenset()
    known_groups: frozenset[str] = frozenset()
    complete: bool = False


Node = Callable[[Facts], Answer]


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression.

    Attributes:
        text: as written.
        ask: evaluates it.
        dynamic: whether it asks for the tasks on a host, so that the answer changes as tasks are placed.
        problem: what is not understood, "" if all is; then `ask` gives None wherever that part decides.
    """

    text: str
    ask: Node
    dynamic: bool = False
    problem: str = ""


class _Unreadable(Exception):
    """The text is no expression."""


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"[^"]*"|'[^']*')
      | (?P<list>\[[^\]]*\])
      | (?P<sign>==|!=|=~|!~|>=|<=|>|<|&&|\|\||!in\b|!exists\b|!|\(|\))
      | (?P<word>[^\s()\[\]!=<>&|~,"']+)
    )""",
    re.VERBOSE,
)
_OPERATORS = {
    "==": "==",
    "equals": "==",
    "!=": "!=",
    "not_equals": "!=",
    "in": "in",
    "!in": "!in",
    "not_in": "!in",
    "=~": "=~",
    "matches": "=~",
    "!~": "!~",
    "not_matches": "!~",
    "exists": "exists",
    "!exists": "!exists",
    "not_exists": "!exists",
    ">": ">",
    "greater_than": ">",
    ">=": ">=",
    "greater_than_equal": ">=",
    "<": "<",
    "less_than": "<",
    "<=": "<=",
    "less_than_equal": "<=",
}
_KNOWN = frozenset(("==", "!=", "in", "!in", "=~", "!~", "exists", "!exists"))


@cache
def parse(text: str) -> Expression:
    """Parse an expression; one that cannot be read gives None everywhere and says why in `problem`."""
    try:
        parser = _Parser(text)
        node = parser.whole()
    except _Unreadable as error:
        return Expression(text, _nobody_knows, problem=f"'{text}' cannot be read: {error}")
    problem = f"'{text}' asks for {parser.problems[0]}, which Caretaker does not model" if parser.problems else ""
    return Expression(text, node, dynamic=parser.dynamic, problem=problem)


def _nobody_knows(facts: Facts) -> Answer:
    del facts
    return None


class _Parser:
    """Recursive descent: or → and → not → comparison."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0
        self.dynamic = False
        self.problems: list[str] = []

    def whole(self) -> Node:
        node = self.either()
        if self.at < len(self.tokens):
            raise _Unreadable(f"unexpected '{self.tokens[self.at]}'")
        return node

    def either(self) -> Node:
        node = self.both()
        while self.accept("or", "||"):
            node = _either(node, self.both())
        return node

    def both(self) -> Node:
        node = self.negated()
        while self.accept("and", "&&"):
            node = _both(node, self.negated())
        return node

    def negated(self) -> Node:
        if self.accept("not", "!"):
            return _negated(self.negated())
        if self.accept("("):
            node = self.either()
            if not self.accept(")"):
                raise _Unreadable("a ')' is missing")
            return node
        return self.comparison()

    def comparison(self) -> Node:
        subject = self.take("a subject")
        sign = self.take("an operator")
        operator = _OPERATORS.get(sign.lower())
        if operator is None:
            raise _Unreadable(f"unknown operator '{sign}'")
        argument = "" if operator in ("exists", "!exists") else self.take(f"an argument after '{sign}'")
        return self.compare(subject, operator, argument)

    def compare(self, subject: str, operator: str, argument: str) -> Node:
        if operator not in _KNOWN:
            self.problems.append(f"'{subject} {operator} {argument}'")
            return _nobody_knows
        test = _test(operator, argument)
        if test is None:
            self.problems.append(f"the pattern '{argument}'")
            return _nobody_knows
        if subject.startswith("attribute:"):
            return _attribute(subject.removeprefix("attribute:"), operator, test)
        if subject == "task:group" and operator in ("==", "!=", "in", "!in"):
            self.dynamic = True
            return _group(_arguments(argument), operator in ("!=", "!in"))
        if subject == "ec2InstanceId":
            return lambda facts: test(facts.instance_id) if facts.instance_id else None
        if subject == "agentConnected":
            return lambda facts: test("true")  # hosts without a connected agent are no candidates at all
        self.problems.append(f"'{subject}'")
        return _nobody_knows

    def accept(self, *words: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at].lower() in words:
            self.at += 1
            return True
        return False

    def take(self, what: str) -> str:
        if self.at >= len(self.tokens):
            raise _Unreadable(f"{what} is missing")
        self.at += 1
        return self.tokens[self.at - 1]


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise _Unreadable(f"unexpected '{text[at:].strip()[:20]}'")
        found.append(match.group(match.lastgroup or 0).strip())
        at = match.end()
    if not found:
        raise _Unreadable("it is empty")
    return found


def _bare(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _arguments(text: str) -> tuple[str, ...]:
    text = text.strip()
    if text.startswith("["):
        return tuple(_bare(item) for item in text[1:-1].split(",") if item.strip())
    return (_bare(text),)


def _test(operator: str, argument: str) -> Callable[[str], bool] | None:
    """The comparison of one value; None for a pattern that cannot be read."""
    if operator in ("exists", "!exists"):
        return lambda value: operator == "exists"
    if operator in ("=~", "!~"):
        try:
            pattern = re.compile(_bare(argument))
        except re.error:
            return None
        return lambda value: (pattern.fullmatch(value) is not None) == (operator == "=~")
    wanted = frozenset(_arguments(argument))
    return lambda value: (value in wanted) == (operator in ("==", "in"))


def _attribute(name: str, operator: str, test: Callable[[str], bool]) -> Node:
    absent: Answer = {"!exists": True, "!=": None, "!in": None, "!~": None}.get(operator, False)

    def ask(facts: Facts) -> Answer:
        value = facts.attributes.get(name)
        return absent if value is None else test(value)

    return ask


def _group(wanted: tuple[str, ...], negative: bool) -> Node:
    def ask(facts: Facts) -> Answer:
        if any(group in facts.groups for group in wanted):
            return not negative
        known = facts.complete or all(group in facts.known_groups for group in wanted)
        return negative if known else None

    return ask


def _either(left: Node, right: Node) -> Node:
    def ask(facts: Facts) -> Answer:
        answers = left(facts), right(facts)
        if True in answers:
            return True
        return None if None in answers else False

    return ask


def _both(left: Node, right: Node) -> Node:
    def ask(facts: Facts) -> Answer:
        answers = left(facts), right(facts)
        if False in answers:
            return False
        return None if None in answers else True

    return ask


def _negated(node: Node) -> Node:
    def ask(facts: Facts) -> Answer:
        answer = node(facts)
        return None if answer is None else not answer

    return ask
