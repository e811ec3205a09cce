"""rawbot/simulating_vk.py and its command line: a platform for the terminal, against bots right and wrong."""

import asyncio
import io
import re
import socket
from argparse import Namespace
from contextlib import closing
from pathlib import Path

import pytest
from honest_vk import CHAT, CODE, GROUP, SECRET, TOKEN, USER, HonestVKBot, Raw, call
from processes import end, start

from rawbot import cli, simulating_vk
from rawbot.simulate.vk_world import Press
from rawbot.simulating_vk import simulate_vk
from rawbot.terminal import Transcript

GO = '{"inline":true,"buttons":[[{"action":{"type":"callback","label":"Go"}},{"action":{"type":"location"}}]]}'

BOT = f"""
import os, rawbot
from rawbot.vk.endpoint import VKEndpoint
from rawbot.vk.settings import VKGroup

bot = rawbot.Bot()

@bot.on_message
async def answer(event, reply):
    reply.write("You said: " + event.text)

group = VKGroup(secret={SECRET!r}, confirmation={CODE!r}, token={TOKEN!r})
app = rawbot.App(bot)
app.add("/webhook", VKEndpoint({{{GROUP}: group}}, api_url=os.environ["RAWBOT_VK_API_URL"]))
"""


class Printed:
    """What the command prints, and where it serves the API."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def api_url(self) -> str:
        return re.search(r"RAWBOT_VK_API_URL=(\S+)", self.text)[1]


class Platform:
    """As much of one as `honest_vk.call` wants."""

    def __init__(self, printed: Printed) -> None:
        self.api_url = printed.api_url


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(simulating_vk, "ANSWER_WITHIN", 0.3)
    monkeypatch.setattr(simulating_vk, "QUIET", 0.1)
    for name in ("GROUP_ID", "SECRET", "CONFIRMATION", "TOKEN"):
        monkeypatch.delenv(f"RAWBOT_VK_{name}", raising=False)


def converse(*calls: tuple[str, dict], bot: HonestVKBot | None = None, **options: object) -> tuple[int, str]:
    """Run the command against a bot that makes these calls for each message; return its status and what it prints."""
    printed = Printed()
    tasks = []

    async def answer(platform: Platform, about: dict):
        for method, params in calls:
            await call(platform, method, **({"peer_id": about["peer_id"], "random_id": 0} | params))

    def receive(event: dict) -> bytes:
        if event["type"] == "message_new":
            tasks.append(asyncio.create_task(answer(Platform(printed), event["object"]["message"])))
        return b"ok"

    async def run():
        honest = bot or HonestVKBot(receive)
        async with honest.serve() as url:
            given = {
                "url": url,
                "group_id": GROUP,
                "secret": SECRET,
                "confirmation": CODE,
                "token": TOKEN,
                "text": None,
            }
            given |= {"peer": USER, "api_port": 0} | options
            return await simulate_vk(Namespace(**given), Transcript(printed.stream))

    return asyncio.run(run()), printed.text


def send(message: str, **params: object) -> tuple[str, dict]:
    return "messages.send", {"message": message} | params


def test_a_right_bot_is_shown_and_the_command_succeeds():
    status, printed = converse(send("You said it"), text=["one", "two"])
    assert status == 0
    lines = [re.sub(r"[\d.]+ m?s \|", "time |", line.replace("│", "|").strip()) for line in printed.splitlines()[2:]]
    assert lines == [
        "",
        "console | asks for the confirmation string",
        "✔ | confirmed",
        "",
        "user 100 | one",
        "time | You said it",
        "",
        "user 100 | two",
        "time | You said it",
    ]
    assert TOKEN not in printed
    assert SECRET not in printed


def test_it_says_hello_when_it_is_told_nothing():
    assert "user 100 │ Hello\n" in converse(send("hi"))[1]


def test_a_chat_is_spoken_in_by_a_member():
    status, printed = converse(send("hi"), peer=CHAT)
    assert (status, "user 1 │ Hello\n" in printed, "│ hi\n" in printed) == (0, True, True)


def test_buttons_attachments_lengths_and_edits_are_told():
    edit = ("messages.edit", {"cmid": 2, "message": "more"})
    long = send("x" * 100)
    _, printed = converse(send("hi", attachment="photo1_2", keyboard=GO), edit, long)
    assert "│ hi [1 attachment(s)] [Go | location]\n" in printed
    assert "│ more (edited)\n" in printed
    assert "│ …" + "x" * 72 + " (100 characters)\n" in printed


def test_a_confirmation_that_is_wrong_ends_it():
    status, printed = converse(bot=HonestVKBot(confirm=b"wrong"))
    assert status == 1
    assert "✘ │ the answer to the confirmation is 'wrong' and not the confirmation string\n" in printed
    assert "Hello" not in printed


def test_without_a_confirmation_the_bot_is_not_asked():
    status, printed = converse(send("hi"), confirmation=None)
    assert (status, "console" in printed) == (0, False)


def test_without_a_token_any_will_do():
    assert converse(send("hi"), token=None)[0] == 0


def test_another_token_is_told():
    status, printed = converse(send("hi"), token="other")
    assert status == 1
    assert "✘ │ messages.send: 5 User authorization failed" in printed


def test_a_bot_that_says_nothing_is_told_with_what_may_be_wrong():
    status, printed = converse()
    assert status == 1
    assert "✘ │ no answer within 0.3 s: was the bot started with RAWBOT_VK_API_URL, and a token?\n" in printed


def test_a_bot_that_fails_is_told():
    status, printed = converse(bot=HonestVKBot(lambda _: Raw(b"", 500)))
    assert (status, "✘ │ an answer's status is 500\n" in printed) == (1, True)


def test_to_answer_a_button_is_an_answer_that_shows_nothing():
    printed = Printed()
    simulating_vk._Conversation(Transcript(printed.stream)).show(None, Press("x", 1, 1, 0.0))
    assert printed.text == ""


def test_the_command_talks_to_rawbots_own_server(tmp_path: Path):
    (tmp_path / "bot.py").write_text(BOT)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = start("serve", tmp_path / "bot.py", "--port", "0", RAWBOT_VK_API_URL=f"http://127.0.0.1:{port}/method/")
    try:
        url = server.stderr.readline().split()[-1] + "/webhook"
        options = {"RAWBOT_VK_GROUP_ID": str(GROUP), "RAWBOT_VK_SECRET": SECRET, "RAWBOT_VK_CONFIRMATION": CODE}
        ended = end(start("simulate", "vk", url, "--api-port", port, "--token", TOKEN, "--text", "Привет", **options))
    finally:
        server.kill()
        server.communicate()
    assert (ended.status, ended.err) == (0, ""), ended.out
    assert "│ You said: Привет\n" in ended.out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "give --group-id, a positive integer, or set RAWBOT_VK_GROUP_ID"),
        (["--group-id", "0"], "give --group-id, a positive integer, or set RAWBOT_VK_GROUP_ID"),
        (["--group-id", "1", "--api-port", "0"], "a URL of the form http://host:port/path or https://… is needed"),
        (["--group-id", "1", "--api-port", "70000"], "cannot serve the API on port 70000"),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["simulate", "vk", "nonsense", *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]):
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert cli.main(["simulate", "vk", "http://127.0.0.1:9/", "--group-id", "1", "--api-port", port]) == 2
    assert f"cannot serve the API on port {port}" in capsys.readouterr().err
