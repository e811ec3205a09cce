"""What a server's side of a WebSocket is fed, and what it must make of it: messages, pongs, the code of its Close.

Names give the section of RFC 6455 or the case of Autobahn's suite (25.10.1). None stands for an open connection.
"""

from websocket_frames import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    close,
    fragments,
    frame,
    masked,
)

KOSMOS = "κόσμε"
NORMAL = close(1000)
TEN = range(10)

Expected = tuple[list[bytes | str], list[bytes], int | None]


def text(payload: bytes) -> bytes:
    return frame(TEXT, payload)


GOOD: dict[str, tuple[bytes, Expected]] = {
    "a masked Hello (5.7)": (b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", (["Hello"], [], None)),
    "a masked ping Hello (5.7)": (b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", ([], [b"Hello"], None)),
    "an empty text (1.1.1)": (text(b""), ([""], [], None)),
    "an empty binary (1.2.1)": (frame(BINARY), ([b""], [], None)),
    "125, 126 and 127 bytes (1.1.2-1.1.4)": (
        b"".join(text(b"*" * size) for size in (125, 126, 127)),
        (["*" * size for size in (125, 126, 127)], [], None),
    ),
    "65535 and 65536 bytes (1.2.6, 1.2.7)": (
        frame(BINARY, b"\xfe" * 65535) + frame(BINARY, b"\xfe" * 65536),
        ([b"\xfe" * 65535, b"\xfe" * 65536], [], None),
    ),
    "a mask of zeros (5.3)": (frame(TEXT, b"Hello", key=bytes(4)), (["Hello"], [], None)),
    "an empty ping (2.1)": (frame(PING), ([], [b""], None)),
    "a ping of 125 bytes that are no text (2.4)": (frame(PING, b"\xfe" * 125), ([], [b"\xfe" * 125], None)),
    "a pong that nobody asked for (2.7, 2.8)": (frame(PONG) + frame(PONG, b"x"), ([], [], None)),
    "ten pings (2.10)": (b"".join(frame(PING, b"%d" % n) for n in TEN), ([], [b"%d" % n for n in TEN], None)),
    "two fragments (5.3)": (fragments(TEXT, b"frag", b"ment"), (["fragment"], [], None)),
    "binary fragments (5.4)": (fragments(BINARY, b"\xff", b"", b"\xfe"), ([b"\xff\xfe"], [], None)),
    "a ping between fragments (5.6)": (
        frame(TEXT, b"frag", fin=False) + frame(PING, b"x") + frame(CONT, b"ment"),
        (["fragment"], [b"x"], None),
    ),
    "many pings between fragments (5.19)": (
        frame(TEXT, b"1", fin=False)
        + frame(CONT, b"2", fin=False)
        + frame(PING, b"a")
        + frame(CONT, b"3", fin=False)
        + frame(CONT, b"4", fin=False)
        + frame(PING, b"b")
        + frame(CONT, b"5"),
        (["12345"], [b"a", b"b"], None),
    ),
    "fragments without any content (6.1.2)": (fragments(TEXT, b"", b"", b""), ([""], [], None)),
    "an empty first fragment (6.1.3)": (fragments(TEXT, b"", b"middle", b""), (["middle"], [], None)),
    "a message after one in fragments": (fragments(TEXT, b"a", b"b") + frame(BINARY, b"c"), (["ab", b"c"], [], None)),
    "text (6.2.1)": (text(KOSMOS.encode()), ([KOSMOS], [], None)),
    "text in fragments of single bytes, cut within its characters (6.2.4)": (
        fragments(TEXT, *(bytes([byte]) for byte in KOSMOS.encode())),
        ([KOSMOS], [], None),
    ),
    "the last characters of each length, and what is no character but may be said (6.9, 6.22)": (
        text("\x7f\u07ff\uffff\U0010ffff\ufffe\ufdd0".encode()),
        (["\x7f\u07ff\uffff\U0010ffff\ufffe\ufdd0"], [], None),
    ),
    "a NUL (6.7)": (text(b"\0"), (["\0"], [], None)),
    "a Close without a code (7.3.1)": (frame(CLOSE), ([], [], 1005)),
    "a Close with a reason of 123 bytes (7.3.5)": (close(1000, b"*" * 123), ([], [], 1000)),
    "an answer that goes before the Close (7.1.1)": (text(b"Hello") + NORMAL, (["Hello"], [], 1000)),
    "a second Close (7.1.2)": (NORMAL + NORMAL, ([], [], 1000)),
    "a ping after the Close (7.1.3)": (NORMAL + frame(PING, b"x"), ([], [], 1000)),
    "a text after the Close (7.1.4)": (NORMAL + text(b"Hello"), ([], [], 1000)),
    "a Close between two fragments (7.1.5)": (
        frame(TEXT, b"frag", fin=False) + NORMAL + frame(CONT, b"ment"),
        ([], [], 1000),
    ),
    "what is no frame after the Close": (NORMAL + b"\xff" * 20, ([], [], 1000)),
} | {
    f"a Close with {code} (7.7)": (close(code, b"why"), ([], [], code))
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
}  # fmt: skip

BAD: dict[str, tuple[bytes, Expected]] = {
    "a frame without a mask (5.1)": (frame(TEXT, b"Hello", key=None), ([], [], 1002)),
    "a ping of 126 bytes (2.5)": (frame(PING, b"x" * 126), ([], [], 1002)),
    "a Close of 126 bytes (7.3.6)": (close(1000, b"x" * 124), ([], [], 1002)),
    "a ping in fragments (5.1)": (frame(PING, b"x", fin=False) + frame(CONT), ([], [], 1002)),
    "a pong in fragments (5.2)": (frame(PONG, b"x", fin=False) + frame(CONT), ([], [], 1002)),
    "a Close in fragments (5.5)": (frame(CLOSE, b"\x03\xe8", fin=False), ([], [], 1002)),
    "a continuation of nothing (5.9)": (frame(CONT, b"x"), ([], [], 1002)),
    "a first fragment that continues nothing (5.10)": (frame(CONT, b"x", fin=False), ([], [], 1002)),
    "a continuation of what has ended (5.15)": (
        fragments(TEXT, b"frag", b"ment") + frame(CONT, b"x") + text(b"y"),
        (["fragment"], [], 1002),
    ),
    "a message within a message (5.18)": (frame(TEXT, b"a", fin=False) + text(b"b"), ([], [], 1002)),
    "a message in fragments within a message": (
        frame(TEXT, b"a", fin=False) + frame(BINARY, b"b", fin=False),
        ([], [], 1002),
    ),
    "bits behind a good message (3.2)": (
        text(b"Hello") + frame(TEXT, b"x", rsv=RSV2) + frame(PING),
        (["Hello"], [], 1002),
    ),
    "bits on a ping (3.7)": (frame(PING, rsv=RSV1), ([], [], 1002)),
    "compression that was not agreed on (RFC 7692, 6)": (frame(TEXT, b"\xf2\x48", rsv=RSV1), ([], [], 1002)),
    "a Close of one byte (7.3.2)": (frame(CLOSE, b"\x03"), ([], [], 1002)),
    "a Close whose reason is no text (7.5.1)": (close(1000, b"\xff"), ([], [], 1007)),
    "text that is none (6.3.1)": (text(b"\xce\xba\xed\xa0\x80edited"), ([], [], 1007)),
    "text that is none, in its second fragment (6.3.2)": (fragments(TEXT, b"a", b"\xff", b"b"), ([], [], 1007)),
    "text that ends within a character (6.6.1)": (text(b"\xce"), ([], [], 1007)),
    "fragments that end within a character": (fragments(TEXT, b"\xf0\x9f", b"\x92"), ([], [], 1007)),
    "a character above the last (6.4.1)": (fragments(TEXT, b"\xce\xba\xf4", b"\x90\x80\x80"), ([], [], 1007)),
    "an overlong slash (6.18)": (text(b"\xc0\xaf"), ([], [], 1007)),
    "a lone surrogate (6.20)": (text(b"\xed\xa0\x80"), ([], [], 1007)),
    "more than a message may have": (frame(BINARY, size=1024 * 1024 + 1), ([], [], 1009)),
    "a length whose first bit is set (5.2)": (frame(BINARY, size=1 << 63), ([], [], 1009)),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", ([], [], 1002)),
} | {
    f"reserved bits {bits >> 4:03b} (3)": (frame(TEXT, b"x", rsv=bits), ([], [], 1002))
    for bits in (RSV1, RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV3, RSV2 | RSV3, RSV1 | RSV2 | RSV3)
} | {
    f"opcode {opcode} (4)": (frame(opcode, b"x"), ([], [], 1002)) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
} | {
    f"a Close with {code} (7.9)": (close(code, b"why"), ([], [], 1002))
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
}  # fmt: skip

CORPUS = GOOD | BAD

assert masked(masked(b"Hello", KEY), KEY) == b"Hello"
