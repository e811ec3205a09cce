"""rawbot/wecom/settings.py: what is a setting, and what is refused by its name.

That each setting of an endpoint is looked at is in test_endpoint_verification.py.
"""

import pytest

from rawbot.errors import ConfigError
from rawbot.wecom.settings import demand_count, demand_lifetime, demand_pairs, demand_seconds, demand_text, draw

NAN, INFINITY = float("nan"), float("inf")


def reason(demand: object, *arguments: object, **bounds: object) -> str:
    with pytest.raises(ConfigError) as caught:
        demand(*arguments, **bounds)
    return str(caught.value)


@pytest.mark.parametrize("value", [0, 0.0, 0.5, 3.999])
def test_seconds_lie_within_their_bounds(value: float):
    assert demand_seconds("hold", value, below=4.0) is value


@pytest.mark.parametrize("value", [-1, 4, 4.0, 10**400, NAN, INFINITY, "1", None, True, [1]])
def test_seconds_out_of_bounds_are_told_the_bounds(value: object):
    assert reason(demand_seconds, "hold", value, below=4.0) == "hold is a number of seconds, at least 0 and below 4"


@pytest.mark.parametrize("value", [1, 0.001, INFINITY])
def test_a_lifetime_may_be_endless(value: float):
    assert demand_lifetime("ttl", value) is value


@pytest.mark.parametrize("value", [0, -1, NAN, "1", None, True])
def test_a_lifetime_is_above_nought(value: object):
    assert reason(demand_lifetime, "ttl", value) == "ttl is a number of seconds above 0"


@pytest.mark.parametrize("value", [1.0, 0, -1, NAN, INFINITY, "1", None, True])
def test_a_count_is_whole(value: object):
    assert demand_count("places", 1) == 1
    assert reason(demand_count, "places", value) == "places is a whole number, at least 1"
    assert (
        reason(demand_count, "places", value, least=2, why="a pair") == "places is a whole number, at least 2: a pair"
    )


@pytest.mark.parametrize(("value", "kind"), [(None, "NoneType"), (b"x", "bytes"), (1, "int")])
def test_a_text_is_a_text_and_not_repeated(value: object, kind: str):
    assert demand_text("name", "") == ""
    assert reason(demand_text, "name", value) == f"name is a text, not {kind}"


def test_pairs_are_pairs():
    assert demand_pairs([]) == demand_pairs(()) == []
    assert demand_pairs((["a", "b"], ("c", "d"))) == [("a", "b"), ("c", "d")]
    for value in (None, "ab", ("token", "key"), [("a",)], [("a", "b", "c")], ["ab"], 7):
        assert reason(demand_pairs, value).startswith("previous is a list of pairs")


def test_chance_is_drawn_from_what_gives_it():
    assert draw(bytes, 3) == b"\0\0\0"
    for entropy in (None, b"x", lambda _: b"", lambda n: "x" * n, lambda n: bytes(n + 1), lambda _: None):
        assert reason(draw, entropy, 3).startswith("entropy")
