"""Which format a text is in, where that can be told from its shape."""

import re
from typing import Any, Literal

from adapters.static import ansible_ini, ansible_tree, consul, endpointslice

Format = Literal["auto", "native", "file_sd", "ansible", "csv", "consul", "endpointslice"]

_SLICE = re.compile(r"^[-\s{,]*[\"']?kind[\"']?:\s*[\"']?(?:EndpointSlice|EndpointSliceList|List)\b", re.MULTILINE)


def of_text(text: str, where: str) -> Format:
    """What can be told before the text is read as a document; `auto` where nothing can."""
    if where.endswith(".csv"):
        return "csv"
    if ansible_ini.is_ini(text, where):
        return "ansible"
    if "discovery.k8s.io/" in text and _SLICE.search(text):
        return "endpointslice"
    return "auto"


def of_value(value: Any) -> Format:
    """What a document is; `auto` where it is of no known shape."""
    if isinstance(value, list):
        return "file_sd"
    if ansible_tree.is_tree(value):
        return "ansible"
    if endpointslice.is_slice(value):
        return "endpointslice"
    if consul.is_definition(value):
        return "consul"
    return "native" if isinstance(value, dict) else "auto"
