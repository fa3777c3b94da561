"""Reads a page back as a browser would: its elements in order, with what stands in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "br"}


@dataclass
class Element:
    """One element; `texts` are those that stand in it directly."""

    name: str
    attributes: dict[str, str | None]
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it, those of its children after its own."""
        return "".join([*self.texts, *(child.text for child in self.children)])

    def all(self, name: str = "") -> Iterator[Element]:
        """Every element of that name in it, or every element."""
        for child in self.children:
            if name in {"", child.name}:
                yield child
            yield from child.all(name)

    def one(self, name: str, **attributes: str) -> Element:
        """The only element of that name with these attributes."""
        (found,) = (one for one in self.all(name) if attributes.items() <= one.attributes.items())
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({key for key, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> where <{self.open[-1].name}> is open"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].texts.append(data)


def read(page: str) -> Element:
    """The page as a tree. Fails for one whose elements do not close in order."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].name}> is never closed"
    return reader.open[0]
