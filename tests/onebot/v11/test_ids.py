"""rawbot/onebot/v11/ids.py: strings to integers and back, the same ones after a restart, and never a wrong one."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rawbot.errors import ConfigError
from rawbot.onebot.v11.ids import INT64_MAX, IdTable, message_ids, user_ids

NAMES = st.one_of(
    st.text(),
    st.integers(-5, 2**65).map(str),
    st.integers(2**52 - 2, 2**52 + 2).map(str),
    st.integers(2**30 - 2, 2**31 + 2).map(str),
    st.sampled_from(["", "0", "007", "-1", "+1", "1_0", "１２", "٣", " 1", "1 ", "1.0", "\ud800"]),
)


@given(NAMES)
def test_an_id_comes_back_as_it_was(name: str):
    for table in (user_ids(), message_ids()):
        assert table.decode(table.encode(name)) == name


@given(NAMES)
def test_numbers_fit_what_is_promised(name: str):
    assert 0 < user_ids().encode(name) <= INT64_MAX
    assert 0 < message_ids().encode(name) < 2**31


@given(st.text().filter(lambda name: not name.isdecimal()))
def test_what_is_no_number_becomes_one_that_a_double_holds_and_no_qq_has(name: str):
    number = user_ids().encode(name)
    assert int(float(number)) == number
    assert 10**11 < number < 2**53


@pytest.mark.parametrize("number", [1, 10001000, 2**32, 99_999_999_999, 2**52 - 1, 2**53, INT64_MAX])
def test_a_plain_number_stands_for_itself_and_is_not_remembered(number: int):
    table = user_ids()
    assert table.encode(str(number)) == number
    assert table.decode(number) == str(number)
    assert len(table) == 0


@pytest.mark.parametrize("name", ["0", "007", "-1", "+1", "１２", str(2**52), str(2**53 - 1), str(INT64_MAX + 1), ""])
def test_a_number_that_could_not_come_back_is_a_string_like_any_other(name: str):
    table = user_ids()
    assert 2**52 <= table.encode(name) < 2**53
    assert len(table) == 1


@given(st.sets(NAMES, max_size=50))
def test_two_ids_never_share_a_number(names: set[str]):
    for table in (user_ids(), message_ids(), IdTable(1, 201, max_known=50)):
        assert len({table.encode(name) for name in names}) == len(names)


def test_a_restart_changes_no_number():
    program = "from rawbot.onebot.v11.ids import *; print(user_ids().encode('alice'), message_ids().encode('alice'))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.split() == [str(user_ids().encode("alice")), str(message_ids().encode("alice"))]


def test_an_unknown_number_of_the_range_is_told_apart():
    number = user_ids().encode("alice")
    restarted = user_ids()
    assert restarted.decode(number) is None
    restarted.encode("alice")
    assert restarted.decode(number) == "alice"


@pytest.mark.parametrize("number", [0, -1, -(2**40), 2**63, 2**80])
def test_what_is_no_id_at_all_is_unknown_too(number: int):
    assert user_ids().decode(number) is None
    assert message_ids().decode(number) is None


def test_a_number_beyond_int32_is_no_messages():
    assert message_ids().decode(2**31) is None
    assert message_ids().encode(str(2**31)) < 2**31


def test_the_ids_last_used_are_remembered_and_no_more():
    table = IdTable(1, 1001, limit=INT64_MAX, max_known=3)
    a, b, c = (table.encode(name) for name in "abc")
    assert table.decode(a) == "a"  # used last
    table.encode("b")
    d = table.encode("d")
    assert [table.decode(number) for number in (a, b, c, d)] == ["a", "b", None, "d"]
    assert len(table) == 3


def test_two_strings_of_one_hash_are_told_apart():
    table = IdTable(5, 9, max_known=2)  # four numbers: hashes meet at once
    for names in ("ab", "cd", "ef", "gh", "ij"):
        numbers = [table.encode(name) for name in names]
        assert [table.decode(number) for number in numbers] == list(names)


@pytest.mark.parametrize(
    ("start", "stop", "limit", "max_known"),
    [(0, 9, 99, 1), (9, 9, 99, 1), (1, 101, 99, 1), (1, 9, 99, 0), (1, 9, 99, 5)],
)
def test_a_table_that_could_not_work_is_refused(start: int, stop: int, limit: int, max_known: int):
    with pytest.raises(ConfigError):
        IdTable(start, stop, limit=limit, max_known=max_known)


def test_an_id_may_be_given_a_number_for_good():
    table = IdTable(10, 30, limit=100, max_known=1)
    table.pin("bot", 55)
    table.pin("bot", 55)
    for name in ("a", "b"):
        table.encode(name)
    assert (table.encode("bot"), table.decode(55)) == (55, "bot")
    assert 10 <= table.encode("55") < 30  # somebody else
    table.pin("7", 7)
    assert (table.encode("7"), table.decode(7)) == (7, "7")


@pytest.mark.parametrize(
    ("name", "number"), [("a", 0), ("a", -1), ("a", 10), ("a", 29), ("a", 101), ("a", 55), ("bot", 56)]
)
def test_a_number_that_cannot_be_an_ids_own_is_refused(name: str, number: int):
    table = IdTable(10, 30, limit=100, max_known=1)
    table.pin("bot", 55)
    with pytest.raises(ConfigError):
        table.pin(name, number)
    assert table.encode("bot") == 55
    assert table.encode("a") != number


class TableMachine(RuleBasedStateMachine):
    """A small table, so that ids are forgotten and hashes meet; the model says what is known."""

    def __init__(self) -> None:
        super().__init__()
        self.table = IdTable(10, 30, limit=100, max_known=4)
        self.known: dict[str, int] = {}  # in the order of their use

    @rule(name=st.sampled_from([*"abcdefgh", "7", "12", "31", "100", "101"]))
    def encode(self, name: str) -> None:
        number = self.table.encode(name)
        if name in ("7", "31", "100"):
            assert number == int(name)
            return
        assert self.known.get(name, number) == number
        self.known.pop(name, None)
        self.known[name] = number
        while len(self.known) > 4:
            del self.known[next(iter(self.known))]

    @rule(number=st.integers(-1, 110))
    def decode(self, number: int) -> None:
        names = {known: name for name, known in self.known.items()}
        if 10 <= number < 30:
            assert self.table.decode(number) == names.get(number)
            if number in names:
                self.known[names[number]] = self.known.pop(names[number])
        else:
            assert self.table.decode(number) == (str(number) if 0 < number <= 100 else None)

    @invariant()
    def what_is_known_is_bounded_and_distinct(self) -> None:
        assert len(self.table) == len(self.known) <= 4
        assert len(set(self.known.values())) == len(self.known)


TestTable = TableMachine.TestCase
