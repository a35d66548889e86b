"""What root may do beyond others, given up for a while: capabilities(7)."""

import contextlib
import ctypes
import os
from collections.abc import Iterator

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Set(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextlib.contextmanager
def without(*capabilities: int) -> Iterator[None]:
    """This thread, and those that it starts meanwhile, do without them; nothing to do for who is not root."""
    if os.geteuid() != 0:
        yield
        return
    sets = (_Set * 2)()
    _call(_libc.capget, sets)
    before = sets[0].effective
    for capability in capabilities:
        sets[0].effective &= ~(1 << capability)
    _call(_libc.capset, sets)
    try:
        yield
    finally:
        sets[0].effective = before
        _call(_libc.capset, sets)


def _call(call: "ctypes._CFuncPtr", sets: "ctypes.Array[_Set]") -> None:
    if call(ctypes.byref(_Header(_VERSION_3, 0)), sets):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
