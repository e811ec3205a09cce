"""rawbot/aio/watching/access_log.py: each answered and each refused request is a line where the operator wants it."""

import asyncio
import json
from pathlib import Path

import pytest
from fake_endpoint import PATH, FakeEndpoint, make_app, talk

from rawbot.aio.server import serve
from rawbot.aio.watching.access_log import AccessLog
from rawbot.aio.watching.observer import Observer
from rawbot.errors import ConfigError, LimitError
from rawbot.exchange import Request, Response
from rawbot.http.access_log import FORMS

REQUEST = Request("GET", "/a", "token=secret", peer="192.0.2.1")


@pytest.mark.parametrize("style", FORMS)
def test_answers_and_refusals_are_written_in_the_chosen_style(style: str, tmp_path: Path):
    log = AccessLog(tmp_path / "log", style=style)
    log.answered(REQUEST, "/a", Response(200, b"x"), 0.001, 1_700_000_000.5)
    log.refused(LimitError("the head is too long", status=431), "192.0.2.2", 1_700_000_001.5)
    log.close()
    answered, refused = FORMS[style]
    assert (tmp_path / "log").read_text("ascii") == (
        answered(REQUEST, "/a", Response(200, b"x"), 0.001, 1_700_000_000.5)
        + refused(LimitError("the head is too long", status=431), "192.0.2.2", 1_700_000_001.5)
    )


def test_the_combined_form_is_what_one_gets_without_choosing(tmp_path: Path):
    log = AccessLog(str(tmp_path / "log"))
    log.answered(REQUEST, "/a", Response(200, b"x"), 0.001, 0.0)
    log.close()
    assert (tmp_path / "log").read_text().endswith('"GET /a?token=- HTTP/1.1" 200 1 "-" "-" 1000\n')


def test_connections_and_handlers_are_no_lines(tmp_path: Path):
    log = AccessLog(tmp_path / "log")
    assert isinstance(log, Observer)
    log.opened()
    log.closed()
    log.close()
    assert (tmp_path / "log").read_bytes() == b""


@pytest.mark.parametrize("target", ["-", 1])
def test_a_dash_is_standard_output(target: str | int, capfd: pytest.CaptureFixture[str]):
    log = AccessLog(target, style="json")
    log.answered(REQUEST, "/a", Response(200), 0.001, 0.0)
    log.close()
    assert json.loads(capfd.readouterr().out)["query"] == "token=-"


def test_after_rotation_it_goes_on_in_a_new_file(tmp_path: Path):
    log = AccessLog(tmp_path / "log")
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.reopen()
    log.answered(REQUEST, "/a", Response(200), 0.001, 0.0)
    log.close()
    assert (tmp_path / "log").read_text().count("\n") == 1
    assert log.dropped == 0


def test_a_style_that_there_is_none_of_and_a_file_that_cannot_be_are_refused_at_once(tmp_path: Path):
    with pytest.raises(ConfigError, match="common, combined, json"):
        AccessLog(tmp_path / "log", style="apache")
    with pytest.raises(ConfigError, match="cannot write to"):
        AccessLog(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_when_the_server_has_stopped_every_request_is_in_the_file(tmp_path: Path):
    async def go():
        async with serve(make_app(FakeEndpoint(), observers=[log]), port=0) as server:
            request = f"GET {PATH}?token=secret HTTP/1.1\r\nHost: x\r\nUser-Agent: a\r\n".encode()
            await talk(server.port, *[request + b"\r\n"] * 19, request + b"Connection: close\r\n\r\n")
            await talk(server.port, b"GET / HTTP/1.1\r\n\r\n")  # RFC 9112, section 3.2: no Host

    log = AccessLog(tmp_path / "log", style="json")
    asyncio.run(go())
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["status"] for line in lines] == [200] * 20 + [400]
    assert {(line["peer"], line["path"], line["query"], line["route"]) for line in lines[:20]} == {
        ("127.0.0.1", PATH, "token=-", PATH)
    }
    assert all(0 < line["duration_us"] < 60_000_000 for line in lines[:20])
