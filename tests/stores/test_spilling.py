"""rawbot/stores/spilling.py: small files in memory, large ones in a directory that comes late and goes in the end."""

import asyncio
import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.errors import LimitError
from rawbot.onebot.file_store import FileStore
from rawbot.stores.blob import SpillingBlob
from rawbot.stores.spilling import SpillingStore

SMALL, LARGE = b"small", b"larger than eight bytes"
SPILL_ABOVE = 8

Scenario = Callable[[SpillingStore], Awaitable[None]]


def with_store(directory: Path, scenario: Scenario, **limits: int) -> None:
    """Run the scenario with a store that has its directory in this one, and see that nothing is left there."""

    async def main() -> None:
        async with SpillingStore(**{"spill_above": SPILL_ABOVE, **limits}, directory=str(directory)) as store:
            await scenario(store)

    asyncio.run(main())
    assert list(directory.iterdir()) == []


def on_disk(directory: Path) -> list[bytes]:
    """Return the contents of the files in the store's directory."""
    return sorted(path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def content(blob: SpillingBlob) -> bytes:
    return await blob.read(0, blob.size)


def test_it_is_what_the_file_service_asks_for():
    store: FileStore = SpillingStore()
    assert isinstance(store, SpillingStore)


def test_small_files_never_touch_the_disk(tmp_path: Path):
    async def scenario(store: SpillingStore) -> None:
        for blob in (await store.keep(SMALL), await store.create(SPILL_ABOVE), await store.create(0)):
            assert await content(blob) == (SMALL if blob.size == len(SMALL) else bytes(blob.size))
        assert store.memory == len(SMALL) + SPILL_ABOVE
        assert os.listdir(tmp_path) == []  # noqa: PTH208 - nobody else is in this loop

    with_store(tmp_path, scenario)


def test_large_files_are_on_the_disk_only(tmp_path: Path):
    async def scenario(store: SpillingStore) -> None:
        blobs = [await store.keep(LARGE), await store.create(SPILL_ABOVE + 1)]
        assert [await content(blob) for blob in blobs] == [LARGE, bytes(9)]
        assert store.memory == 0
        assert on_disk(tmp_path) == sorted((LARGE, bytes(9)))

    with_store(tmp_path, scenario)


def test_small_files_spill_when_there_are_many(tmp_path: Path):
    async def scenario(store: SpillingStore) -> None:
        blobs = [await store.keep(SMALL) for _ in range(4)]
        assert (store.memory, on_disk(tmp_path)) == (10, [SMALL, SMALL])
        blobs[0].discard()
        blobs.append(await store.keep(SMALL))
        assert (store.memory, on_disk(tmp_path)) == (10, [SMALL, SMALL])
        assert [await content(blob) for blob in blobs[1:]] == [SMALL] * 4

    with_store(tmp_path, scenario, max_memory=12)


def test_the_directory_is_for_the_owner_alone(tmp_path: Path):
    async def scenario(store: SpillingStore) -> None:
        await store.keep(LARGE)
        (name,) = os.listdir(tmp_path)  # noqa: PTH208 - nobody else is in this loop
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700

    with_store(tmp_path, scenario)


def test_the_systems_place_for_temporary_files_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def main() -> None:
        async with SpillingStore(spill_above=0) as store:
            await store.keep(LARGE)
            assert on_disk(tmp_path) == [LARGE]

    asyncio.run(main())


def test_a_directory_that_was_cleared_away_is_made_anew(tmp_path: Path):
    async def scenario(store: SpillingStore) -> None:
        blob = await store.keep(LARGE)
        (name,) = os.listdir(tmp_path)  # noqa: PTH208 - nobody else is in this loop
        shutil.rmtree(tmp_path / name)
        with pytest.raises(FileNotFoundError):
            await content(blob)
        assert await content(await store.keep(LARGE)) == LARGE

    with_store(tmp_path, scenario)


def test_after_its_end_a_store_is_empty_and_can_begin_anew(tmp_path: Path):
    async def scenario(store: SpillingStore) -> None:
        blobs = [await store.keep(LARGE), await store.keep(SMALL)]
        await store.close()
        assert (store.memory, os.listdir(tmp_path)) == (0, [])  # noqa: PTH208 - nobody else is in this loop
        for blob in blobs:
            with pytest.raises(FileNotFoundError):
                await content(blob)
        assert await content(await store.keep(LARGE)) == LARGE
        await store.close()
        await store.close()

    with_store(tmp_path, scenario)


@pytest.mark.parametrize("data", [SMALL, LARGE, b""])
def test_a_copy_leaves_the_file_where_it_is(data: bytes, tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(data)
    directory = tmp_path / "store"
    directory.mkdir()

    async def scenario(store: SpillingStore) -> None:
        blob = await store.copy(str(source), len(data))
        assert (await content(blob), blob.size) == (data, len(data))
        assert on_disk(directory) == ([data] if len(data) > SPILL_ABOVE else [])

    with_store(directory, scenario)
    assert source.read_bytes() == data


def test_a_copy_from_a_folder_is_one_of_the_folder(tmp_path: Path):
    folder, directory = tmp_path / "folder", tmp_path / "store"
    folder.mkdir()
    directory.mkdir()
    (folder / "a").write_bytes(SMALL)
    (tmp_path / "b").write_bytes(SMALL)

    async def scenario(store: SpillingStore) -> None:
        assert await content(await store.copy("a", 100, str(folder))) == SMALL
        with pytest.raises(FileNotFoundError):
            await store.copy("../b", 100, str(folder))

    with_store(directory, scenario)


def test_a_file_that_is_moved_in_is_gone_from_where_it_was(tmp_path: Path):
    source, directory = tmp_path / "source", tmp_path / "store"
    directory.mkdir()
    source.write_bytes(LARGE)
    source.chmod(0o644)

    async def scenario(store: SpillingStore) -> None:
        blob = await store.move(str(source), len(LARGE))
        assert (await content(blob), blob.size) == (LARGE, len(LARGE))
        (file,) = (path for path in directory.rglob("*") if path.is_file())
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    with_store(directory, scenario)
    assert not source.exists()


def test_what_is_too_large_leaves_nothing_behind(tmp_path: Path):
    source, directory = tmp_path / "source", tmp_path / "store"
    directory.mkdir()
    source.write_bytes(LARGE)

    async def scenario(store: SpillingStore) -> None:
        for bring in (store.copy, store.move):
            with pytest.raises(LimitError):
                await bring(str(source), len(LARGE) - 1)
            assert on_disk(directory) == []

    with_store(directory, scenario)
    assert not source.exists()


def test_what_is_no_file_cannot_be_brought_in(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    directory = tmp_path / "store"
    directory.mkdir()

    async def scenario(store: SpillingStore) -> None:
        for path in (tmp_path, tmp_path / "fifo", tmp_path / "none"):
            with pytest.raises(FileNotFoundError):
                await store.copy(str(path), 100)
        with pytest.raises(FileNotFoundError):
            await store.move(str(tmp_path / "none"), 100)

    with_store(directory, scenario)


def test_a_disk_that_is_full_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source, directory = tmp_path / "source", tmp_path / "store"
    directory.mkdir()
    source.write_bytes(LARGE)

    async def scenario(store: SpillingStore) -> None:
        with pytest.raises(OSError, match="No space"):
            await store.copy(str(source), 100)
        assert on_disk(directory) == []

    monkeypatch.setattr("rawbot.stores.spilling.copy_bytes", fail)
    with_store(directory, scenario)


def test_a_place_that_is_not_there_is_an_error_of_the_disk(tmp_path: Path):
    async def main() -> None:
        async with SpillingStore(spill_above=0, directory=str(tmp_path / "none")) as store:
            with pytest.raises(OSError, match="No such file"):
                await store.keep(LARGE)

    asyncio.run(main())


def test_what_nobody_waits_for_any_more_is_not_kept(tmp_path: Path):
    async def scenario(store: SpillingStore) -> None:
        task = asyncio.create_task(store.keep(LARGE))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await store._seeing_through.wait()
        await asyncio.sleep(0)
        await store._seeing_through.wait()
        assert (on_disk(tmp_path), store._blobs) == ([], set())

    with_store(tmp_path, scenario)


def test_what_fails_while_nobody_waits_is_nobodys_business(tmp_path: Path):
    async def scenario(store: SpillingStore) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        task = asyncio.create_task(store.copy(str(tmp_path / "none"), 100))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    told: list[object] = []
    with_store(tmp_path, scenario)
    assert told == []


def test_what_is_being_made_at_the_end_is_removed_too(tmp_path: Path):
    async def scenario(store: SpillingStore) -> None:
        making = [asyncio.create_task(store.keep(LARGE)) for _ in range(5)]
        await asyncio.sleep(0)
        await store.close()
        for blob in await asyncio.gather(*making):
            with pytest.raises(FileNotFoundError):
                await content(blob)

    with_store(tmp_path, scenario)


@settings(deadline=None, max_examples=50)
@given(data=st.binary(min_size=1, max_size=30), parts=st.data(), spill_above=st.sampled_from([0, 100]))
def test_a_file_is_what_was_written_into_it(data: bytes, parts: st.DataObject, spill_above: int):
    cuts = [*sorted(parts.draw(st.sets(st.integers(1, len(data))))), len(data)]
    order = parts.draw(st.permutations(list(pairwise([0, *cuts]))))

    async def main() -> None:
        async with SpillingStore(spill_above=spill_above) as store:
            blob = await store.create(len(data))
            await asyncio.gather(*(blob.write(start, data[start:end]) for start, end in order))
            assert await content(blob) == data
            assert await blob.digest() == hashlib.sha256(data).hexdigest()
            for start, end in order:
                assert await blob.read(start, end - start) == data[start:end]

    asyncio.run(main())


def test_a_file_can_be_put_where_the_store_says_and_what_is_not_moved_goes_with_it(tmp_path: Path):
    async def scenario(store: SpillingStore) -> None:
        first, second = Path(await store.new_path()), Path(await store.new_path())
        assert first != second
        for path in (first, second):
            path.write_bytes(LARGE)
        blob = await store.move(str(first), 100)
        assert await content(blob) == LARGE
        assert second.name in os.listdir(first.parent)  # noqa: PTH208 - as above
        assert first.name not in os.listdir(first.parent)  # noqa: PTH208

    with_store(tmp_path, scenario)
