"""rawbot/onebot/uploads.py: a fragmented upload in any order, with repeats, wrong hashes, and time passing.

Source: OneBot 12, interface/file/actions, `upload_file_fragmented`.
"""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from memory_files import MemoryBlob, MemoryStore, run

from rawbot.onebot.file_table import FileTable
from rawbot.onebot.retcodes import (
    BAD_PARAM,
    FILE_MISMATCH,
    FILE_NOT_FOUND,
    FILE_TOO_LARGE,
    FILESYSTEM_ERROR,
    TIRED,
    ActionError,
)
from rawbot.onebot.uploads import UploadLimits, Uploads
from rawbot.stores.spilling import SpillingStore

T0 = 1_700_000_000.0
TIMEOUT = 300.0
TTL = 3600.0
MAX_SIZE = 20
MAX_UPLOADS = 3
MAX_TOTAL = 60
WHAT = hashlib.sha256(b"What").hexdigest()
WRONG = hashlib.sha256(b"else").hexdigest()


def count_up() -> Callable[[int], bytes]:
    """Return an entropy that never says the same."""
    numbers: Iterator[int] = iter(range(1_000_000))
    return lambda size: next(numbers).to_bytes(size, "big")


class Desk:
    """Uploads on a store, with a clock that the test moves."""

    def __init__(self, store: Any = None, *, max_total: int = MAX_TOTAL) -> None:  # noqa: ANN401 - a store of any kind
        self.now = T0
        self.store = store or MemoryStore()
        self.table = FileTable(entropy=count_up(), max_files=1000, max_total=max_total, ttl=TTL)
        limits = UploadLimits(MAX_SIZE, MAX_UPLOADS, TTL, TIMEOUT)
        self.uploads = Uploads(self.store, self.table, limits, clock=lambda: self.now)

    def tick(self) -> None:
        self.uploads.tick(self.now)
        self.table.tick(self.now)

    def figure(self, name: str) -> float:
        figures = [*self.table.figures(), *self.uploads.figures()]
        return next(figure.value for figure in figures if figure.name == name)

    def held(self, file_id: str) -> bytes:
        file = self.table.file(file_id, self.now)
        assert file is not None
        return run(file.blob.read(0, file.blob.size))  # type: ignore[arg-type]

    def started(self, size: int = 4) -> str:
        return run(self.uploads.prepare("a", size))


def refused(retcode: int, work: Any) -> str:  # noqa: ANN401 - a coroutine of anything
    with pytest.raises(ActionError) as caught:
        run(work)
    assert caught.value.retcode == retcode
    return caught.value.message


class Model:
    """What the test knows of an upload: the bytes that it announced and which of them it sent."""

    def __init__(self, content: bytes, now: float) -> None:
        self.content = content
        self.sent = [False] * len(content)
        self.started_at = self.touched_at = now
        self.file_id = ""
        self.over = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def held(self, now: float) -> bool:
        """Tell whether it takes one of the places."""
        return not self.file_id and not self.over and now < self.touched_at + TIMEOUT

    def open(self, now: float) -> bool:
        """Tell whether it can go on. One that is asked for after its longest time is dropped by that."""
        if self.held(now) and now >= self.started_at + TTL:
            self.over = True
        return self.held(now)


NOBODY = Model(b"", T0 - TTL)


class Uploading(RuleBasedStateMachine):
    """Several uploads at once, whose parts come in any order, more than once, overlapping, too late or wrong."""

    ids = Bundle("ids")

    @initialize()
    def begin(self) -> None:
        self.desk = Desk(max_total=10_000)
        self.models: dict[str, Model] = {}
        self.finished: list[tuple[float, Model]] = []

    def remembered(self, model: Model) -> bool:
        """Tell whether the same answer is given once more."""
        recent = self.finished[-MAX_UPLOADS:]
        return any(known is model and self.desk.now < at + TIMEOUT for at, known in recent)

    @rule(target=ids, content=st.binary(max_size=MAX_SIZE))
    def prepare(self, content: bytes) -> str:
        work = self.desk.uploads.prepare("a", len(content))
        if sum(model.held(self.desk.now) for model in self.models.values()) == MAX_UPLOADS:
            refused(TIRED, work)
            return "none"
        upload_id = run(work)
        assert upload_id not in self.models
        self.models[upload_id] = Model(content, self.desk.now)
        return upload_id

    @rule(upload_id=ids, offset=st.integers(-1, MAX_SIZE + 1), size=st.integers(0, 8), right=st.booleans())
    def transfer(self, upload_id: str, offset: int, size: int, right: bool) -> None:  # noqa: FBT001 - drawn
        model = self.models.get(upload_id, NOBODY)
        data = model.content[max(offset, 0) :][:size]
        if not right:
            data = bytes(byte ^ 1 for byte in data).ljust(size, b"?")
        end = offset + len(data)
        sent = model.sent[max(offset, 0) : end]
        work = self.desk.uploads.transfer(upload_id, offset, data)
        if not model.open(self.desk.now):
            refused(FILE_NOT_FOUND, work)
        elif offset < 0 or end > len(model.content):
            refused(BAD_PARAM, work)
        elif any(sent) and (not all(sent) or data != model.content[offset:end]):
            refused(FILE_MISMATCH, work)
        else:
            assert run(work) is None
            self.take(model, offset, data)

    def take(self, model: Model, offset: int, data: bytes) -> None:
        end = offset + len(data)
        if data and not model.sent[offset]:
            model.touched_at = self.desk.now
        model.content = model.content[:offset] + data + model.content[end:]  # what came first is the file
        model.sent[offset:end] = [True] * len(data)

    @rule(upload_id=ids)
    def transfer_the_rest_backwards(self, upload_id: str) -> None:
        model = self.models.get(upload_id, NOBODY)
        if not model.open(self.desk.now):
            return
        for offset in [at for at, sent in enumerate(model.sent) if not sent][::-1]:
            byte = model.content[offset : offset + 1]
            run(self.desk.uploads.transfer(upload_id, offset, byte))
            self.take(model, offset, byte)

    @rule(upload_id=ids, right=st.booleans())
    def finish(self, upload_id: str, right: bool) -> None:  # noqa: FBT001 - drawn
        model = self.models.get(upload_id, NOBODY)
        work = self.desk.uploads.finish(upload_id, model.sha256 if right else WRONG)
        if self.remembered(model) and right:
            assert run(work) == model.file_id
        elif self.remembered(model):
            refused(FILE_MISMATCH, work)
        elif not model.open(self.desk.now):
            refused(FILE_NOT_FOUND, work)
        elif not all(model.sent):
            assert "missing" in refused(FILE_MISMATCH, work)
        elif not right:
            assert "another sha256" in refused(FILE_MISMATCH, work)
            model.touched_at = self.desk.now
        else:
            model.file_id = run(work)
            assert model.file_id not in self.models
            self.finished.append((self.desk.now, model))

    @rule(seconds=st.sampled_from([1.0, 100.0, TIMEOUT - 1, TIMEOUT]))
    def time_passes(self, seconds: float) -> None:
        self.desk.now += seconds

    @rule()
    def tick(self) -> None:
        self.desk.tick()
        held = [model for model in self.models.values() if model.held(self.desk.now)]
        assert self.desk.figure("onebot_uploads_open") == len(held)
        assert self.desk.figure("onebot_file_bytes_reserved") == sum(len(model.content) for model in held)

    @invariant()
    def files_are_what_was_sent(self) -> None:
        for at, model in self.finished:
            if self.desk.now < at + TTL:
                assert self.desk.held(model.file_id) == model.content

    @invariant()
    def what_is_counted_is_what_is_held(self) -> None:
        counted = self.desk.figure("onebot_file_bytes") + self.desk.figure("onebot_file_bytes_reserved")
        assert sum(blob.size for blob in self.desk.store.held) == counted


Uploading.TestCase.settings = settings(deadline=None, max_examples=200, stateful_step_count=40)
test_uploads_go_as_the_model_does = Uploading.TestCase


def test_parts_come_in_any_order_and_more_than_once():
    desk = Desk()
    upload_id = desk.started()
    for offset, data in ((2, b"at"), (0, b"W"), (2, b"at"), (1, b"h"), (0, b"What"), (1, b"ha"), (4, b"")):
        run(desk.uploads.transfer(upload_id, offset, data))
    assert desk.held(run(desk.uploads.finish(upload_id, WHAT))) == b"What"


def test_a_part_that_came_with_other_bytes_before_is_refused_and_changes_nothing():
    desk = Desk()
    upload_id = desk.started()
    run(desk.uploads.transfer(upload_id, 0, b"What"))
    refused(FILE_MISMATCH, desk.uploads.transfer(upload_id, 0, b"Else"))
    assert desk.held(run(desk.uploads.finish(upload_id, WHAT))) == b"What"


def test_after_a_wrong_hash_the_right_one_may_be_told():
    desk = Desk()
    upload_id = desk.started()
    run(desk.uploads.transfer(upload_id, 0, b"What"))
    refused(FILE_MISMATCH, desk.uploads.finish(upload_id, WRONG))
    assert desk.held(run(desk.uploads.finish(upload_id, WHAT))) == b"What"
    assert desk.figure("onebot_uploads_finished") == 1


def test_after_a_gap_was_told_it_may_be_filled():
    desk = Desk()
    upload_id = desk.started()
    run(desk.uploads.transfer(upload_id, 0, b"Wh"))
    told = refused(FILE_MISMATCH, desk.uploads.finish(upload_id, WHAT))
    assert told == "2 of 4 bytes are missing, the first at offset 2"
    run(desk.uploads.transfer(upload_id, 2, b"at"))
    run(desk.uploads.finish(upload_id, WHAT))


def test_an_empty_file_is_finished_without_a_part():
    desk = Desk()
    assert desk.held(run(desk.uploads.finish(desk.started(0), hashlib.sha256().hexdigest()))) == b""


@pytest.mark.parametrize(
    ("size", "retcode"), [(-1, BAD_PARAM), (MAX_SIZE + 1, FILE_TOO_LARGE), (2**63, FILE_TOO_LARGE)]
)
def test_a_size_that_cannot_be_is_refused_at_the_start(size: int, retcode: int):
    desk = Desk()
    refused(retcode, desk.uploads.prepare("a", size))
    assert not desk.store.blobs


def test_what_is_announced_is_set_aside():
    desk = Desk(max_total=50)
    desk.started(20)
    desk.started(20)
    assert desk.figure("onebot_file_bytes_reserved") == 40
    refused(TIRED, desk.uploads.prepare("a", 11))
    desk.now += TIMEOUT
    desk.tick()
    assert (desk.figure("onebot_file_bytes_reserved"), desk.figure("onebot_uploads_expired")) == (0, 2)
    desk.started(20)


def test_an_upload_lives_from_part_to_part_but_not_for_ever():
    desk = Desk()
    upload_id = desk.started(20)
    for offset in range(15):
        run(desk.uploads.transfer(upload_id, offset, b"x"))
        desk.now += TTL / 15
        desk.tick()
    refused(FILE_NOT_FOUND, desk.uploads.transfer(upload_id, 15, b"x"))
    assert (desk.figure("onebot_uploads_open"), desk.store.held) == (0, [])


def test_a_repeated_part_does_not_keep_an_upload_alive():
    desk = Desk()
    upload_id = desk.started()
    run(desk.uploads.transfer(upload_id, 0, b"W"))
    desk.now += TIMEOUT - 1
    run(desk.uploads.transfer(upload_id, 0, b"W"))
    desk.now += 1
    refused(FILE_NOT_FOUND, desk.uploads.transfer(upload_id, 1, b"hat"))


# While the store takes its time


class SlowBlob(MemoryBlob):
    """Does nothing before the test lets it; then in the order in which it was asked."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.turn = asyncio.Lock()

    async def write(self, offset: int, data: bytes) -> None:
        async with self.turn:
            await super().write(offset, data)

    async def read(self, offset: int, size: int) -> bytes:
        async with self.turn:
            return await super().read(offset, size)

    async def digest(self) -> str:
        async with self.turn:
            return await super().digest()


class SlowStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.turn = asyncio.Lock()

    async def create(self, size: int) -> MemoryBlob:
        async with self.turn:
            self.blobs.append(SlowBlob(bytes(size)))
        return self.blobs[-1]


async def start(*works: Awaitable[object]) -> list[asyncio.Future[object]]:
    tasks = [asyncio.ensure_future(work) for work in works]
    await asyncio.sleep(0)
    return tasks


def with_slow_store(scenario: Callable[[Desk, str, Any], Awaitable[None]]) -> None:
    """Run the scenario with an upload of four bytes, whose blob does nothing while its `turn` is held."""

    async def main() -> None:
        desk = Desk(SlowStore())
        upload_id = await desk.uploads.prepare("a", 4)
        await scenario(desk, upload_id, desk.store.blobs[0])

    asyncio.run(main())


def test_a_part_that_is_repeated_while_it_is_written_waits_for_that():
    async def scenario(desk: Desk, upload_id: str, blob: SlowBlob) -> None:
        async with blob.turn:
            tasks = await start(
                desk.uploads.transfer(upload_id, 0, b"What"),
                desk.uploads.transfer(upload_id, 0, b"What"),
                desk.uploads.transfer(upload_id, 0, b"Else"),
                desk.uploads.finish(upload_id, WHAT),
                desk.uploads.finish(upload_id, WHAT),
            )
        first, second, third, file_id, again = await asyncio.gather(*tasks, return_exceptions=True)
        assert first is second is None
        assert isinstance(third, ActionError)
        assert isinstance(file_id, str)
        assert again == file_id
        assert desk.figure("onebot_files_held") == desk.figure("onebot_uploads_finished") == 1

    with_slow_store(scenario)


def test_two_that_finish_at_once_with_different_hashes_are_told_apart():
    async def scenario(desk: Desk, upload_id: str, blob: SlowBlob) -> None:
        await desk.uploads.transfer(upload_id, 0, b"What")
        for hashes in ((WRONG, WHAT), (WHAT, WRONG)):
            async with blob.turn:
                tasks = await start(*(desk.uploads.finish(upload_id, sha256) for sha256 in hashes))
            results = dict(zip(hashes, await asyncio.gather(*tasks, return_exceptions=True), strict=True))
            assert isinstance(results[WRONG], ActionError)
            assert isinstance(results[WHAT], str)

    with_slow_store(scenario)


def test_a_part_that_was_not_written_may_come_again():
    async def scenario(desk: Desk, upload_id: str, blob: SlowBlob) -> None:
        blob.fails = OSError(28, "No space left on device", "/tmp/secret")
        with pytest.raises(ActionError, match="ENOSPC") as caught:
            await desk.uploads.transfer(upload_id, 0, b"What")
        assert caught.value.retcode == FILESYSTEM_ERROR
        blob.fails = None
        async with blob.turn:
            (task,) = await start(desk.uploads.transfer(upload_id, 0, b"What"))
            task.cancel()
            await asyncio.sleep(0)
        assert task.cancelled()
        with pytest.raises(ActionError, match="4 of 4 bytes are missing"):
            await desk.uploads.finish(upload_id, WHAT)
        await desk.uploads.transfer(upload_id, 0, b"What")
        await desk.uploads.finish(upload_id, WHAT)

    with_slow_store(scenario)


def test_an_upload_that_expires_while_it_is_hashed_is_gone():
    async def scenario(desk: Desk, upload_id: str, blob: SlowBlob) -> None:
        await desk.uploads.transfer(upload_id, 0, b"What")
        async with blob.turn:
            (task,) = await start(desk.uploads.finish(upload_id, WHAT))
            desk.now += TIMEOUT
            desk.tick()
        with pytest.raises(ActionError) as caught:
            await task
        assert caught.value.retcode == FILE_NOT_FOUND
        assert desk.figure("onebot_file_bytes_reserved") == desk.figure("onebot_files_held") == 0

    with_slow_store(scenario)


@pytest.mark.parametrize("ticks", [True, False])
def test_a_hash_that_was_right_too_late_makes_no_file(ticks: bool, monkeypatch: pytest.MonkeyPatch):  # noqa: FBT001 - a parameter of the table
    async def digest(blob: SlowBlob) -> str:  # its thread had the file open before it was discarded
        async with blob.turn:
            return WHAT

    async def scenario(desk: Desk, upload_id: str, blob: SlowBlob) -> None:
        await desk.uploads.transfer(upload_id, 0, b"What")
        async with blob.turn:
            (task,) = await start(desk.uploads.finish(upload_id, WHAT))
            desk.now += TIMEOUT
            if ticks:
                desk.tick()
        with pytest.raises(ActionError) as caught:
            await task
        assert caught.value.retcode == FILE_NOT_FOUND
        desk.tick()
        assert desk.figure("onebot_file_bytes_reserved") == desk.figure("onebot_files_held") == 0
        assert desk.store.held == []

    monkeypatch.setattr(SlowBlob, "digest", digest)
    with_slow_store(scenario)


def test_uploads_that_are_just_being_prepared_are_counted():
    async def main() -> None:
        desk = Desk(SlowStore())
        async with desk.store.turn:
            tasks = await start(*(desk.uploads.prepare("a", 1) for _ in range(MAX_UPLOADS + 1)))
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [str] * MAX_UPLOADS + [ActionError]
        async with desk.store.turn:
            desk.now += TIMEOUT
            (task,) = await start(desk.uploads.prepare("a", 5))
            task.cancel()
        await asyncio.sleep(0)
        desk.tick()
        assert desk.figure("onebot_file_bytes_reserved") == 0

    asyncio.run(main())


@pytest.mark.parametrize("spill_above", [0, 1024])
def test_parts_that_come_at_once_make_the_file_on_a_real_store_too(spill_above: int, tmp_path: Path):
    content = bytes(range(MAX_SIZE))
    digest = hashlib.sha256(content).hexdigest()

    async def main() -> None:
        async with SpillingStore(spill_above=spill_above, directory=str(tmp_path)) as store:
            desk = Desk(store)
            upload_id = await desk.uploads.prepare("a", MAX_SIZE)
            parts = [*range(0, MAX_SIZE, 3)] * 2
            await asyncio.gather(*(desk.uploads.transfer(upload_id, at, content[at : at + 3]) for at in parts[::-1]))
            file = desk.table.file(await desk.uploads.finish(upload_id, digest), desk.now)
            assert file is not None
            assert await file.blob.read(0, MAX_SIZE) == content
            assert bool(os.listdir(tmp_path)) is (spill_above == 0)  # noqa: PTH208 - in a loop of no one else

    asyncio.run(main())
    assert not list(tmp_path.iterdir())
