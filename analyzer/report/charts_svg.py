"""A figure as SVG inside a page: names of its own, colours that follow the page's, and a title and a description.

Colours become CSS variables with the drawn colour as fallback, so that the same drawing reads on light and on dark.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_COLOUR = re.compile(r"#([0-9a-f]{6})\b")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")

# What a drawn colour becomes on a dark page; one that is not listed reads well on both.
DARK = {
    "000000": "#e9e9ee",
    "ffffff": "#1b1c22",
    "444444": "#b9bac4",
    "555555": "#b9bac4",
    "6b6b6b": "#b4b5bf",
    "999999": "#8a8b95",
    "dddddd": "#3a3b44",
    "8a2d7f": "#e08ad4",
    "0072b2": "#4ba3dc",
    "d55e00": "#ff8a3d",
    "9ecae1": "#28506b",
    "b00020": "#ff6b81",
    "f6e3b4": "#4f4220",
    "e8b9cf": "#5b3045",
    "7a5200": "#ffd27a",
    "009e73": "#2fc79b",
}


def inline(figure: Figure, name: str, title: str, description: str) -> str:
    """Return a figure as one `<svg>` element, the same bytes for the same figure.

    name   short and unique in the page: it begins every id in the drawing
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "analyzer", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    root = Xml.fromstring(buffer.getvalue())  # noqa: S314  # our own drawing, whose texts matplotlib has escaped
    for tag in ("metadata", "defs"):
        for part in root.findall(f"{{{SVG}}}{tag}"):
            if tag == "metadata" or part.find(f"{{{SVG}}}style") is not None:
                root.remove(part)  # a style element would rule the whole page
    for element in root.iter():
        _adopt(element, name)
    root.attrib.pop("width"), root.attrib.pop("height")
    root.attrib |= {
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    words = (("title", title), ("desc", description))
    for position, (tag, text) in enumerate(words):
        element = Xml.Element(f"{{{SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(position, element)
    Xml.register_namespace("", SVG)
    Xml.register_namespace("xlink", LINK)
    return Xml.tostring(root, encoding="unicode")


def _adopt(element: Xml.Element, name: str) -> None:
    """Give an element's names the page's prefix and its colours the page's variables."""
    for key, value in element.attrib.items():
        if key == "id":
            element.set(key, f"{name}-{value}")
        elif key in (f"{{{LINK}}}href", "href"):
            element.set(key, f"#{name}-{value.removeprefix('#')}")
        elif "url(#" in value:
            element.set(key, _REFERENCE.sub(rf"url(#{name}-\1)", value))
    style = element.get("style")
    if style is not None:
        element.set("style", _COLOUR.sub(r"var(--c-\1, #\1)", style))
    for key in ("fill", "stroke"):  # an attribute cannot hold a variable, a style can
        if _COLOUR.fullmatch(element.get(key, "")):
            value = _COLOUR.sub(r"var(--c-\1, #\1)", element.attrib.pop(key))
            element.set("style", f"{key}: {value}; {element.get('style', '')}".strip())
