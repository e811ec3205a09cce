"""rawbot/http/recognizer.py beside h11 and the strict look: what it reads they read alike, and nobody sees who read.

`tests/fuzz_recognizer.py` asks the same of as many requests as one has time for.
"""

import fuzz_recognizer
import pytest
from fuzz_recognizer import (
    NOW,
    OWED,
    SETTINGS,
    Setting,
    ask_h11,
    ask_strictly,
    converse,
    differ,
    disagreement,
    recognize,
    streams,
)
from fuzz_requests import Choose, draw_cuts, draw_request, draw_stream, mangle
from http_corpus import A_GET, CORPUS, post, single, tear
from http_corpus import converse as converse_of_the_corpus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rawbot.errors import ProtocolError
from rawbot.exchange import Request
from rawbot.http.limits import Limits
from rawbot.http.recognizer import Recognizer

STREAMS = streams()
RECOGNIZERS = {setting: setting.recognizer() for setting in SETTINGS}
SETTING = st.sampled_from(SETTINGS)
SLOW = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    return draw_request(chooser(draw))


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    choose = chooser(draw)
    return mangle(choose, choose(STREAMS) if choose((True, False)) else draw_request(choose))


@st.composite
def torn(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Draw a stream and the pieces that it comes in."""
    choose = chooser(draw)
    data = choose(STREAMS) if choose((True, False)) else draw_stream(choose)
    if choose((True, False)):
        data = mangle(choose, data)
    return data, tear(data, draw_cuts(choose, data))


def chooser(draw: st.DrawFn) -> Choose:
    return lambda options: draw(st.sampled_from(options))


# Readings


@SLOW
@given(requests() | mangled(), SETTING)
def test_what_is_recognised_h11_and_the_strict_look_read_in_the_same_way(data: bytes, setting: Setting):
    assert disagreement(RECOGNIZERS[setting], data, setting) == ""


@pytest.mark.parametrize("setting", SETTINGS, ids=["wide", "tight", "named"])
def test_so_they_do_from_every_place_of_every_known_stream(setting: Setting):
    recognizer, recognized = RECOGNIZERS[setting], 0
    for data in STREAMS:
        for at in range(len(data)):
            recognized += recognize(recognizer, data[at:]) is not None
            assert disagreement(recognizer, data[at:], setting) == ""
    assert recognized > 100


BYTES = [bytes((byte,)) for byte in range(256)]
GOOD = b"POST /a?b HTTP/1.1\r\nHost: x:80\r\nContent-Length: 2\r\nConnection: keep-alive\r\nA: b\r\n\r\nab"


@pytest.mark.parametrize("width", [0, 1])
def test_so_they_do_with_every_byte_in_every_place_of_a_good_request(width: int):
    """As one byte more (0), or in the place of another (1)."""
    setting, recognized = SETTINGS[0], 0
    for at in range(len(GOOD) + 1):
        for byte in BYTES:
            data = GOOD[:at] + byte + GOOD[at + width :]
            if reading := recognize(RECOGNIZERS[setting], data):
                recognized += 1
                assert reading == ask_h11(data) == ask_strictly(data, setting)
    assert recognized > 2500


# Conversations


@pytest.mark.parametrize("name", CORPUS)
def test_the_corpus_comes_to_the_same_with_the_recogniser(name: str):
    data, expected = CORPUS[name]
    for pieces in ([data], single(data)):
        assert converse_of_the_corpus(pieces, recognizer=RECOGNIZERS[SETTINGS[0]]) == expected


@pytest.mark.parametrize("owes", OWED)
@pytest.mark.parametrize("setting", SETTINGS, ids=["wide", "tight", "named"])
def test_every_known_stream_is_answered_alike_whole_and_byte_by_byte(setting: Setting, *, owes: bool):
    for data in STREAMS:
        for pieces in ([data], single(data)) if len(data) < 2000 else ([data],):
            assert not differ(pieces, setting, RECOGNIZERS[setting], owes=owes)


@SLOW
@given(torn(), SETTING, st.sampled_from(OWED))
def test_torn_anywhere_a_stream_is_answered_alike(stream: tuple[bytes, list[bytes]], setting: Setting, owes: bool):  # noqa: FBT001
    data, pieces = stream
    for feeding in (pieces, [data]):
        assert not differ(feeding, setting, RECOGNIZERS[setting], owes=owes)


MIXED = (
    A_GET,
    post(b"Content-Length: 2\r\n", b"ab"),
    post(b"Transfer-Encoding: chunked\r\n", b"2\r\nab\r\n0\r\n\r\n"),
    b"\r\n" + A_GET,
    A_GET.replace(b"1.1", b"1.2"),
    A_GET.replace(b"GET", b"HEAD"),
    A_GET[:-2] + b"Connection: close\r\n\r\n",
    A_GET.replace(b"Host", b"Host "),
)


@pytest.mark.parametrize("owes", OWED)
def test_what_is_recognised_and_what_is_not_mix_in_one_piece_behind_one_another_and_torn(*, owes: bool):
    recognizer = RECOGNIZERS[SETTINGS[0]]
    for first in MIXED:
        for second in MIXED:
            for third in MIXED:
                data = first + second + third
                for pieces in ([data], [first, second, third], [first + second, third], tear(data, [9, 70, 130])):
                    assert not differ(pieces, SETTINGS[0], recognizer, owes=owes)


def test_the_limit_of_a_head_is_the_same_to_the_byte_however_it_comes():
    for size in (len(A_GET) - 1, len(A_GET), len(A_GET) + 1):
        setting = Setting(Limits(max_target_size=30, max_header_size=size))
        for data in (A_GET, A_GET + A_GET):
            for pieces in ([data], single(data), [data[:9], data[9:]]):
                assert not differ(pieces, setting, setting.recognizer(), owes=False)


def test_the_empty_lines_behind_bodies_never_add_up():
    """Some clients send one behind every body (RFC 9112, section 2.2)."""
    setting = Setting(Limits(max_target_size=30, max_header_size=60))
    pieces = [A_GET, b"\r\n"] * 40
    assert not differ(pieces, setting, setting.recognizer(), owes=False)


def test_head_is_refused_without_content_even_before_it_is_read():
    setting = SETTINGS[0]
    with_it, without = (setting.connection(one) for one in (setting.recognizer(), None))
    for connection in (with_it, without):
        connection.receive_data(A_GET.replace(b"GET", b"HEAD"))
    late = ProtocolError("the request took too long", status=408)
    assert with_it.refuse(late, NOW) == without.refuse(late, NOW)


class Deaf(Recognizer):
    def read(self, data: bytes, at: int, peer: str) -> None:
        """Recognise nothing."""


class Lax(Recognizer):
    def read(self, data: bytes, at: int, peer: str) -> tuple[Request, int] | None:
        """Overlook a blank before Host's colon."""
        return super().read(data.replace(b"Host ", b"Host"), at, peer)


def test_what_differs_would_be_seen():
    """Whoever compares must be able to tell."""
    lax, deaf = (SETTINGS[0].recognizer(kind) for kind in (Lax, Deaf))
    broken = A_GET.replace(b"Host:", b"Host :")
    assert disagreement(lax, broken, SETTINGS[0]) == "h11"
    assert differ([broken], SETTINGS[0], lax, owes=False)
    assert not differ([broken], SETTINGS[0], deaf, owes=False)
    assert len(converse([A_GET], SETTINGS[0].connection(None), owes=False)) == 7


@pytest.mark.parametrize(("kind", "status"), [(Recognizer, 0), (Lax, 1)])
def test_the_long_run_counts_and_tells_of_a_fault_by_its_status(
    kind: type[Recognizer], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(
        Setting, "recognizer", lambda setting, kind=kind: kind(setting.limits, body_limit=setting.small)
    )
    monkeypatch.setattr(fuzz_recognizer, "SETTINGS", SETTINGS[:1])
    monkeypatch.setattr(fuzz_recognizer, "streams", lambda: [A_GET, A_GET.replace(b"Host", b"Host ")])
    assert fuzz_recognizer.main(["--seconds", "0.3", "--seed", "1"]) == status
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("seed 1, ")
    assert said[-1].endswith(" 0 faults") == (status == 0)
    assert (len(said) == 2) == (status == 0)
