"""Good values of which a part was replaced, removed or added, for parsers to survive."""

import copy
from typing import Any

from hypothesis import strategies as st

JUNK = [None, True, 0, -1, 80, 65536, 1.5, "", "x", "80", "10.0.0.9", "a\n", "a/b/c/d", [], {}, ["10.0.0.8"], {"x": 1}]


@st.composite
def damaged(draw: st.DrawFn, whole: Any, junk: st.SearchStrategy[Any], keys: st.SearchStrategy[str]) -> Any:
    """`whole` after one to three accidents: a part is `junk`, or gone, or more stands there, under one of `keys`."""
    value: Any = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        at = value
        while isinstance(at, dict | list) and at:
            key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            inner = at[key]
            if isinstance(inner, dict | list) and inner and draw(st.integers(0, 3)):
                at = inner
                continue
            what = draw(st.integers(0, 2))
            if what == 0:
                at[key] = copy.deepcopy(draw(junk))
            elif what == 1:
                del at[key]
            elif isinstance(at, dict):
                at[draw(keys)] = copy.deepcopy(draw(junk))
            else:
                at.append(copy.deepcopy(draw(junk)))
            break
    return value
