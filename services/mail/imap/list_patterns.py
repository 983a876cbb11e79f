"""Which names a pattern of LIST means: `*` stands for anything, `%` for anything but the separator (RFC 3501 6.3.8).

The time is bounded by the pattern's length times the name's, whatever the wildcards.
"""

from services.mail.maildir.folder_names import SEPARATOR


def matches(pattern: str, name: str) -> bool:
    """Tell whether the whole name fits the pattern."""
    # Places in the pattern at which one may be after what was read of the name.
    places = _onward(pattern, {0})
    for character in name:
        after: set[int] = set()
        for place in places:
            if place == len(pattern):
                continue
            wanted = pattern[place]
            if wanted == "*" or (wanted == "%" and character != SEPARATOR):
                after.add(place)
            elif wanted == character and wanted not in "*%":
                after.add(place + 1)
        places = _onward(pattern, after)
        if not places:
            return False
    return len(pattern) in places


def _onward(pattern: str, places: set[int]) -> set[int]:
    """A wildcard may stand for nothing."""
    found: set[int] = set()
    for place in places:
        found.add(place)
        while place < len(pattern) and pattern[place] in "*%":
            place += 1
            found.add(place)
    return found
