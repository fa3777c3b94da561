"""HTML whose every text is escaped: an element is made of texts and other elements, and nothing else is markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from urllib.parse import quote

_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""What HTML does not allow, what UTF-8 cannot hold, and what turns the direction in which text is shown."""

_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates that stand for no byte of a file's name."""

_VOID = {"meta", "link", "br"}


class Markup(str):
    """Text that is HTML already. Only this module and files of the package make it."""

    __slots__ = ()


Content = str | int | Iterable["Content"] | None
"""What an element may hold: texts, elements, several of both, or nothing."""


def escaped(text: str) -> str:
    """`text` as HTML shows it; each character that it cannot show becomes U+FFFD."""
    return html.escape(_UNFIT.sub("\ufffd", text))


def joined(*content: Content) -> Markup:
    """Contents side by side."""
    return Markup("".join(_markup(one) for one in content))


def element(name: str, /, *content: Content, **attributes: str | float | bool | None) -> Markup:
    """The element `name`.

    Attributes are named as in Python: `class_`, `aria_label`. True stands for an attribute without a value; one that
    is None or False is left out.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{''.join([_markup(one) for one in content])}</{name}>")


def local_link(path: str) -> str:
    """The address of a file, given relative to the page; whatever `path` holds, it leads to no other place."""
    return quote(_NO_BYTE.sub("\ufffd", path).encode(errors="surrogateescape"), safe="/.")


def _markup(content: Content) -> str:
    if isinstance(content, Markup):
        return content
    if content is None:
        return ""
    if isinstance(content, str | int):
        return escaped(str(content))
    return "".join([_markup(one) for one in content])


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{escaped(value) if isinstance(value, str) else f"{value:g}"}"'
