"""What was read, as verbatim stretches of the document: the refiner's result and the composer's material.

Owns the types only, so that the two stages needn't know each other.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Evidence", "Passage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A verbatim, contiguous stretch of one file that was read.

    Attributes:
        node: Id of the smallest tree node that holds all of it.
        source: Name of the file.
        start: First character in the file's text.
        end: One past the last character; `text == file.text[start:end]`.
        text: The stretch itself.
        page: Physical page of its first character, counted from 1; None without pages.
        heading: Titles of the sections it stands in, outermost first, joined by " › ".
        context: For table rows the column heads and the unit that stand elsewhere; may be empty.
        tokens: What `text` counts.
        relevance: Estimated probability that it holds needed evidence, in [0, 1].
        leaves: Indices of its leaves in the tree, as half-open bounds.
    """

    node: tuple[int, ...]
    source: str
    start: int
    end: int
    text: str
    page: int | None = None
    heading: str = ""
    context: str = ""
    tokens: int = 0
    relevance: float = 0.0
    leaves: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All passages read for a question.

    Attributes:
        passages: In document order, not overlapping.
        order: The leaves of the passages as half-open runs, in order of preference.
        whole: Whether the passages are the entire document, page furniture apart.
        handed_back_tokens: Granted tokens that the refiner didn't use.
        notes: What went wrong or was left out on the way, for the answer's reader.
    """

    passages: tuple[Passage, ...] = ()
    order: tuple[tuple[int, int], ...] = ()
    whole: bool = False
    handed_back_tokens: int = 0
    notes: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens of all passages."""
        return sum(passage.tokens for passage in self.passages)
