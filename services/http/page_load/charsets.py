"""Detection of an HTML page's character encoding (WHATWG HTML section 13.2.3, WHATWG Encoding section 4.2).

    >>> detect_charset(b"<meta charset=latin1>", b"text/html")
    'cp1252'

The order is that of browsers: a byte order mark, Content-Type, a meta element in the first 1024 octets. A page without
any of them is UTF-8 if it is valid UTF-8, else windows-1252. Names are those of Python's codecs. Left out: guessing an
encoding by language, and labels of encodings that no browser supports.
"""

import re

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_IN_FIELD = re.compile(rb";[ \t]*charset=\"?([^\"; \t]+)", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_IN_META = re.compile(rb"<meta[\s/][^>]*?charset\s*=\s*[\"']?\s*([^\s\"'/>;]+)", re.IGNORECASE)
PRESCAN_OCTETS = 1024

_WINDOWS_1252 = "cp1252"
# Encoding labels by Python codec (WHATWG Encoding section 4.2); browsers decode latin1 as windows-1252, for example.
_LABELS = {
    "utf-8": "utf-8 utf8 unicode-1-1-utf-8 x-unicode20utf8",
    _WINDOWS_1252: "windows-1252 cp1252 x-cp1252 iso-8859-1 iso8859-1 iso_8859-1 latin1 l1 ascii us-ascii cp819 ibm819",
    "cp866": "ibm866 866 cp866",
    "iso8859-2": "iso-8859-2 iso8859-2 iso_8859-2 latin2 l2",
    "iso8859-3": "iso-8859-3 iso8859-3 latin3 l3",
    "iso8859-4": "iso-8859-4 iso8859-4 latin4 l4",
    "iso8859-5": "iso-8859-5 iso8859-5 cyrillic",
    "iso8859-6": "iso-8859-6 iso8859-6 arabic",
    "iso8859-7": "iso-8859-7 iso8859-7 greek",
    "iso8859-8": "iso-8859-8 iso8859-8 hebrew iso-8859-8-i logical",
    "iso8859-10": "iso-8859-10 iso8859-10 latin6 l6",
    "iso8859-13": "iso-8859-13 iso8859-13",
    "iso8859-14": "iso-8859-14 iso8859-14",
    "iso8859-15": "iso-8859-15 iso8859-15 iso_8859-15 l9",
    "iso8859-16": "iso-8859-16",
    "koi8-r": "koi8-r koi8 koi koi8_r",
    "koi8-u": "koi8-u koi8-ru",
    "mac-roman": "macintosh mac x-mac-roman",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "cp874": "windows-874 tis-620 iso-8859-11 iso8859-11",
    "cp1254": "windows-1254 cp1254 x-cp1254 iso-8859-9 iso8859-9 latin5 l5",
    **{f"cp{page}": f"windows-{page} cp{page} x-cp{page}" for page in (1250, 1251, 1253, 1255, 1256, 1257, 1258)},
    "gb18030": "gb18030 gbk gb2312 chinese gb_2312-80 x-gbk",
    "big5hkscs": "big5 big5-hkscs cn-big5 x-x-big5",
    "euc_jp": "euc-jp x-euc-jp",
    "iso2022_jp": "iso-2022-jp csiso2022jp",
    "cp932": "shift_jis shift-jis sjis x-sjis ms_kanji windows-31j ms932",
    "cp949": "euc-kr korean ks_c_5601-1987 ksc5601 ksc_5601 windows-949",
    "utf-16-le": "utf-16 utf-16le unicode",
    "utf-16-be": "utf-16be",
}
_CODECS = {label.encode("ascii"): codec for codec, labels in _LABELS.items() for label in labels.split()}


def detect_charset(page: bytes, content_type: bytes) -> str:
    """Return the name of the Python codec for a page; `content_type` is the value of its Content-Type field."""
    for mark, codec in _MARKS:
        if page.startswith(mark):
            return codec
    declared = _named(_IN_FIELD.search(content_type))
    if declared is not None:
        return declared
    in_page = _named(_IN_META.search(_COMMENT.sub(b"", page[:PRESCAN_OCTETS])))
    if in_page is not None:
        # WHATWG HTML section 13.2.3.2: a page whose meta element can be read as ASCII is not in UTF-16.
        return "utf-8" if in_page.startswith("utf-16") else in_page
    try:
        page.decode("utf-8")
    except UnicodeDecodeError:
        return _WINDOWS_1252
    return "utf-8"


def _named(match: re.Match[bytes] | None) -> str | None:
    return None if match is None else _CODECS.get(match[1].lower())
