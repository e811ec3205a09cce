"""rawbot/vk/community.py: secrets, the confirmation string, and what the operator wants to be said."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vk_platform import NOW, FakeApi, failed
from vk_samples import GROUP, envelope

from rawbot.errors import ConfigError, ProtocolError
from rawbot.exchange import Answer, Pending, Response
from rawbot.vk.community import CONFIRMATION_KEPT, CONFIRMATION_WITHIN, UNTOLD, Community
from rawbot.vk.settings import VKGroup


def community(api: FakeApi | None = None, **settings: object) -> Community:
    return Community(VKGroup(**settings), api)


def knows(secret: object, given_secret: str | None) -> bool:
    return community(secret=secret).is_known_to(envelope(secret=given_secret))


# Secrets


def test_one_of_the_valid_secrets_is_enough():
    assert knows("a", "a")
    assert knows(["old", "new"], "old")
    assert knows(["old", "new"], "new")


@pytest.mark.parametrize("given_secret", [None, "", "A", "a ", "aa", "b", "\u00e4"])
def test_any_other_secret_and_none_are_wrong(given_secret: str | None):
    assert not knows("a", given_secret)
    assert not knows(["a", "c"], given_secret)


def test_a_secret_may_have_any_characters():
    assert knows("тайна", "тайна")
    assert not knows("тайна", "тайнА")


def test_half_of_a_surrogate_pair_is_a_wrong_secret_and_no_fault():
    happened = envelope()
    happened.secret = "\ud800"
    assert not community(secret="a").is_known_to(happened)


def test_without_a_secret_every_senders_word_is_taken():
    assert community().open
    assert not community(secret="a").open
    assert community().is_known_to(envelope(secret="whatever"))
    assert community().is_known_to(envelope(secret=None))


def test_comparing_looks_at_all_secrets_and_at_all_of_each(monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[bytes, bytes]] = []

    def compare(given_secret: bytes, secret: bytes) -> bool:
        seen.append((given_secret, secret))
        return given_secret == secret

    monkeypatch.setattr("rawbot.vk.community.compare_digest", compare)
    assert knows(["a", "b", "c"], "a")
    assert seen == [(b"a", b"a"), (b"a", b"b"), (b"a", b"c")]


@given(st.text(min_size=1, max_size=50), st.one_of(st.none(), st.text(max_size=50)))
def test_a_secret_is_right_exactly_when_it_is_the_same(secret: str, other: str | None):
    if secret.isprintable():
        assert knows(secret, secret)
        assert knows(secret, other) == (secret == other)


SUBJECT = {"subject": ((("countryName", "RU"),), (("commonName", "callback.vk"), ("commonName", "other")))}


@pytest.mark.parametrize(
    ("certificate", "right"),
    [
        (SUBJECT, True),
        ({"subject": ((("commonName", "other"),),)}, False),
        ({"subject": ((("organizationName", "callback.vk"),),)}, False),
        ({"subject": ()}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_certificate_is_right_by_its_common_name(certificate: dict[str, object] | None, right: bool):  # noqa: FBT001 - a column
    assert community(common_name="callback.vk").is_shown(certificate) == right
    assert community().is_shown(certificate)


# Confirmation


def said(exchange: object, now: float = NOW) -> Response:
    if isinstance(exchange, Pending):
        exchange.attach(lambda: None)
        return exchange.answer(now)
    assert isinstance(exchange, Answer)
    assert exchange.event is None
    return exchange.response


def test_the_string_is_told_as_it_is():
    response = said(community(confirmation="12ab34cd").confirm(GROUP, NOW))
    assert (response.status, response.body, response.content_type) == (200, b"12ab34cd", b"text/plain")


def test_what_returns_the_string_is_asked_each_time():
    strings = itertools.count(1)
    place = community(confirmation=lambda: f"code{next(strings)}")
    assert [said(place.confirm(GROUP, NOW)).body for _ in range(2)] == [b"code1", b"code2"]


@pytest.mark.parametrize("nothing", ["", None])
def test_what_knows_no_string_leaves_it_to_the_api(nothing: object):
    place = community(FakeApi(), confirmation=lambda: nothing)
    assert said(place.confirm(GROUP, NOW)).body == b"12ab34cd"


def test_the_api_is_asked_and_what_it_tells_is_kept_for_a_while():
    api = FakeApi()
    place = community(api)
    assert said(place.confirm(GROUP, NOW)).body == b"12ab34cd"
    api.code = {"code": "changed"}
    assert said(place.confirm(GROUP, NOW)).body == b"12ab34cd"
    assert said(place.confirm(GROUP, NOW + CONFIRMATION_KEPT - 1)).body == b"12ab34cd"
    assert said(place.confirm(GROUP, NOW + CONFIRMATION_KEPT)).body == b"changed"
    assert said(place.confirm(GROUP, NOW - 9)).body == b"changed"  # the clock was set back: asked again
    assert [call.params for call in api.calls] == [{"group_id": GROUP}] * 3


def test_the_answer_waits_for_the_api_and_is_there_when_that_answers():
    api = FakeApi()
    api.held = True
    pending = community(api).confirm(GROUP, NOW)
    assert isinstance(pending, Pending)
    assert pending.deadline == NOW + CONFIRMATION_WITHIN
    delivered: list[bool] = []
    pending.attach(lambda: delivered.append(True))
    assert delivered == []
    api.answer()
    assert delivered == [True]
    assert pending.answer(NOW).body == b"12ab34cd"


def test_the_api_is_asked_once_for_all_who_wait():
    api = FakeApi()
    api.held = True
    place = community(api)
    waiting = [place.confirm(GROUP, NOW + second) for second in range(3)]
    assert len(api.calls) == 1
    api.answer()
    assert [said(pending).body for pending in waiting] == [b"12ab34cd"] * 3


def test_who_waited_in_vain_is_not_waited_for():
    api = FakeApi()
    api.held = True
    place = community(api)
    first = place.confirm(GROUP, NOW)
    assert said(first, NOW + CONFIRMATION_WITHIN) is UNTOLD
    place.confirm(GROUP, NOW + 6)
    assert len(api.calls) == 2


@pytest.mark.parametrize("code", [failed(5), {}, {"code": ""}, {"code": 5}, [], "code", None])
def test_where_the_api_does_not_tell_vk_is_to_come_again_and_the_api_is_asked_again(code: object):
    api = FakeApi()
    api.code = code
    place = community(api)
    assert said(place.confirm(GROUP, NOW)) is UNTOLD
    assert (UNTOLD.status, dict(UNTOLD.headers)) == (503, {b"retry-after": b"5"})
    api.code = {"code": "12ab34cd"}
    assert said(place.confirm(GROUP, NOW + 1)).body == b"12ab34cd"


def test_without_a_string_and_a_token_there_is_no_confirmation():
    with pytest.raises(ProtocolError, match="confirmation") as refusal:
        community().confirm(GROUP, NOW)
    assert refusal.value.status == 403


# Commands


def test_what_the_operator_wants_to_be_said_is_said_once():
    place = community()
    assert place.take_command() is None
    place.order_removal()
    assert [place.take_command(), place.take_command()] == [b"remove", None]
    place.order_version("5.199")
    assert [place.take_command(), place.take_command()] == [b"version 5.199", None]


@pytest.mark.parametrize("version", ["", "5", "5.", ".5", "5..1", "5.199\n", "5.199 ok", "²5.1", 5.199, None])
def test_what_is_no_version_is_refused(version: object):
    with pytest.raises(ConfigError, match=r"5\.199"):
        community().order_version(version)
