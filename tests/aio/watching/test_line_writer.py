"""rawbot/aio/watching/line_writer.py on real files and pipes: nothing lost, nothing torn, and nobody who waits."""

import contextlib
import logging
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from rawbot.aio.watching import line_writer as module
from rawbot.aio.watching.line_writer import LineWriter
from rawbot.errors import ConfigError


@contextlib.contextmanager
def writing(target: str | Path | int, **limits: int) -> Iterator[LineWriter]:
    writer = LineWriter(target, **limits)
    try:
        yield writer
    finally:
        writer.close()


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Open a pipe whose writing end may be closed by the test, and whose reading end is closed at the end."""
    reading, writing_end = os.pipe()
    try:
        yield reading, writing_end
    finally:
        os.close(reading)
        with contextlib.suppress(OSError):
            os.close(writing_end)


def until(condition: Callable[[], object]) -> None:
    end = monotonic() + 20
    while not condition():
        assert monotonic() < end
        sleep(0.005)


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def read_all(descriptor: int) -> bytes:
    pieces = []
    while piece := os.read(descriptor, 1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time at the end."""
    monkeypatch.setattr(module, "CLOSE_WITHIN", 30.0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the thread write at once."""
    monkeypatch.setattr(module, "INTERVAL", 0.001)


# To a file


def test_lines_are_in_the_file_in_their_order_when_it_is_closed(tmp_path: Path):
    lines = [f"line {number}\n" for number in range(20_000)]  # more than one piece
    with writing(tmp_path / "log") as writer:
        for line in lines:
            writer.add(line)
    assert (tmp_path / "log").read_text("ascii") == "".join(lines)
    assert writer.dropped == 0


def test_lines_are_appended_to_what_is_there(tmp_path: Path):
    (tmp_path / "log").write_text("before\n")
    with writing(tmp_path / "log") as writer:
        writer.add("after\n")
    assert (tmp_path / "log").read_text() == "before\nafter\n"


def test_lines_get_there_by_themselves_within_moments(tmp_path: Path):
    with writing(tmp_path / "log") as writer:
        writer.add("first\n")
        until(lambda: (tmp_path / "log").read_text() == "first\n")
        writer.add("second\n")
        until(lambda: (tmp_path / "log").read_text() == "first\nsecond\n")


def test_many_lines_cost_few_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sizes = []
    write = os.write
    monkeypatch.setattr(module.os, "write", lambda fd, data: sizes.append(len(data)) or write(fd, data))
    with writing(tmp_path / "log") as writer:
        for _ in range(3000):
            writer.add("x" * 99 + "\n")
    assert sum(sizes) == 300_000
    assert max(sizes) <= module.PIECE
    assert len(sizes) < 50


def test_a_file_is_not_for_every_user_of_the_machine(tmp_path: Path):
    with writing(tmp_path / "log"):
        assert (tmp_path / "log").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("target", ["no/such/folder/log", ".", "a\x00b", 987_654])
def test_a_target_that_cannot_be_written_to_is_the_operators_fault(
    target: str | int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="cannot write to"):
        LineWriter(target)


def test_a_named_pipe_that_nobody_reads_does_not_hold_up_the_start(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError, match="cannot write to"):
        LineWriter(tmp_path / "fifo")


def test_a_writer_without_lines_starts_no_thread_and_leaves_no_descriptor(tmp_path: Path):
    before = descriptors()
    writer = LineWriter(tmp_path / "log")
    assert not [thread for thread in threading.enumerate() if thread.name == "rawbot lines"]
    writer.close()
    writer.close()
    assert descriptors() == before


def test_a_line_after_the_end_opens_the_file_again(tmp_path: Path):
    with writing(tmp_path / "log") as writer:
        writer.add("first\n")
        writer.close()
        writer.add("late\n")
    assert (tmp_path / "log").read_text() == "first\nlate\n"


def test_an_interpreter_that_exits_without_closing_loses_nothing(tmp_path: Path):
    log = str(tmp_path / "log")
    program = f"from rawbot.aio.watching.line_writer import LineWriter as W\nW({log!r}).add('last words\\n')"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert (tmp_path / "log").read_text() == "last words\n"


# Rotation


def test_a_renamed_file_is_left_and_a_new_one_begun(tmp_path: Path):
    with writing(tmp_path / "log") as writer:
        writer.add("old\n")
        until((tmp_path / "log").read_text)
        (tmp_path / "log").rename(tmp_path / "log.1")
        writer.reopen()
        writer.add("new\n")
        until(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text())
    assert (tmp_path / "log.1").read_text() == "old\n"
    assert (tmp_path / "log").read_text() == "new\n"


def test_reopening_makes_the_new_file_at_once_and_leaks_no_descriptor(tmp_path: Path):
    with writing(tmp_path / "log") as writer:
        writer.add("old\n")
        until((tmp_path / "log").read_text)
        open_before = len(descriptors())
        for turn in range(3):
            (tmp_path / "log").rename(tmp_path / f"log.{turn}")
            writer.reopen()
            until((tmp_path / "log").exists)
        until(lambda: len(descriptors()) == open_before)


def test_before_the_first_line_reopening_waits_for_it(tmp_path: Path):
    with writing(tmp_path / "log") as writer:
        (tmp_path / "log").rename(tmp_path / "log.1")
        writer.reopen()
        writer.add("new\n")
    assert (tmp_path / "log").read_text() == "new\n"
    assert (tmp_path / "log.1").read_text() == ""


def test_when_the_new_file_cannot_be_opened_the_old_one_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = tmp_path / "folder"
    folder.mkdir()
    with writing(folder / "log") as writer:
        folder.rename(tmp_path / "elsewhere")
        writer.reopen()
        writer.add("still here\n")
    assert (tmp_path / "elsewhere" / "log").read_text() == "still here\n"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "anew: No such file or directory" in caplog.text


# To a descriptor


def test_a_descriptor_stays_open_whatever_happens():
    with pipe() as (reading, target):
        with writing(target) as writer:
            writer.add("one\n")
            writer.reopen()
            writer.add("two\n")
        os.write(target, b"three\n")
        os.close(target)
        assert read_all(reading) == b"one\ntwo\nthree\n"


def test_what_goes_to_a_pipe_goes_in_pieces_that_do_not_mingle(monkeypatch: pytest.MonkeyPatch):
    sizes = []
    write = os.write
    monkeypatch.setattr(module.os, "write", lambda fd, data: sizes.append(bytes(data)) or write(fd, data))
    with pipe() as (_, target), writing(target) as writer:
        for _ in range(300):
            writer.add("x" * 99 + "\n")
    assert all(len(piece) <= select.PIPE_BUF and piece.endswith(b"\n") for piece in sizes)
    assert sum(map(len, sizes)) == 30_000
    assert len(sizes) < 100, "not one by one"


def test_a_full_pipe_that_must_not_block_is_waited_for():
    with pipe() as (reading, target):
        os.set_blocking(target, False)
        with writing(target) as writer:
            for _ in range(3000):
                writer.add("x" * 99 + "\n")
            until(lambda: select.select([], [target], [], 0)[1] == [])  # full
            reader = threading.Thread(target=lambda: got.append(read_all(reading)))
            got: list[bytes] = []
            reader.start()
        os.close(target)
        reader.join()
    assert got == [(b"x" * 99 + b"\n") * 3000]
    assert writer.dropped == 0


# Nobody waits


@pytest.mark.usefixtures("quick")
def test_a_reader_who_never_reads_holds_up_nobody(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CLOSE_WITHIN", 0.05)
    with pipe() as (reading, target):
        writer = LineWriter(target, max_waiting=1_000_000)
        began = monotonic()
        for _ in range(50_000):
            writer.add("x" * 99 + "\n")
        writer.close()
        assert monotonic() - began < 10
        assert writer.dropped >= 50_000 - (1_000_000 + 65_536) // 100 - 2
        assert "cannot be written: nobody reads" in caplog.text
        while writer._thread.is_alive():
            if select.select([reading], [], [], 0.01)[0]:
                os.read(reading, 1 << 20)
        writer.close()


@pytest.mark.usefixtures("quick")
def test_what_was_dropped_is_told_once_it_is_over(caplog: pytest.LogCaptureFixture):
    with pipe() as (reading, target), writing(target, max_waiting=100_000) as writer:
        for _ in range(5000):
            writer.add("x" * 99 + "\n")
        dropped = writer.dropped
        assert dropped > 3000
        got = []
        reader = threading.Thread(target=lambda: got.append(read_all(reading)))
        reader.start()
        until(lambda: writer._queue.waiting == 0)  # there is room again
        until(lambda: writer.add("again\n") or "were dropped" in caplog.text)
        writer.close()
        os.close(target)
        reader.join()
    assert got[0].count(b"x\n") == 5000 - dropped
    assert [r.getMessage() for r in caplog.records] == [f"{dropped} lines of {target} were dropped"]


@pytest.mark.usefixtures("quick")
def test_a_target_that_fails_is_told_once_and_counted(caplog: pytest.LogCaptureFixture):
    full = os.open("/dev/full", os.O_WRONLY)  # full(4): each write fails with ENOSPC
    try:
        with writing(full) as writer:
            for number in range(1, 4):
                writer.add("x\n")
                until(lambda number=number: writer.dropped == number)
    finally:
        os.close(full)
    assert [r.getMessage() for r in caplog.records] == [
        f"cannot write to {full}: No space left on device",
        f"3 lines of {full} were dropped",
    ]


@pytest.mark.usefixtures("quick")
def test_a_file_that_cannot_be_opened_again_after_the_end_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    folder = tmp_path / "folder"
    folder.mkdir()
    with writing(folder / "log") as writer:
        writer.close()
        folder.rename(tmp_path / "elsewhere")
        for number in range(1, 3):
            writer.add("x\n")
            until(lambda number=number: writer.dropped == number)
    assert len(caplog.records) == 2, "that it cannot be opened, and at the end how many lines that cost"


@pytest.mark.usefixtures("quick")
def test_lines_are_counted_out_or_dropped_whatever_the_two_sides_do(tmp_path: Path):
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # lets the two threads interrupt each other anywhere
    try:
        with writing(tmp_path / "log", max_waiting=20_000) as writer:
            for number in range(30_000):
                writer.add(f"{number}\n")
                if number % 1000 == 0:
                    writer.reopen()
    finally:
        sys.setswitchinterval(switch)
    numbers = [int(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + writer.dropped == 30_000
