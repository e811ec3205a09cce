"""rawbot/aio/services.py: all services hear of everything, whatever one of them does."""

import math

import pytest
from fake_endpoint import make_event

from rawbot.aio.services import Services
from rawbot.event import Event
from rawbot.exchange import Figure, Service

NOW = 1000.0


class FakeService(Service):
    """Keeps what it is told; `fault` names the call that raises."""

    def __init__(self, deadline: float = math.inf, fault: str = "") -> None:
        self.deadline = deadline
        self.fault = fault
        self.calls: list[str] = []

    def call(self, name: str) -> None:
        self.calls.append(name)
        if self.fault == name:
            raise ZeroDivisionError

    def start(self, now: float) -> None:
        assert now == NOW
        self.call("start")

    def tick(self, now: float) -> None:
        assert now == NOW
        self.call("tick")

    def drain(self, now: float) -> None:
        assert now == NOW
        self.call("drain")

    def hear(self, event: Event) -> None:
        self.call(event.text)

    def figures(self) -> list[Figure]:
        self.call("figures")
        return [Figure("open", "gauge", 1.0, "How many are open.")]

    def unsettled(self) -> int:
        self.call("unsettled")
        return 2


class Moody(FakeService):
    """Its deadline is worked out, and cannot be."""

    @property
    def deadline(self) -> float:
        raise ZeroDivisionError

    @deadline.setter
    def deadline(self, value: float) -> None:
        pass


def gather(*members: Service) -> tuple[Services, list[tuple[str, str]]]:
    """Return them, named /0, /1 and so on, and what they fail at."""
    failures: list[tuple[str, str]] = []
    services = Services(lambda what, error: failures.append((what, type(error).__name__)))
    for at, service in enumerate(members):
        services.add(f"/{at}", service)
    return services, failures


def test_all_hear_of_everything_in_the_order_in_which_they_were_added():
    members = [FakeService(), FakeService()]
    services, failures = gather(*members)
    assert list(services) == members
    services.start(NOW)
    services.tick(NOW)
    assert services.unsettled() == 4
    assert [name for name, _ in services.figures()] == ["/0", "/1"]
    services.drain(NOW)
    assert [member.calls for member in members] == [["start", "tick", "unsettled", "figures", "drain"]] * 2
    assert failures == []


@pytest.mark.parametrize("fault", ["tick", "drain", "figures", "unsettled"])
def test_one_that_fails_is_noted_by_its_name_and_the_others_go_on(fault: str):
    sound = [FakeService(NOW + 5), FakeService(NOW + 3)]
    services, failures = gather(sound[0], FakeService(NOW + 1, fault), sound[1])
    assert services.tick(NOW) == NOW + (3 if fault == "tick" else 1)
    services.drain(NOW)
    assert services.unsettled() == (4 if fault == "unsettled" else 6)
    assert len(list(services.figures())) == (2 if fault == "figures" else 3)
    assert [member.calls for member in sound] == [["tick", "drain", "unsettled", "figures"]] * 2
    ((what, error),) = failures
    assert "the service /1 failed" in what
    assert error == "ZeroDivisionError"


def test_one_that_cannot_be_started_keeps_the_app_from_being_served():
    services, failures = gather(FakeService(fault="start"))
    with pytest.raises(ZeroDivisionError):
        services.start(NOW)
    assert failures == []


@pytest.mark.parametrize(
    ("deadlines", "due"),
    [
        ([], math.inf),
        ([math.inf, math.inf], math.inf),
        ([NOW + 0.5], NOW + 0.5),
        ([NOW + 9, NOW + 0.5, math.inf], NOW + 0.5),
        ([NOW], math.inf),
        ([NOW - 1, NOW + 0.5], NOW + 0.5),
        ([-math.inf, 0.0], math.inf),
        ([math.nan, NOW + 0.5], NOW + 0.5),
        ([NOW + 0.5, math.nan], NOW + 0.5),
    ],
)
def test_the_earliest_deadline_that_is_to_come_counts(deadlines: list[float], due: float):
    services, _ = gather(*map(FakeService, deadlines))
    assert services.tick(NOW) == due


def test_a_deadline_is_looked_at_after_the_tick_that_moves_it():
    class Beating(FakeService):
        def tick(self, now: float) -> None:
            self.deadline = now + 0.25

    assert gather(Beating(NOW - 1))[0].tick(NOW) == NOW + 0.25


def test_a_deadline_that_cannot_be_told_is_a_fault_as_well():
    services, failures = gather(Moody(), FakeService(NOW + 2))
    assert services.tick(NOW) == NOW + 2
    assert failures == [("the service /0 failed as time passed", "ZeroDivisionError")]


def test_only_those_listen_who_want_to_hear():
    deaf, hearing = FakeService(), FakeService()
    hearing.hears = True
    services, _ = gather(deaf, hearing)
    (listener,) = services.listeners()
    listener(make_event("hello"))
    assert (deaf.calls, hearing.calls) == ([], ["hello"])


@pytest.mark.parametrize("keeping", [False, True])
def test_one_that_keeps_state_is_enough(keeping: bool):  # noqa: FBT001 - a state
    stateful = FakeService()
    stateful.keeps_state = keeping
    assert gather(FakeService(), stateful)[0].keep_state is keeping
