"""rawbot/__main__.py: `python -m rawbot`, and Ctrl-C before there is anything to interrupt."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import rawbot
from rawbot import __main__

# Python imports this at its start. It sends the signal in the middle of the import that it is told to wait for.
SITECUSTOMIZE = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["WHEN"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""


CREDENTIALS = ("--token", "token", "--encoding-aes-key", "a" * 43)
SIMULATE = ("simulate", "wecom", "http://127.0.0.1:9/", *CREDENTIALS)
DOCTOR = ("doctor", "wecom", "--url", "http://127.0.0.1/", *CREDENTIALS)
SERVE = ("serve", "rawbot.demo:app", "--port", "0")
STATELESS = ("serve", "rawbot_stateless:app", "--port", "0", "--workers", "2")


def run(folder: Path, when: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    (folder / "rawbot_stateless.py").write_text("import rawbot\n\napp = rawbot.App(rawbot.Bot())\n")
    path = os.pathsep.join((str(folder), str(Path(rawbot.__file__).parents[1])))
    environ = os.environ | {"PYTHONPATH": path, "WHEN": when}
    command = [sys.executable, "-m", "rawbot", *(arguments or ("--version",))]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize("module", ["rawbot.cli", "rawbot.serving", "rawbot.demo"])
def test_an_interrupt_while_the_command_line_is_imported_leaves_no_traceback(tmp_path: Path, module: str):
    ended = run(tmp_path, module)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("rawbot.simulate.wecom", SIMULATE),
        ("rawbot.wecom.diagnosis", DOCTOR),
        ("rawbot.supervisor", STATELESS),
        ("rawbot.reloader", (*SERVE, "--reload")),
        ("rawbot.demonstration", ("demo", "--once", "--port", "0")),
        ("rawbot.simulate.wecom", ("demo", "--once", "--port", "0")),
    ],
)
def test_an_interrupt_while_a_command_imports_its_own_leaves_no_traceback(
    tmp_path: Path, module: str, arguments: tuple[str, ...]
):
    ended = run(tmp_path, module, *arguments)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_the_module_is_the_command_line(tmp_path: Path):
    ended = run(tmp_path, "never")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"rawbot {rawbot.__version__}\n", "")


def test_once_it_is_imported_interrupts_are_the_command_line_s_again(monkeypatch: pytest.MonkeyPatch):
    before = signal.getsignal(signal.SIGINT)
    during = []
    monkeypatch.setattr("rawbot.cli.main", lambda: during.append(signal.getsignal(signal.SIGINT)) or 7)
    assert __main__.main() == 7
    assert during == [signal.getsignal(signal.SIGINT)] == [before]


def test_who_starts_it_with_interrupts_ignored_is_not_overruled(monkeypatch: pytest.MonkeyPatch):
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        monkeypatch.setattr("rawbot.cli.main", lambda: signal.getsignal(signal.SIGINT))
        assert __main__.main() == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, usual)
