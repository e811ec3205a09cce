r"""A request and its answer in one line: the common and the combined form of Apache, and JSON.

Layer 2, pure. What a peer sent stands in these lines, so every value is treated as hostile:

- **No byte of it can act.** A line is printable ASCII and one line feed: terminal escapes, line breaks and quotes are
  written as `\xhh`, in JSON as `\uhhhh` (the class of CVE-2020-7694).
- **No secret of it is told.** Bodies, Authorization and Cookie are not looked at. Of a query only the names are shown,
  `?msg_signature=-&nonce=-`: a list of forbidden names would have to know every platform's, one of allowed names would
  have to be kept, and path and names tell what a request was about. The Referer's query goes the same way; its
  fragment is left out, and all in front of the query where it may hold a password.
- **Its length is bounded**, however long the request was.

All forms end with the microseconds from the request's first byte to the answer's (Apache's `%D`). Times are UTC: the
clocks of several machines sort together, and no hour comes twice a year.

The first two are `%h - - %t "%r" %>s %b [ "%{Referer}i" "%{User-agent}i" ] %D`, where `-` stands for what is not known.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple

from rawbot.errors import ProtocolError
from rawbot.exchange import Request, Response
from rawbot.http.responses import WITHOUT_CONTENT

Style = Literal["common", "combined", "json"]
"""The form of a line: as NCSA's server wrote it, the same with Referer and User-Agent, or a JSON object."""

MAX_PATH = 1024
"""Characters of a path that are shown: the paths of platforms and of people are shorter."""
MAX_VALUE = 256
"""Characters of every other value that are shown."""
MAX_PARAMETERS = 16
"""Names of a query that are shown; WeCom sends four."""

HIDDEN = "-"
"""What is shown for a value that may be secret, and for one that is not there."""
CUT = "..."
"""What is shown at the end of a value that was cut."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}=(?==*[^=])")
"""A parameter's name in front of a value. Anything else may be a secret on its own: a bare token, one that ends with
Base64's padding, one with an encoded or unusual separator in it."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ESCAPED = [chr(b) if 0x20 < b < 0x7F and chr(b) not in '"\\' else f"\\x{b:02x}" for b in range(256)]  # noqa: PLR2004 - ASCII


class Form(NamedTuple):
    """The two functions that write lines in one style."""

    answered: Callable[[Request, str, Response, float, float], str]
    """The line for `Observer.answered`."""
    refused: Callable[[ProtocolError, str, float], str]
    """The line for `Observer.refused`: no more is known than the peer and the status."""


def redact_query(query: str) -> str:
    """Return a query with `-` in place of every value, and of every part that is not surely a name with a value."""
    parts = query.split("&", MAX_PARAMETERS)
    shown = [HIDDEN if (found := _NAME.match(part)) is None else found[0] + HIDDEN for part in parts[:MAX_PARAMETERS]]
    return "&".join(shown if len(parts) <= MAX_PARAMETERS else [*shown, CUT])


def redact_url(url: str) -> str:
    """Return a URL without fragment and user information, and with its query redacted."""
    front, mark, query = url.partition("#")[0].partition("?")
    if "@" in front:  # in front of the host it would be a password, and where the host begins is for the peer to say
        front = HIDDEN
    return f"{front}?{redact_query(query)}" if mark else front


# Common and combined


def _common_answer(request: Request, route: str, response: Response, took: float, now: float) -> str:  # noqa: ARG001 - a Form's shape
    return f"{_common(request, response, now)} {_micros(took)}\n"


def _combined_answer(request: Request, route: str, response: Response, took: float, now: float) -> str:  # noqa: ARG001 - a Form's shape
    referer = request.header(b"referer")
    agent = request.header(b"user-agent")
    return (
        f'{_common(request, response, now)} "{HIDDEN if referer is None else _quoted(redact_url(_text(referer)))}" '
        f'"{HIDDEN if agent is None else _quoted(_text(agent))}" {_micros(took)}\n'
    )


def _common_refusal(error: ProtocolError, peer: str, now: float) -> str:
    return f'{_word(peer) or HIDDEN} - - [{_apache_time(int(now))}] "-" {error.status} - -\n'


def _combined_refusal(error: ProtocolError, peer: str, now: float) -> str:
    return f'{_word(peer) or HIDDEN} - - [{_apache_time(int(now))}] "-" {error.status} - "-" "-" -\n'


def _common(request: Request, response: Response, now: float) -> str:
    target = _word(request.path, MAX_PATH)
    if request.query:
        target = f"{target}?{redact_query(request.query)}"
    return (
        f"{_word(request.peer) or HIDDEN} - - [{_apache_time(int(now))}] "
        f'"{_word(request.method)} {target} HTTP/{_word(request.http_version)}" '
        f"{response.status} {_size(request, response) or HIDDEN}"
    )


def _word(text: str, limit: int = MAX_VALUE) -> str:
    """Return a value that stays one word wherever it is written."""
    if (
        len(text) <= limit
        and text.isascii()
        and text.isprintable()
        and not (" " in text or '"' in text or "\\" in text)
    ):
        return text
    data = text[: limit + 1].encode("utf-8", "surrogatepass")
    return "".join([_ESCAPED[b] for b in data[:limit]]) + (CUT if len(data) > limit else "")


def _quoted(text: str) -> str:
    """Return a value as it may stand between quotation marks."""
    return " ".join([_word(word) for word in _cut(text, MAX_VALUE).split(" ")])


# JSON


def _json_answer(request: Request, route: str, response: Response, took: float, now: float) -> str:
    referer = request.header(b"referer")
    agent = request.header(b"user-agent")
    return (
        f'{{"time":"{_json_time(now)}","peer":{_json(request.peer)},"scheme":{_json(request.scheme)},'
        f'"method":{_json(request.method)},"path":{_json(request.path, MAX_PATH)},'
        f'"query":{_json(redact_query(request.query)) if request.query else "null"},'
        f'"http_version":{_json(request.http_version)},"route":{_json(route, MAX_PATH)},'
        f'"status":{response.status},"bytes":{_size(request, response)},'
        f'"referer":{"null" if referer is None else _json(redact_url(_text(referer)))},'
        f'"user_agent":{"null" if agent is None else _json(_text(agent))},"duration_us":{_micros(took)}}}\n'
    )


def _json_refusal(error: ProtocolError, peer: str, now: float) -> str:
    return (
        f'{{"time":"{_json_time(now)}","peer":{_json(peer)},"scheme":null,"method":null,"path":null,"query":null,'
        f'"http_version":null,"route":null,"status":{error.status},"bytes":null,"referer":null,"user_agent":null,'
        f'"error":{_json(str(error))},"duration_us":null}}\n'
    )


def _json(text: str, limit: int = MAX_VALUE) -> str:
    """Return a JSON string in printable ASCII, null for an empty one.

    By hand, since orjson writes DEL and the control characters above it as they are.
    """
    if len(text) <= limit and text.isascii() and text.isprintable() and not ('"' in text or "\\" in text):
        return f'"{text}"' if text else "null"
    whole = _cut(text, limit).encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair is no text
    return json.dumps(whole).replace("\x7f", "\\u007f")


# Both


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + CUT


def _size(request: Request, response: Response) -> int:
    """Return how many bytes of a body went out."""
    if request.method == "HEAD" or response.status in WITHOUT_CONTENT:
        return 0
    return len(response.body) if response.region is None else response.region.count


def _micros(took: float) -> int:
    return int(took * 1e6) if took > 0 else 0  # a clock that was set back


@lru_cache(maxsize=4)
def _apache_time(second: int) -> str:
    """Return a time as `%t` writes it: made once a second, looked up in 0.1 µs."""
    when = datetime.fromtimestamp(second, UTC)
    return f"{when.day:02d}/{_MONTHS[when.month - 1]}/{when:%Y:%H:%M:%S} +0000"


@lru_cache(maxsize=4)
def _json_second(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"


def _json_time(now: float) -> str:
    """Return a time as RFC 3339 writes it, with milliseconds."""
    second = int(now)
    return f"{_json_second(second)}.{int((now - second) * 1000):03d}Z"


FORMS: dict[str, Form] = {
    "common": Form(_common_answer, _common_refusal),
    "combined": Form(_combined_answer, _combined_refusal),
    "json": Form(_json_answer, _json_refusal),
}
"""How lines are written, by `Style`."""
