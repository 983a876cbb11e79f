"""Expires, Date, Age and Last-Modified: freshness lifetime and age (RFC 9111 sections 4.2 and 5)."""

from tests.loopback.http.cache_probes.probing import (
    Probe,
    Reply,
    age,
    allowed,
    asked_again,
    first,
    get,
    has,
    hit,
    miss,
    required,
    reused,
)

OLD = "Last-Modified: {now-100000}"
HOUR = "Cache-Control: max-age=3600"


def _expires(value: str) -> Probe:
    return asked_again("9111 5.3", f"Expires: {value} is in the past", f"Expires: {value}", OLD)


EXPIRES = [
    *(
        reused("9111 5.3", f"Expires: {value}", f"Expires: {value}")
        for value in ("{now+60}", "{rfc850+60}", "{asctime+60}")
    ),
    *(
        reused("9111 5.3", f"Expires: {value}", f"Expires: {value}")
        for value in (
            "Thu, 18 Aug 2050 02:01:18 GMT",
            "thu, 18 AUG 2050 02:01:18 gmt",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Tue, 19 Jan 2038 03:14:08 GMT",
            "Mon, 29 Feb 2044 00:00:00 GMT",
            "Thu, 30 Jun 2050 23:59:60 GMT",
        )
    ),
    *(
        _expires(value)
        for value in (
            "0",
            "-1",
            "",
            "never",
            "60",
            "{now-60}",
            "{now}",
            "{rfc850-60}",
            "{asctime-60}",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Thu, 18 Aug 2050 02:01:18 EST",
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 2050 02:01:18 +0000",
            "Thu, 18 Aug 2050 02:01:18",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "Thu, 18 Aug 2050 02:01 GMT",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "18 Aug 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 25:01:18 GMT",
            "Thu, 31 Feb 2050 02:01:18 GMT",
            "Thu,  18 Aug 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02:01:18 GMT foo",
            "2050-08-18T02:01:18Z",
            "2544300078",
            '"Thu, 18 Aug 2050 02:01:18 GMT"',
        )
    ),
    asked_again("9111 4.2.1", "Expires twice, first past", "Expires: {now-60}", "Expires: {now+60}", OLD),
    asked_again("9111 4.2.1", "Expires not after Date", "Expires: {now+60}", "Date: {now+120}", OLD),
    reused("9111 5.3", "Expires past with max-age", "Expires: 0", HOUR),
    reused("9111 5.3", "Expires past with s-maxage", "Expires: 0", "Cache-Control: s-maxage=60"),
    asked_again("9111 5.3", "Expires ahead with max-age=0", "Expires: {now+60}", "Cache-Control: max-age=0"),
    asked_again("9111 5.3", "Expires ahead with a bad max-age", "Expires: {now+60}", "Cache-Control: max-age=a"),
    reused("9111 4.2.1", "Expires minus an old Date", "Expires: {now+60}", "Date: {now-3600}"),
    asked_again("9111 4.2.1", "Expires before now, Date before it", "Expires: {now-60}", "Date: {now-3600}"),
    allowed(
        "9111 4.2.1",
        "Expires without Date",
        first(reply=Reply(fields=("Expires: {now+60}",), has_date=False)),
        hit(),
    ),
    required("9111 4.2", "Expires passes", first("Expires: {now+2}"), miss(after_s=3.2)),
    required("9111 4.2", "max-age passes", first("Cache-Control: max-age=2"), miss(after_s=3.2)),
    required("9111 4.2", "s-maxage passes", first("Cache-Control: s-maxage=2, max-age=60"), miss(after_s=3.2)),
    required(
        "9111 4.2",
        "max-age passes though the rest is heuristic",
        first("Cache-Control: max-age=2", OLD),
        miss(after_s=3.2),
    ),
    allowed(
        "9111 4.2", "max-age has not passed", first("Cache-Control: max-age=5"), hit(after_s=2, checks=(age(1, 4),))
    ),
]

AGE = [
    allowed("9111 4.2.3", "Age within", first(HOUR, "Age: 30"), hit(checks=(age(30, 34),))),
    allowed("9111 5.1", "Age with zeros", first(HOUR, "age: 0030"), hit(checks=(age(30, 34),))),
    *(
        asked_again("9111 5.1", f"Age: {value}", HOUR, f"Age: {value}", OLD)
        for value in ("3600", "7200", "2147483648", "99999999999999999999", "7200, 0")
    ),
    *(
        allowed("9111 5.1", f"Age: {value} is ignored", first(HOUR, f"Age: {value}"), hit(checks=(age(0, 4),)))
        for value in ("-1", "abc", "", "7200.0", "+7200", "7200;foo=bar", '"7200"', "0x7200", "7200 1", "-1, 7200")
    ),
    allowed("9111 5.1", "the first of two members counts", first(HOUR, "Age: 30, 7200"), hit(checks=(age(30, 34),))),
    allowed(
        "9111 5.1", "the first of two Age lines counts", first(HOUR, "Age: 30", "Age: 7200"), hit(checks=(age(30, 34),))
    ),
    asked_again("9111 5.1", "the first of two Age lines is too old", HOUR, "Age: 7200", "Age: 0"),
    asked_again("9111 4.2.3", "an old Date", HOUR, "Date: {now-7200}"),
    allowed("9111 4.2.3", "an older Date", first(HOUR, "Date: {now-600}"), hit(checks=(age(599, 605),))),
    allowed("9111 4.2.3", "Age above Date", first(HOUR, "Date: {now-60}", "Age: 600"), hit(checks=(age(600, 605),))),
    allowed("9111 4.2.3", "Date above Age", first(HOUR, "Date: {now-600}", "Age: 60"), hit(checks=(age(599, 605),))),
    allowed("9111 4.2.3", "a Date to come", first(HOUR, "Date: {now+3600}"), hit(checks=(age(0, 4),))),
    reused("9110 6.6.1", "a bad Date", HOUR, "Date: foo"),
    allowed(
        "9110 6.6.1",
        "no Date: one is added",
        get(asked=True, reply=Reply(fields=(HOUR,), has_date=False), checks=(has("Date"),)),
        hit(checks=(has("Date"),)),
    ),
    required(
        "9111 4.2.3",
        "Age counts from the request",
        first(
            reply=Reply(
                pieces=(
                    2.2,
                    b"HTTP/1.1 200 OK\r\nAge: 10\r\nDate: {now}\r\n"
                    + HOUR.encode()
                    + b"\r\nContent-Length: 1\r\n\r\na",
                )
            )
        ),
        get(checks=(age(12, 16),)),
    ),
    required(
        "9111 4.2.3",
        "freshness counts from the request",
        first(reply=Reply(pieces=(2.2, b"HTTP/1.1 200 OK\r\nCache-Control: max-age=2\r\nContent-Length: 1\r\n\r\na"))),
        miss(),
    ),
    required("9111 4", "Age replaces what came", first(HOUR, "Age: 10", "Age: 20"), get(checks=(age(10, 14),))),
    required(
        "9111 5.1",
        "Age of others passes on a miss",
        first("Cache-Control: no-store", "Age: 10", checks=(has("Age", "10"),)),
    ),
    allowed("9111 5.1", "a rfc850 Date", first(HOUR, "Date: {rfc850-600}"), hit(checks=(age(599, 605),))),
    allowed("9111 5.1", "an asctime Date", first(HOUR, "Date: {asctime-600}"), hit(checks=(age(599, 605),))),
]

HEURISTICS = [
    reused("9111 4.2.2", "Last-Modified long ago", OLD),
    reused("9111 4.2.2", "Last-Modified in rfc850 form", "Last-Modified: {rfc850-100000}"),
    reused("9111 4.2.2", "Last-Modified 1994", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"),
    allowed(
        "9111 4.2.2", "a query does not keep from heuristics", first(OLD, target="{name}?a=1"), hit(target="{name}?a=1")
    ),
    asked_again("9111 4.2.2", "Last-Modified too old for its Age", OLD, "Age: 50000"),
    asked_again("9111 4.2.2", "Last-Modified to come", "Last-Modified: {now+1000}"),
    asked_again("9111 4.2.2", "Last-Modified is bad", "Last-Modified: foo"),
    asked_again("9111 4.2.2", "no heuristics beside Expires", OLD, "Expires: 0"),
]

PROBES = [*EXPIRES, *AGE, *HEURISTICS]
