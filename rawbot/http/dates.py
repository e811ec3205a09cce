"""HTTP's dates to Unix seconds and back (RFC 9110, section 5.6.7).

Layer 2, pure. All three forms are read, since caches keep what old servers wrote; only the first is written.
"""

import re
from datetime import UTC, date, datetime
from functools import lru_cache

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_DAY = "|".join(day[:3] for day in _DAYS)
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMS = tuple(
    re.compile(form.encode("ascii"))
    for form in (
        rf"(?:{_DAY}), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",  # IMF-fixdate
        rf"(?:{'|'.join(_DAYS)}), (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",  # RFC 850
        rf"(?:{_DAY}) {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})",  # asctime
    )
)

_SECONDS_OF_A_DAY = 86_400
_EPOCH = date(1970, 1, 1).toordinal()
_LAST_HOUR, _LAST_MINUTE, _LEAP_SECOND = 23, 59, 60
_CENTURY = 100
_YEARS_AHEAD = 50
"""A year of two digits that would be further in the future than this is one of the past."""


def parse_date(value: bytes, now: float) -> int | None:
    """Return the Unix seconds of a date, or None when it is none: then the field that holds it is to be ignored.

    `now` decides the century of years with two digits. The day of the week must be one, but not the right one.
    """
    found = next((match for form in _FORMS if (match := form.fullmatch(value))), None)
    if found is None:
        return None
    year, day, hour, minute, second = (int(found[part]) for part in ("year", "day", "hour", "minute", "second"))
    month = _MONTHS.index(found["month"].decode("ascii")) + 1
    if hour > _LAST_HOUR or minute > _LAST_MINUTE or second > _LEAP_SECOND:
        return None
    if len(found["year"]) == len("94"):
        year = _full_year((year, month, day, hour, minute, second), now)
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:  # such as 31 April, and the year 0
        return None
    return days * _SECONDS_OF_A_DAY + hour * 3600 + minute * 60 + second


def _full_year(instant: tuple[int, int, int, int, int, int], now: float) -> int:
    """Return the last year with these two digits for which the instant is not too far in the future."""
    today = datetime.fromtimestamp(now, UTC)
    latest = (today.year + _YEARS_AHEAD, *today.timetuple()[1:6])
    year = latest[0] - latest[0] % _CENTURY + instant[0]
    return year if (year, *instant[1:]) <= latest else year - _CENTURY


@lru_cache(maxsize=256)
def format_date(second: int) -> bytes | None:
    """Write a date, or return None outside of the years 1 to 9999, which have no form. 1.5 µs, looked up in 0.1 µs."""
    days, rest = divmod(second, _SECONDS_OF_A_DAY)
    if not 0 < days + _EPOCH <= date.max.toordinal():
        return None
    day = date.fromordinal(days + _EPOCH)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{_DAYS[day.weekday()][:3]}, {day.day:02} {_MONTHS[day.month - 1]} {day.year:04} {clock} GMT".encode(
        "ascii"
    )
