"""rawbot/reloader.py with real files, real processes and real signals."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from supervising import Hammer, Supervised, supervised, until

from rawbot.errors import ConfigError, MissingExtraError
from rawbot.reloader import reload_on_change


@contextlib.contextmanager
def reloading(folder: Path, **settings: object) -> Iterator[Supervised]:
    """Give a reloader that watches the folder `app`, whose worker is ready."""
    (folder / "app").mkdir()
    with supervised(folder, paths=[folder / "app"], **settings) as running:
        assert running.told() == ["READY=1"]
        yield running


def change(running: Supervised, folder: Path, verb: str) -> None:
    """Have the next workers do `verb`, and save a file of the app till a worker has been started for it."""
    running.behave(verb)
    before = len(running.started)
    saved = 0.0

    def started() -> bool:
        nonlocal saved
        if time.monotonic() - saved > 1:  # once, unless the watcher was not there yet
            saved = time.monotonic()
            (folder / "app" / "bot.py").write_text(f"# {saved}")
        return len(running.started) > before

    until(started)


def test_a_saved_file_replaces_the_worker_and_no_request_is_refused_meanwhile(tmp_path: Path):
    with reloading(tmp_path) as running:
        first = running.ask()
        with Hammer(running) as hammer:
            change(running, tmp_path, "serve anew")
            until(lambda: running.ask()["verb"] == "serve anew")
        assert hammer.failures == []
        assert first["verb"] == "serve"
        assert first["pid"] not in running.alive
        assert "is started again: something was changed" in running.log


def test_a_worker_that_fails_is_waited_for_till_the_next_change(tmp_path: Path):
    with reloading(tmp_path) as running:
        change(running, tmp_path, "fail1")
        until(lambda: "ended with status 1: waiting for a change" in running.log)
        assert running.alive == []
        change(running, tmp_path, "serve mended")
        assert running.ask()["verb"] == "serve mended"


def test_what_is_no_python_file_changes_nothing(tmp_path: Path):
    with reloading(tmp_path) as running:
        change(running, tmp_path, "serve")  # the watcher is there
        until(lambda: len(running.alive) == 1)
        started = len(running.started)
        (tmp_path / "app" / "notes.txt").write_text("x")
        (tmp_path / "app" / "__pycache__").mkdir()
        (tmp_path / "app" / "__pycache__" / "bot.py").write_text("x")
        time.sleep(0.3)  # six times as long as watchfiles waits for more
        assert len(running.started) == started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_both(tmp_path: Path, number: int):
    with reloading(tmp_path) as running:
        os.killpg(running.process.pid, number)
        assert running.wait() == 0
        assert running.alive == []
        assert "Warning" not in running.log


def test_a_signal_ends_it_also_while_it_waits(tmp_path: Path):
    (tmp_path / "app").mkdir()
    with supervised(tmp_path, verb="fail3", paths=[tmp_path / "app"]) as running:
        until(lambda: "waiting for a change" in running.log)
        running.send(signal.SIGINT)
        assert running.wait() == 0


def test_a_worker_that_does_not_end_is_killed_for_the_change(tmp_path: Path):
    with reloading(tmp_path, verb="stubborn", patience={"graceful": 0.1}) as running:
        change(running, tmp_path, "serve anew")
        assert running.ask()["verb"] == "serve anew"
        assert "has not ended within 0.1 s: it is killed" in running.log


def test_without_watchfiles_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(MissingExtraError, match=r"rawbot\[reload\]"):
        reload_on_change(lambda _: ["true"], [tmp_path])


def test_paths_that_are_not_there_are_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="no-such-folder"):
        reload_on_change(lambda _: ["true"], [tmp_path, tmp_path / "no-such-folder"])
    with pytest.raises(ConfigError, match="nothing"):
        reload_on_change(lambda _: ["true"], [])
