"""rawbot/aio/collecting.py: when full collections come, and that the collector is left as it was found."""

import gc
import os
import signal
from collections.abc import Callable, Iterator

import pytest
from fake_endpoint import FakeEndpoint, make_app

from rawbot.aio import collecting
from rawbot.aio.collecting import FEW, LEAST, NEVER, paced_collections
from rawbot.aio.running import run
from rawbot.aio.server import Server
from rawbot.errors import ConfigError


class Clock:
    """A loop that calls nothing by itself."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Callable[[], object]]] = []
        self.cancelled = 0

    def call_later(self, delay: float, callback: Callable[[], object], /) -> "Clock":
        self.calls.append((delay, callback))
        return self

    def cancel(self) -> None:
        self.cancelled += 1


class Node:
    """Something that can stand in a cycle."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def full() -> Iterator[list[int]]:
    """Count the full collections."""
    seen: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            seen.append(1)

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)


def test_what_is_there_at_the_start_is_left_out_and_full_collections_wait_for_their_turn():
    thresholds = gc.get_threshold()
    frozen = gc.get_freeze_count()
    with paced_collections(Clock()):
        assert gc.get_freeze_count() > frozen
        assert gc.get_threshold() == (*thresholds[:2], NEVER)
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == thresholds


def test_the_longer_a_collection_takes_the_later_comes_the_next(monkeypatch: pytest.MonkeyPatch, full: list[int]):
    took, now = 0.25, 100.0
    monkeypatch.setattr(collecting, "perf_counter", lambda: now)

    def slow(phase: str, _: dict[str, int]) -> None:
        nonlocal now
        now += took if phase == "stop" else 0.0

    clock = Clock()
    gc.callbacks.append(slow)
    try:
        with paced_collections(clock, share=0.01):
            came = []
            for _ in range(60):
                now += LEAST
                before = len(full)
                clock.calls[-1][1]()
                came.append(len(full) - before)
    finally:
        gc.callbacks.remove(slow)
    assert {delay for delay, _ in clock.calls} == {LEAST}
    assert [second for second, count in enumerate(came) if count] == [24, 49]
    assert clock.cancelled == 1


def test_it_comes_sooner_when_as_many_objects_have_come_as_there_were(full: list[int]):
    clock = Clock()
    young = (gc.get_threshold()[0] + 1) * (gc.get_threshold()[1] + 2)
    with paced_collections(clock):
        del full[:]
        kept = [[] for _ in range(FEW - 2 * young)]
        clock.calls[-1][1]()
        assert full == []
        kept += [[] for _ in range(3 * young)]
        clock.calls[-1][1]()
        assert len(full) == 1
        kept += [[] for _ in range(FEW // 2)]
        clock.calls[-1][1]()
        assert len(full) == 1
        assert kept


def test_cycles_are_found_in_the_end(full: list[int], monkeypatch: pytest.MonkeyPatch):
    clock = Clock()
    with paced_collections(clock):
        del full[:]
        kept = [Node() for _ in range(100)]
        gc.collect(1)  # they have grown old
        del kept
        gc.collect(1)
        assert sum(isinstance(found, Node) for found in gc.get_objects()) == 100
        monkeypatch.setattr(collecting, "perf_counter", lambda: float("inf"))
        clock.calls[0][1]()
        assert len(full) == 1
        assert not any(isinstance(found, Node) for found in gc.get_objects())


def test_young_cycles_are_found_as_ever(full: list[int]):
    with paced_collections(Clock()):
        del full[:]
        for _ in range(100_000):
            Node()
        assert len([found for found in gc.get_objects() if isinstance(found, Node)]) < 10_000
        assert full == []


def test_a_collector_that_is_off_stays_off(full: list[int]):
    clock = Clock()
    thresholds = gc.get_threshold()
    gc.disable()
    try:
        with paced_collections(clock):
            assert gc.get_threshold() == thresholds
    finally:
        gc.enable()
    assert (clock.calls, full) == ([], [])


def test_after_an_error_it_is_as_it_was():
    thresholds = gc.get_threshold()
    with pytest.raises(RuntimeError), paced_collections(Clock()):
        raise RuntimeError
    assert (gc.get_threshold(), gc.get_freeze_count()) == (thresholds, 0)


@pytest.mark.parametrize("paced", [False, True])
def test_a_program_paces_its_collections_only_where_it_is_asked_to(paced: bool):  # noqa: FBT001
    before, seen = gc.get_threshold(), []

    def on_ready(_: Server) -> None:
        seen.append(gc.get_threshold())
        os.kill(os.getpid(), signal.SIGTERM)

    run(make_app(FakeEndpoint()), port=0, paced_gc=paced, on_ready=on_ready)
    assert seen == [(*before[:2], NEVER) if paced else before]
    assert gc.get_threshold() == before


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float):
    with pytest.raises(ConfigError, match="share"), paced_collections(Clock(), share=share):
        pass
