"""rawbot/errors.py: whose fault it is, and the status that says so."""

import pickle

import pytest

from rawbot import errors
from rawbot.errors import (
    ConfigError,
    FetchError,
    LimitError,
    MissingExtraError,
    ProtocolError,
    RawbotError,
    StateError,
)


def test_every_error_of_ours_is_a_rawbot_error():
    values = vars(errors).values()
    ours = [value for value in values if isinstance(value, type) and value.__module__ == errors.__name__]
    assert len(ours) >= 7
    assert all(issubclass(error, RawbotError) for error in ours)


def test_blame_does_not_overlap():
    blames = (ProtocolError, StateError, ConfigError, FetchError)
    assert not any(issubclass(a, b) for a in blames for b in blames if a is not b)


def test_a_protocol_error_is_answered_400_unless_it_says_otherwise():
    assert ProtocolError("bad").status == 400
    assert ProtocolError("bad", status=403).status == 403
    assert ProtocolError.status == 400  # saying otherwise concerns this one error


def test_a_limit_error_is_the_peer_s_and_answered_413_unless_it_says_otherwise():
    assert issubclass(LimitError, ProtocolError)
    assert LimitError("body too large").status == 413
    assert LimitError("target too long", status=414).status == 414


def test_a_state_error_is_ours_and_answered_500():
    assert StateError.status == 500


def test_a_protocol_error_carries_the_vendor_s_code_where_there_is_one():
    assert ProtocolError("bad").code is None
    error = ProtocolError("wrong signature", status=403, code=-40001)
    assert (error.code, str(error)) == (-40001, "wrong signature")


def test_a_missing_extra_names_the_command_that_installs_it():
    error = MissingExtraError("client", "downloading files")
    assert error.extra == "client"
    assert str(error) == "downloading files needs the extra 'client': pip install 'rawbot[client]'"
    assert isinstance(error, ConfigError)


@pytest.mark.parametrize("error", [ProtocolError("bad", status=403, code=-40001), StateError("late"), FetchError("no")])
def test_an_error_survives_the_way_to_another_process(error: RawbotError):
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
