"""What the pollers of communities and of users have in common: their part in an app's life.

Layer 3, pure. A poller, the API client that gets its keys and sends the answers, and perhaps an intake of its own.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from rawbot.errors import ConfigError
from rawbot.event import Event
from rawbot.exchange import Figure, Service
from rawbot.vk.api import VKApi
from rawbot.vk.longpoll import MAX_WAIT, REFUSED, LongPoll


class OwnIntake(Protocol):
    """What takes on the updates of one poller alone."""

    deadline: float
    """When `tick` is wanted, as a service's."""

    def __len__(self) -> int:
        """Count what is being handled."""

    def recall(self, now: float) -> Iterable[Event]:
        """Return what an earlier process has left."""

    def tick(self, now: float) -> None:
        """Let time pass."""

    def figures(self) -> Iterable[Figure]:
        """Return the numbers to be watched."""


class LongPollService(Service):
    """A poller at work. `api` is its client, and `own_api` whether it was made for it; `intake` is its own, if any.

    `tick` raises what the operator is to be told, after all is done: `LongPollError` for what VK says, `OSError` where
    the journal fails.
    """

    needs_bot = True
    keeps_state = True  # a second process that polls is told everything as well

    def __init__(
        self, poll: LongPoll, api: VKApi, intake: OwnIntake | None, *, own_api: bool, label: tuple[str, str]
    ) -> None:
        self.poll = poll
        self.api = api
        self.sources = (api, poll)
        self._own_intake = intake
        self._own_api = own_api
        self._label = label

    @property
    def deadline(self) -> float:  # type: ignore[override] # a service's is an attribute, this one is that of its parts
        """When `tick` is due."""
        due = min(self.api.deadline, self.poll.deadline)
        return due if self._own_intake is None else min(due, self._own_intake.deadline)

    def start(self, now: float) -> None:
        """Take on updates (again), first of all those that an earlier process has left."""
        self.api.promise = self.promise
        self.api.start()
        if self._own_intake is not None:
            for event in self._own_intake.recall(now):
                self._dispatch(event)
        self.poll.start(now)

    def tick(self, now: float) -> None:
        """Let time pass."""
        if self._own_intake is not None:
            self._own_intake.tick(now)
        self.api.tick(now)
        self.poll.tick(now)
        if self.poll.setbacks.complaints:
            raise self.poll.setbacks.complaints.popleft()

    def drain(self, now: float) -> None:  # noqa: ARG002 - a service's shape
        """Ask for nothing any more: VK keeps what comes."""
        self.poll.stop()

    def unsettled(self) -> int:
        """Count the updates whose answers are not out yet."""
        return 0 if self._own_intake is None else len(self._own_intake)

    def figures(self) -> Iterator[Figure]:
        """Return the numbers to be watched from outside."""
        if self._own_intake is not None:
            yield from self._own_intake.figures()
        if self._own_api:
            yield from self.api.figures()
        poll, labels = self.poll, (self._label,)
        yield Figure("vk_longpoll_polls", "counter", poll.polls, "Polls that were made.", labels)
        yield Figure("vk_longpoll_keys", "counter", poll.asked, "Keys that were asked for.", labels)
        yield Figure("vk_longpoll_updates", "counter", poll.updates, "Updates that came.", labels)
        yield Figure("vk_longpoll_unreadable", "counter", poll.unreadable, "Updates that were left out.", labels)
        yield Figure("vk_longpoll_held", "gauge", poll.held, "Updates that wait for room.", labels)
        yield Figure("vk_longpoll_gaps", "counter", poll.gaps, "Times that VK had lost what came.", labels)
        yield Figure("vk_longpoll_refused", "gauge", poll.phase is REFUSED, "1 when VK refuses the version.", labels)
        text = "Unix time of the last good answer."
        yield Figure("vk_longpoll_answered_at", "gauge", poll.answered_at, text, labels)
        for reason, count in sorted(poll.setbacks.failures.items()):
            text = "Polls and calls for keys that failed."
            yield Figure("vk_longpoll_failures", "counter", count, text, (*labels, ("reason", reason)))

    def _dispatch(self, event: Event) -> None:
        if self.dispatch is not None:
            self.dispatch(event)


def check_wait(wait: int) -> None:
    """Raise `ConfigError` for what VK would not wait for."""
    if isinstance(wait, bool) or not isinstance(wait, int) or not 1 <= wait <= MAX_WAIT:
        raise ConfigError(f"wait is a whole number of seconds, 1 to {MAX_WAIT}")
