"""What may come of an API call in place of its result: VK's codes as classes, and the ends that VK knows nothing of.

Layer 3, pure. Sources: dev.vk.com/ru/reference/errors, dev.vk.com/ru/api/captcha-error.

Each class says whether a repetition may help (`retry`) and whether the call may have taken effect (`uncertain`). Texts
hold the method's name, VK's code and VK's own sentence; never parameters, URLs, tokens or what a user wrote.
"""

from enum import Enum

from rawbot.errors import RawbotError

MAX_MESSAGE = 300
"""Characters kept of a sentence of VK's."""


class Retry(Enum):
    """Whether the same call, made again, may succeed."""

    SOON = "after a pause"
    """It was turned away for its haste alone."""
    BACK_OFF = "after growing pauses"
    """Something broke that others will mend."""
    LATER = "not at once"
    """Haste would make it worse, or a person is needed: for the caller to decide."""
    NEVER = "never"


class VKError(RawbotError):
    """A call without a result. `code` is VK's number for the reason, 0 where VK gave none."""

    retry = Retry.NEVER
    uncertain = False
    """Whether the call may have taken effect all the same."""

    def __init__(self, code: int, message: str, method: str = "", subcode: int | None = None) -> None:
        super().__init__(code, message, method, subcode)
        self.code = code
        self.message = message
        self.method = method
        self.subcode = subcode

    def __str__(self) -> str:
        return f"{self.method}: {self.reason}" if self.method else self.reason

    @property
    def reason(self) -> str:
        """Code and sentence, without the method."""
        return f"{self.code} {self.message}" if self.code else self.message


class AuthError(VKError):
    """The token is not valid (5), or not one for this method (27: a community's, 28: an application's)."""


class AccessError(VKError):
    """VK does not let us do this, or write to this user or chat: 7, 15, 900, 901, 902, 917."""


class CaptchaError(VKError):
    """VK wants a person (14): repeat the call with `captcha_sid` and `captcha_key`, the letters of the picture `img`.

    With a `redirect_uri` it wants the newer way: repeat it with the `success_token` got there.
    """

    retry = Retry.LATER
    sid = ""
    img = ""
    redirect_uri = ""


class FloodError(VKError):
    """Too much of the same (9), or a method's quota is used up (29). It was not carried out."""

    retry = Retry.LATER


class RateError(VKError):
    """Too many calls in this second (6, or HTTP 429). It was not carried out."""

    retry = Retry.SOON


class InternalError(VKError):
    """Something broke inside of VK: 1, 10."""

    retry = Retry.BACK_OFF
    uncertain = True


class AnswerError(VKError):
    """What came back is no answer of the API: HTTP 5xx, no JSON, nothing at all."""

    retry = Retry.BACK_OFF
    uncertain = True


class UnreachableError(VKError):
    """No connection came about."""

    retry = Retry.BACK_OFF


class CallTimeoutError(VKError):
    """No result within the call's time. `uncertain` tells whether it may have taken effect."""

    retry = Retry.LATER


class QueueFullError(VKError):
    """So many calls wait that this one was not taken."""

    retry = Retry.LATER


class ShutdownError(VKError):
    """Nothing is sent any more, or not here. `uncertain` tells whether it may have taken effect."""


class UploadError(VKError):
    """The upload server did not take the file."""


class PeerError(VKError):
    """One of several recipients did not get the message: it stands in the result, in this recipient's place."""

    peer_id = 0


class ExecuteError(VKError):
    """Calls inside of `execute` have failed, others not: the first one's code, all of them, and what the code returned.

    In `response` each failed call has left a False.
    """

    uncertain = True
    errors: tuple[VKError, ...] = ()
    response: object = None


_RUNTIME = 13
"""`execute` broke off while it ran."""

_BY_CODE: dict[int, type[VKError]] = {
    1: InternalError,
    5: AuthError,
    6: RateError,
    7: AccessError,
    9: FloodError,
    10: InternalError,
    14: CaptchaError,
    15: AccessError,
    27: AuthError,
    28: AuthError,
    29: FloodError,
    900: AccessError,
    901: AccessError,
    902: AccessError,
    917: AccessError,
}


def retry_class(error: VKError) -> Retry:
    """Tell whether and when the call that gave this error may be repeated, if it can be repeated safely at all."""
    return error.retry


def clean(message: object, secret: str = "") -> str:
    """Return a sentence of VK's as it may stand in a log: printable, of bounded length, without the secret."""
    text = message if isinstance(message, str) else ""
    if secret:
        text = text.replace(secret, "…")
    return "".join(c if c.isprintable() else " " for c in text[:MAX_MESSAGE])


def decode_error(error: dict[str, object], method: str = "", secret: str = "") -> VKError:
    """Return the exception for an error object of VK's; `request_params` is not looked at."""
    code = _integer(error.get("error_code")) or 0
    message = clean(error.get("error_msg"), secret) or "VK gives no reason"
    made = _BY_CODE.get(code, VKError)(code, message, method, _integer(error.get("error_subcode")))
    if isinstance(made, CaptchaError):
        made.sid = _text(error.get("captcha_sid"))
        made.img = _text(error.get("captcha_img"))
        made.redirect_uri = _text(error.get("redirect_uri"))
    if code == _RUNTIME:
        made.uncertain = True
    return made


def decode_peer_error(entry: dict[str, object], error: dict[str, object], method: str, secret: str = "") -> PeerError:
    """Return the exception for one recipient of several: `error` is what its entry says."""
    message = clean(error.get("description"), secret) or "VK gives no reason"
    made = PeerError(_integer(error.get("code")) or 0, message, method)
    made.peer_id = _integer(entry.get("peer_id")) or 0
    return made


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) else ""
