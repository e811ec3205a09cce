"""What an action's response says went wrong: the return codes, and the error that carries one.

Layer 3, pure. Source: OneBot 12, connect/data-protocol/action-response. 4xxxx and 5xxxx are reserved and never used.
"""

from rawbot.errors import RawbotError

OK = 0
BAD_REQUEST = 10001
UNSUPPORTED_ACTION = 10002
BAD_PARAM = 10003
UNSUPPORTED_PARAM = 10004
UNSUPPORTED_SEGMENT = 10005
BAD_SEGMENT_DATA = 10006
UNSUPPORTED_SEGMENT_DATA = 10007
WHO_AM_I = 10101
UNKNOWN_SELF = 10102
BAD_HANDLER = 20001
INTERNAL_HANDLER_ERROR = 20002

# Execution errors: the first two digits are the standard's, the rest is ours.
FILESYSTEM_ERROR = 32000
FILE_NOT_FOUND = 32001
FILE_TOO_LARGE = 32002
FILE_MISMATCH = 32003
NETWORK_ERROR = 33000
PLATFORM_ERROR = 34000
PLATFORM_UNABLE = 34001
"""The channel has no such ability, or not any more."""
PLATFORM_UNKNOWN_TARGET = 34002
"""Nobody of this id has written to the bot yet."""
LOGIC_ERROR = 35000
TIRED = 36000
"""The standard's "I am tired": too much is under way, or the implementation is about to stop."""
TIMED_OUT = 36001
"""The handler did not answer in time."""


class ActionError(RawbotError):
    """An action failed: raise it in a handler. `message` is told to the application, so no secret belongs in it."""

    def __init__(self, retcode: int, message: str = "") -> None:
        super().__init__(message)
        self.retcode = retcode
        self.message = message
