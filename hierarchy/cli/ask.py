"""The commands that ask: `ask`, `context`, `demo`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from hierarchy.cli import console
from hierarchy.cli.exits import Exit
from hierarchy.cli.live import live_option, shown_while
from hierarchy.cli.options import (
    budget_option,
    caps_options,
    checked_caps,
    checked_question,
    document_argument,
    interruptible,
    json_option,
    model_options,
    parted,
    policy_option,
    prompts_option,
    question_argument,
    quiet_option,
    reasoner_of,
    saving_trace,
    semantic_option,
    trace_option,
)
from hierarchy.errors import HierarchyError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hierarchy.answer import Answer
    from hierarchy.engine import Reasoner
    from hierarchy.tree import SummaryTree

__all__ = ["REPORTS", "ask", "context", "demo", "quote"]


@click.command(
    short_help="Answer a question, with quotes and a receipt.",
    epilog="""\b
Examples:
  hierarchy ask 10-K.pdf "What was capital expenditure in fiscal 2018?"
  hierarchy ask chart.md "When was warfarin stopped, and why?" --budget 2k
  hierarchy ask 10-K.pdf "What is the quick ratio?" --model anthropic/claude-sonnet-4-5 --max-cost 0.05
  hierarchy ask 'trials/*.html' "Did mortality fall at 90 days?" --budget 5% --trace trace.jsonl
  curl -s https://example.org/report | hierarchy ask - "Who audited it?" --json
""",
)
@document_argument
@question_argument
@budget_option("8k")
@caps_options
@model_options
@policy_option
@prompts_option
@json_option
@trace_option
@live_option
@quiet_option
def ask(
    *,
    document: str,
    question: str,
    budget: str,
    as_json: bool,
    trace_file: Path | None,
    live: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Answer QUESTION from DOCUMENT: the answer, its quotes, what it cost and what was not read.

    DOCUMENT is a file, a folder, a quoted pattern such as 'reports/*.pdf', or "-" for standard input. Without --model
    nothing leaves this machine.

    Ctrl-C gives the best answer from what was read by then; a second one ends the program.
    """
    caps, others = parted(options)
    reasoner = reasoner_of(**others)
    with saving_trace(trace_file) as saved, shown_while(question, live=live, quiet=quiet, on_event=saved) as told:
        tree = reasoner.outline(document, progress=told.progress)
        whole_budget = checked_caps(budget, tree.tokens, caps)
        with interruptible() as stop:
            try:
                answer = reasoner.ask(
                    tree,
                    question,
                    whole_budget,
                    on_event=told.on_event,
                    on_text=told.on_text,
                    progress=told.progress,
                    stop=stop,
                )
            except HierarchyError as error:
                if error.partial and not as_json:
                    _show_answer(error.partial, tree, quiet)
                raise
    if as_json:
        console.show_json({**answer.to_dict(), "energy_wh": _energy_wh(answer, reasoner)})
    else:
        _show_answer(answer, tree, quiet)
    if stop.is_set():
        return Exit.INTERRUPTED
    return Exit.NO_ANSWER if answer.abstained else Exit.DONE


def _energy_wh(answer: Answer, reasoner: Reasoner) -> tuple[float, float] | None:
    """What the replies are estimated to have taken; None where nothing is known, as of the built-in model."""
    from hierarchy.energy import bill_wh

    names = reasoner.model.name, reasoner.helper.name
    # Looking a name up takes a third of a second, which is more than the built-in model's whole answer.
    return None if "extractive" in names else bill_wh(answer.by_stage, *names)


@click.command(
    short_help="Say what a question will cost.",
    epilog="""\b
Examples:
  hierarchy quote 10-K.pdf "What was capital expenditure in fiscal 2018?" --model anthropic/claude-sonnet-4-5
  hierarchy quote contracts/ "Which of these renew by themselves?" --budget 40k --model openai/gpt-5-mini --json
""",
)
@document_argument
@question_argument
@budget_option("8k")
@caps_options
@model_options
@json_option
@quiet_option
def quote(
    *,
    document: str,
    question: str,
    budget: str,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Say what asking QUESTION of DOCUMENT will cost, before anything is spent: bounds that the run stays inside.

    No model is called.
    """
    from hierarchy import viewer

    caps, others = parted(options)
    reasoner = reasoner_of(**others)
    with console.progress(quiet=quiet) as progress:
        tree = reasoner.outline(document, progress=progress)
    quoted = reasoner.quote(tree, question, checked_caps(budget, tree.tokens, caps))
    if as_json:
        console.show_json(quoted.to_dict())
    else:
        console.show(viewer.quote_view(quoted, tree))
    return Exit.DONE


def _show_answer(answer: Answer, tree: SummaryTree, quiet: bool) -> None:
    if quiet:
        console.show_text(answer.text)
    else:
        console.show(_answered(answer, tree))


def _answered(answer: Answer, tree: SummaryTree, *, granted: RenderableType | None = None) -> RenderableType:
    from hierarchy import viewer

    strip = viewer.reading_strip(tree, (passage.leaves for passage in answer.evidence.passages))
    return viewer.answer_view(answer, strip=strip, granted=granted)


@click.command(
    short_help="Print what bears on a question, to paste.",
    epilog="""\b
Examples:
  hierarchy context 10-K.pdf "How did inventories develop?" --budget 4k
  hierarchy context notes/ "Who is on call?" --budget 1k | pbcopy
  hierarchy context 10-K.pdf "How did inventories develop?" --json
""",
)
@document_argument
@question_argument
@budget_option("8k")
@policy_option
@semantic_option
@json_option
@trace_option
@click.option("--quiet", "-q", is_flag=True, help="Show no progress and no closing line.")
def context(
    *,
    document: str,
    question: str,
    budget: str,
    policy: str,
    semantic: bool,
    as_json: bool,
    trace_file: Path | None,
    quiet: bool,
) -> int:
    """Print what in DOCUMENT bears on QUESTION, with its sources, to paste into a prompt of your own.

    DOCUMENT is a file, a folder, a quoted pattern such as 'reports/*.pdf', or "-" for standard input.
    """
    from hierarchy.engine import Reasoner

    reasoner = Reasoner(policy=policy, semantic=semantic)
    with console.progress(quiet=quiet) as progress, saving_trace(trace_file) as on_event:
        tree = reasoner.outline(document, progress=progress)
        found = reasoner.context(tree, question, budget, on_event=on_event, progress=progress)
    if as_json:
        console.show_json(found.to_dict())
        return Exit.DONE
    console.show_text(found.text)
    if not quiet:
        receipt = found.receipt
        share = f"{receipt.read_share:.1%} of {receipt.document_tokens:,}"
        console.show_note(f"{found.tokens:,} tokens of context; {share} tokens read.")
    return Exit.DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A document that comes with the package, and a question to show what can be done with it.

    Attributes:
        sample: Its name among the samples.
        question: Asked if no other is.
    """

    sample: str
    question: str


REPORTS: Mapping[str, Report] = MappingProxyType(
    {
        "financial": Report(
            sample="annual_report.pdf",
            question="For how much was the Orchard Lane litigation settled?",
        ),
        "medical": Report(
            sample="patient_chart.md",
            question="Is he really allergic to penicillin?",
        ),
    }
)


@click.command(
    short_help="Ask a report that comes with hierarchy.",
    epilog="""\b
Examples:
  hierarchy demo
  hierarchy demo --report medical
  hierarchy demo --question "What were total net sales in fiscal 2025?" --budget 2k
  hierarchy demo --svg docs/pages/images/demo.svg
""",
)
@click.option("--report", type=click.Choice(tuple(REPORTS)), default="financial", show_default=True, help="Which one.")
@click.option("--question", callback=checked_question, help="Another question than the report's own.")
@budget_option("4k")
@trace_option
@click.option(
    "--svg",
    "svg_file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write what was printed as a picture, too.",
)
def demo(report: str, question: str | None, budget: str, trace_file: Path | None, svg_file: Path | None) -> int:
    """Ask a long report that comes with hierarchy: outline, answer, quotes, and where the tokens went.

    The reports are fiction: a company's annual report (PDF) and a patient's chart (Markdown).
    """
    from rich.console import Group

    import hierarchy
    from hierarchy.engine import Reasoner

    chosen = REPORTS[report]
    reasoner = Reasoner()
    with console.progress() as progress, saving_trace(trace_file) as on_event:
        tree = reasoner.outline(hierarchy.sample(chosen.sample), progress=progress)
        answer = reasoner.ask(tree, question or chosen.question, budget, on_event=on_event, progress=progress)
    shown = Group(*_told(tree, question or chosen.question, budget, answer))
    console.show(shown)
    if svg_file:
        _save_picture(shown, svg_file)
    return Exit.NO_ANSWER if answer.abstained else Exit.DONE


def _told(tree: SummaryTree, question: str, budget: str, answer: Answer) -> Iterator[RenderableType]:
    """The document's outline, the question, the answer, and where its tokens went."""
    from rich.text import Text

    from hierarchy import viewer

    yield viewer.tree_view(tree, depth=1, text=False, summaries=False)
    yield Text()
    asked = Text(viewer.one_line(question), style="bold cyan")
    yield viewer.block("Question", asked, Text(f"within {budget} tokens", style="dim"))
    yield _answered(answer, tree, granted=viewer.grants_view(answer.trace, most=6))


def _save_picture(shown: RenderableType, path: Path) -> None:
    from hierarchy import viewer

    try:
        path.write_text(viewer.svg(shown, title="hierarchy demo"), encoding="utf-8", newline="\n")
    except OSError as error:
        raise click.BadParameter(f"{path} can't be written: {error.strerror}.", param_hint="'--svg'") from error
