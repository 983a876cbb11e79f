"""Import of scapy without side effects on the user's home directory.

On import, scapy creates settings and pickled caches in XDG_CONFIG_HOME and XDG_CACHE_HOME; a run must write nothing
outside of its result folder. With both variables pointing to a path that cannot be a directory, scapy works without
them. The judge package imports this module first, before any other module can import scapy.
"""

from __future__ import annotations

import os

_NOWHERE = os.devnull
_FOLDERS = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME")

_kept = {name: os.environ.get(name) for name in _FOLDERS}
os.environ.update(dict.fromkeys(_FOLDERS, _NOWHERE))
try:
    import scapy.config
    import scapy.data
    import scapy.main  # noqa: F401
finally:
    for _name, _value in _kept.items():
        if _value is None:
            del os.environ[_name]
        else:
            os.environ[_name] = _value
