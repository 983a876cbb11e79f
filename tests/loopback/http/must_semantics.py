"""The MUSTs of semantics: methods, fields, conditions and ranges (RFC 9110)."""

from tests.loopback.http.musts import (
    EARLIER,
    LATER,
    OLD,
    WHOLE,
    Must,
    both,
    content,
    date_is_fixdate,
    field,
    framed,
    get,
    has,
    lacks,
    multipart,
    not_later_than_date,
    same_fields,
    status,
    statuses,
)

METHODS = [
    Must("9110 9.1", "GET is supported", get(), WHOLE),
    Must("9110 9.1", "HEAD is supported, without content", get(method=b"HEAD"), content(b"")),
    Must("9110 9.3.2", "HEAD has the fields of GET", get(method=b"HEAD") + get(), same_fields, ("HEAD", "GET")),
    Must(
        "9110 9.3.2", "HEAD for nothing has no content either", get(method=b"HEAD", target=b"/nope"), content(b"", 404)
    ),
    Must(
        "9110 9.3.2",
        "HEAD of a large file says its length",
        get(method=b"HEAD", target=b"/large.bin"),
        both(content(b""), field("Content-Length", "8388608")),
    ),
    Must("9110 9.3.2", "a malformed HEAD gets no content", b"HEAD / HTTP/1.1\r\n\r\n", content(b"", 400)),
    Must("9110 9.1", "an unknown method earns 501", get(method=b"BREW"), status(501)),
    Must(
        "9110 15.5.6",
        "405 comes with Allow",
        get(b"Content-Length: 0", method=b"POST"),
        both(status(405), field("Allow", "GET, HEAD, OPTIONS")),
    ),
    Must("9110 15.5.6", "DELETE is not for files", get(method=b"DELETE"), both(status(405), has("Allow"))),
    Must("9110 9.3.8", "TRACE is not for files", get(method=b"TRACE"), both(status(405), has("Allow"))),
    Must(
        "9110 9.3.7",
        "OPTIONS tells what is allowed",
        get(method=b"OPTIONS"),
        both(status(200), field("Allow", "GET, HEAD, OPTIONS")),
    ),
    Must("9110 6.6.1", "2xx has a Date, in the preferred format", get(), date_is_fixdate),
    Must("9110 6.6.1", "3xx has a Date", get(target=b"/sub"), date_is_fixdate),
    Must("9110 6.6.1", "4xx has a Date", get(target=b"/nope"), date_is_fixdate),
    Must("9110 8.8.2.1", "Last-Modified is not later than Date", get(), not_later_than_date),
    Must("9110 8.8.2", "Last-Modified is the file's", get(), field("Last-Modified", OLD.decode())),
    Must("9110 8.8.3", "an entity tag is quoted", get(), lambda _, a: (a[0].field("ETag") or "")[:1] == '"'),
    Must("9110 8.3", "content has a type", get(), field("Content-Type", "text/plain; charset=utf-8")),
    Must("9110 8.6", "Content-Length is what comes", get(), framed),
    Must("9110 8.6", "Content-Length 0 for empty content", get(target=b"/empty.txt"), both(framed, content(b""))),
    Must("9110 8.6", "an error page's Content-Length is what comes", get(target=b"/nope"), framed),
    Must("9110 14.3", "ranges are offered", get(), field("Accept-Ranges", "bytes")),
    Must(
        "9110 15.4.2",
        "301 comes with Location",
        get(target=b"/sub?a=b"),
        both(status(301), field("Location", "/sub/?a=b")),
    ),
    Must(
        "9110 10.2.2",
        "Location never becomes another host",
        get(target=b"//sub"),
        lambda _, a: not (a[0].field("Location") or "").startswith("//"),
    ),
    Must("9110 12.5.1", "Accept that nothing meets is no failure", get(b"Accept: image/png;q=0"), WHOLE),
    Must(
        "9110 12.5.3",
        "Accept-Encoding that refuses all is no failure",
        get(b"Accept-Encoding: *;q=0"),
        status(200, 406),
    ),
    Must("9110 12.5.4", "Accept-Language is no failure", get(b"Accept-Language: tlh"), WHOLE),
    Must("9110 8.4", "content is not coded unasked", get(b"Accept-Encoding: identity"), lacks("Content-Encoding")),
    Must("9110 17.3", "no path leaves the root by dots", get(target=b"/../outside0/secret.txt"), status(400, 404)),
    Must(
        "9110 17.3",
        "no path leaves the root by encoded dots",
        get(target=b"/%2e%2e/%2e%2e/etc/passwd"),
        status(400, 404),
    ),
    Must(
        "9110 17.3",
        "no path leaves the root by an encoded slash",
        get(target=b"/..%2f..%2fetc/passwd"),
        status(400, 404),
    ),
    Must("9110 17.3", "no path leaves the root by a link", get(target=b"/out.txt"), status(404)),
    Must(
        "9110 17.3",
        "no path leaves the root through a linked directory",
        get(target=b"/outdir/secret.txt"),
        status(404),
    ),
    Must("9110 17.3", "NUL in a path names nothing", get(target=b"/a.txt%00"), status(400, 404)),
    Must("3986 2.1", "percent-encoded octets are decoded", get(target=b"/%61.txt"), WHOLE),
    Must("3986 2.4", "decoding happens once", get(target=b"/%2561.txt"), status(404)),
    Must("3986 2.1", "a broken percent-encoding is refused", get(target=b"/%zz"), status(400, 404)),
]


def _conditional(section: str, sentence: str, code: int, *lines: bytes, method: bytes = b"GET") -> Must:
    return Must(section, sentence, get(*lines, method=method), statuses(code))


CONDITIONS = [
    _conditional("9110 13.1.1", "If-Match with the tag goes on", 200, b"If-Match: {etag}"),
    _conditional("9110 13.1.1", "If-Match with another tag earns 412", 412, b'If-Match: "other"'),
    _conditional("9110 13.1.1", "If-Match compares strongly", 412, b"If-Match: W/{etag}"),
    _conditional("9110 13.1.1", "If-Match takes a list", 200, b'If-Match: "a,b", {etag}'),
    _conditional("9110 13.1.1", "If-Match * goes on where there is something", 200, b"If-Match: *"),
    _conditional("9110 13.1.2", "If-None-Match with the tag earns 304", 304, b"If-None-Match: {etag}"),
    _conditional(
        "9110 13.1.2", "If-None-Match with the tag earns 304 for HEAD", 304, b"If-None-Match: {etag}", method=b"HEAD"
    ),
    _conditional("9110 13.1.2", "If-None-Match compares weakly", 304, b"If-None-Match: W/{etag}"),
    _conditional("9110 13.1.2", "If-None-Match with another tag goes on", 200, b'If-None-Match: "other"'),
    _conditional(
        "9110 13.1.2", "If-None-Match takes a list over lines", 304, b'If-None-Match: "a"', b"If-None-Match: {etag}"
    ),
    _conditional("9110 13.1.2", "If-None-Match * earns 304 where there is something", 304, b"If-None-Match: *"),
    _conditional("9110 13.1.3", "If-Modified-Since with the date earns 304", 304, b"If-Modified-Since: " + OLD),
    _conditional("9110 13.1.3", "If-Modified-Since later earns 304", 304, b"If-Modified-Since: " + LATER),
    _conditional("9110 13.1.3", "If-Modified-Since earlier goes on", 200, b"If-Modified-Since: " + EARLIER),
    _conditional("9110 13.1.3", "If-Modified-Since that is no date is ignored", 200, b"If-Modified-Since: yesterday"),
    _conditional(
        "9110 13.1.3",
        "If-Modified-Since is ignored beside If-None-Match",
        200,
        b'If-None-Match: "other"',
        b"If-Modified-Since: " + OLD,
    ),
    _conditional(
        "9110 13.1.3",
        "If-Modified-Since is ignored for other methods",
        405,
        b"If-Modified-Since: " + OLD,
        method=b"DELETE",
    ),
    _conditional("9110 13.1.4", "If-Unmodified-Since with the date goes on", 200, b"If-Unmodified-Since: " + OLD),
    _conditional("9110 13.1.4", "If-Unmodified-Since earlier earns 412", 412, b"If-Unmodified-Since: " + EARLIER),
    _conditional("9110 13.1.4", "If-Unmodified-Since that is no date is ignored", 200, b"If-Unmodified-Since: never"),
    _conditional(
        "9110 13.1.4",
        "If-Unmodified-Since is ignored beside If-Match",
        200,
        b"If-Match: {etag}",
        b"If-Unmodified-Since: " + EARLIER,
    ),
    _conditional(
        "9110 13.2.2", "If-Match comes before If-None-Match", 412, b'If-Match: "other"', b"If-None-Match: {etag}"
    ),
    _conditional(
        "9110 13.2.1",
        "preconditions are ignored where the answer is an error anyway",
        405,
        b'If-Match: "other"',
        method=b"DELETE",
    ),
    _conditional("9110 13.2.1", "preconditions are ignored for OPTIONS", 200, b'If-Match: "other"', method=b"OPTIONS"),
    _conditional("9110 5.6.7", "the RFC 850 date is read", 304, b"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"),
    _conditional("9110 5.6.7", "the asctime date is read", 304, b"If-Modified-Since: Sun Nov  6 08:49:37 1994"),
    _conditional(
        "9110 5.6.7",
        "a two-digit year far ahead is in the past",
        200,
        b"If-Modified-Since: Sunday, 06-Nov-93 08:49:37 GMT",
    ),
    Must(
        "9110 15.4.5",
        "304 has the tag, a Date, and no content",
        get(b"If-None-Match: {etag}"),
        both(content(b"", 304), has("ETag"), has("Date")),
    ),
    Must(
        "9110 8.6",
        "304 has no Content-Length but the right one",
        get(b"If-None-Match: {etag}"),
        lambda _, a: a[0].field("Content-Length") in (None, "10"),
    ),
    Must("9112 6.3", "304 ends with its head", get(b"If-None-Match: {etag}") + get(), statuses(304, 200)),
]

RANGES = [
    Must("9110 14.1.2", "first and last are counted in", get(b"Range: bytes=2-4"), content(b"234", 206)),
    Must("9110 14.1.2", "an open range goes to the end", get(b"Range: bytes=7-"), content(b"789", 206)),
    Must("9110 14.1.2", "a suffix is the last octets", get(b"Range: bytes=-3"), content(b"789", 206)),
    Must("9110 14.1.2", "a suffix beyond the size is all", get(b"Range: bytes=-99"), content(b"0123456789", 206)),
    Must("9110 14.1.2", "a last position beyond the size is cut", get(b"Range: bytes=8-99"), content(b"89", 206)),
    Must("9110 15.3.7.1", "206 has Content-Range", get(b"Range: bytes=2-4"), field("Content-Range", "bytes 2-4/10")),
    Must(
        "9110 15.3.7",
        "206 has Date, ETag and Last-Modified as 200",
        get(b"Range: bytes=2-4"),
        both(has("Date"), has("ETag"), has("Last-Modified")),
    ),
    Must(
        "9110 15.5.17",
        "nothing to satisfy earns 416 with the size",
        get(b"Range: bytes=10-"),
        both(status(416), field("Content-Range", "bytes */10")),
    ),
    Must("9110 14.1.2", "an empty suffix cannot be satisfied", get(b"Range: bytes=-0"), status(416)),
    Must(
        "9110 14.2",
        "Range is for GET alone",
        get(b"Range: bytes=2-4", method=b"HEAD"),
        both(status(200), field("Content-Length", "10")),
    ),
    Must("9110 14.2", "an unknown unit is ignored", get(b"Range: lines=2-4"), WHOLE),
    Must("9110 14.1", "units are case-insensitive", get(b"Range: BYTES=2-4"), content(b"234", 206)),
    Must(
        "9110 14.1.1",
        "a last position below the first makes the set invalid",
        get(b"Range: bytes=4-2"),
        status(200, 416),
    ),
    Must("9110 14.2", "an invalid set may be ignored", get(b"Range: bytes=a-b"), status(200, 416)),
    Must("9110 15.3.7.2", "several ranges make a multipart", get(b"Range: bytes=0-1,8-9"), multipart),
    Must(
        "9110 15.3.7.2",
        "one range never makes a multipart",
        get(b"Range: bytes=2-4"),
        field("Content-Type", "text/plain; charset=utf-8"),
    ),
    Must("9110 15.3.7.2", "ranges that overlap are joined", get(b"Range: bytes=0-4,2-6"), content(b"0123456", 206)),
    Must("9110 14.2", "a flood of ranges is ignored", get(b"Range: bytes=" + b",".join([b"0-"] * 50)), WHOLE),
    Must(
        "9110 13.1.5",
        "If-Range with the tag lets the range through",
        get(b"Range: bytes=2-4", b"If-Range: {etag}"),
        content(b"234", 206),
    ),
    Must("9110 13.1.5", "If-Range compares strongly", get(b"Range: bytes=2-4", b"If-Range: W/{etag}"), WHOLE),
    Must("9110 13.1.5", "If-Range with another tag gives all", get(b"Range: bytes=2-4", b'If-Range: "other"'), WHOLE),
    Must(
        "9110 13.1.5",
        "If-Range with the date lets the range through",
        get(b"Range: bytes=2-4", b"If-Range: " + OLD),
        content(b"234", 206),
    ),
    Must(
        "9110 13.1.5", "If-Range with any other date gives all", get(b"Range: bytes=2-4", b"If-Range: " + LATER), WHOLE
    ),
    Must("9110 13.1.5", "If-Range without Range is ignored", get(b'If-Range: "other"'), WHOLE),
    Must("9110 13.2.2", "preconditions come before Range", get(b"Range: bytes=2-4", b'If-Match: "other"'), status(412)),
]
