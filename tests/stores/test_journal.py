"""rawbot/stores/journal.py: what was appended outlives the process, however it ends; nothing else opens the file."""

import inspect
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rawbot.errors import ConfigError, StateError
from rawbot.stores.journal import FORGOTTEN_AT_ONCE, Entry, SqliteJournal
from rawbot.vk.journal import Journal

T0 = 1_767_225_600.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def open_journal(path: Path) -> Iterator[Callable[..., SqliteJournal]]:
    """Open the journal again and again, each time after the one before."""
    opened: list[SqliteJournal] = []

    def reopen(**options: object) -> SqliteJournal:
        for journal in opened:
            journal.close()
        opened.append(SqliteJournal(path, **options))
        return opened[-1]

    yield reopen
    for journal in opened:
        journal.close()


Open = Callable[..., SqliteJournal]


def keys(journal: SqliteJournal, since: float = 0.0) -> list[str]:
    return [entry.key for entry in journal.entries(since)]


def test_it_has_the_methods_that_the_wing_wants():
    wanted = {name: value for name, value in vars(Journal).items() if inspect.isfunction(value) and name[0] != "_"}
    assert len(wanted) == 6
    for name, method in wanted.items():
        given = inspect.signature(getattr(SqliteJournal, name)).parameters.values()
        assert [(p.name, p.kind) for p in given] == [
            (p.name, p.kind) for p in inspect.signature(method).parameters.values()
        ]


# Events


def test_what_has_not_ended_comes_back_in_order(open_journal: Open):
    journal = open_journal()
    for number in range(5):
        journal.append(f"k{number}", b"body %d" % number, T0 + number)
    journal.finish("k1", T0 + 9, well=True)
    journal.finish("k3", T0 + 9, well=False)
    expected = [
        Entry("k0", b"body 0", T0, None),
        Entry("k1", b"", T0 + 1, True),
        Entry("k2", b"body 2", T0 + 2, None),
        Entry("k3", b"", T0 + 3, False),
        Entry("k4", b"body 4", T0 + 4, None),
    ]
    assert (journal.entries(T0), len(journal)) == (expected, 3)
    journal = open_journal()
    assert (journal.entries(T0), len(journal)) == (expected, 3)


def test_of_what_has_ended_only_what_began_since_then_is_told(open_journal: Open):
    journal = open_journal()
    for number in range(4):
        journal.append(f"k{number}", b"", T0 + number)
    for number in range(3):
        journal.finish(f"k{number}", T0 + 9, well=True)
    assert keys(journal, T0 + 2) == ["k2", "k3"]
    assert keys(journal, T0 + 99) == ["k3"]


def test_one_that_has_failed_begins_anew(open_journal: Open):
    journal = open_journal()
    journal.append("a", b"1", T0)
    journal.append("b", b"2", T0 + 1)
    journal.finish("a", T0 + 2, well=False)
    journal.append("a", b"3", T0 + 10)
    expected = [Entry("b", b"2", T0 + 1, None), Entry("a", b"3", T0 + 10, None)]
    assert journal.entries(T0) == expected
    journal.finish("a", T0 + 11, well=True)
    assert journal.entries(T0 + 5) == [expected[0], Entry("a", b"", T0 + 10, True)]


def test_one_that_has_not_ended_may_begin_anew_as_well(open_journal: Open):
    journal = open_journal()
    journal.append("a", b"1", T0)
    journal = open_journal()
    journal.append("a", b"2", T0 + 10)
    assert (journal.entries(T0), len(journal)) == ([Entry("a", b"2", T0 + 10, None)], 1)
    journal.finish("a", T0 + 11, well=True)
    assert open_journal().entries(T0) == [Entry("a", b"", T0 + 10, True)]


def test_an_end_is_noted_after_a_restart_too(open_journal: Open):
    open_journal().append("a", b"1", T0)
    open_journal().finish("a", T0 + 1, well=True)
    assert open_journal().entries(T0) == [Entry("a", b"", T0, True)]


def test_the_end_of_what_is_not_there_changes_nothing(open_journal: Open):
    journal = open_journal()
    journal.finish("a", T0, well=True)
    journal.append("a", b"1", T0)
    journal.finish("a", T0, well=True)
    journal.finish("a", T0, well=False)
    assert journal.entries(T0) == [Entry("a", b"", T0, True)]


@pytest.mark.parametrize("key", ["", '[191949777,"2e0c"]', "ключ", "a\0b", "x" * 10_000, "'; DROP TABLE events; --"])
@pytest.mark.parametrize("body", [b"", b"\0\xff", bytes(2_000_000)])
def test_any_key_and_any_body_is_kept(key: str, body: bytes, open_journal: Open):
    open_journal().append(key, body, T0)
    assert open_journal().entries(T0) == [Entry(key, body, T0, None)]


def test_what_was_said_does_not_stay_in_the_file_for_ever(open_journal: Open, path: Path):
    journal = open_journal()
    said = b"a secret of the user's " * 1000
    journal.append("a", said, T0)
    journal.append("b", said[:500], T0)
    open_journal()  # which writes all into the file
    assert said[:20] in path.read_bytes()
    journal = open_journal()
    for key in "ab":
        journal.finish(key, T0, well=True)
    journal.close()
    assert said[:20] not in path.read_bytes()


# Forgetting


def test_what_has_ended_is_forgotten_and_what_has_not_stays(open_journal: Open):
    journal = open_journal()
    for number in range(6):
        journal.append(f"k{number}", b"", T0 + number)
        if number != 1:
            journal.finish(f"k{number}", T0 + number, well=bool(number % 2))
    journal.forget(T0 + 4)
    assert keys(journal) == ["k1", "k4", "k5"]
    journal.forget(T0 + 4)
    journal.forget(T0 + 3)
    assert keys(journal) == ["k1", "k4", "k5"]
    journal.forget(T0 + 5)
    journal.forget(T0 + 99)
    assert keys(journal) == ["k1"]
    journal.finish("k1", T0 + 100, well=True)
    journal.forget(T0 + 100)
    assert keys(journal) == []


def test_no_more_is_forgotten_at_once_than_takes_no_time(open_journal: Open):
    journal = open_journal()
    for number in range(FORGOTTEN_AT_ONCE + 10):
        journal.append(f"k{number}", b"", T0)
        journal.finish(f"k{number}", T0, well=True)
    journal.forget(T0 + 1)
    assert len(keys(journal)) == 10
    journal.forget(T0 + 1)
    assert keys(journal) == []


def test_a_file_does_not_grow_when_as_much_is_forgotten_as_comes(open_journal: Open, path: Path):
    journal = open_journal()

    def pass_through(rounds: range) -> int:
        for number in rounds:
            journal.append(f"k{number}", bytes(500), T0 + number)
            journal.finish(f"k{number}", T0 + number, well=True)
            journal.forget(T0 + number - 100)
        return path.stat().st_size

    pass_through(range(3000))
    first = pass_through(range(3000, 6000))
    assert pass_through(range(6000, 12000)) <= first + 16 * 4096


# Positions


def test_a_position_is_the_last_that_was_saved(open_journal: Open):
    journal = open_journal()
    assert journal.position("1") is None
    journal.save_position("1", "329")
    journal.save_position("2", "1")
    journal.save_position("1", "330")
    assert (journal.position("1"), journal.position("2")) == ("330", "1")
    journal = open_journal()
    assert (journal.position("1"), journal.position("2"), journal.position("3")) == ("330", "1", None)


# The file


def test_nobody_else_may_read_the_file(open_journal: Open, path: Path):
    journal = open_journal()
    journal.append("a", b"1", T0)
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {"events.db": 0o600, "events.db-wal": 0o600}


def test_a_path_of_any_kind_will_do(path: Path):
    for given in (path, str(path)):
        journal = SqliteJournal(given)
        journal.save_position("a", "1")
        journal.close()
        assert repr(journal) == f"<SqliteJournal at {path}>"


def test_a_closed_journal_says_so(open_journal: Open):
    journal = open_journal()
    journal.append("a", b"", T0)
    journal.close()
    journal.close()
    calls: list[Callable[[], object]] = [
        lambda: journal.append("b", b"", T0),
        lambda: journal.finish("a", T0, well=True),
        lambda: journal.entries(T0),
        lambda: journal.forget(T0),
        lambda: journal.save_position("a", "1"),
        lambda: journal.position("a"),
    ]
    for call in calls:
        with pytest.raises(StateError, match="closed"):
            call()
    assert keys(open_journal()) == ["a"]


def refuse(path: Path, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        SqliteJournal(path, wait=0.05)
    assert str(path) in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_in_use_is_refused_within_a_process(open_journal: Open, path: Path):
    journal = open_journal()
    refuse(path, "in use by another process")
    refuse(path, "in use by another process")  # the first refusal has not broken the lock
    journal.append("a", b"", T0)
    journal.close()
    assert keys(open_journal()) == ["a"]


def test_a_file_in_use_is_refused_across_processes(open_journal: Open, path: Path):
    open_journal()
    code = f"""
        from rawbot.errors import ConfigError
        from rawbot.stores.journal import SqliteJournal
        try:
            SqliteJournal({str(path)!r}, wait=0.05)
        except ConfigError as error:
            print(error)
    """
    told = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, timeout=30)
    assert b"in use by another process" in told.stdout


def test_somebody_who_reads_keeps_it_in_use_too(open_journal: Open, path: Path):
    open_journal().close()
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM events").fetchall()
    refuse(path, "in use by another process")
    reader.close()
    open_journal()


def test_whoever_comes_waits_for_one_that_is_about_to_end(path: Path):
    code = f"""
        import time
        from rawbot.stores.journal import SqliteJournal
        journal = SqliteJournal({str(path)!r})
        print("open", flush=True)
        time.sleep(0.3)
        journal.append("a", b"last", 1.0)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        journal = SqliteJournal(path)
        assert keys(journal) == ["a"]
        journal.close()
    assert process.returncode == 0


def test_a_file_that_is_no_journal_is_refused_and_left_alone(path: Path):
    path.write_bytes(b"these are notes of somebody's" * 100)
    refuse(path, "is no journal, but some other file")
    assert path.read_bytes() == b"these are notes of somebody's" * 100


def test_another_program_s_database_is_refused_and_left_alone(path: Path):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE events (number)")
    other.commit()
    other.close()
    refuse(path, "another program's database")
    assert sqlite3.connect(path).execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


def test_another_version_s_journal_is_refused(open_journal: Open, path: Path):
    open_journal().close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 2")
    other.close()
    refuse(path, "made by another version")


def test_a_damaged_file_is_refused_at_the_start(open_journal: Open, path: Path):
    journal = open_journal()
    for number in range(200):
        journal.append(f"k{number}", bytes(500), T0)
    journal.close()
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[5 * 4096 : 20 * 4096] = os.urandom(15 * 4096)
    for content in (damaged, whole[: len(whole) // 2 // 4096 * 4096]):
        path.write_bytes(content)
        refuse(path, "damaged: move it out of the way")


def test_a_file_that_cannot_be_made_is_refused(tmp_path: Path):
    refuse(tmp_path / "nowhere" / "events.db", "cannot be made: No such file or directory")
    refuse(tmp_path, "cannot be opened")


def test_settings_that_cannot_work_are_refused(path: Path):
    for synchronous in ("OFF", "", "normal; DROP TABLE events"):
        with pytest.raises(ConfigError, match="NORMAL or FULL"):
            SqliteJournal(path, synchronous=synchronous)
    assert not path.exists()


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
def test_the_disk_may_be_waited_for(synchronous: str, open_journal: Open):
    journal = open_journal(synchronous=synchronous)
    journal.append("a", b"1", T0)
    assert journal._connection is not None
    told = journal._connection.execute("PRAGMA synchronous").fetchone()[0]
    assert told == {"NORMAL": 1, "FULL": 2}[synchronous]
    assert journal._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_disk_that_is_full_is_an_error_of_the_system_and_changes_nothing(open_journal: Open):
    journal = open_journal()
    journal.append("a", b"1", T0)
    assert journal._connection is not None
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OSError, match="full"):
        journal.append("b", bytes(100_000), T0)
    assert (keys(journal), len(journal)) == (["a"], 1)
    journal._connection.execute("PRAGMA max_page_count = 1000000")
    journal.append("b", bytes(100_000), T0)
    journal.finish("a", T0, well=True)
    assert keys(open_journal()) == ["a", "b"]


def test_a_file_that_is_damaged_under_way_is_an_error_of_the_system(
    open_journal: Open, monkeypatch: pytest.MonkeyPatch
):
    journal = open_journal()

    class Broken:
        def execute(self, *_: object) -> Iterator[tuple[object, ...]]:
            return self.rows()

        def rows(self) -> Iterator[tuple[object, ...]]:
            yield ("a", b"", T0, None)
            raise sqlite3.DatabaseError("database disk image is malformed")

        def close(self) -> None:
            raise sqlite3.OperationalError("disk I/O error")

    connection, broken = journal._connection, Broken()
    monkeypatch.setattr(journal, "_connection", broken)
    with pytest.raises(OSError, match="malformed"):
        journal.entries(T0)
    journal.close()
    assert connection is not None
    connection.close()


# A process that is killed


APPENDING = """
    import sys
    from rawbot.stores.journal import SqliteJournal
    journal = SqliteJournal(sys.argv[1])
    number = int(sys.argv[2])
    while True:
        journal.append(f"k{number}", b"body of %d" % number, float(number))
        if number % 3 == 0:
            journal.finish(f"k{number}", float(number), well=True)
        journal.save_position("1", str(number))
        print(number, flush=True)
        number += 1
"""


def test_what_was_appended_outlives_a_process_that_is_killed(path: Path):
    """The process tells of each event after it was appended, and is killed at some moment, several times over."""
    told = -1
    for _ in range(4):
        command = [sys.executable, "-c", textwrap.dedent(APPENDING), str(path), str(told + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(400):
                told = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            for line in process.stdout:
                told = int(line) if line.endswith(b"\n") else told
        assert process.returncode == -signal.SIGKILL
        journal = SqliteJournal(path)
        entries = {entry.key: entry for entry in journal.entries(0.0)}
        position = int(journal.position("1") or -1)
        for number in range(told + 1):
            entry = entries.pop(f"k{number}")
            assert entry.ended is (True if number % 3 == 0 else None)
            assert entry.body == (b"" if entry.ended else b"body of %d" % number)
        assert set(entries) <= {f"k{told + 1}"}  # appended, and killed before it could tell
        assert position in (told, told + 1)
        journal.close()


# Against a model


class JournalMachine(RuleBasedStateMachine):
    """A journal and what it must hold, closed and opened in between."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "events.db")
        self.journal = SqliteJournal(self.path)
        self.model: dict[str, Entry] = {}
        self.positions: dict[str, str] = {}
        self.now = T0

    @rule(key=st.sampled_from("abcdef"), body=st.binary(max_size=20), passed=st.integers(0, 5))
    def append(self, key: str, body: bytes, passed: int) -> None:
        self.now += passed
        self.journal.append(key, body, self.now)
        self.model.pop(key, None)  # it goes to the end
        self.model[key] = Entry(key, body, self.now, None)

    @rule(key=st.sampled_from("abcdef"), well=st.booleans())
    def finish(self, key: str, *, well: bool) -> None:
        self.journal.finish(key, self.now, well=well)
        former = self.model.get(key)
        if former is not None and former.ended is None:
            self.model[key] = former._replace(body=b"", ended=well)

    @rule(ago=st.integers(-5, 20))
    def forget(self, ago: int) -> None:
        before = self.now - ago
        self.journal.forget(before)
        self.model = {k: e for k, e in self.model.items() if e.ended is None or e.began_at >= before}

    @rule(name=st.sampled_from("xy"), value=st.text(max_size=5))
    def save(self, name: str, value: str) -> None:
        self.journal.save_position(name, value)
        self.positions[name] = value

    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = SqliteJournal(self.path)

    @invariant()
    def it_holds_what_it_must(self) -> None:
        assert self.journal.entries(0.0) == list(self.model.values())
        assert len(self.journal) == sum(entry.ended is None for entry in self.model.values())
        assert {name: self.journal.position(name) for name in self.positions} == self.positions

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()


TestJournalMachine = JournalMachine.TestCase
TestJournalMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
