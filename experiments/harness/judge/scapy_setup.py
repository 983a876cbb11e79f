"""Import scapy without letting it write into anybody's home.

scapy keeps settings and pickles in XDG_CONFIG_HOME and XDG_CACHE_HOME as it is imported; a run leaves nothing outside
of its result folder. Where those folders cannot be, scapy does without. Imported first by the
package, so that no module of it meets scapy before.
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
