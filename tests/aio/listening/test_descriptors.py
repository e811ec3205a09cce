"""rawbot/aio/listening/descriptors.py: how many are needed, and what is done where the system says no."""

import resource
import sys

import pytest

from rawbot.aio.listening.descriptors import SPARE, allow_descriptors, needed_descriptors
from rawbot.aio.listening.listen import Listen
from rawbot.aio.listening.tls import TLS

INFINITY = resource.RLIM_INFINITY
PROXIED = Listen(port=0, proxy_protocol=True, forwarded_allow_ips="*", max_handshakes=30)
ENOUGH = 1000 + SPARE


class Limit:
    """Stands for the process's own."""

    def __init__(self, soft: int, hard: int, *, refuses: bool = False) -> None:
        self.now = (soft, hard)
        self.refuses = refuses

    def get(self, _: int) -> tuple[int, int]:
        return self.now

    def set(self, _: int, limits: tuple[int, int]) -> None:
        if self.refuses:
            raise ValueError("current limit exceeds maximum limit")
        self.now = limits


def test_what_is_not_through_its_header_or_handshake_holds_a_descriptor_beside_the_connections():
    assert needed_descriptors(1000, [Listen(port=0)]) == ENOUGH
    assert needed_descriptors(1000, [PROXIED, Listen(tls=TLS("c.pem"), max_handshakes=7)]) == ENOUGH + 37


@pytest.mark.parametrize(
    ("limit", "soft", "warned"),
    [
        (Limit(100, 5000), ENOUGH, False),
        (Limit(100, INFINITY), ENOUGH, False),
        (Limit(2000, 5000), 2000, False),
        (Limit(INFINITY, INFINITY), INFINITY, False),
        (Limit(100, ENOUGH), ENOUGH, False),
        (Limit(100, ENOUGH - 1), ENOUGH - 1, True),
        (Limit(100, INFINITY, refuses=True), 100, True),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_it_may_be(
    limit: Limit,
    soft: int,
    warned: bool,  # noqa: FBT001 - a table's column
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr(resource, "getrlimit", limit.get)
    monkeypatch.setattr(resource, "setrlimit", limit.set)
    hard = limit.now[1]
    allow_descriptors(1000, [Listen(port=0)])
    assert limit.now == (soft, hard)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warned
    if warned:
        assert f"may open {soft} files, and 1000 connections may need {ENOUGH}" in caplog.text


def test_where_there_is_no_such_limit_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setitem(sys.modules, "resource", None)
    allow_descriptors(10**9, [])
    assert caplog.records == []
