"""rawbot/simulate/vk_clock.py."""

import asyncio

import pytest

from rawbot.errors import StateError
from rawbot.simulate.vk_clock import Bell, VirtualClock


def test_what_is_due_runs_in_the_order_of_time_and_sees_its_own_time():
    async def run():
        clock, seen = VirtualClock(100.0), []

        async def note(name: str):
            seen.append((name, clock.now))

        clock.call_at(130.0, lambda: note("late"))
        clock.call_at(110.0, lambda: note("soon"))
        clock.call_at(110.0, lambda: note("as soon"))
        clock.call_at(131.0, lambda: note("never"))
        await clock.advance(30)
        return seen, clock.now, clock.due

    seen, now, due = asyncio.run(run())
    assert seen == [("soon", 110.0), ("as soon", 110.0), ("late", 130.0)]
    assert (now, due) == (130.0, 131.0)


def test_what_is_set_up_on_the_way_runs_in_the_same_step():
    async def run():
        clock, seen = VirtualClock(0.0), []

        async def again():
            seen.append(clock.now)
            clock.call_at(clock.now + 10, again)

        clock.call_at(5.0, again)
        await clock.advance(40)
        return seen

    assert asyncio.run(run()) == [5.0, 15.0, 25.0, 35.0]


def test_what_is_over_already_runs_at_the_next_step_and_time_does_not_go_back():
    async def run():
        clock, seen = VirtualClock(50.0), []

        async def note():
            seen.append(clock.now)

        clock.call_at(10.0, note)
        await clock.advance(0)
        return seen

    assert asyncio.run(run()) == [50.0]


def test_two_who_let_time_pass_do_so_one_after_the_other():
    async def run():
        clock = VirtualClock(0.0)
        await asyncio.gather(clock.advance(10), clock.advance(5))
        return clock.now

    assert asyncio.run(run()) == 15.0


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_time_does_not_pass_by_what_is_no_time(seconds: float):
    async def run():
        await VirtualClock(0.0).advance(seconds)

    with pytest.raises(StateError):
        asyncio.run(run())


def test_nothing_is_due_for_ever_when_nothing_was_asked_for():
    async def run():
        return VirtualClock(0.0).due

    assert asyncio.run(run()) == float("inf")


def test_a_bell_wakes_who_has_waited_even_if_it_rang_before_they_were_run():
    async def run():
        bell = Bell()
        waiting = bell.wait()
        bell.ring()
        await asyncio.wait_for(waiting, 1)
        late = asyncio.ensure_future(bell.wait())
        await asyncio.sleep(0)
        assert not late.done()
        bell.ring()
        await asyncio.wait_for(late, 1)

    asyncio.run(run())


def test_bells_ring_whenever_time_passes():
    async def run():
        clock, bell = VirtualClock(0.0), Bell()
        clock.bells.append(bell)
        waiting = bell.wait()
        await clock.advance(1)
        await asyncio.wait_for(waiting, 1)

    asyncio.run(run())
