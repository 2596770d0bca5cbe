"""given(events).when(command).then(events): how rules of a plan are written down."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from domain.planning.plan import Command, Event, PlanRefused, decide, fold


@dataclass(frozen=True, slots=True)
class Given:
    """What has happened."""

    events: Sequence[Event]

    def when(self, command: Command) -> "When":
        """A command meets it."""
        return When(self.events, command)


@dataclass(frozen=True, slots=True)
class When:
    """What is asked now."""

    events: Sequence[Event]
    command: Command

    def then(self, *expected: Event) -> None:
        """Exactly this happens."""
        assert decide(self.command, fold(self.events)) == expected

    def then_nothing(self) -> None:
        """It is accepted and changes nothing."""
        assert decide(self.command, fold(self.events)) == ()

    def then_refused(self, refusal: type[PlanRefused], **fields: object) -> None:
        """It is refused, and the refusal says so in its docstring and its fields."""
        with pytest.raises(refusal) as refused:
            decide(self.command, fold(self.events))
        assert str(refused.value) == refusal.__doc__
        assert vars(refused.value) == fields


def given(*events: Event) -> Given:
    """Begin a scenario."""
    return Given(events)
