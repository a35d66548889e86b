"""The ServerSet member of old: a struct of Thrift's binary protocol, read only.

Fields: 1 serviceEndpoint {1 host, 2 port}, 2 additionalEndpoints map, 3 status, 4 shard, 5 metadata map, as the
ServiceInstance of Twitter's commons declares them.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

STATUS: Final = ("DEAD", "STARTING", "ALIVE", "STOPPING", "STOPPED", "WARNING")

_STOP, _BOOL, _BYTE, _DOUBLE, _I16, _I32, _I64 = 0, 2, 3, 4, 6, 8, 10
_STRING, _STRUCT, _MAP, _SET, _LIST = 11, 12, 13, 14, 15
_FIXED: Final = {_BOOL: 1, _BYTE: 1, _DOUBLE: 8, _I16: 2, _I32: 4, _I64: 8}
_MOST: Final = 1_000
"""Entries of a map, fields of a struct."""


def member(data: bytes) -> dict[str, Any]:
    """The member in the words of its JSON form; ValueError when the bytes are no such struct."""
    reader = _Reader(data)
    said: dict[str, Any] = {"additionalEndpoints": {}}
    for field, kind in reader.fields():
        match field, kind:
            case 1, 12:
                said["serviceEndpoint"] = reader.endpoint()
            case 2, 13:
                said["additionalEndpoints"] = {name: reader.endpoint() for name in reader.keys(_STRUCT)}
            case 3, 8:
                number = reader.i32()
                said["status"] = STATUS[number] if 0 <= number < len(STATUS) else "UNKNOWN"
            case 4, 8:
                said["shard"] = reader.i32()
            case 5, 13:
                said["metadata"] = {key: reader.string() for key in reader.keys(_STRING)}
            case _:
                reader.skip(kind)
    return said


class _Reader:
    """Takes one value after the other from the bytes; ValueError when they end, or hold another type."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Number and type of each field up to the struct's end; whoever iterates takes the value behind them."""
        for _ in range(_MOST):
            kind = self.byte()
            if kind == _STOP:
                return
            yield self.i16(), kind
        raise ValueError("holds a struct of Thrift with too many fields")

    def take(self, number: int) -> bytes:
        if number < 0 or self._at + number > len(self._data):
            raise ValueError("is neither JSON nor a whole struct of Thrift")
        self._at += number
        return self._data[self._at - number : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def i16(self) -> int:
        return int(struct.unpack("!h", self.take(2))[0])

    def i32(self) -> int:
        return int(struct.unpack("!i", self.take(4))[0])

    def string(self) -> str:
        raw = self.take(self.i32())
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise ValueError("holds a text of Thrift that is not UTF-8") from None

    def endpoint(self) -> dict[str, Any]:
        said: dict[str, Any] = {}
        for field, kind in self.fields():
            match field, kind:
                case 1, 11:
                    said["host"] = self.string()
                case 2, 8:
                    said["port"] = self.i32()
                case _:
                    self.skip(kind)
        return said

    def keys(self, values: int) -> Iterator[str]:
        """The keys of a map of texts to `values`; whoever iterates takes the value behind each."""
        key, value, size = self.byte(), self.byte(), _bounded(self.i32())
        if size and (key, value) != (_STRING, values):
            raise ValueError("holds a map of Thrift of other types than a member has")
        for _ in range(size):
            yield self.string()

    def skip(self, kind: int, depth: int = 0) -> None:
        """Pass over a field that nobody here knows."""
        if depth > 8:
            raise ValueError("holds a struct of Thrift that is nested too deep")
        if kind in _FIXED:
            self.take(_FIXED[kind])
        elif kind == _STRING:
            self.take(self.i32())
        elif kind == _STRUCT:
            for _, inner in self.fields():
                self.skip(inner, depth + 1)
        elif kind == _MAP:
            key, value, size = self.byte(), self.byte(), self.i32()
            for _ in range(_bounded(size)):
                self.skip(key, depth + 1)
                self.skip(value, depth + 1)
        elif kind in (_SET, _LIST):
            inner, size = self.byte(), self.i32()
            for _ in range(_bounded(size)):
                self.skip(inner, depth + 1)
        else:
            raise ValueError(f"is neither JSON nor a struct of Thrift: there is no type {kind}")


def _bounded(size: int) -> int:
    if not 0 <= size <= _MOST:
        raise ValueError(f"is no member of Thrift: a list of {size} entries")
    return size
