"""rawbot/stores/blob.py: one file's calls in their order, in memory and on the disk alike."""

import asyncio
import hashlib
import os
import stat
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rawbot.stores.blob import HASH_IN_THREAD_ABOVE, SpillingBlob
from rawbot.stores.spilling import SpillingStore

DATA = b"What is in this file"
SHA256 = hashlib.sha256(DATA).hexdigest()

Scenario = Callable[[SpillingBlob, Path], Awaitable[None]]

in_both_places = pytest.mark.parametrize("spill_above", [0, 1000], ids=["on disk", "in memory"])


def with_blob(scenario: Scenario, tmp_path: Path, spill_above: int) -> None:
    """Run the scenario with a blob of DATA and a shared folder."""
    folder, directory = tmp_path / "folder", tmp_path / "store"
    folder.mkdir()
    directory.mkdir()

    async def main() -> None:
        async with SpillingStore(spill_above=spill_above, directory=str(directory)) as store:
            await scenario(await store.keep(DATA), folder)

    asyncio.run(main())
    assert list(directory.iterdir()) == []


class Hold:
    """Keeps the thread that a blob works in until it is released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        self.began, self.go = threading.Event(), threading.Event()
        work = getattr(SpillingBlob, method)

        def wait(*arguments: object) -> object:
            self.began.set()
            assert self.go.wait(10)
            return work(*arguments)

        monkeypatch.setattr(SpillingBlob, method, wait)

    async def begun(self) -> None:
        assert await asyncio.to_thread(self.began.wait, 10)


@in_both_places
def test_parts_are_read_and_written(spill_above: int, tmp_path: Path):
    async def scenario(blob: SpillingBlob, _: Path) -> None:
        assert (blob.size, await blob.read(0, 100), await blob.read(5, 2)) == (20, DATA, b"is")
        assert [await blob.read(20, 5), await blob.read(18, 5), await blob.read(3, 0)] == [b"", b"le", b""]
        assert await blob.digest() == SHA256
        await blob.write(0, b"That")
        await blob.write(20, b"")
        assert await blob.read(0, 100) == b"That" + DATA[4:]
        assert await blob.digest() == hashlib.sha256(b"That" + DATA[4:]).hexdigest()

    with_blob(scenario, tmp_path, spill_above)


@in_both_places
def test_calls_are_carried_out_in_the_order_of_their_coming(spill_above: int, tmp_path: Path):
    async def scenario(blob: SpillingBlob, _: Path) -> None:
        found = await asyncio.gather(
            blob.read(0, 4), blob.write(0, b"This"), blob.read(0, 4), blob.write(0, b"That"), blob.read(0, 4)
        )
        assert found[::2] == [b"What", b"This", b"That"]

    with_blob(scenario, tmp_path, spill_above)


def test_a_cancelled_call_that_has_begun_keeps_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def scenario(blob: SpillingBlob, _: Path) -> None:
        hold = Hold(monkeypatch, "_write")
        writing = asyncio.create_task(blob.write(0, b"This"))
        await hold.begun()
        reading = asyncio.create_task(blob.read(0, 4))
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await asyncio.sleep(0.01)
        assert not reading.done()  # it must not see half of what is written
        hold.go.set()
        assert await reading == b"This"

    with_blob(scenario, tmp_path, 0)


def test_a_cancelled_call_that_has_not_begun_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def scenario(blob: SpillingBlob, _: Path) -> None:
        hold = Hold(monkeypatch, "_read")
        reading = asyncio.create_task(blob.read(0, 4))
        await hold.begun()
        writing = asyncio.create_task(blob.write(0, b"This"))
        await asyncio.sleep(0)
        writing.cancel()
        hold.go.set()
        assert await reading == b"What"
        assert await blob.read(0, 4) == b"What"

    with_blob(scenario, tmp_path, 0)


@in_both_places
def test_what_was_discarded_is_gone(spill_above: int, tmp_path: Path):
    async def scenario(blob: SpillingBlob, folder: Path) -> None:
        blob.discard()
        blob.discard()
        for call in (blob.read(0, 4), blob.write(0, b"x"), blob.digest(), blob.export(str(folder), "a")):
            with pytest.raises(FileNotFoundError):
                await call
        assert os.listdir(folder) == []  # noqa: PTH208 - nobody else is in this loop

    with_blob(scenario, tmp_path, spill_above)


@in_both_places
def test_what_is_discarded_while_it_is_copied_leaves_no_copy(
    spill_above: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def scenario(blob: SpillingBlob, folder: Path) -> None:
        hold = Hold(monkeypatch, "_export")
        exporting = asyncio.create_task(blob.export(str(folder), "a"))
        await hold.begun()
        reading = asyncio.create_task(blob.read(0, 4))
        await asyncio.sleep(0)
        blob.discard()
        hold.go.set()
        with pytest.raises(FileNotFoundError):
            await reading
        await asyncio.gather(exporting, return_exceptions=True)

    with_blob(scenario, tmp_path, spill_above)
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_file_is_removed_when_its_reader_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def scenario(blob: SpillingBlob, _: Path) -> None:
        hold = Hold(monkeypatch, "_read")
        reading = asyncio.create_task(blob.read(0, 4))
        await hold.begun()
        blob.discard()
        hold.go.set()
        assert await reading == b"What"

    with_blob(scenario, tmp_path, 0)


@in_both_places
def test_a_copy_is_made_once_and_goes_with_the_file(spill_above: int, tmp_path: Path):
    async def scenario(blob: SpillingBlob, folder: Path) -> None:
        path = await blob.export(str(folder), "a.txt")
        status = os.stat(path)  # noqa: PTH116 - nobody else is in this loop
        assert (path, status.st_size) == (str(folder / "a.txt"), len(DATA))
        assert stat.S_IMODE(status.st_mode) & ~0o640 == 0
        assert await blob.export(str(folder), "a.txt") == path
        assert os.stat(path).st_ino == status.st_ino  # noqa: PTH116 - as above
        os.unlink(path)  # noqa: PTH108 - as above
        assert await blob.export(str(folder), "a.txt") == path
        assert await asyncio.to_thread(Path(path).read_bytes) == DATA

    with_blob(scenario, tmp_path, spill_above)
    assert list((tmp_path / "folder").iterdir()) == []


@in_both_places
def test_a_copy_never_takes_the_place_of_another_file(spill_above: int, tmp_path: Path):
    async def scenario(blob: SpillingBlob, folder: Path) -> None:
        (folder / "a").write_bytes(b"theirs")
        (folder / "b").symlink_to(folder / "c")
        for name in ("a", "b"):
            with pytest.raises(FileExistsError):
                await blob.export(str(folder), name)

    with_blob(scenario, tmp_path, spill_above)
    assert (tmp_path / "folder" / "a").read_bytes() == b"theirs"
    assert not (tmp_path / "folder" / "c").exists()


def test_a_copy_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def scenario(blob: SpillingBlob, folder: Path) -> None:
        monkeypatch.setattr("rawbot.stores.blob.copy_bytes", fail)
        with pytest.raises(OSError, match="No space"):
            await blob.export(str(folder), "a")

    with_blob(scenario, tmp_path, 0)
    assert list((tmp_path / "folder").iterdir()) == []


@in_both_places
def test_without_a_loop_files_are_removed_at_once(spill_above: int, tmp_path: Path):
    store = SpillingStore(spill_above=spill_above, directory=str(tmp_path))

    async def make() -> SpillingBlob:
        blob = await store.keep(DATA)
        await blob.export(str(tmp_path), "a")
        return blob

    asyncio.run(make()).discard()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    asyncio.run(store.close())


def test_what_takes_long_to_hash_is_hashed_in_a_thread(monkeypatch: pytest.MonkeyPatch):
    threads: list[threading.Thread] = []
    digest = SpillingBlob._digest

    def record(blob: SpillingBlob) -> str:
        threads.append(threading.current_thread())
        return digest(blob)

    monkeypatch.setattr(SpillingBlob, "_digest", record)

    async def main() -> None:
        async with SpillingStore() as store:
            for size in (HASH_IN_THREAD_ABOVE, HASH_IN_THREAD_ABOVE + 1):
                assert await (await store.create(size)).digest() == hashlib.sha256(bytes(size)).hexdigest()
            blob = await store.create(HASH_IN_THREAD_ABOVE + 1)
            hashing = asyncio.create_task(blob.digest())
            await asyncio.sleep(0)
            blob.discard()
            await asyncio.gather(hashing, return_exceptions=True)

    asyncio.run(main())
    assert [thread is threading.main_thread() for thread in threads[:2]] == [True, False]
