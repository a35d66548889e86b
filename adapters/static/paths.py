"""Which files the configuration means, and which folders tell that one of them changed."""

import os
from collections.abc import Iterable, Sequence
from glob import glob, has_magic
from pathlib import Path

_LINKS = 40
"""How many links a path may lead through, as in Linux."""


def expand(patterns: Sequence[Path], written: Iterable[Path] = ()) -> list[Path]:
    """The files meant, sorted, each once; a path without wildcards is meant whether or not it is there.

    What is `written` is not meant, however it is spelled.
    """
    found: set[str] = set()
    for pattern in patterns:
        text = str(pattern)
        if not has_magic(text):
            found.add(text)
        else:
            found.update(path for path in glob(text, recursive=True) if not Path(path).is_dir())  # noqa: PTH207  # anchored
    ours = {os.path.realpath(path) for path in written}
    return [Path(path) for path in sorted(found) if not ours or os.path.realpath(path) not in ours]


def folders(patterns: Sequence[Path], files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """The folders in which something happens when a file changes, with what tells a folder from its successor.

    A file is watched through its folder: it may be replaced by a rename, and it, or a folder on the way to it, may be
    a link that is pointed elsewhere, as in a ConfigMap.
    """
    watched: set[Path] = set()
    for pattern in patterns:
        watched.add(_without_magic(pattern))
    for file in files:
        watched.update(_on_the_way(Path(os.path.abspath(file))))  # noqa: PTH100  # resolve() would follow the links
    present = {}
    for folder in sorted(watched):
        try:
            status = folder.stat()
        except OSError:
            continue
        if folder.is_dir():
            present[folder] = (status.st_dev, status.st_ino)
    return present


def _without_magic(pattern: Path) -> Path:
    folder = pattern.parent
    while has_magic(str(folder)):
        folder = folder.parent
    return folder


def _on_the_way(path: Path) -> set[Path]:
    """The folder of each link on the way to the file, and the folder in which the file itself lies."""
    watched: set[Path] = set()
    rest = list(reversed(path.parts[1:]))
    at = Path(path.anchor)
    links = 0
    while rest:
        part = rest.pop()
        if part == "..":
            at = at.parent
            continue
        at /= part
        if not at.is_symlink():
            continue
        watched.add(at.parent)
        links += 1
        if links > _LINKS:
            break
        try:
            target = at.readlink()
        except OSError:
            break
        at = Path(target.anchor) if target.is_absolute() else at.parent
        rest += reversed(target.parts[1:] if target.is_absolute() else target.parts)
    watched.add(at.parent)
    return watched
