"""Extraction of embedded objects from an HTML page: images, scripts, style sheets and the like.

    >>> find_objects(b'<img src="a.png"><script src="/b.js"></script>', "http://h/p/")
    ['http://h/p/a.png', 'http://h/b.js']

charsets.py detects the page's character encoding, in which the queries of its URLs are encoded.

Left out: links in style sheets and scripts, srcset (a browser selects one of several), and URLs with a scheme other
than that of the page.
"""

from html.parser import HTMLParser

from lab7.services.http.page_load.charsets import detect_charset
from lab7.services.http.urls import UTF_8, Link, resolve

# Elements that embed an object which browsers load with the page, and the attribute with the object's URL.
SOURCES = {
    "img": "src",
    "script": "src",
    "iframe": "src",
    "frame": "src",
    "embed": "src",
    "audio": "src",
    "video": "src",
    "source": "src",
    "track": "src",
    "object": "data",
}
LOADED_LINKS = frozenset(("stylesheet", "icon", "apple-touch-icon", "preload", "modulepreload"))


class _Finder(HTMLParser):
    def __init__(self, base: str, charset: str) -> None:
        super().__init__()
        self._charset = charset
        self.links: dict[str, Link] = {}
        self._page = base
        self._base = base
        self._has_base = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "base" and "href" in values and not self._has_base:
            # HTML standard: the first base element with an href counts; its URL is relative to the page.
            link = resolve(self._page, values["href"])
            self._base, self._has_base = (link.url if link else self._page), True
        elif tag == "link" and LOADED_LINKS.intersection(values.get("rel", "").lower().split()):
            self._add(values.get("href"))
        elif tag == "input" and values.get("type", "").lower() == "image":
            self._add(values.get("src"))
        elif tag in SOURCES:
            self._add(values.get(SOURCES[tag]))
            if tag == "video":
                self._add(values.get("poster"))

    def _add(self, reference: str | None) -> None:
        link = resolve(self._base, reference, self._charset) if reference else None
        if link is not None:
            self.links.setdefault(link.url, link)


def find_links(page: bytes, url: str, content_type: bytes = b"") -> list[Link]:
    """Return Links to the objects embedded in an HTML page, in document order: each once, and never the page itself.

    `url` is the page's URL, `content_type` the value of its Content-Type field.
    """
    charset = detect_charset(page, content_type)
    # WHATWG Encoding section 4.3: a page in UTF-16 is decoded as such, and its queries are encoded in UTF-8.
    finder = _Finder(url, UTF_8 if charset.startswith("utf-") else charset)
    finder.feed(page.decode(charset, "replace"))
    finder.close()
    finder.links.pop(url, None)
    return list(finder.links.values())


def find_objects(page: bytes, url: str) -> list[str]:
    """Return the URLs of the objects of an HTML page at `url`, as text; see find_links()."""
    return [link.url for link in find_links(page, url)]
