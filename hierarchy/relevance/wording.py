"""What the features of a passage are called where a reader sees them, and how their values are written.

`features.FEATURES` says what each is to who works on the weights; here each stands by itself, in plain words. BM25 is
called a match: how often the words stand there, rare words counting more, long texts less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from hierarchy.relevance.index import GRAINS

__all__ = ["WORDS", "meaning", "shown"]

# How a value is written: as a share of the best or of the whole; as yes or no; as a rank, length or number of which the
# logarithm was taken; as it is.
_SHARE, _FLAG, _RANK, _LENGTH, _COUNT, _PLAIN, _GRAIN = range(7)

WORDS: Mapping[str, tuple[str, int]] = {
    "own": ("its match, relative to the best passage of its size", _SHARE),
    "own_part": ("its match, relative to the best possible", _SHARE),
    "own_rank": ("its rank among passages of its size", _RANK),
    "own_share": ("how much of the question it holds", _SHARE),
    "names": ("the question's names that it holds", _SHARE),
    "years": ("the question's years that it holds", _SHARE),
    "speaker": ("how much of it is spoken by somebody whom the question names", _SHARE),
    "feedback": ("match for words that the best passages share", _SHARE),
    "bm25_0": ("match of its best sentence", _SHARE),
    **{f"bm25_{size}": (f"match of the passage of {size:,} tokens around it", _SHARE) for size in GRAINS if size},
    "share_512": ("how much of the question the 512 tokens around it hold", _SHARE),
    "names_512": ("the question's names in the 512 tokens around it", _SHARE),
    "pairs": ("neighbouring words of the question that stand together near it", _SHARE),
    "run": ("its longest run of the question's words, relative to the best", _SHARE),
    "run_share": ("how much of the question stands word by word in a row in it", _SHARE),
    "near_400": ("match of the 400 tokens around it", _SHARE),
    "near_1600": ("match of the 1,600 tokens around it", _SHARE),
    "speaker_512": ("how much around it is spoken by somebody whom the question names", _SHARE),
    "before": ("match of the passage before it", _SHARE),
    "behind": ("match of the passage behind it", _SHARE),
    "page": ("match of its page", _SHARE),
    "page_share": ("how much of the question its page holds", _SHARE),
    "page_years": ("the question's years on its page", _SHARE),
    "section": ("match of its section's text", _SHARE),
    "titles": ("match of the titles above it", _SHARE),
    "titles_share": ("how much of the question the titles above it hold", _SHARE),
    "page_titles": ("match of all titles on its page", _SHARE),
    "page_lead": ("match of the first lines of its page", _SHARE),
    "page_pairs": ("neighbouring words of the question in titles and first lines of its page", _SHARE),
    "file": ("match of its file", _SHARE),
    "file_rank": ("rank of its file's match", _RANK),
    "file_share": ("how much of the question its file holds", _SHARE),
    "file_title": ("match of its file's name and first words", _SHARE),
    "file_title_share": ("how much of the question its file's name and first words hold", _SHARE),
    "lexicon": ("match for the lexicons' words", _SHARE),
    "lexicon_page": ("match of its page for the lexicons' words", _SHARE),
    "lexicon_512": ("match for the lexicons' words of the 512 tokens around it", _SHARE),
    "lexicon_pairs": ("neighbouring words of the lexicons' phrases that stand together in it", _SHARE),
    "lexicon_pairs_128": ("neighbouring words of the lexicons' phrases, together in the 128 tokens around it", _SHARE),
    "lexicon_pairs_512": ("neighbouring words of the lexicons' phrases, together in the 512 tokens around it", _SHARE),
    "lexicon_phrases": ("the lexicons' phrases that it holds", _SHARE),
    "lexicon_phrases_512": ("the lexicons' phrases in the 512 tokens around it", _SHARE),
    "lexicon_phrases_page": ("the lexicons' phrases on its page", _SHARE),
    "places": ("its page bears a title where the lexicons say to look", _SHARE),
    "place": ("a title of its page is one where the lexicons say to look", _SHARE),
    "place_lead": ("the first lines of its page name where the lexicons say to look", _SHARE),
    "place_title": ("a title above it is one where the lexicons say to look", _SHARE),
    "asked": ("match for the question's own words alone", _SHARE),
    "asked_512": ("match for the question's own words of the 512 tokens around it", _SHARE),
    "routed": ("match for the words that the routing named", _SHARE),
    "routed_share": ("how much of the routing's words it holds", _SHARE),
    "routed_512": ("match for the routing's words of the 512 tokens around it", _SHARE),
    "routed_page": ("match of its page for the routing's words", _SHARE),
    "routed_titles": ("match of the titles above it for the routing's words", _SHARE),
    "phrase_title": ("a title above it holds a phrase of the routing", _SHARE),
    "phrase_lead": ("the first lines of its page hold a phrase of the routing", _SHARE),
    "routed_pairs": ("neighbouring words of the routing that stand together in it", _SHARE),
    "routed_pairs_128": ("neighbouring words of the routing, together in the 128 tokens around it", _SHARE),
    "routed_pairs_512": ("neighbouring words of the routing, together in the 512 tokens around it", _SHARE),
    "phrases": ("the routing's phrases that it holds", _SHARE),
    "phrases_512": ("the routing's phrases in the 512 tokens around it", _SHARE),
    "need": ("a title of its page names what is needed", _SHARE),
    "need_lead": ("the first lines of its page name what is needed", _SHARE),
    "need_page": ("match of its page for what is needed", _SHARE),
    "needs": ("how much of all that is needed its page names", _SHARE),
    "digits": ("how much of it writes numbers", _SHARE),
    "digits_asked": ("how much of it writes numbers, as one is asked", _SHARE),
    "numbers": ("how dense its numbers are", _PLAIN),
    "money": ("how dense its currency and percent signs are", _PLAIN),
    "result": ("how much of it reports a result", _SHARE),
    "result_asked": ("it reports a result, as an effect is asked", _FLAG),
    "headings": ("how much of it is headings", _SHARE),
    "rows": ("how much of it is table rows", _SHARE),
    "place_in_file": ("how far into its file it stands", _SHARE),
    "place_in_section": ("how far into its section it stands", _SHARE),
    "tokens": ("its length in tokens", _LENGTH),
    "leaves": ("its length in sentences and rows", _LENGTH),
    "semantic": ("how alike the question it is in meaning", _PLAIN),
    "semantic_apart": ("how far that is above the document's mean", _PLAIN),
    "semantic_rank": ("one over its rank by meaning", _PLAIN),
    "semantic_near": ("how alike in meaning what stands around it is", _PLAIN),
    "formula": ("the fixed formula's score", _PLAIN),
    "q_number": ("a number is asked", _FLAG),
    "q_effect": ("an effect is asked", _FLAG),
    "q_terms": ("words in the question", _COUNT),
    "q_whole": ("a summary or opinions are asked", _FLAG),
    "q_yes_no": ("it can be answered by yes or no", _FLAG),
    "q_lexicon": ("a lexicon knows something of the question", _FLAG),
    "q_routed": ("how much of the routing's words the document holds", _SHARE),
    "q_needs": ("how many things are needed", _PLAIN),
    "d_digits": ("how much of the document writes numbers", _SHARE),
    "d_leaf_tokens": ("mean length of the document's sentences and rows", _PLAIN),
    "d_tokens": ("the document's length in tokens", _LENGTH),
    "d_speech": ("how much of the document is speech", _SHARE),
    "d_rows": ("how much of the document is table rows", _SHARE),
    "d_files": ("there are several files", _FLAG),
    "d_pages": ("the document has pages", _FLAG),
    "d_headings": ("how much of the document is headings", _SHARE),
    "grain": ("size of passage that it is compared at", _GRAIN),
}
"""For each feature what it is, and how its value is written."""


def meaning(feature: str) -> str:
    """What a feature is, to a reader; its name if that isn't known.

    Example:
        >>> meaning("titles"), meaning("bm25_256")
        ('match of the titles above it', 'match of the passage of 256 tokens around it')
    """
    return WORDS[feature][0] if feature in WORDS else feature


def shown(feature: str, value: float) -> str:
    """A feature's value as a reader takes it.

    Example:
        >>> shown("own", 0.834), shown("own_rank", 0.0), shown("tokens", 5.0), shown("q_number", 1.0), shown("grain", 2)
        ('83%', '1st', '148', 'yes', '128 tokens')
    """
    way = WORDS[feature][1] if feature in WORDS else _PLAIN
    if way == _SHARE:
        return f"{value:.0%}"
    if way == _FLAG:
        return "yes" if value > 0 else "no"
    if way == _RANK:
        return _ordinal(round(math.expm1(value)) + 1)
    if way in (_LENGTH, _COUNT):
        return f"{round(math.exp(value) if way == _LENGTH else math.expm1(value)):,}"
    if way == _GRAIN:
        size = GRAINS[int(value)] if 0 <= value < len(GRAINS) else 0
        return f"{size:,} tokens" if size else "sentence"
    return f"{value:.2f}"


def _ordinal(number: int) -> str:
    last = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{last}"
