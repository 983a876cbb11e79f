"""Zip archive of an experiment run's results, free of absolute paths and file owners, for passing the run to others.

All files are in one folder, which is named after experiment and run (EXPERIMENT-RUN).
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from lab7.experiments.harness.results.atomic import atomic
from lab7.experiments.harness.results.result import Result

# Captures of real packets compress little; the level is that of zip's default.
LEVEL = 6
# Earliest time stamp of a zip archive, so that the same run gives the same archive.
EPOCH = (1980, 1, 1, 0, 0, 0)


def write_archive(folder: Path, result: Result, path: Path) -> int:
    """Write the regular files of a result folder into a zip file; return their number. Raises OSError."""
    top = f"{result.experiment}-{folder.resolve().name}"
    files = [each for each in sorted(folder.rglob("*")) if each.is_file() and not each.is_symlink()]
    files = [each for each in files if each.resolve() != path.resolve()]
    with atomic(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for each in files:
            if each == partial:
                continue
            entry = zipfile.ZipInfo(f"{top}/{each.relative_to(folder).as_posix()}", EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, each.read_bytes())
    return len(files)
