"""What becomes of a value that was logged: a number, or a text."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Union

from sluice.limits import EVENT_BYTES, JSON_DEPTH

#: What is left of every value when its log call returns: nothing that anybody could change afterwards. A `Deferred`
#: becomes one of the others on the delivery's thread.
Plain = Union[float, int, str, bool, None, "Deferred"]

#: Types whose values are kept as they are.
PLAIN_TYPES = frozenset((float, int, str, bool, type(None)))

#: The largest integer that is a metric: beyond, a double loses digits.
METRIC_MAX = 2**53

#: Every element of a list takes at least a digit and a comma.
_ELEMENTS_MAX = EVENT_BYTES // 2


class Unencodable(Exception):
    """A value that has no text."""


class Oversized(Exception):
    """A value that alone is larger than an event may be."""


class _Copy:
    """A copy of a tensor, ordered on its device when it was logged."""

    __slots__ = ("_copied", "_tensor")

    def __init__(self, tensor: Any) -> None:
        _check_size(_elements(tensor))
        self._tensor = tensor.detach().clone()
        self._copied = _mark_on_stream(tensor)

    def read(self) -> Any:
        """A number, or lists of them. Waits for the device, and may raise whatever the tensor does."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._tensor.item() if self._tensor.ndim == 0 else self._tensor.tolist()


class Deferred:
    """A value with tensors that are not in the memory of the CPU. They are read when the delivery's thread gets to
    them, so that the log call does not wait for the device."""

    __slots__ = ("_structure", "_value")

    def __init__(self, structure: object) -> None:
        """`structure`: a copy, or lists and objects with copies among their values."""
        self._structure = structure
        self._value: Plain = None

    def read(self) -> Plain:
        """Waits for the device. May raise whatever a tensor does."""
        if self._structure is not None:
            value = self._structure.read() if isinstance(self._structure, _Copy) else self._structure
            self._value = plain(value)
            self._structure = None
        return self._value


def plain(value: object) -> Plain:
    """The value as it is kept. Runs the caller's own code (`__str__`, `item`), so it may raise anything; and
    `Unencodable`, or `Oversized` before anything large is made."""
    kind = type(value)
    if kind in PLAIN_TYPES:
        return value  # type: ignore[return-value]
    if isinstance(value, str):
        # Not str(value), which for an Enum of texts is its name in some versions.
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if hasattr(value, "ndim") and hasattr(value, "item"):
        return _array(value)
    return _other(value)


def resolved(value: Plain) -> Plain:
    """The value, if it is a tensor on a device. Raises what the tensor does."""
    return value.read() if type(value) is Deferred else value


def text_of(value: Plain) -> str:
    """As it stands among the attributes. Raises for an integer of more digits than the interpreter prints."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    return str(value)


def _array(value: Any) -> Plain:
    """Arrays, tensors and their scalars, of NumPy, PyTorch, JAX and whoever else looks like them."""
    if _is_on_device(value):
        return Deferred(_Copy(value))
    if value.ndim == 0:
        item = value.item()
        # A long double is its own item.
        return float(item) if type(item) is type(value) else plain(item)
    _check_size(_elements(value))
    return json_text(value.tolist())


def _elements(value: Any) -> int:
    numel = getattr(value, "numel", None)
    return int(numel() if callable(numel) else value.size)


def _is_on_device(value: Any) -> bool:
    """Whether reading it would wait for a device: a tensor of PyTorch that is not in the memory of the CPU."""
    kind = getattr(getattr(value, "device", None), "type", "cpu")
    return kind not in ("cpu", "meta") and hasattr(value, "detach")


def _mark_on_stream(tensor: Any) -> Any:
    """What is done once the copy is. PyTorch's own streams do not wait for one another, so the thread that reads
    must know when this one is that far."""
    torch = sys.modules.get("torch")
    if torch is None or not getattr(tensor, "is_cuda", False):
        return None
    done = torch.cuda.Event()
    done.record(torch.cuda.current_stream(tensor.device))
    return done


def _other(value: object) -> Plain:
    if isinstance(value, (bytes, bytearray, memoryview)):
        _check_size(memoryview(value).nbytes // 2)
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, BaseException):
        return error_text(value)
    if isinstance(value, Enum):
        return str(value.name)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, (Real, Decimal)):
        return float(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, (Mapping, Set, Sequence)) or _is_dataclass(value):
        return json_text(value)
    if isinstance(value, (FunctionType, BuiltinFunctionType, ModuleType, type)):
        raise Unencodable(f"a {type(value).__name__} has no text")
    return _checked(str(value))


def error_text(error: BaseException) -> str:
    """The traceback as Python prints it."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip("\n")


def json_text(value: object) -> str | Deferred:
    """Lists and objects as JSON without spaces; text in it as it is."""
    if isinstance(value, (Mapping, Set, Sequence)):
        _check_size(len(value))
    try:
        if type(value) in (list, tuple, dict):
            # In C, as long as there is nothing that JSON has no word for.
            return _checked(_dump(value))
    except (TypeError, ValueError):
        pass
    copies: list[_Copy] = []
    structure = _sanitized(value, 0, copies)
    return Deferred(structure) if copies else _checked(_dump(structure))


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _sanitized(value: object, depth: int, copies: list[_Copy]) -> object:
    """The same with lists, objects and what JSON knows alone; and with copies of tensors on a device, which are listed
    and are read when they are met again."""
    if depth > JSON_DEPTH:
        raise Unencodable(f"a value is nested more than {JSON_DEPTH} deep, or contains itself")
    if isinstance(value, float):
        # As every JSON writer that keeps to the standard has it.
        number = float(value)
        return number if number - number == 0 else None
    if isinstance(value, Mapping):
        _check_size(len(value))
        return {str(key): _sanitized(each, depth + 1, copies) for key, each in value.items()}
    if isinstance(value, (Set, Sequence)) and not isinstance(value, (str, bytes, bytearray, memoryview)):
        _check_size(len(value))
        return [_sanitized(each, depth + 1, copies) for each in value]
    if _is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]  # type: ignore[arg-type]
        return {name: _sanitized(getattr(value, name), depth + 1, copies) for name in names}
    if isinstance(value, _Copy):
        return _sanitized(value.read(), depth + 1, copies)
    if hasattr(value, "ndim") and hasattr(value, "tolist"):
        if _is_on_device(value):
            copies.append(_Copy(value))
            return copies[-1]
        _check_size(_elements(value))
        return _sanitized(value.tolist(), depth + 1, copies)
    kept = plain(value)
    return kept if type(kept) is not float else _sanitized(kept, depth, copies)


def _is_dataclass(value: object) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _check_size(elements: int) -> None:
    """Before anything is copied: a tensor must not be doubled in memory to be found too large."""
    if elements > _ELEMENTS_MAX:
        raise Oversized(f"a list of {elements} elements; an event takes {EVENT_BYTES} bytes")


def _checked(text: str) -> str:
    # Every character takes a byte at least.
    if len(text) > EVENT_BYTES:
        raise Oversized(f"a text of {len(text)} characters; an event takes {EVENT_BYTES} bytes")
    return text
