"""Tasks that are brought to their end, whoever stops waiting for them.

Layer 3. A thread cannot be stopped: what a cancelled task has begun in one goes on. So the cleaning up must wait for
it, and what it still makes must not be lost.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class SeeingThrough:
    """The tasks under way of one store."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T], *, undo: Callable[[T], None] | None = None) -> T:
        """Await what a cancelled caller must not interrupt; `undo` gets the result that no caller waits for."""
        task = self._start(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(partial(_abandon, undo))
            raise

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Start what nobody waits for."""
        self._start(work).add_done_callback(partial(_abandon, None))

    async def wait(self) -> bool:
        """Wait until what is under way now has ended; tell whether there was anything."""
        if not self._tasks:
            return False
        await asyncio.wait(self._tasks)
        return True

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _abandon(undo: Callable[[T], None] | None, task: asyncio.Task[T]) -> None:
    """Take the result of a task that nobody waits for, lest asyncio complains of its exception."""
    if not task.cancelled() and task.exception() is None and undo is not None:
        undo(task.result())
