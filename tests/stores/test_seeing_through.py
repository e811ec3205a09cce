"""rawbot/stores/seeing_through.py: what has begun comes to its end, whoever stops waiting."""

import asyncio

import pytest

from rawbot.stores.seeing_through import SeeingThrough


def test_what_it_runs_comes_back():
    async def work() -> int:
        return 5

    async def main() -> None:
        seeing_through = SeeingThrough()
        assert await seeing_through.run(work()) == 5
        assert not await seeing_through.wait()

    asyncio.run(main())


def test_what_fails_fails_for_who_waits():
    async def work() -> int:
        raise ZeroDivisionError

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await SeeingThrough().run(work())

    asyncio.run(main())


@pytest.mark.parametrize("fails", [True, False])
def test_a_cancelled_caller_leaves_the_work_to_its_end_and_the_result_to_be_undone(fails: bool):  # noqa: FBT001
    told: list[object] = []
    undone: list[int] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        seeing_through, go, done = SeeingThrough(), asyncio.Event(), []

        async def work() -> int:
            await go.wait()
            done.append(True)
            return 1 // (not fails)

        task = asyncio.create_task(seeing_through.run(work(), undo=undone.append))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == []
        go.set()
        assert await seeing_through.wait()
        await asyncio.sleep(0)
        assert (done, undone) == ([True], [] if fails else [1])

    asyncio.run(main())
    assert told == []


def test_what_nobody_waits_for_fails_in_silence():
    told: list[object] = []

    async def work() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        seeing_through = SeeingThrough()
        seeing_through.begin(work())
        assert await seeing_through.wait()

    asyncio.run(main())
    assert told == []
