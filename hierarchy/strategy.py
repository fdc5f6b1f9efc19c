"""The strategy: what is done with a budget, as an explicit function of budget, document and question.

Four ways. What fits is read **whole**, in one call. Else reading is **staged**: route, read a little, answer or name
what is missing, read what was named. A question about all of a document is answered by **branches**, which are read in
parallel. And a model that can only quote, like the built-in one, gets as much evidence as there is room for, in a
**single** call.

A budget is a cap and no target: only the built-in model, whose tokens cost nothing, fills it. Doesn't look at trees,
prompts or models; `flow` does what a `Plan` says.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hierarchy.allocator import Policy, expected_gain
from hierarchy.relevance import Forest, Lexicon, shipped_forest

__all__ = [
    "FIRST_TOKENS",
    "NEXT_TOKENS",
    "WAYS",
    "Plan",
    "Situation",
    "Strategy",
    "asks_for_all",
    "asks_for_summary",
    "choose",
    "revised",
]

Way = Literal["whole", "single", "staged", "branches"]
Form = Literal["no", "lean", "full"]
WAYS = ("auto", "single", "staged", "branches")
"""What may be asked for; `auto` chooses."""

FIRST_TOKENS = 1_000
"""Evidence of the first of several rounds. Most questions need no more; two thirds of 4,000 went on what none used."""
NEXT_TOKENS = 2_000
"""Evidence of a further round, at most: a named statement takes 250–650, a named section about 2,000."""

# A round that couldn't show this much isn't worth its prompt; and what labels add to evidence.
_LEAST_ROUND_TOKENS, _LABELS = 400, 1.2
# What routing may cost: a share of the budget. It is judged by the reply that usually comes, not by the longest.
_ROUTE_SHARE = 1 / 3
_USUAL_REPLY = {"full": 95, "lean": 45}
# From here on the full form's hundred tokens are small change.
_ROOMY_TOKENS = 4_000
# A branch's call must leave room for text: below this many tokens there is nothing to divide.
_LEAST_BRANCHES_TOKENS = 2_500

_ALL_ASKED = re.compile(
    r"\b(?:summar(?:y|i[sz]e\w*|ies)|overview|gist|(?:list|name|find) (?:all|every|each)|(?:all|each|every) (?:of )?"
    r"(?:the|these|those) (?:documents|files|contracts|agreements|reports|articles|meetings|speakers)|"
    r"(?:whole|entire) (?:document|meeting|report|contract|discussion)|main (?:points|topics|themes|ideas)|"
    r"which (?:of (?:these|the|those)|documents|files|contracts|agreements|articles|reports))\b",
    re.IGNORECASE,
)
_SUMMARY_ASKED = re.compile(
    r"\b(?:summar(?:y|i[sz]e\w*|ies)|overview|gist|main (?:points|topics|themes|ideas))\b", re.IGNORECASE
)
_ALL_KINDS, _SUMMARY_KINDS = ("list", "summar", "whole"), ("summar",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How tokens are spent.

    Attributes:
        policy: Divides tokens over the tree.
        policy_name: What the trace calls it.
        answer_tokens: The most that an answer may cost in output.
        answer_share: And the most of the budget that it may take.
        way: How the document is read, `strategy.WAYS`; `auto` chooses by budget, document and question.
        rounds: How often evidence is read and answered from, at most.
        prompts: A folder of templates that go before the built-in ones.
        lexicons: What documents call the things that people ask for; the built-in ones if None.
        semantic: Whether passages are also judged by their meaning.
    """

    policy: Policy = expected_gain
    policy_name: str = "expected_gain"
    answer_tokens: int = 500
    answer_share: float = 0.25
    way: str = "auto"
    rounds: int = 2
    prompts: Path | None = None
    lexicons: tuple[Lexicon, ...] | None = None
    semantic: bool = False

    @property
    def forest(self) -> Forest | None:
        """The weights that estimate relevance; None for those that are used by default."""
        return shipped_forest(semantic=True) if self.semantic else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that the choice depends on. Costs are tokens at worst, margins and longest replies included, unless said.

    Attributes:
        budget_tokens: The cap.
        max_calls: The cap on calls; None without one.
        document_tokens: The document's length.
        whole_tokens: What one call with the whole document costs.
        least_tokens: What the smallest answer costs.
        compose_tokens: What an answering call costs besides its evidence.
        usual_tokens: The same as it usually comes, with a short reply.
        route_tokens: What routing costs, by form.
        prompt_tokens: What its prompt counts, by form.
        margin: By how much the provider may count higher.
        can_route: Whether the model can do more than quote.
        asks_for_all: Whether the question is about all of the document.
        asks_for_summary: Whether it wants all of it in short.
        way: What the user asked for; `auto` for what is best.
        rounds: How often may be read at most.
    """

    budget_tokens: int
    max_calls: int | None = None
    document_tokens: int
    whole_tokens: int
    least_tokens: int
    compose_tokens: int
    usual_tokens: int
    route_tokens: dict[str, int]
    prompt_tokens: dict[str, int]
    margin: float = 1.0
    can_route: bool = True
    asks_for_all: bool = False
    asks_for_summary: bool = False
    way: str = "auto"
    rounds: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done.

    Attributes:
        way: How the document is read.
        routing: Whether and how the question is routed first.
        rounds: How often evidence is read and answered from, at most.
        first_tokens: Evidence of the first round; None for as much as there is room for.
        why: The reason, in a sentence, for the trace.
    """

    way: Way
    routing: Form = "no"
    rounds: int = 1
    first_tokens: int | None = None
    why: str = ""


def asks_for_all(question: str, kind: str = "") -> bool:
    """Whether a question is about all of a document, by its words or by the kind that a model took it for.

    Example:
        >>> asks_for_all("Summarise the meeting."), asks_for_all("Who chaired it?"), asks_for_all("Why?", "list")
        (True, False, True)
    """
    return bool(_ALL_ASKED.search(question)) or any(kind.startswith(name) for name in _ALL_KINDS)


def asks_for_summary(question: str, kind: str = "") -> bool:
    """Whether a question wants all of a document in short, rather than certain things wherever they stand.

    Example:
        >>> asks_for_summary("Give an overview."), asks_for_summary("Which of these contracts renew?")
        (True, False)
    """
    return bool(_SUMMARY_ASKED.search(question)) or any(kind.startswith(name) for name in _SUMMARY_KINDS)


def choose(given: Situation) -> Plan:
    """Choose before anything is called."""
    if given.way in {"auto", "branches"} and given.whole_tokens <= given.budget_tokens:
        return Plan(way="whole", why=f"All {given.document_tokens:,} tokens of the document fit the budget.")
    if given.way == "single":
        return Plan(way="single", why="One call with all that fits was asked for.")
    if given.way == "auto" and not given.can_route:
        return Plan(way="single", why="The model quotes and asks nothing back: one call with all that fits.")
    if given.way == "branches" or (given.asks_for_all and given.way == "auto"):
        return _by_branches(given, "The question is about all of the document.")
    return _staged(given)


def revised(plan: Plan, given: Situation, *, kind: str, question: str) -> Plan:
    """The plan once routing has said what kind of question it is."""
    by_words, by_kind = asks_for_all(question), asks_for_all("", kind)
    if plan.way != "staged" or given.way != "auto" or by_words or not by_kind:
        return plan  # what the words say was decided before
    if given.max_calls is not None:
        given = replace(given, max_calls=given.max_calls - 1)
    by_branches = replace(_by_branches(given, f"Routing took the question for a {kind}."), routing=plan.routing)
    return by_branches if by_branches.way == "branches" else replace(plan, why=by_branches.why)


def _by_branches(given: Situation, why: str) -> Plan:
    forced = given.way == "branches"
    few_calls = given.max_calls is not None and given.max_calls < 2
    if forced or (given.budget_tokens >= _LEAST_BRANCHES_TOKENS and not few_calls):
        # Who wants certain things gains by the document's words for them; a summary takes all as it comes.
        routed = not (forced or given.asks_for_summary or (given.max_calls is not None and given.max_calls < 3))
        return Plan(way="branches", routing=_form(given) if routed else "no", why=why)
    short = "one call is allowed" if few_calls else f"{given.budget_tokens:,} tokens are too few to read branches"
    return replace(_staged(given), why=f"{why} But {short}.")


def _staged(given: Situation) -> Plan:
    form = _form(given)
    calls = math.inf if given.max_calls is None else given.max_calls - (form != "no")
    # A round is worth planning if it fits at worst once those before came as usual; whether it does is seen again then.
    routing = given.prompt_tokens[form] + _USUAL_REPLY[form] if form != "no" else 0
    first = math.ceil(FIRST_TOKENS * _LABELS * given.margin)
    more = math.ceil(_LEAST_ROUND_TOKENS * _LABELS * given.margin)
    left = given.budget_tokens - routing - (first + given.usual_tokens) - (more + given.compose_tokens)
    fitting = 1 if left < 0 else 2 + left // (more + given.usual_tokens)
    rounds = int(min(given.rounds, calls, fitting))
    routed = {"no": "not routed", "lean": "routed for terms", "full": "routed"}[form]
    if rounds < 2:
        return Plan(way="staged", routing=form, why=f"There is room for one round of reading; {routed}.")
    why = f"Up to {rounds} rounds of reading, the first of about {FIRST_TOKENS:,} tokens; {routed}."
    return Plan(way="staged", routing=form, rounds=rounds, first_tokens=FIRST_TOKENS, why=why)


def _form(given: Situation) -> Form:
    """Which form of routing is worth its tokens.

    Terms alone find as much as the full form does; what kind of question it is and of which parts is worth a hundred
    tokens where there are plenty.
    """
    if not given.can_route or (given.max_calls is not None and given.max_calls < 2):
        return "no"
    forms: tuple[Form, ...] = ("full", "lean") if given.budget_tokens >= _ROOMY_TOKENS else ("lean",)
    for form in forms:
        usual = given.prompt_tokens[form] + _USUAL_REPLY[form]
        fits = given.route_tokens[form] <= given.budget_tokens - given.least_tokens
        if fits and usual <= given.budget_tokens * _ROUTE_SHARE:
            return form
    return "no"
