"""rawbot/vk/errors.py: VK's codes as classes, and texts that hold nothing that they should not.

The codes are those of dev.vk.com/ru/reference/errors.
"""

import copy
import pickle

import pytest

from rawbot.errors import RawbotError
from rawbot.vk import errors
from rawbot.vk.errors import MAX_MESSAGE, Retry, VKError, clean, decode_error, decode_peer_error, retry_class

TOKEN = "vk1.a.secret"

CAPTCHA = {  # dev.vk.com/en/api/captcha-error
    "error_code": 14,
    "error_msg": "Captcha needed",
    "request_params": [{"key": "access_token", "value": "b9b5151856dcc745d785a6b604295d30888a827a37763198"}],
    "captcha_sid": "239633676097",
    "captcha_img": "http://api.vk.com/captcha.php?sid=239633676097&s=1",
}


@pytest.mark.parametrize(
    ("code", "kind", "retry", "uncertain"),
    [
        (1, errors.InternalError, Retry.BACK_OFF, True),
        (5, errors.AuthError, Retry.NEVER, False),
        (6, errors.RateError, Retry.SOON, False),
        (9, errors.FloodError, Retry.LATER, False),
        (10, errors.InternalError, Retry.BACK_OFF, True),
        (13, VKError, Retry.NEVER, True),
        (14, errors.CaptchaError, Retry.LATER, False),
        (15, errors.AccessError, Retry.NEVER, False),
        (27, errors.AuthError, Retry.NEVER, False),
        (28, errors.AuthError, Retry.NEVER, False),
        (29, errors.FloodError, Retry.LATER, False),
        (100, VKError, Retry.NEVER, False),
        (901, errors.AccessError, Retry.NEVER, False),
        (914, VKError, Retry.NEVER, False),
        (31337, VKError, Retry.NEVER, False),
    ],
)
def test_a_code_has_its_class(code: int, kind: type[VKError], retry: Retry, uncertain: bool):  # noqa: FBT001 - of the table
    error = decode_error({"error_code": code, "error_msg": "it is so"}, "messages.send")
    assert type(error) is kind
    assert isinstance(error, RawbotError)
    assert (error.code, error.uncertain, retry_class(error)) == (code, uncertain, retry)
    assert str(error) == f"messages.send: {code} it is so"


def test_a_captcha_says_how_it_is_solved_and_tells_no_token():
    error = decode_error(CAPTCHA, "users.get")
    assert isinstance(error, errors.CaptchaError)
    assert (error.sid, error.img) == ("239633676097", CAPTCHA["captcha_img"])
    assert "b9b5" not in str(error) + repr(error) + str(vars(error))
    assert "sid" not in str(error) + repr(error)


def test_a_captcha_of_the_newer_kind_says_where_to_go():
    error = decode_error({"error_code": 14, "captcha_sid": 7, "redirect_uri": "https://id.vk.com/not_robot_captcha"})
    assert isinstance(error, errors.CaptchaError)
    assert (error.sid, error.img, error.redirect_uri) == ("7", "", "https://id.vk.com/not_robot_captcha")
    assert str(error) == "14 VK gives no reason"


@pytest.mark.parametrize("code", [None, "5", True, 5.0, [5], {}])
def test_what_is_no_code_is_none(code: object):
    assert decode_error({"error_code": code, "error_msg": "odd"}).code == 0


def test_a_subcode_is_kept():
    assert decode_error({"error_code": 100, "error_subcode": 3}).subcode == 3
    assert decode_error({"error_code": 100, "error_subcode": "3"}).subcode is None


@pytest.mark.parametrize(
    ("message", "cleaned"),
    [
        ("one\r\ntwo\x1b[31m", "one  two [31m"),
        (f"invalid access_token {TOKEN}.", "invalid access_token …."),
        ("я" * 1000, "я" * MAX_MESSAGE),
        (f"{'-' * (MAX_MESSAGE - 3)}{TOKEN}", "-" * (MAX_MESSAGE - 3) + "…"),
        (None, ""),
        (17, ""),
    ],
)
def test_a_sentence_of_vk_s_is_made_fit_for_a_log(message: object, cleaned: str):
    assert clean(message, TOKEN) == cleaned


def test_without_a_secret_a_sentence_stays_as_it_is():
    assert clean("as it is") == "as it is"


def test_a_peer_s_error_tells_whose_it_is():
    error = decode_peer_error({"peer_id": 7}, {"code": 901, "description": "no permission"}, "messages.send")
    assert (error.peer_id, error.code, error.message) == (7, 901, "no permission")
    assert str(decode_peer_error({}, {}, "messages.send")) == "messages.send: VK gives no reason"


def test_errors_can_be_copied_and_pickled():
    error = decode_error(CAPTCHA, "users.get")
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
