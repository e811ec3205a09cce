"""rawbot's commands as processes, for the tests of the command line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from talking import KEY, PATH, TOKEN

import rawbot

PATIENCE = 20.0
"""Seconds after which a process that should have ended has failed its test."""

CREDENTIALS = {"RAWBOT_WECOM_TOKEN": TOKEN, "RAWBOT_WECOM_ENCODING_AES_KEY": KEY}
OPTIONS = ["--token", TOKEN, "--encoding-aes-key", KEY]

_ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("RAWBOT_")} | {
    "PYTHONPATH": str(Path(rawbot.__file__).parents[1]),
    "PYTHONIOENCODING": "utf-8",
    "PYTHONWARNINGS": "error",  # a socket that is not closed, for one, shows on stderr
}


@dataclass
class Ended:
    """What a process left behind."""

    status: int
    out: str
    err: str


def start(*arguments: str | Path, **environ: str) -> "subprocess.Popen[str]":
    """Start `python -m rawbot` with these arguments, in the tests' environment without the operator's settings."""
    command = [sys.executable, "-m", "rawbot", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_ENVIRON | environ, encoding="utf-8"
    )


def end(process: "subprocess.Popen[str]", *signals: int) -> Ended:
    """Send the signals and wait for the end."""
    for number in signals:
        process.send_signal(number)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return Ended(process.returncode, out, err)


@contextmanager
def serving(target: str | Path, **environ: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run `serve` on a free port; give the process and the callback URL."""
    process = start("serve", target, "--port", "0", **environ)
    try:
        line = process.stderr.readline()
        assert line.startswith("rawbot listens on http://127.0.0.1:")
        yield process, line.split()[-1] + PATH
    finally:
        process.kill()
        process.communicate()


def assert_nothing_secret(*texts: str) -> None:
    for text in texts:
        assert TOKEN not in text
        assert KEY not in text
