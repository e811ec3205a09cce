"""rawbot/aio/files/sendfile.py over real sockets: all of it, at the client's pace."""

import asyncio
import io
import os
from pathlib import Path

import pytest
from fake_endpoint import until
from sending import BUFFER, HEAD, LARGE, WAYS, leave, pattern, regions_of, run, staged, stuck

from rawbot.aio.files.sendfile import COPIED, SLICE, read_slices
from rawbot.errors import StateError
from rawbot.exchange import FileRegion

each_way = pytest.mark.parametrize("way", WAYS)


pytestmark = pytest.mark.usefixtures("nothing_is_left")


# In pieces, for others to send


@pytest.mark.parametrize(("offset", "count"), [(0, 0), (5, 1), (3, COPIED), (0, COPIED + 1), (7, LARGE - 7)])
def test_a_region_is_read_in_pieces(large: Path, offset: int, count: int):
    region = regions_of(large, offset, count)()
    pieces = list(read_slices(region))
    region.close()
    assert b"".join(pieces) == large.read_bytes()[offset : offset + count]
    assert all(0 < len(piece) <= COPIED for piece in pieces)


def test_pieces_of_a_file_that_is_cut_short_are_not_taken_for_the_whole(changing: Path):
    region = regions_of(changing)()
    pieces = read_slices(region)
    next(pieces)
    os.truncate(changing, COPIED + 1)
    assert len(next(pieces)) == 1
    with pytest.raises(StateError, match="cut short"):
        next(pieces)
    region.close()


# All of it


@each_way
@pytest.mark.parametrize(
    ("offset", "count"),
    [
        (0, 1),
        (7, 1000),
        (0, COPIED - 1),
        (1, COPIED),
        (2, COPIED + 1),
        (0, SLICE - 1),
        (1, SLICE),
        (2, SLICE + 1),
        (4095, 3 * SLICE + 77),
        (LARGE - 5, 5),
        (0, LARGE),
        (3, 0),
    ],
)
def test_the_region_comes_behind_its_head_and_the_connection_lives_on(way: str, large: Path, offset: int, count: int):
    async def go():
        async with staged(way, regions_of(large, offset, count)) as stage:
            reader, writer = await stage.connect()
            for _ in range(2):
                writer.write(b"\n")
                assert await reader.readexactly(len(HEAD) + count) == HEAD + expected
            await until(lambda: stage.door.ends == [True, True])
            stage.door.transport.write(b"more")
            assert await reader.readexactly(4) == b"more"
            await leave(writer)

    expected = large.read_bytes()[offset : offset + count]
    run(way, go())


@each_way
def test_pipelined_requests_wait_for_the_file_before(way: str, large: Path):
    async def go():
        async with staged(way, regions_of(large)) as stage:
            reader, writer = await stage.connect()
            writer.write(b"\n\n\n")
            assert await reader.readexactly(3 * len(whole)) == 3 * whole
            await until(lambda: stage.door.ends == [True] * 3)
            await leave(writer)

    whole = HEAD + large.read_bytes()
    run(way, go())


@each_way
def test_what_was_written_before_goes_out_before(way: str, large: Path):
    """The head finds the socket full; asyncio could not be stopped while it waits for that itself."""
    content = large.read_bytes()

    async def go():
        async with staged(way, regions_of(large)) as stage:
            reader, writer = await stage.connect()
            stage.door.head = b"h" * 60_000
            before = 0
            while not stage.door.transport.get_write_buffer_size():
                stage.door.transport.write(b"b" * 10_000)
                before += 10_000
            writer.write(b"\n")
            await until(lambda: stage.door.sender)
            whole = b"b" * before + stage.door.head + content
            assert await reader.readexactly(len(whole)) == whole
            await until(lambda: stage.door.ends == [True])
            await leave(writer)

    run(way, go())


@each_way
def test_a_client_that_reads_slowly_gets_all_of_it(way: str, large: Path):
    """It takes longer in all than the stall time, and never stalls."""
    content = large.read_bytes()

    async def go():
        async with staged(way, regions_of(large), stall=0.5) as stage:
            reader, writer = await stage.connect()
            writer.write(b"\n")
            got = b""
            while len(got) < len(HEAD) + LARGE:
                got += await reader.read(100_000)
                await asyncio.sleep(0.02)
            assert got == HEAD + content
            await until(lambda: stage.door.ends == [True])
            await leave(writer)

    run(way, go())


@each_way
def test_positions_beyond_2_gib_are_reached(way: str, tmp_path: Path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.seek(3 * 2**30 + 5)
        file.write(b"far away")

    async def go():
        async with staged(way, regions_of(path, 3 * 2**30)) as stage:
            reader, writer = await stage.connect()
            writer.write(b"\n")
            assert await reader.readexactly(len(HEAD) + 13) == HEAD + bytes(5) + b"far away"
            await leave(writer)

    run(way, go())


@each_way
def test_a_file_that_grows_or_is_replaced_is_sent_as_it_was_opened(way: str, changing: Path):
    whole = changing.read_bytes()

    async def go():
        async with staged(way, regions_of(changing)) as stage:
            reader, writer = await stuck(stage)
            with changing.open("ab") as file:
                file.write(b"more")
            other = changing.with_name("other")
            other.write_bytes(b"x" * LARGE)
            other.rename(changing)
            assert await reader.readexactly(len(HEAD) + LARGE) == HEAD + whole
            await until(lambda: stage.door.ends == [True])
            await leave(writer)

    run(way, go())


@each_way
def test_a_region_of_memory_is_copied(way: str):
    """`FileRegion.file` may be any file: without a descriptor the kernel cannot copy."""
    whole = pattern(LARGE)

    async def go():
        async with staged(way, lambda: FileRegion(io.BytesIO(whole), 5, LARGE - 5)) as stage:
            reader, writer = await stage.connect()
            writer.write(b"\n")
            assert await reader.readexactly(len(HEAD) + LARGE - 5) == HEAD + whole[5:]
            await leave(writer)

    run(way, go())


@each_way
def test_the_limits_of_the_transports_buffer_stay_as_they_were(way: str, large: Path):
    async def go():
        async with staged(way, regions_of(large)) as stage:
            reader, writer = await stage.connect()
            stage.door.transport.set_write_buffer_limits(high=12_345, low=678)
            writer.write(b"\n")
            await reader.readexactly(len(HEAD) + LARGE)
            await until(lambda: stage.door.ends == [True])
            assert stage.door.transport.get_write_buffer_limits()[-1] == 12_345
            await leave(writer)

    run(way, go())


@each_way
def test_others_have_their_turn_meanwhile(way: str, large: Path):
    async def go():
        async with staged(way, regions_of(large)) as stage:
            reader, writer = await stage.connect()
            writer.write(b"\n" * 8)
            await until(lambda: stage.door.sender)
            turns = 0
            while len(stage.door.ends) < 8:
                turns += 1
                await asyncio.gather(asyncio.sleep(0), reader.read(1 << 20))
            assert turns > 8
            await leave(writer)

    run(way, go())


@pytest.mark.parametrize("paused", [False, True])
def test_the_kernel_copies_while_reading_is_paused_and_it_goes_on_as_before(large: Path, paused: bool):  # noqa: FBT001
    async def go():
        async with staged("kernel", regions_of(large)) as stage:
            reader, writer = await stuck(stage)
            assert not stage.door.transport.is_reading()
            writer.write(b"later")
            await asyncio.sleep(0.02)
            assert stage.door.data == b""
            await reader.readexactly(len(HEAD) + LARGE)
            await until(lambda: stage.door.ends)
            await until(lambda: stage.door.data == b"later")
            if paused:
                stage.door.transport.pause_reading()
                stage.door.data_received(b"\n")
                await reader.readexactly(len(HEAD) + LARGE)
                await until(lambda: len(stage.door.ends) == 2)
                assert not stage.door.transport.is_reading()
            await leave(writer)

    run("kernel", go())


def test_the_buffers_of_these_tests_are_smaller_than_what_is_sent():
    assert 8 * BUFFER < LARGE
    assert COPIED < SLICE < LARGE
