"""What stands where a bridge writes, whether it may be replaced, and how it is."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from adapters.static.layouts import formats
from adapters.static.layouts.header import find
from adapters.static.layouts.layout import View
from bridge.errors import BridgeError, ConfigError, Denied, Rejected, Unavailable
from bridge.kit import files
from bridge.kit.files import Content, Stamp
from bridge.kit.mark import FORMAT, Mark

MODE = 0o644
"""Of a file that was not there: others are to read it."""


class Standing(NamedTuple):
    """A file of ours; `content` and `view` are None where there is none yet."""

    content: Content | None = None
    view: View | None = None
    status: os.stat_result | None = None


def stand(path: Path, mark: Mark, before: Standing | None = None) -> Standing:
    """What stands there; what is as `before` is not read again, block by block.

    Rejected when it is somebody else's, or no file that could be ours; Denied and Unavailable when nobody can tell.
    """
    content = look(path)
    if content is None:
        return Standing()
    status = path.lstat()
    if before is not None and before.content is not None and before.content.digest == content.digest:
        return Standing(content, before.view, status)
    view = owned(path, content, mark, before.view if before is not None else None)
    return Standing(content, view, status)


def look(path: Path) -> Content | None:
    """The content of a plain file, None where nothing stands; errors as `stand`."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise Unavailable(f"{path}: its folder is not there; make it, and let this user write into it") from None
        return None
    except (OSError, ValueError) as error:
        raise failure(path, error) from None
    if stat.S_ISLNK(status.st_mode):
        raise Rejected(f"{path}: is a link, which a rename would replace; name the file that it leads to")
    if stat.S_ISDIR(status.st_mode):
        raise Rejected(f"{path}: is a folder; name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise Rejected(f"{path}: is no plain file; name another")
    try:
        content = files.read(path, str(path)) or files.read(path, str(path))
    except ConfigError as error:
        raise (Denied if _forbidden(path) else Unavailable)(str(error)) from None
    if content is None:
        raise Unavailable(f"{path}: changes while it is read; it is tried again")
    return content


def _forbidden(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def owned(path: Path, content: Content, mark: Mark, before: View | None) -> View:
    """The blocks of a file of ours; Rejected when it is somebody else's."""
    try:
        text = files.text(content.data, str(path))
    except ConfigError:
        text = content.data.decode("utf-8-sig", "replace")  # a broken block of ours, or nobody's header
    header = find(text)
    if header is None:
        raise Rejected(_foreign(path))
    if header.stamp.format > FORMAT:
        raise Rejected(f"{path}: was written by a newer registry-bridge, in its format {header.stamp.format}; update")
    if not mark.owns(header.stamp):
        raise Rejected(
            f"{path}: belongs to the bridge {header.stamp.owner}, and we are {mark.owner}; name another file, "
            f"or take it over: `registry-bridge adopt --from {header.stamp.owner}`"
        )
    view = formats.read(text, before)
    assert view is not None  # it has a header
    return view


def hindrance(path: Path, owner: str) -> str:
    """Why `owner` could not write it as it is now, "" when nothing is in the way."""
    try:
        content = look(path)
        if content is not None:
            owned(path, content, Mark(owner, "check"), None)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            read_only = os.statvfs(path.parent).f_flag & os.ST_RDONLY
            raise failure(path, OSError(errno.EROFS if read_only else errno.EACCES, ""))
    except BridgeError as error:
        return str(error)
    return ""


def _foreign(path: Path) -> str:
    return (
        f"{path}: does not begin with the mark of registry-bridge, so it is somebody else's and stays as it is; "
        "name another file, or move that one away"
    )


def same(path: Path, standing: Standing) -> bool:
    """Whether what stands there is still what was read."""
    try:
        there = Stamp.of(path.lstat())
    except FileNotFoundError:
        return standing.content is None
    return standing.content is not None and standing.content.stamp == there


def replace(path: Path, data: bytes, standing: Standing | None) -> bool:
    """Replace a file by a rename; False when there is another than `standing` by now (None: whichever there is).

    Whoever calls it has the lock, so that what lies aside is left of one who was killed.
    """
    aside = path.with_name(f".{path.name.removeprefix('.')}.new")
    aside.unlink(missing_ok=True)
    try:
        with open(aside, "xb") as file:  # noqa: PTH123  # exclusive
            _like(file.fileno(), standing.status if standing is not None else None)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if standing is None:
            aside.replace(path)
        elif not same(path, standing):
            return False
        elif standing.content is None:
            try:
                os.link(aside, path)  # never over one that came meanwhile
            except FileExistsError:
                return False
        else:
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def _like(handle: int, status: os.stat_result | None) -> None:
    """The mode of the file before, and its owner as far as we may."""
    os.fchmod(handle, MODE if status is None else status.st_mode & 0o777)
    if status is not None:
        for user, group in ((status.st_uid, status.st_gid), (-1, status.st_gid)):
            with suppress(PermissionError):
                os.fchown(handle, user, group)
                break


def failure(path: Path, error: OSError | ValueError) -> BridgeError:
    """An error of the file system by what there is to do about it."""
    if not isinstance(error, OSError):
        return Rejected(f"{path}: is not a path that can be written")
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return Denied(f"{path}: may not be written by user {os.geteuid()}; let it write into the folder")
        case errno.EROFS:
            return Denied(f"{path}: lies on a file system that is read-only; mount it to be written, or name another")
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return Unavailable(f"{path}: the disk is full, and the file stays as it was; make room")
        case errno.ENOENT | errno.ENOTDIR:
            return Unavailable(f"{path}: its folder is not there; make it, and let this user write into it")
        case _:
            return Unavailable(f"{path}: cannot be written: {error.strerror}")
