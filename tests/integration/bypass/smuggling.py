"""Item 1: requests hidden in the bodies and heads of others."""

from integration.bypass.case import AFTER, BARE, CASES_END, HIDDEN, Case, chunked, crafted

__all__ = ["CASES"]

LINE = "POST /b/x HTTP/1.1"
TE = b"Transfer-Encoding: chunked\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BARE)
LAST = b"0\r\n\r\n"
BAD = ("400 bad_request",)


def post(
    name: str,
    *lines: bytes,
    body: bytes = b"",
    answers: tuple[str, ...] = BAD,
    paths: tuple[str, ...] = (),
    start: str | bytes = LINE,
) -> Case:
    """Returns a POST, or what start says, with these lines and what follows, and then one that ends the connection."""
    return Case("1", name, crafted(start, *lines, body=body) + AFTER, answers, paths)


def get(
    name: str, *lines: bytes, body: bytes = HIDDEN, answers: tuple[str, ...] = BAD, paths: tuple[str, ...] = ()
) -> Case:
    """Returns a GET likewise, followed by the hidden request."""
    return post(name, *lines, body=body, answers=answers, paths=paths, start="GET /b/x HTTP/1.1")


def line(name: str, start: bytes, answers: tuple[str, ...] = BAD, *lines: bytes) -> Case:
    """Returns a request with that request line."""
    return post(name, *lines, body=HIDDEN, answers=answers, start=start)


def chunks(name: str, body: bytes, answers: tuple[str, ...] = BAD) -> Case:
    """Returns a POST whose chunked body is broken; nothing of it may arrive."""
    return post(name, TE, body=body + HIDDEN, answers=answers)


def lengths(name: str, *values: bytes) -> Case:
    """Returns a POST with these values of Content-Length."""
    return post(name, *(b"Content-Length: " + value + b"\r\n" for value in values), body=HIDDEN)


def codings(name: str, *lines: bytes, body: bytes = LAST + HIDDEN, answers: tuple[str, ...] = BAD) -> Case:
    """Returns a POST whose body ends at once for those who understand these lines, and later for others."""
    return post(name, *lines, body=body, answers=answers)


SERVED = ("200", "403 policy_denied", "200")
SEPARATE = ("/x", "/admin/hidden", "/after")

CASES = [
    # A length and chunks.
    post("CL.TE", b"Content-Length: 6\r\n", TE, body=LAST + HIDDEN),
    post("TE.CL", TE, b"Content-Length: 4\r\n", body=b"5c\r\n" + HIDDEN + b"\r\n" + LAST),
    post("CL.TE with the whole length", LENGTH, TE, body=LAST + HIDDEN),
    post("CL 0 and TE", b"Content-Length: 0\r\n", TE, body=LAST + HIDDEN),
    post("CL in another case and TE", b"CONTENT-LENGTH: 6\r\n", b"TRANSFER-ENCODING: chunked\r\n", body=LAST + HIDDEN),
    post("CL hidden by Connection", b"Connection: content-length\r\n", LENGTH, TE, body=LAST + HIDDEN),
    post("TE hidden by Connection", b"Connection: transfer-encoding\r\n", LENGTH, TE, body=LAST + HIDDEN),
    # Codings that one parser understands and another does not.
    codings("TE.TE", TE, b"Transfer-Encoding: x\r\n"),
    codings("TE.TE twice chunked", TE, TE),
    codings("TE x, then chunked", b"Transfer-Encoding: x, chunked\r\n"),
    codings("TE chunked, then x", b"Transfer-Encoding: chunked, x\r\n"),
    codings("TE identity, then chunked", b"Transfer-Encoding: identity, chunked\r\n"),
    codings("TE identity and a length", b"Transfer-Encoding: identity\r\n", LENGTH, body=BARE),
    codings("TE gzip, chunked", b"Transfer-Encoding: gzip, chunked\r\n"),
    codings("TE xchunked", b"Transfer-Encoding: xchunked\r\n"),
    codings("TE chunkedx", b"Transfer-Encoding: chunkedx\r\n"),
    codings("TE quoted", b'Transfer-Encoding: "chunked"\r\n'),
    codings("TE with a parameter", b"Transfer-Encoding: chunked;q=1\r\n"),
    codings("TE with a comma before", b"Transfer-Encoding: ,chunked\r\n"),
    codings("TE with a comma behind", b"Transfer-Encoding: chunked,\r\n"),
    codings("TE empty", b"Transfer-Encoding:\r\n", LENGTH, body=BARE),
    codings("TE with a space before its colon", b"Transfer-Encoding : chunked\r\n"),
    codings("TE with a tab before its colon", b"Transfer-Encoding\t: chunked\r\n"),
    codings("TE with a vertical tab", b"Transfer-Encoding: \x0bchunked\r\n"),
    codings("TE with a form feed behind", b"Transfer-Encoding: chunked\x0c\r\n"),
    codings("TE with NUL", b"Transfer-Encoding: chunked\0\r\n"),
    codings("TE folded", b"Transfer-Encoding:\r\n chunked\r\n"),
    codings("TE folded with a tab", b"Transfer-Encoding:\r\n\tchunked\r\n"),
    codings("TE behind a folded line", b"X: a\r\n Transfer-Encoding: chunked\r\n", LENGTH, body=BARE),
    codings("TE behind a bare LF", b"X: 1\nTransfer-Encoding: chunked\r\n", body=HIDDEN),
    codings("TE behind a bare CR", b"X: 1\rTransfer-Encoding: chunked\r\n", body=HIDDEN),
    codings("TE in the first line", b" Transfer-Encoding: chunked\r\n"),
    codings("TE without a colon", b"Transfer-Encoding chunked\r\n"),
    codings("TE with a name in UTF-8", "Transfer-Encod\u0131ng: chunked\r\n".encode(), body=HIDDEN),
    Case(
        "1",
        "TE in HTTP/1.0",
        crafted("POST /b/x HTTP/1.0", TE, body=LAST + HIDDEN),
        BAD,
        (),
    ),
    post(
        "TE with an underscore is no TE",
        b"Transfer_Encoding: chunked\r\n",
        body=HIDDEN,
        answers=SERVED,
        paths=SEPARATE,
    ),
    post(
        "TE with a tab as its white space",
        b"Transfer-Encoding:\tchunked\r\n",
        body=LAST + HIDDEN,
        answers=SERVED,
        paths=SEPARATE,
    ),
    post("TE in capitals", b"Transfer-Encoding: CHUNKED\r\n", body=LAST + HIDDEN, answers=SERVED, paths=SEPARATE),
    # Lengths that parsers read in two ways.
    lengths("two CL", b"0", b"%d" % len(BARE)),
    lengths("two equal CL", b"0", b"0"),
    lengths("CL list", b"0, %d" % len(BARE)),
    lengths("CL list of equals", b"%d, %d" % (len(BARE), len(BARE))),
    lengths("CL with a plus", b"+0"),
    lengths("CL negative", b"-1"),
    lengths("CL in hexadecimal", b"0x10"),
    lengths("CL in octal with a letter", b"0o7"),
    lengths("CL with an underscore", b"1_0"),
    lengths("CL with a space within", b"1 0"),
    lengths("CL with a decimal point", b"0.0"),
    lengths("CL with an exponent", b"1e1"),
    lengths("CL empty", b""),
    lengths("CL of white space", b" \t "),
    lengths("CL in other digits", "\u0660".encode()),
    lengths("CL in full-width digits", "\uff11".encode()),
    lengths("CL beyond 64 bits", b"18446744073709551616"),
    lengths("CL beyond petabytes", b"1" + b"0" * 18),
    lengths("CL quoted", b'"0"'),
    lengths("CL with NUL", b"0\0"),
    lengths("CL with a semicolon", b"0;1"),
    post("CL with a space before its colon", b"Content-Length : 0\r\n", body=HIDDEN),
    post("CL behind a bare LF", b"X: 1\nContent-Length: %d\r\n" % len(BARE), body=HIDDEN),
    post("CL behind a bare CR", b"X: 1\rContent-Length: %d\r\n" % len(BARE), body=HIDDEN),
    post("CL folded", b"Content-Length:\r\n 0\r\n", body=HIDDEN),
    post(
        "CL with an underscore in its name is no CL",
        b"Content_Length: %d\r\n" % len(BARE),
        body=HIDDEN,
        answers=SERVED,
        paths=SEPARATE,
    ),
    post(
        "CL named by Connection stays",
        b"Connection: content-length\r\n",
        LENGTH,
        body=BARE,
        answers=("200", "200"),
        paths=("/x", "/after"),
    ),
    post("no length at all", body=HIDDEN, answers=SERVED, paths=SEPARATE),
    post("CL with zeros before", b"Content-Length: 000\r\n", body=HIDDEN, answers=SERVED, paths=SEPARATE),
    # Bodies of methods that have none.
    get("a body without a length", answers=SERVED, paths=SEPARATE),
    get("a body of GET", LENGTH, body=BARE, answers=("200", "200"), paths=("/x", "/after")),
    get("a chunked body of GET", TE, body=chunked(BARE), answers=("200", "200"), paths=("/x", "/after")),
    Case(
        "1",
        "a body of HEAD",
        crafted("HEAD /b/x HTTP/1.1", LENGTH, body=BARE) + AFTER,
        ("200", "200"),
        ("/x", "/after"),
    ),
    Case("1", "a request behind HEAD", crafted("HEAD /b/x HTTP/1.1") + HIDDEN + AFTER, SERVED, SEPARATE),
    Case(
        "1",
        "a body of DELETE and one behind it",
        crafted("DELETE /b/x HTTP/1.1", LENGTH, body=BARE) + HIDDEN + AFTER,
        ("200", "403 policy_denied", "200"),
        SEPARATE,
    ),
    # Chunks.
    post(
        "chunk with an extension",
        TE,
        body=chunked(b"ab", extension=b";a=b") + HIDDEN,
        answers=SERVED,
        paths=SEPARATE,
    ),
    post(
        "chunk with a quoted extension",
        TE,
        body=chunked(b"ab", extension=b';a="b;c"') + HIDDEN,
        answers=SERVED,
        paths=SEPARATE,
    ),
    post("chunk sizes in capitals", TE, body=b"0A\r\n0123456789\r\n" + LAST + HIDDEN, answers=SERVED, paths=SEPARATE),
    chunks("chunk extension with a bare LF", b"2;\nxx\r\n5c\r\n" + LAST),
    chunks("chunk extension with a bare CR", b"2;a\rb\r\nab\r\n" + LAST),
    chunks("chunk extension with a quoted line end", b'2;a="\r\n"\r\nab\r\n' + LAST),
    chunks("chunk extension with NUL", b"2;a=\0\r\nab\r\n" + LAST),
    chunks("chunk size overflows 64 bits", b"10000000000000002\r\nab\r\n" + LAST),
    Case(
        "1",
        "chunk size beyond 32 bits",
        crafted(LINE, TE, body=b"100000000\r\nab\r\n" + LAST + BARE),
        ("408 request_timeout",),
        ("/x",),
        body=b"ab\r\n" + LAST + BARE,
        cut=True,
    ),
    chunks("chunk size with 0x", b"0x2\r\nab\r\n" + LAST),
    chunks("chunk size with a sign", b"+2\r\nab\r\n" + LAST),
    chunks("chunk size negative", b"-1\r\nab\r\n" + LAST),
    chunks("chunk size with a space before", b" 2\r\nab\r\n" + LAST),
    chunks("chunk size with a space behind", b"2 \r\nab\r\n" + LAST),
    chunks("chunk size with a tab behind", b"2\t\r\nab\r\n" + LAST),
    chunks("chunk size with an underscore", b"1_0\r\n" + b"a" * 16 + b"\r\n" + LAST),
    chunks("chunk size empty", b"\r\nab\r\n" + LAST),
    chunks("chunk size in no digits", b"g\r\nab\r\n" + LAST),
    chunks("chunk size behind a bare LF", b"2\nab\r\n" + LAST),
    chunks("chunk data behind a bare CR", b"2\rab\r\n" + LAST),
    chunks("chunk data that ends in a bare LF", b"2\r\nab\n" + LAST),
    chunks("chunk data longer than its size", b"2\r\nabc\r\n" + LAST),
    chunks("chunk data without its end", b"2\r\nab" + LAST),
    chunks("last chunk with a bare LF", b"2\r\nab\r\n0\n\n"),
    chunks("last chunk in many zeros and a bare LF", b"2\r\nab\r\n000\n\r\n"),
    # Trailers: the body counts, they do not go on; what could reframe it is refused.
    post(
        "trailers are dropped",
        TE,
        body=chunked(b"ab", trailers=b"X-Role: admin\r\nX-Original-URL: /admin\r\n") + HIDDEN,
        answers=SERVED,
        paths=SEPARATE,
    ),
    chunks("trailer Content-Length", b"0\r\nContent-Length: 41\r\n\r\n"),
    chunks("trailer Transfer-Encoding", b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    chunks("trailer without a colon", b"0\r\nabc\r\n\r\n"),
    chunks("trailer with a bare LF", b"0\r\nX: 1\n\r\n"),
    chunks("trailer folded", b"0\r\nX: 1\r\n 2\r\n\r\n"),
    # Heads.
    get("bare LF between lines", b"X: 1\nY: 2\r\n"),
    get("bare LF at the end of the head", b"X: 1\r\n\n", body=b""),
    get("bare CR in a value", b"X: a\rb\r\n"),
    get("bare CR before the line's end", b"X: a\r\r\n"),
    get("NUL in a value", b"X: a\0b\r\n"),
    get("NUL in a name", b"X\0: a\r\n"),
    get("space before a colon", b"X : a\r\n"),
    get("space in a name", b"X Y: a\r\n"),
    get("tab in a name", b"X\tY: a\r\n"),
    get("a name in UTF-8", "Ø: a\r\n".encode()),
    get("no name", b": a\r\n"),
    get("no colon", b"abc\r\n"),
    get("folded line", b"X: a\r\n b\r\n"),
    Case("1", "folded first line", b"GET /b/x HTTP/1.1\r\n X: a\r\n" + AFTER.partition(b"\r\n")[2], BAD, ()),
    get("a line of white space", b"X: a\r\n \r\n"),
    get("control character in a value", b"X: a\x01b\r\n"),
    get("DEL in a value", b"X: a\x7fb\r\n"),
    get("escaped line end in a value is text", b"X: a\\r\\nHost: evil\r\n", answers=SERVED, paths=SEPARATE),
    # Request lines.
    line("lower-case method", b"get /b/x HTTP/1.1"),
    line("method with a space before", b" GET /b/x HTTP/1.1"),
    Case("1", "two spaces in the request line", crafted("GET  /b/x HTTP/1.1") + HIDDEN + AFTER, SERVED, SEPARATE),
    line("tab in the request line", b"GET\t/b/x\tHTTP/1.1"),
    line("space in the target", b"GET /b/x y HTTP/1.1"),
    line("version with a space behind", b"GET /b/x HTTP/1.1 "),
    line("version 0.9", b"GET /b/x", ("505 bad_request",)),
    line("version 1.2", b"GET /b/x HTTP/1.2"),
    line("version 2.0", b"GET /b/x HTTP/2.0", ("505 bad_request",)),
    line("version 1.10", b"GET /b/x HTTP/1.10"),
    line("version of another protocol", b"GET /b/x ICY/1.1"),
    line("NUL in the target", b"GET /b/x\0 HTTP/1.1"),
    line("unknown method", b"FROB /b/x HTTP/1.1"),
    line("method of another protocol", b"PROPFIND /b/x HTTP/1.1", ("405 method_refused",)),
    line("TRACE", b"TRACE /b/x HTTP/1.1", ("405 method_refused",)),
    Case("1", "empty lines before a request", b"\r\n\r\n" + AFTER, ("200",), ("/after",)),
    Case("1", "line ends as an LF alone", AFTER.replace(b"\r\n", b"\n"), BAD, ()),
    Case("1", "line ends as a CR alone", AFTER.replace(b"\r\n", b"\r"), BAD, ()),
    Case("1", "bytes of another protocol", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + HIDDEN, BAD, ()),
    Case("1", "preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN, BAD, ()),
    # The same in pieces, and behind what was served.
    Case(
        "1",
        "CL.TE in many pieces",
        (b"PO", b"ST", b" /", b"b/", crafted(b"x HTTP/1.1", b"Content-Length: 6\r\n", TE), LAST, HIDDEN),
        BAD,
        (),
    ),
    Case(
        "1",
        "CL.TE behind a request that is served",
        HIDDEN.replace(b"admin/hidden", b"first") + crafted(LINE, b"Content-Length: 6\r\n", TE, body=LAST + HIDDEN),
        ("200", "400 bad_request"),
        ("/first",),
    ),
    Case(
        "1",
        "Expect, and a request in the place of the body",
        (crafted(LINE, b"Expect: 100-continue\r\n", LENGTH), BARE, AFTER),
        ("200", "200"),
        ("/x", "/after"),
        body=BARE,
    ),
    post(
        "Expect that nobody knows",
        b"Expect: 100-continue, x\r\n",
        LENGTH,
        body=BARE,
        answers=("417 bad_request", "200"),
        paths=("/after",),
    ),
    Case(
        "1",
        "a request behind the end of a connection",
        crafted("GET /b/x HTTP/1.1", CASES_END) + HIDDEN,
        ("200",),
        ("/x",),
    ),
]
