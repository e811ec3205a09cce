"""benchmarks/progress.py: a line for a terminal, and how long it takes."""

from io import StringIO

import pytest

from benchmarks import progress
from benchmarks.progress import Meter, on_terminal


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_is_written_over_on_a_terminal_and_nowhere_else():
    terminal, file = Terminal(), StringIO()
    for stream in (terminal, file):
        show = on_terminal("wecom-new", stream)
        show("half")
        show("")
    assert terminal.getvalue() == "\r\x1b[Kwecom-new: half\r\x1b[K"
    assert file.getvalue() == ""


def test_steps_fill_the_bar_and_tell_the_time_left(monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    told: list[str] = []
    meter = Meter(4, told.append)
    for name in "abcde":
        meter.step(name)
        now[0] += 10.0
    assert told[0] == "░" * 24 + " a"
    assert told[1] == "█" * 6 + "░" * 18 + " b, 30 s left"
    assert told[3] == "█" * 18 + "░" * 6 + " d, 10 s left"
    assert told[4].startswith("█" * 24 + " e, 0 s")
