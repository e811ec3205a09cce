"""rawbot/cli.py, the commands that check: `simulate` and `doctor`, and what is said to a command line that cannot be.

Run in this process where no signal and no encoding is at stake. The commands that serve are in test_cli.py.
"""

import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import CREDENTIALS, OPTIONS, PATIENCE, assert_nothing_secret, end, serving, start
from talking import KEY, PATH, TOKEN

from rawbot import __version__, cli
from rawbot.simulate.wecom_envelope import encode_callback, encode_verification
from rawbot.wecom.crypto import WeComCrypto

MUTE_ENDPOINT = f"""
import rawbot

class Mute(rawbot.WeComEndpoint):
    def receive(self, request, now):
        return super().receive(request, now) if request.method == "GET" else rawbot.Answer(rawbot.Response(200))

app = rawbot.App(rawbot.Bot())
app.add({PATH!r}, Mute({TOKEN!r}, {KEY!r}))
"""

SAID = "what was said"
UNREADABLE = (
    "the answer's status is 400: it could not read the request: another EncodingAESKey or receive id than the "
    "server's, or a proxy that drops or changes the query; `rawbot doctor wecom` says which step fails\n"
)

MADE_UP = f"--token t --encoding-aes-key {KEY}"
README = Path(__file__).parents[1] / "README.md"

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch):
    """Leave out the operator's settings, and leave no log handlers behind."""
    for name in (*CREDENTIALS, "RAWBOT_WECOM_RECEIVE_ID", "RAWBOT_DEMO_DELAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cli, "_log_to_stderr", lambda *_: None)


@pytest.fixture(scope="module")
def demo_url() -> Iterator[str]:
    with serving("rawbot.demo:app", RAWBOT_DEMO_DELAY="0", **CREDENTIALS) as (_, url):
        yield url


def captured_url(token: str = TOKEN, *, receive_id: str = "", timestamp: int = 1_767_225_600) -> str:
    """Return a URL as the console requests it when it verifies."""
    crypto = WeComCrypto(token, KEY, receive_id=receive_id)
    query, _ = encode_verification(crypto, SAID, timestamp=timestamp, nonce="77")
    return f"https://bot.example.com{PATH}?{query}"


# simulate


def test_the_simulator_talks_to_a_server(demo_url: str, capsys: Captured):
    texts = ["--text", "你好", "--text", "/card", "--interval", "0.02"]
    assert cli.main(["simulate", "wecom", demo_url, *OPTIONS, *texts]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("\n     console │ verifies the URL\n           ✔ │ verified\n\n    zhangsan │ 你好\n")
    assert "│ You said: 你好 ✔\n" in printed.out
    assert "│ Please decide. [card] ✔\n" in printed.out
    assert printed.err == ""
    assert_nothing_secret(printed.out)


def test_the_simulator_says_hello_and_knows_groups_and_the_environment(
    demo_url: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["simulate", "wecom", demo_url, "--chat", "wr-1", "--interval", "0.02"]) == 0
    assert "│ You said: Hello ✔\n" in capsys.readouterr().out


def test_the_simulator_stays_for_the_second_part_of_a_long_answer(capsys: Captured):
    with serving("rawbot.demo:app", **CREDENTIALS) as (_, url):  # a fresh one: its first post takes the longest
        assert cli.main(["simulate", "wecom", url, *OPTIONS, "--text", "/long 30000", "--interval", "0"]) == 0
    assert re.search(r"\(20,\d{3} bytes\) ✔\n +\+ message │ .* \(9,\d{3} bytes\)\n\Z", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("path", "options", "reason"),
    [
        (PATH, ["--token", "wrong", "--encoding-aes-key", KEY], "the answer's status is 403: it found the signature"),
        (PATH, [*OPTIONS[:3], KEY[::-1]], UNREADABLE),
        (PATH, [*OPTIONS, "--receive-id", "wwcorp"], UNREADABLE),
        ("/", OPTIONS, "the answer's status is 404: nothing is served at this path"),
    ],
)
def test_the_simulator_says_why_a_url_cannot_be_verified(
    demo_url: str, capsys: Captured, path: str, options: list[str], reason: str
):
    assert cli.main(["simulate", "wecom", demo_url.replace(PATH, path), *options]) == 1
    printed = capsys.readouterr()
    assert f"✘ │ {reason}" in printed.out
    assert printed.err == ""
    assert_nothing_secret(printed.out)


def test_the_simulator_tells_what_breaks_the_rules(tmp_path: Path, capsys: Captured):
    (tmp_path / "mute.py").write_text(MUTE_ENDPOINT)
    with serving(tmp_path / "mute.py") as (_, url):
        assert cli.main(["simulate", "wecom", url, *OPTIONS]) == 1
    out = capsys.readouterr().out
    assert "✔ │ verified" in out
    assert out.endswith("✘ │ the message got an empty answer: no stream is opened and the user sees nothing\n")


def test_the_simulator_tells_at_once_when_the_server_dies_and_gives_up_after_a_while(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cli, "GIVE_UP_AFTER", 0.3)
    with serving("rawbot.demo:app", **CREDENTIALS) as (process, url):
        monkeypatch.setattr(cli.Transcript, "frame", lambda *_: process.kill())  # the first answer: the bubble is open
        assert cli.main(["simulate", "wecom", url, *OPTIONS, "--text", "/slow 60", "--interval", "0.05"]) == 1
    told = [line.partition("✘ │ ")[2] for line in capsys.readouterr().out.splitlines() if "✘" in line]
    assert told[-1] == "no answer for 0.3 s: given up"
    assert any(url.split("/")[2] in problem or "closed the connection" in problem for problem in told[:-1])
    assert len(told) == len(set(told))


def test_problems_are_told_when_they_occur(capsys: Captured, tmp_path: Path):
    (tmp_path / "mute.py").write_text(MUTE_ENDPOINT)
    with serving(tmp_path / "mute.py") as (_, url):
        assert cli.main(["simulate", "wecom", url, *OPTIONS, "--text", "first", "--text", "second"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert [line.partition(" │ ")[0].strip() for line in lines] == ["console", "✔", "zhangsan", "✘", "zhangsan", "✘"]


@pytest.mark.parametrize("command", ["simulate", "doctor"])
def test_who_has_stopped_reading_is_not_bothered_with_the_rest(demo_url: str, command: str):
    arguments = {
        "simulate": ["simulate", "wecom", demo_url, *OPTIONS],
        "doctor": ["doctor", "wecom", *OPTIONS, "--url", captured_url()],
    }
    process = start(*arguments[command])
    process.stdout.close()
    assert (process.wait(PATIENCE), process.stderr.read()) == (2, "")
    process.stderr.close()


def test_a_simulation_that_is_interrupted_ends_with_130(demo_url: str):
    process = start("simulate", "wecom", demo_url, *OPTIONS, "--text", "/slow 9")
    assert any("/slow 9" in line for line in iter(process.stdout.readline, ""))
    process.stdout.readline()  # the first answer
    ended = end(process, signal.SIGINT)
    assert (ended.status, ended.err) == (130, "")


# doctor


def test_the_doctor_finds_nothing_wrong_with_a_good_request(tmp_path: Path, capsys: Captured):
    assert cli.main(["doctor", "wecom", *OPTIONS, "--url", captured_url()]) == 0
    message = {"msgid": "1", "msgtype": "text", "text": {"content": SAID}, "from": {"userid": "zhangsan"}}
    query, body = encode_callback(WeComCrypto(TOKEN, KEY), message, timestamp=1_767_225_600, nonce="77")
    (tmp_path / "body.json").write_bytes(body)
    arguments = ["--url", f"{PATH}?{query}", "--body", str(tmp_path / "body.json")]
    assert cli.main(["doctor", "wecom", *OPTIONS, *arguments]) == 0
    printed = capsys.readouterr()
    assert "✔ signature: " in printed.out
    assert "! timestamp: " in printed.out  # it is of New Year's Day 2026
    assert "✘" not in printed.out
    assert printed.err == ""
    assert SAID not in printed.out
    assert_nothing_secret(printed.out)


@pytest.mark.parametrize(
    ("url", "step"),
    [
        (captured_url("anotherToken"), "signature"),
        (captured_url(receive_id="wwcorp"), "receive_id"),
        (captured_url().partition("?")[0], "url"),
        (captured_url().replace("nonce", "once"), "parameters"),
    ],
)
def test_the_doctor_names_the_step_that_fails(capsys: Captured, monkeypatch: pytest.MonkeyPatch, url: str, step: str):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["doctor", "wecom", "--url", url]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("✘")] == [f"✘ {step}"]
    assert lines[-1].startswith("· ")
    assert_nothing_secret(*lines)


def test_where_the_terminal_knows_no_chinese_and_no_marks_others_stand_for_them():
    options = ["--token", TOKEN, "--encoding-aes-key", "short"]
    ended = end(start("doctor", "wecom", *options, "--url", captured_url(), PYTHONIOENCODING="ascii"))
    assert (ended.status, ended.err) == (1, "")
    assert ended.out.startswith("? token: The token is well-formed.\n? encoding_aes_key: The EncodingAESKey has 5 char")


# What cannot be carried out


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("serve nothing_there", "no module named 'nothing_there'"),
        ("serve nothing_there.py", "no file nothing_there.py"),
        ("serve rawbot.demo:app", "set RAWBOT_WECOM_TOKEN and RAWBOT_WECOM_ENCODING_AES_KEY, or try: python -m rawbot"),
        ("serve rawbot.demo:make_bot", "rawbot.demo:make_bot is no App but of type function"),
        ("simulate wecom http://127.0.0.1:1/", "give --token and --encoding-aes-key, or set RAWBOT_WECOM_TOKEN and"),
        (f"simulate wecom http://127.0.0.1:1/ {MADE_UP}", "127.0.0.1:1: connection refused: nothing listens there"),
        (f"simulate wecom ftp://host/ {MADE_UP}", "a URL of the form http://host:port/path"),
        ("simulate wecom http://127.0.0.1:1/ --token t --encoding-aes-key short", "an EncodingAESKey has 43"),
        ("doctor wecom --url /", "give --token and --encoding-aes-key, or set"),
        (
            "doctor wecom --token t --encoding-aes-key k --url / --body nothing.json",
            "cannot read nothing.json: No such",
        ),
        (f"simulate wecom http://127.0.0.1:1/ {MADE_UP} --interval nan", "interval is a number of seconds, 0 or"),
        (f"simulate wecom http://127.0.0.1:1/ {MADE_UP} --interval inf", "interval is a number of seconds, 0 or"),
        (f"simulate wecom http://127.0.0.1:1/ {MADE_UP} --interval -1", "interval is a number of seconds, 0 or"),
        ("serve nofile.txt", "no module named 'nofile'; a file is named with its ending, path/to/file.py"),
        (f"serve {README}", f"a target is module:attribute or path/to/file.py[:attribute], not '{README}'"),
        ("serve rawbot.demo:app --port 99999", "cannot listen on 127.0.0.1:99999: ports are 0 to 65535"),
        ("serve rawbot.demo:app --port -1", "cannot listen on 127.0.0.1:-1: ports are 0 to 65535"),
        ("demo --port 70000", "cannot listen on 127.0.0.1:70000: ports are 0 to 65535"),
        ("demo --host nowhere.invalid", "cannot listen on nowhere.invalid:8080: "),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_why_in_one_line(capsys: Captured, command: str, reason: str):
    assert cli.main(command.split()) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"rawbot: {reason}")
    assert printed.err.count("\n") == 1
    assert_nothing_secret(printed.err)


@pytest.mark.parametrize(("given", "missing"), [tuple(CREDENTIALS), tuple(CREDENTIALS)[::-1]])
def test_a_demo_with_half_of_its_credentials_names_the_other_half(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, given: str, missing: str
):
    monkeypatch.setenv(given, CREDENTIALS[given])
    for empty in (False, True):
        if empty:
            monkeypatch.setenv(missing, "")
        assert cli.main(["demo", "--once", "--port", "0"]) == 2
        printed = capsys.readouterr()
        assert printed.err == f"rawbot: {missing} is not set: set it, or unset the other, and random ones are made\n"
        assert printed.out == ""


@pytest.mark.parametrize("command", ["demo", "serve rawbot.demo:app"])
def test_a_port_that_is_taken_is_named(capsys: Captured, monkeypatch: pytest.MonkeyPatch, command: str):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main([*command.split(), "--port", str(port)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"rawbot: cannot listen on 127.0.0.1:{port}: ")
    assert "in use" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["demo", "serve rawbot.demo:app"])
def test_a_bad_key_in_the_environment_is_told_without_repeating_it(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, command: str
):
    monkeypatch.setenv("RAWBOT_WECOM_TOKEN", TOKEN)
    monkeypatch.setenv("RAWBOT_WECOM_ENCODING_AES_KEY", KEY[:-1])
    assert cli.main([*command.split(), "--port", "0"]) == 2
    err = capsys.readouterr().err
    assert err == "rawbot: RAWBOT_WECOM_…: an EncodingAESKey has 43 characters out of A-Z, a-z, 0-9\n"


def test_a_bad_key_in_a_users_module_is_told_in_one_line(tmp_path: Path, capsys: Captured):
    (tmp_path / "bot.py").write_text("import rawbot\nrawbot.WeComEndpoint('token', 'short')\n")
    assert cli.main(["serve", str(tmp_path / "bot.py")]) == 2
    assert capsys.readouterr().err == "rawbot: an EncodingAESKey has 43 characters out of A-Z, a-z, 0-9\n"


@pytest.mark.parametrize(("fault", "error"), [("def (\n", "SyntaxError"), ("open('nowhere')\n", "FileNotFoundError")])
def test_a_fault_in_a_users_module_keeps_its_traceback(tmp_path: Path, fault: str, error: str):
    (tmp_path / "bot.py").write_text(fault)
    ended = end(start("serve", tmp_path / "bot.py"))
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("Traceback")
    assert 'bot.py", line 1' in ended.err
    assert ended.err.splitlines()[-1].startswith(error)


@pytest.mark.parametrize(
    ("command", "status", "told"),
    [
        ("--version", 0, f"rawbot {__version__}\n"),
        ("", 2, "the following arguments are required: COMMAND"),
        ("dance", 2, "invalid choice: 'dance'"),
        ("serve", 2, "the following arguments are required: TARGET"),
        ("simulate", 2, "the following arguments are required: PLATFORM"),
        ("doctor wecom", 2, "the following arguments are required: --url"),
        ("demo --port many", 2, "invalid int value: 'many'"),
    ],
)
def test_a_command_line_that_is_none_is_explained(capsys: Captured, command: str, status: int, told: str):
    with pytest.raises(SystemExit) as ended:
        cli.main(command.split())
    printed = capsys.readouterr()
    assert ended.value.code == status
    assert told in printed.out + printed.err
