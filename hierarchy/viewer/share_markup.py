"""HTML put together from elements: what isn't markup already is escaped, so nothing can be forgotten.

`Html` is markup; any other text that goes into an element is somebody's words. **These lose what steers a screen
(control characters, marks that turn reading order around, halves of surrogate pairs), and can open or close nothing.**
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape

from hierarchy.viewer.text import plain

__all__ = ["Html", "digest", "joined", "page", "tag", "text"]

_VOID = frozenset({"br", "hr", "meta"})


class Html(str):
    """Text that is markup."""

    __slots__ = ()


def text(words: str) -> Html:
    """Somebody's words, as markup that shows them.

    Example:
        >>> text("</script><img src=x onerror='a()'>")
        '&lt;/script&gt;&lt;img src=x onerror=&#x27;a()&#x27;&gt;'
    """
    return words if isinstance(words, Html) else Html(escape(plain(words)))


def tag(name: str, /, *children: str | None, **attributes: str | int | bool | None) -> Html:
    """An element. Attributes that are None or False are left out; names end in `_` where Python needs it.

    Example:
        >>> tag("p", "a < b", tag("br"), class_="note", aria_hidden=None, open=True)
        '<p class="note" open>a &lt; b<br></p>'
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    inner = "".join(text(child) for child in children if child is not None)
    return Html(f"<{name}{written}>{inner}</{name}>")


def joined(children: Iterable[str | None], between: str = "") -> Html:
    """Several after each other."""
    return Html(text(between).join(text(child) for child in children if child is not None))


def page(*, title: str, style: str, script: str, body: Html) -> str:
    """A whole page that loads nothing and runs nothing but its own style and script.

    Both are allowed by their hashes alone, everything else is forbidden: were a document's words ever to become
    markup, they could still neither run, nor style, nor load, nor send anything.
    """
    policy = (
        f"default-src 'none'; style-src '{digest(style)}'; script-src '{digest(script)}'; base-uri 'none'; "
        "form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=Html(policy)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Html(style)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', body, tag('script', Html(script))), lang='en')}\n"


def digest(source: str) -> str:
    """The hash by which a policy allows a style or a script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _attribute(key: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(str(value))}"'
