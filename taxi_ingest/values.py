"""What the value of a setting may be: its type, and the range or the choices that are written beside its field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from taxi_ingest.redaction import public_text

Value = str | int | float | bool | tuple[str, ...]

_LONGEST_QUOTE = 60  # characters


@dataclass(frozen=True)
class Range:
    """From `least` to `most`, both included; it holds neither nan nor infinity."""

    least: float
    most: float

    def holds(self, value: Any) -> bool:
        """Whether `value` is in this range."""
        return bool(self.least <= value <= self.most)

    def described(self, what: str) -> str:
        """`what` it is a range of, with its limits."""
        return f"{what} from {self.least:,} to {self.most:,}"


@dataclass(frozen=True)
class OneOf:
    """One of a few texts."""

    choices: tuple[str, ...]

    def holds(self, value: Any) -> bool:
        """Whether `value` is one of them."""
        return value in self.choices

    def described(self, what: str) -> str:
        """`what` it is, with the choices."""
        return f"{what} (possible: {', '.join(self.choices)})"


@dataclass(frozen=True)
class Form:
    """A text of which `pattern`, a regular expression, matches all; `words` say so to people."""

    pattern: str
    words: str

    def holds(self, value: Any) -> bool:
        """Whether `value` has this form."""
        return re.fullmatch(self.pattern, value) is not None

    def described(self, what: str) -> str:
        """`what` it is, with the form."""
        return f"{what}, {self.words}"


class _Text:
    """Any text that can be a name on disk and be written into a log."""

    def holds(self, value: Any) -> bool:
        return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)

    def described(self, what: str) -> str:
        return f"{what} in UTF-8 without NUL"


class _Anything:
    def holds(self, _value: Any) -> bool:
        return True

    def described(self, what: str) -> str:
        return what


_WORDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}


@dataclass(frozen=True)
class Kind:
    """The values that one setting may have: of which type, within which limit, one of them or a list."""

    type: type
    limit: Range | OneOf | Form | _Text | _Anything
    is_list: bool

    @classmethod
    def of(cls, hint: Any) -> Kind:
        """The kind that a field's type hint describes, such as `Annotated[int, Range(1, 9)]`."""
        inner, *limits = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        is_list = get_origin(inner) is tuple
        kind = get_args(inner)[0] if is_list else inner
        return cls(kind, limits[0] if limits else _Text() if kind is str else _Anything(), is_list)

    def __str__(self) -> str:
        if isinstance(self.limit, OneOf) and not self.is_list:
            return f"one of {', '.join(self.limit.choices)}"
        return self.limit.described("a list of texts" if self.is_list else _WORDS[self.type])

    def parsed(self, text: str) -> Value:
        """The value that `text` stands for, as the environment gives it. Raises ValueError."""
        if self.is_list:
            return self.checked([item.strip() for item in text.split(",") if item.strip()])
        if self.type is bool:
            if text.lower() not in {"true", "false", "1", "0"}:
                raise ValueError(text)
            return text.lower() in {"true", "1"}
        return self.checked(self.type(text))

    def checked(self, value: Any) -> Value:
        """A value that already has a type, from TOML or a flag. Raises ValueError."""
        if not self.is_list:
            return self._item(value)
        return tuple(str(self._item(item)) for item in _listed(value))

    def _item(self, value: Any) -> str | int | float | bool:
        is_right = type(value) is self.type or (self.type is float and type(value) is int)
        if not is_right or not self.limit.holds(value):
            raise ValueError(value)
        return self.type(value)  # type: ignore[no-any-return]


def _listed(value: Any) -> list[Any] | tuple[Any, ...]:
    if isinstance(value, list | tuple):
        return value
    raise ValueError(value)


def quoted(value: object) -> str:
    """`value` as a message may quote it: in Python's notation, without secrets, and never longer than a line."""
    try:
        text = repr(public_text(value) if isinstance(value, str) else value)
    except ValueError:  # Python writes no number of more than some thousand digits
        return "a number of thousands of digits"
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"
