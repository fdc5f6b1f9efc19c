"""What several commands take: documents, budgets, where to write the trace."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from hierarchy.cli import console
from hierarchy.errors import InputError, StoreError

if TYPE_CHECKING:
    from hierarchy.budget import Budget
    from hierarchy.engine import Reasoner
    from hierarchy.events import Event

__all__ = [
    "POLICY_NAMES",
    "SEMANTIC_HELP",
    "WAY_NAMES",
    "budget_option",
    "caps_options",
    "checked_caps",
    "checked_question",
    "document_argument",
    "interruptible",
    "json_option",
    "lexicons_option",
    "model_options",
    "parted",
    "policy_option",
    "prompts_option",
    "question_argument",
    "quiet_option",
    "reasoner_of",
    "saving_trace",
    "semantic_option",
    "trace_option",
]

F = TypeVar("F", bound=Callable[..., Any])

# Written out, so that help needn't import the allocator and numpy with it; a test compares.
POLICY_NAMES = ("expected_gain", "proportional", "uniform", "top_k")
WAY_NAMES = ("auto", "single", "staged", "branches")


def checked_budget(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A budget as people write it; refused at once if it is none, turned into tokens when the document is known."""
    if value is None:
        return None
    from hierarchy.budget import Budget

    try:
        Budget.parse(value, document_tokens=10**30)
    except InputError as error:
        raise click.BadParameter(f"{error.message} {error.hint}", ctx=ctx, param=param) from error
    return value


def checked_question(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A question that asks something."""
    if value is not None and not value.strip():
        raise click.BadParameter("It is empty.", ctx=ctx, param=param)
    return value


def checked_model_options(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Any] | None:
    """`NAME=VALUE` as often as given, values as JSON where they are JSON; None if there is none."""
    options: dict[str, Any] = {}
    for value in values:
        name, sign, told = value.partition("=")
        name = name.strip()
        if not sign or not name.isidentifier():
            raise click.BadParameter(f"{value!r} isn't of the form NAME=VALUE.", ctx=ctx, param=param)
        if "api_key" in name.lower():
            raise click.BadParameter(
                "Keys come from the environment, where other users of this machine don't see them.",
                ctx=ctx,
                param=param,
            )
        if name in options:
            raise click.BadParameter(f"{name} is given twice.", ctx=ctx, param=param)
        options[name] = _value_of(told)
    return options or None


def _value_of(told: str) -> Any:
    def is_text(word: str) -> None:  # Python reads NaN and Infinity as well, which aren't JSON.
        raise ValueError(word)

    try:
        return json.loads(told, parse_constant=is_text)
    except (ValueError, RecursionError):
        return told


# Exists or not is for the loader to say: it may be a pattern, a folder or "-". The type completes file names.
document_argument = click.argument("document", type=click.Path(allow_dash=True))
question_argument = click.argument("question", callback=checked_question)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else; errors too.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print the answer's text alone, and no progress.")
prompts_option = click.option(
    "--prompts",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of templates that replace those of the same name.",
)
policy_option = click.option(
    "--policy",
    type=click.Choice(POLICY_NAMES),
    default="expected_gain",
    show_default=True,
    help="How the budget is divided over the document.",
)
trace_option = click.option(
    "--trace",
    "trace_file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write every step to this file, as it happens; `hierarchy trace` shows it.",
)


def budget_option(default: str | None) -> Callable[[F], F]:
    """The budget of a command, with its own default; None leaves it open."""
    return click.option(
        "--budget",
        "-b",
        metavar="BUDGET",
        callback=checked_budget,
        default=default,
        show_default=True,
        help="Tokens to spend at most: 8000, 8k, 1.5k, or 5% of the document.",
    )


SEMANTIC_HELP = (
    "By a small language model on this machine, which must be installed; takes it half a minute or more for a long "
    "report, once where a store keeps it."
)

semantic_option = click.option(
    "--semantic", is_flag=True, help=f"Also judge passages by their meaning. {SEMANTIC_HELP}"
)
lexicons_option = click.option(
    "--lexicon",
    "lexicons",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="TOML file of what your documents call the things that you ask for; may be given several times.",
)
_MODEL_OPTIONS = (
    click.option(
        "--model",
        "-m",
        default="extractive",
        show_default=True,
        envvar="HIERARCHY_MODEL",
        help="Who answers: the built-in model, or a language model such as anthropic/claude-sonnet-4-5.",
    ),
    click.option(
        "--summary-model",
        metavar="MODEL",
        envvar="HIERARCHY_SUMMARY_MODEL",
        help="A cheaper one that says what to search for and reads branches.",
    ),
    click.option(
        "--api-base",
        metavar="URL",
        envvar="HIERARCHY_API_BASE",
        help="Where the models are served, such as http://localhost:8000/v1.",
    ),
    click.option(
        "--timeout",
        "timeout_s",
        type=click.FloatRange(min=0, min_open=True),
        default=600.0,
        show_default=True,
        metavar="SECONDS",
        help="For one call.",
    ),
    click.option(
        "--model-option",
        "model_options",
        multiple=True,
        callback=checked_model_options,
        metavar="NAME=VALUE",
        help="Passed on to the provider, such as reasoning_effort=low or num_ctx=16384; may be repeated.",
    ),
    click.option(
        "--way",
        type=click.Choice(WAY_NAMES),
        default="auto",
        show_default=True,
        help="How the document is read.",
    ),
    click.option(
        "--rounds",
        type=click.IntRange(min=1),
        default=2,
        show_default=True,
        help="How often is read and answered, at most.",
    ),
    click.option(
        "--store",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Where replies are kept, so that none is paid for twice; with a language model, your own store.",
    ),
    lexicons_option,
    semantic_option,
    click.option("--no-store", is_flag=True, help="Keep nothing on disk."),
)

CAPS = ("max_cost_usd", "max_seconds", "max_calls", "stop_when_confident")
_CAPS_OPTIONS = (
    click.option("--max-cost", "max_cost_usd", type=click.FloatRange(min=0, min_open=True), metavar="USD", help="Cap."),
    click.option(
        "--max-seconds",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="Cap; then the best so far.",
    ),
    click.option(
        "--stop-when-confident",
        type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
        metavar="CHANCE",
        help="Stop reading once it is so likely that enough was read, such as 0.8.",
    ),
    click.option("--max-calls", type=click.IntRange(min=1), metavar="CALLS", help="Cap, retries included."),
)


def model_options(command: F) -> F:
    """Who answers, how documents are read, and where replies are kept."""
    for option in reversed(_MODEL_OPTIONS):
        command = option(command)
    return command


def caps_options(command: F) -> F:
    """Caps beside that on tokens."""
    for option in reversed(_CAPS_OPTIONS):
        command = option(command)
    return command


def reasoner_of(
    *,
    model: str,
    summary_model: str | None,
    api_base: str | None,
    timeout_s: float,
    way: str,
    rounds: int,
    store: Path | None,
    no_store: bool,
    model_options: dict[str, Any] | None = None,
    **others: Any,
) -> Reasoner:
    """The reasoner that the options of a command describe."""
    from hierarchy.engine import Reasoner

    if store and no_store:
        raise click.UsageError("--store and --no-store exclude each other.")
    if model_options and {model, summary_model} <= {"extractive", None}:
        raise click.UsageError("--model-option is for a language model: name one with --model.")
    return Reasoner(
        model,
        summary_model=summary_model,
        api_base=api_base,
        timeout_s=timeout_s,
        way=way,
        rounds=rounds,
        store=None if no_store else store or "auto",
        model_options=model_options,
        **others,
    )


def checked_caps(budget: str, document_tokens: int, caps: Mapping[str, Any]) -> Budget:
    """All caps together, once the document's length is known."""
    from hierarchy.budget import Budget

    return Budget(Budget.parse(budget, document_tokens=document_tokens).total_tokens, **caps)


def parted(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options that are caps, and the others."""
    caps = {name: value for name, value in options.items() if name in CAPS}
    return caps, {name: value for name, value in options.items() if name not in CAPS}


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Make the first Ctrl-C ask for the best answer so far, and the second one end the program."""
    stop = threading.Event()

    def interrupted(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        console.show_note("Stopping: the best answer from what was read comes next. Ctrl-C again to end at once.")

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def saving_trace(path: Path | None) -> Iterator[Callable[[Event], None] | None]:
    """What writes events to a file as they come, so that a run that is killed leaves a trace of all before.

    The file is begun with the first event: an attempt that fails before it doesn't cost an earlier trace.
    """
    if path is None:
        yield None
        return
    if not path.parent.is_dir():
        raise click.BadParameter(f"There is no folder {str(path.parent)!r}.", param_hint="'--trace'")
    _check_replaceable(path)
    with ExitStack() as stack:
        yield _writer(path, stack)


def _check_replaceable(path: Path) -> None:
    """Refuse to write over anything but an earlier trace: the file named by mistake may be the document."""
    if str(path) == "-":
        raise click.BadParameter("A trace goes to a file, not to standard output.", param_hint="'--trace'")
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:
        return  # Where it can't be read it likely can't be written either, which is said then.
    if head and not head.startswith(b'{"event": "trace"'):
        hint = "Choose another place for the trace, or remove the file first."
        raise InputError(f"{path} is there already and is no trace, so it isn't written over.", hint)


def _writer(path: Path, stack: ExitStack) -> Callable[[Event], None]:
    from hierarchy.trace import HEADER, Chain

    opened: list[TextIO] = []
    chain = Chain()

    def write(event: Event) -> None:
        try:
            if not opened:
                opened.append(stack.enter_context(path.open("w", encoding="utf-8", newline="\n")))
                opened[0].write(HEADER + "\n")
            opened[0].write(chain.line(event) + "\n")
            opened[0].flush()
        except OSError as error:
            for file in opened:
                with suppress(OSError):  # What is left to write can't be written when it is closed, either.
                    file.close()
            hint = "Choose another place for it."
            raise StoreError(f"The trace can't be written to {path}: {error.strerror}.", hint) from error

    return write
