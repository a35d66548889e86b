"""Tags as one value of metadata: words with commas between them, which a tag may have too."""

import re
from collections.abc import Iterable
from typing import Final

KEY: Final = "tags"
"""Under which an endpoint's metadata has them."""

_TAG: Final = re.compile(r" *((?:\\[\\, ]|\\(?![\\, ])|[^,\\])*?) *(?:,|$)")
_ESCAPED: Final = re.compile(r"\\([\\, ])")
_MEANT: Final = re.compile(r"[\\,]|^ | $")


def join(tags: Iterable[str]) -> str:
    """One value that says these, sorted and each once; what would be read otherwise has a backslash before it."""
    return ",".join(_MEANT.sub(r"\\\g<0>", tag) for tag in sorted(set(tags)) if tag)


def split(text: str) -> tuple[str, ...]:
    """The tags that a value says, sorted and each once; spaces around a comma are nobody's."""
    return tuple(sorted({_ESCAPED.sub(r"\1", one[1]) for one in _TAG.finditer(text) if one[1]}))
