"""rawbot/cli.py, the commands that serve: what they print, their exit status, and how signals end them.

`simulate`, `doctor` and refused command lines are in test_cli_checks.py.
"""

import asyncio
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import CREDENTIALS, OPTIONS, PATIENCE, Ended, assert_nothing_secret, end, serving, start
from talking import KEY, PATH, TOKEN, make_platform, until

import rawbot
from rawbot import cli, demonstration
from rawbot.simulate.wecom import Conversation
from rawbot.wecom.texts import WeComTexts

TEXTS = WeComTexts()
SIGNALS = [signal.SIGINT, signal.SIGTERM]
AT_ONCE = 1.0
"""Seconds within which a process ends that has nothing to wait for; 0.1 when nothing else runs."""

ENDLESS_BOT = f"""
import asyncio, rawbot
bot = rawbot.Bot()

@bot.on_message
async def answer(event, reply):
    while True:
        reply.write("and on ")
        await asyncio.sleep(0.01)

app = rawbot.App(bot, timeouts=rawbot.Timeouts(graceful=%s, settle=5))
app.add({PATH!r}, rawbot.WeComEndpoint({TOKEN!r}, {KEY!r}))
"""


@pytest.fixture(scope="module")
def demos() -> Iterator[dict[tuple[str, str], "subprocess.Popen[str]"]]:
    """Four demos side by side: (once or on, with made or given credentials)."""
    processes = {}
    for mode, flags in (("once", ["--once"]), ("on", [])):
        for whose, environ in (("made", {}), ("given", CREDENTIALS)):
            processes[mode, whose] = start("demo", "--port", "0", *flags, RAWBOT_DEMO_DELAY="0.01", **environ)
    yield processes
    for process in processes.values():
        process.kill()
        process.communicate()


Demos = dict[tuple[str, str], "subprocess.Popen[str]"]


@pytest.mark.parametrize("whose", ["made", "given"])
def test_the_demo_succeeds_and_with_once_it_ends(demos: Demos, whose: str):
    ended = end(demos["once", whose])
    assert (ended.status, ended.out.count("✘")) == (0, 0), ended.out
    assert ended.out.splitlines()[-1].endswith("✔ │ the whole conversation was right")
    assert re.search(r"✔ │ first answer after \d+\.\d ms\n", ended.out)
    assert "│ You said: and in a group? ✔\n" in ended.out
    made = re.search(r"\nmade for this run: token \w{24}, EncodingAESKey \w{43}\n", ended.out)
    assert (made is not None) == (whose == "made")
    assert ended.err.splitlines() == [  # what /fail is there for
        "         log │ ERROR the handler for 'message' raised",
        "             │ RuntimeError: the demo was asked to fail",
    ]
    assert_nothing_secret(ended.out, ended.err)


@pytest.mark.parametrize("whose", ["made", "given"])
def test_the_demo_goes_on_serving_until_it_is_interrupted(demos: Demos, whose: str):
    process = demos["on", whose]
    printed = "".join(iter(process.stdout.readline, "Serving. Ctrl-C stops.\n"))
    assert f"that leads here, for example https://bot.example.com{PATH}," in printed
    assert "RAWBOT_WECOM_ENCODING_AES_KEY=… RAWBOT_DEMO_LOOPBACK=0 \\\n" in printed
    url = re.search(r"answers on (http://127\.0\.0\.1:\d+/callback/command)\n", printed)[1]
    credentials = re.search(r"wecom (\S+) \\\n *--token (\w{24}) --encoding-aes-key (\w{43}) --text Hello\n", printed)
    if whose == "given":
        assert credentials is None
        assert_nothing_secret(printed)
        options = OPTIONS
    else:
        assert credentials[1] == url
        options = ["--token", credentials[2], "--encoding-aes-key", credentials[3]]
    assert end(start("simulate", "wecom", url, *options, "--interval", "0.05")).status == 0
    assert end(process, signal.SIGINT).status == 0


def test_the_demo_fails_with_the_reason_when_the_bot_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def make_mute_app(environ: dict[str, str]) -> rawbot.App:
        app = rawbot.App(rawbot.Bot())
        app.add(PATH, rawbot.WeComEndpoint(environ["RAWBOT_WECOM_TOKEN"], environ["RAWBOT_WECOM_ENCODING_AES_KEY"]))
        return app

    monkeypatch.setattr(cli, "make_app", make_mute_app)
    monkeypatch.setattr(cli, "_log_to_stderr", lambda *_: None)
    monkeypatch.setattr(demonstration, "INTERVAL", 0.01)
    monkeypatch.setattr(demonstration, "PATIENCE", 0.5)
    assert cli.main(["demo", "--once", "--port", "0"]) == 1
    out = capsys.readouterr().out
    assert f"✘ │ the user sees '{TEXTS.silent}' instead of 'You said: and in a group?'" in out
    assert re.search(r"✘ │ \d step\(s\) went wrong\n\Z", out)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_demo_that_is_interrupted_while_it_talks_ends_at_once_with_130(number: int):
    process = start("demo", "--port", "0", "--once", RAWBOT_DEMO_DELAY="5")
    assert any("Hello rawbot" in line for line in iter(process.stdout.readline, ""))
    process.stdout.readline()  # the first answer: the bubble is open
    started = time.monotonic()
    ended = end(process, number)
    assert (ended.status, ended.err) == (130, "")
    assert time.monotonic() - started < AT_ONCE


def test_a_demo_that_may_not_reach_its_simulator_says_what_it_leaves_out():
    ended = end(start("demo", "--port", "0", "--once", RAWBOT_DEMO_DELAY="0.01", RAWBOT_DEMO_LOOPBACK="0"))
    assert (ended.status, ended.out.count("✘")) == (0, 0), ended.out
    assert "\nRAWBOT_DEMO_LOOPBACK=0 forbids files and active replies on this machine" in ended.out
    assert "report.pdf" not in ended.out


def test_an_interrupt_while_the_app_is_imported_ends_with_130_and_without_a_traceback(tmp_path: Path):
    (tmp_path / "slow.py").write_text("import sys, time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    process = start("serve", tmp_path / "slow.py")
    assert process.stdout.readline() == "importing\n"
    assert end(process, signal.SIGINT) == Ended(130, "", "")


@pytest.mark.parametrize("number", SIGNALS)
def test_an_idle_server_stops_at_the_first_signal(number: int):
    with serving("rawbot.demo:app", **CREDENTIALS) as (process, _):
        started = time.monotonic()
        assert end(process, number) == Ended(0, "", "")
        assert time.monotonic() - started < AT_ONCE


def assert_stopped(ended: Ended) -> None:
    """Look for a good end that says no more than for what it waits."""
    assert (ended.status, ended.out) == (0, "")
    assert re.fullmatch(r"(\S+ \S+ INFO stopping: .*\n)?", ended.err)


def talk_and_stop(process: "subprocess.Popen[str]", url: str, *signals: int) -> tuple[Conversation | None, float]:
    """Send the signals while the bot is writing; give the conversation if it ended, and how long the process took."""
    seen: list[object] = []

    async def run() -> tuple[Conversation | None, float]:
        async with make_platform(url.removesuffix(PATH), on_frame=lambda _, frame: seen.append(frame)) as platform:
            saying = asyncio.create_task(platform.say("go on"))
            await until(lambda: len(seen) > 3)
            started = time.monotonic()
            for number in signals:
                process.send_signal(number)
                await asyncio.sleep(0.1)
            await asyncio.to_thread(process.wait, PATIENCE)
            took = time.monotonic() - started
            await asyncio.wait([saying], timeout=0.1)
            return saying.result() if saying.done() else None, took

    return asyncio.run(run())


def test_a_busy_server_ends_its_bubbles_first(tmp_path: Path):
    (tmp_path / "bot.py").write_text(ENDLESS_BOT % 0.2)
    with serving(tmp_path / "bot.py") as (process, url):
        conversation, took = talk_and_stop(process, url, signal.SIGTERM)
        assert (conversation.problems, conversation.finished) == ([], True)
        assert conversation.shown.startswith("and on and on")
        assert conversation.shown.endswith(TEXTS.shutdown)
        assert 0.2 <= took < 0.2 + AT_ONCE
        assert_stopped(end(process))


@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_signal_ends_a_busy_server_at_once(tmp_path: Path, second: int):
    (tmp_path / "bot.py").write_text(ENDLESS_BOT % 60)
    with serving(tmp_path / "bot.py") as (process, url):
        _, took = talk_and_stop(process, url, signal.SIGINT, second)
        assert took < 0.2 + AT_ONCE
        assert_stopped(end(process))


def test_a_server_logs_refusals_and_failures_and_nothing_secret():
    with serving("rawbot.demo:app", **CREDENTIALS) as (process, url):
        wrong = start("simulate", "wecom", url, "--token", "wrongToken", "--encoding-aes-key", KEY)
        fail = start("simulate", "wecom", url, *OPTIONS, "--text", "/fail", "--interval", "0.05")
        assert (end(wrong).status, end(fail).status) == (1, 0)
        log = end(process, signal.SIGTERM).err
    assert f"WARNING {PATH} refused a request of 127.0.0.1: the signature does not fit (-40001)\n" in log
    assert "ERROR the handler for 'message' raised\nTraceback" in log
    assert_nothing_secret(log)
    for secret in ("wrongToken", "msg_signature", "echostr", "nonce"):
        assert secret not in log


# onebot; what it serves is in end_to_end/test_onebot_loopback.py


@pytest.mark.parametrize("number", SIGNALS)
def test_the_loopback_platform_serves_until_the_first_signal(number: int):
    process = start("onebot", "--port", "0")
    line = process.stderr.readline()
    started = time.monotonic()
    ended = end(process, number)
    assert re.fullmatch(r"rawbot listens on http://127\.0\.0\.1:\d+\n", line)
    assert ended == Ended(0, "", "")
    assert time.monotonic() - started < AT_ONCE


def test_whoever_offers_the_loopback_platform_to_everybody_is_warned():
    process = start("onebot", "--port", "0", "--host", "0.0.0.0")
    lines = [process.stderr.readline() for _ in range(2)]
    assert "WARNING OneBot listens on 0.0.0.0 without an access token: whoever gets there is in control\n" in lines[0]
    assert lines[1].startswith("rawbot listens on http://0.0.0.0:")
    assert end(process, signal.SIGTERM) == Ended(0, "", "")


def test_what_goes_wrong_outside_is_logged_with_its_time_and_without_tokens():
    dead = "http://127.0.0.1:1/hook?access_token=in-the-url"
    process = start("onebot", "--port", "0", "--webhook", dead, "--access-token", "a-secret")
    process.stderr.readline()
    line = process.stderr.readline()
    assert re.fullmatch(r"\S+ \S+ WARNING rawbot-loopback: a webhook's push failed \(no connection\): .*\n", line)
    ended = end(process, signal.SIGTERM)
    assert ended.status == 0
    assert "in-the-url" not in line + ended.err
    assert "a-secret" not in line + ended.err


@pytest.mark.parametrize("arguments", [["--heartbeat", "soon"], ["--port", "x"], ["--nonsense"], ["--webhook"]])
def test_a_command_line_for_the_platform_that_cannot_be_read_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        cli.main(["onebot", *arguments])
    assert ended.value.code == 2
    assert "usage: rawbot" in capsys.readouterr().err
