"""What a world file may say of who else acts, and of who answers Caretaker's questions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from twin.rehearsal.fields import Called, Moment, Seconds, Strict


class When(Strict):
    """The moment at which an execution enters or leaves a state, and a delay after it."""

    state: str
    machine: str = "ReplaceHost"
    edge: Literal["entered", "left"] = "entered"
    after: Seconds = 0.0
    nth: Annotated[int, Field(ge=1)] = 1


class Person(Strict):
    """Somebody who does something once."""

    at: Moment | None = None
    when: When | None = None
    name: str = Field(default="somebody", alias="as")

    @model_validator(mode="after")
    def _one_moment(self) -> Person:
        if (self.at is None) == (self.when is None):
            raise ValueError("needs either at or when")
        return self


class Actor(Called, Person):
    """Somebody else who makes one call."""


class Answer(Person):
    """Somebody who answers what Caretaker asks."""

    to: Annotated[str, Field(min_length=1)]
    answer: Literal["approve", "reject"]
    why: str = ""
