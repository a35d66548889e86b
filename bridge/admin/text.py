"""Text that others wrote, made fit to be shown: one line, and no passwords of URLs."""

import re

_PASSWORD = re.compile(r"//[^/\s\"'@]*:[^/\s\"'@]*@")


def hide(text: str) -> str:
    """`https://user:password@host` as `https://***@host` (S-12)."""
    return _PASSWORD.sub("//***@", text)


def printable(text: str, keep_breaks: bool = False) -> str:
    """`text` with every control character written out (S-09); `keep_breaks` leaves the line breaks of a traceback."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or (keep_breaks and char == "\n") else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
