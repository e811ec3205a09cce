"""rawbot/vk/sections.py: names become methods, and nothing else does."""

import copy
import pickle

import pytest

from rawbot.vk.sections import Section


def section(name: str) -> Section:
    return Section(lambda method, /, **params: (method, params), name)


def test_names_become_a_method():
    assert section("messages").send(peer_id=1, method="x") == ("messages.send", {"peer_id": 1, "method": "x"})
    assert section("execute")(code="return 1;") == ("execute", {"code": "return 1;"})
    assert section("execute").procedure() == ("execute.procedure", {})


def test_it_shows_what_it_stands_for():
    assert repr(section("messages").send) == "<Section messages.send>"


@pytest.mark.parametrize("name", ["_private", "__deepcopy__", "__len__"])
def test_what_python_asks_for_is_no_method(name: str):
    assert not hasattr(section("messages"), name)
    with pytest.raises(AttributeError):
        section(name)


def test_those_who_look_into_it_learn_nothing_odd():
    assert repr(copy.copy(section("messages"))) == "<Section messages>"
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        pickle.dumps(section("messages"))
