"""rawbot/onebot/file_table.py: whatever comes and goes, what is counted is what is held."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from memory_files import MemoryBlob

from rawbot.errors import ConfigError
from rawbot.media import Media
from rawbot.onebot.file_table import ID_BYTES, FileTable, Offer, StoredFile
from rawbot.onebot.retcodes import TIRED, ActionError

TTL = 100.0
MAX_FILES = 4
MAX_TOTAL = 50
T0 = 1000.0


def count_up() -> Callable[[int], bytes]:
    """Return an entropy that never says the same."""
    numbers: Iterator[int] = iter(range(1_000_000))
    return lambda size: next(numbers).to_bytes(size, "big")


def make_table(max_files: int = MAX_FILES, max_total: int = MAX_TOTAL) -> FileTable:
    return FileTable(entropy=count_up(), max_files=max_files, max_total=max_total, ttl=TTL)


def make_offer() -> Offer:
    async def read() -> Media:
        raise AssertionError("the table reads nothing")

    return Offer("a", "file", read, nullcontext())


def put(table: FileTable, size: int, now: float = T0, file_id: str = "") -> StoredFile:
    file = StoredFile(file_id or table.new_id(), "a", MemoryBlob(bytes(size)))
    table.reserve(size, now)
    table.settle(file, now)
    return file


def figure(table: FileTable, name: str) -> float:
    return next(figure.value for figure in table.figures() if figure.name == name)


class Crowding(RuleBasedStateMachine):
    """Files and offers come, grow and expire; uploads reserve and release."""

    @initialize()
    def begin(self) -> None:
        self.table = make_table()
        self.now = T0
        self.files: list[StoredFile] = []
        self.offers: list[str] = []
        self.reserved: list[int] = []

    def held(self) -> list[StoredFile]:
        return [file for file in self.files if file.blob.data is not None]

    @rule(size=st.integers(0, MAX_TOTAL + 1))
    def put(self, size: int) -> None:
        if sum(self.reserved) + size > MAX_TOTAL:
            with pytest.raises(ActionError) as caught:
                put(self.table, size, self.now)
            assert caught.value.retcode == TIRED
        else:
            self.files.append(put(self.table, size, self.now))
            assert self.table.file(self.files[-1].file_id, self.now) is self.files[-1]

    @rule(number=st.integers(0, 3))
    def grow(self, number: int) -> None:
        alive = [file for file in self.held() if self.table.file(file.file_id, self.now) is file]
        if number >= len(alive):
            return
        file = alive[number]
        if sum(self.reserved) + file.held + file.blob.size > MAX_TOTAL:
            with pytest.raises(ActionError):
                self.table.grow(file, self.now)
        else:
            held = file.held
            self.table.grow(file, self.now)
            assert file.held == held + file.blob.size
        assert self.table.file(file.file_id, self.now) is file

    @rule()
    def offer(self) -> None:
        self.offers.append(self.table.offer(make_offer(), self.now))
        assert self.table.offered(self.offers[-1], self.now) is not None

    @rule(size=st.integers(0, MAX_TOTAL))
    def take_up_an_offer(self, size: int) -> None:
        alive = [file_id for file_id in self.offers if self.table.offered(file_id, self.now)]
        if alive and sum(self.reserved) + size <= MAX_TOTAL:
            self.files.append(put(self.table, size, self.now, alive[0]))
            assert self.table.offered(alive[0], self.now) is None

    @rule(size=st.integers(0, 20))
    def reserve(self, size: int) -> None:
        if sum(self.reserved) + size <= MAX_TOTAL:
            self.table.reserve(size, self.now)
            self.reserved.append(size)

    @rule()
    def release(self) -> None:
        if self.reserved:
            self.table.release(self.reserved.pop())

    @rule(seconds=st.sampled_from([1.0, TTL / 2, TTL]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def tick(self) -> None:
        self.table.tick(self.now)
        assert figure(self.table, "onebot_files_held") == sum(
            self.table.file(file.file_id, self.now) is not None for file in self.files
        )
        assert figure(self.table, "onebot_files_offered") == sum(
            self.table.offered(file_id, self.now) is not None for file_id in self.offers
        )

    @invariant()
    def what_is_counted_is_what_is_held(self) -> None:
        held = self.held()
        assert figure(self.table, "onebot_file_bytes") == sum(file.held for file in held)
        assert figure(self.table, "onebot_file_bytes_reserved") == sum(self.reserved)
        assert sum(file.held for file in held) + sum(self.reserved) <= MAX_TOTAL
        assert figure(self.table, "onebot_files_held") == len(held) <= MAX_FILES
        assert figure(self.table, "onebot_files_offered") <= MAX_FILES


Crowding.TestCase.settings = settings(deadline=None, max_examples=150, stateful_step_count=40)
test_what_comes_and_goes_is_counted = Crowding.TestCase


def test_a_file_that_went_before_its_copy_was_made_is_not_counted_again():
    table = make_table()
    file = put(table, 10)
    table.tick(T0 + TTL)
    table.grow(file, T0 + TTL)
    assert (figure(table, "onebot_file_bytes"), figure(table, "onebot_files_held")) == (0, 0)


def test_a_file_that_is_copied_is_the_youngest_again():
    table = make_table(max_total=30)
    old, young = put(table, 10), put(table, 10)
    table.grow(old, T0)
    put(table, 10)
    assert table.file(young.file_id, T0) is None
    assert table.file(old.file_id, T0) is old
    assert table.crowded_out == 1


def test_what_is_over_is_not_called_crowded_out():
    table = make_table()
    for _ in range(MAX_FILES):
        put(table, 10)
        table.offer(make_offer(), T0)
    put(table, 50, T0 + TTL)
    table.offer(make_offer(), T0 + TTL)
    assert table.crowded_out == 0
    assert figure(table, "onebot_files_held") == figure(table, "onebot_files_offered") == 1


def test_an_id_is_made_of_128_bits_of_chance():
    asked: list[int] = []

    def entropy(size: int) -> bytes:
        asked.append(size)
        return b"\xab" * size

    table = FileTable(entropy=entropy, max_files=1, max_total=1, ttl=1)
    assert table.new_id() == "ab" * 16
    assert asked == [ID_BYTES] == [16]


def test_reprs_tell_nothing():
    table = make_table()
    assert "a" not in repr(put(table, 1)).split()
    assert "name" not in repr(make_offer())


@pytest.mark.parametrize("limits", [{"max_total": 0}, {"max_files": 0}])
def test_a_table_that_could_hold_nothing_is_refused(limits: dict[str, int]):
    with pytest.raises(ConfigError):
        make_table(**limits)
