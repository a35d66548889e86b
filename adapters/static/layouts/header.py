"""The header of a file that a bridge writes: whose it is, and how it is laid out.

Where a format has comments it is the first line; in JSON it is the first group, which has no targets (file_sd), or the
first key (native). Nothing but the very beginning of a file counts: what a service says of itself is never a header.
"""

import re
from typing import NamedTuple

from bridge.kit.mark import Stamp

GROUP = "__meta_registry_bridge"
"""The label of the header's group in file_sd; Prometheus drops labels that begin so."""

WARNING = "# Written by registry-bridge, which puts right what is edited here."

_COMMENT = re.compile(r"\ufeff?# (registry-bridge/[^\n\"]+?) as (file_sd|native|csv|hosts)\r?\n", re.ASCII)
_FILE_SD = re.compile(
    r'\s*\[\s*\{\s*"labels":\s*\{\s*"' + GROUP + r'":\s*"([^"\n]*)"\s*\}\s*,\s*"targets":\s*\[\s*\]\s*\}', re.ASCII
)
_NATIVE = re.compile(r'\s*\{\s*"mark":\s*"([^"\n]*)"', re.ASCII)


class Header(NamedTuple):
    """Whose a file is; `layout` and `json` say how to read it."""

    stamp: Stamp
    layout: str
    json: bool


def find(text: str) -> Header | None:
    """The header of a whole file, None when no bridge wrote it."""
    for pattern, layout in ((_COMMENT, ""), (_FILE_SD, "file_sd"), (_NATIVE, "native")):
        if found := pattern.match(text):
            stamp = Stamp.find(found[1])
            if stamp is not None and str(stamp) == found[1]:
                return Header(stamp, layout or found[2], bool(layout))
    return None


def comment(stamp: Stamp, layout: str) -> tuple[str, str]:
    """The header's lines where there are comments."""
    return f"# {stamp} as {layout}", WARNING
