"""Prompts: which templates there are, what they are rendered from, and what a model's reply to them holds.

Templates are Jinja files that ship with the package; a folder of one's own overrides them file by file. Each declares
its variables, so that a missing one is an error before anything is billed, and the hash of its source is part of every
request's key, so that an edited prompt never meets an old reply.

Text out of documents is data. **Nothing in it can close or forge the tags that set it apart**: `render` disarms them in
every declared data field, whatever template shows it. Doesn't know models or stages; replies are read by `replies`, and
while they come by `stream`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hierarchy.errors import InputError
from hierarchy.templates.replies import parse_list, parse_reply
from hierarchy.templates.stream import AnswerText

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["TEMPLATES", "AnswerText", "Rendered", "Template", "Variable", "parse_list", "parse_reply", "render"]

# In a wheel the templates lie within the package, in a checkout (and so in an editable install) beside it.
_PACKAGE = Path(__file__).parent.parent
_SHIPPED = (_PACKAGE / "prompts", _PACKAGE.parent / "prompts")

_FILE_NAME = re.compile(r"[A-Za-z0-9_-]+\.jinja")
_REQUIRED = object()

# A tag of ours, or what a model might take for one: blanks and characters that nobody sees don't tell them apart,
# wherever they stand. Nothing is given back once taken (`*+`), so that no text makes the search long.
_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)
_BLANK = f"[\\s{_UNSEEN}]*+"
_NAMES = "|".join(f"[{_UNSEEN}]*+".join(name) for name in ("passages", "notes", "reply"))
_TAG = re.compile(
    f"[<\ufe64\uff1c](?={_BLANK}(?:[/\u2044\u2215\uff0f]{_BLANK})?+"
    f"(?:{_NAMES}|(?:[0-9][{_UNSEEN}]*+)++{_BLANK}[>\ufe65\uff1e]))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What a template is rendered from.

    Attributes:
        name: As the template writes it.
        kind: Types that are accepted.
        default: Value if it isn't given; a variable without one must be given, and shown.
        data: Whether it is text out of a document, to be disarmed.
        items: For a sequence of mappings: the keys of each that the template may use. Others are left out.
    """

    name: str
    kind: tuple[type, ...] = (str,)
    default: Any = _REQUIRED
    data: bool = False
    items: tuple[Variable, ...] = ()

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is _REQUIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A prompt's declaration.

    Attributes:
        name: Its file is `{name}.jinja`.
        variables: What it is rendered from.
        reply: Fields of the reply it asks for.
    """

    name: str
    variables: tuple[Variable, ...]
    reply: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A prompt, ready to be sent.

    Attributes:
        text: The prompt.
        template_key: The template's name and the hash of its source, `compose:1f0c…`; goes into `Request.template`.
    """

    text: str
    template_key: str


_PASSAGES = Variable(
    name="passages",
    kind=(Sequence,),
    items=(
        Variable(name="n", kind=(int,)),
        Variable(name="text", data=True),
        Variable(name="heading", default="", data=True),
        Variable(name="page", kind=(int, type(None)), default=None),
        Variable(name="context", default="", data=True),
    ),
)
# A line that holds for all passages, such as currency, unit and fiscal year end.
_DEFAULTS = Variable(name="defaults", default="", data=True)
_QUESTION = Variable(name="question")
# What kind of document it is, in words of ours; never text of its own.
_DOCUMENT = Variable(name="document")
# Tokens that are left for another round; 0 if there will be none.
_LEFT = Variable(name="left", kind=(int,), default=0)
_NOTES = Variable(
    name="notes",
    kind=(Sequence,),
    default=(),
    items=(Variable(name="title", data=True), Variable(name="text", data=True)),
)
_ANSWER = ("answer", "quotes", "missing")

TEMPLATES: Mapping[str, Template] = MappingProxyType(
    {
        template.name: template
        for template in (
            Template(name="route", variables=(_QUESTION, _DOCUMENT), reply=("terms", "needs", "kind", "questions")),
            Template(name="route_lean", variables=(_QUESTION, _DOCUMENT), reply=("terms",)),
            Template(name="refine", variables=(_QUESTION, _PASSAGES, _DEFAULTS), reply=("quotes", "ids")),
            # `words`: the most that the summary may have.
            Template(name="summarise", variables=(_PASSAGES, _DEFAULTS, Variable(name="words", kind=(int,))), reply=()),
            Template(name="compose", variables=(_QUESTION, _PASSAGES, _DEFAULTS, _NOTES, _LEFT), reply=_ANSWER),
            Template(
                name="follow_up",
                # `kept`: how many passages were quoted before. `missing`: what the model said it lacked.
                variables=(
                    _QUESTION,
                    _PASSAGES,
                    _DEFAULTS,
                    _LEFT,
                    Variable(name="kept", kind=(int,)),
                    Variable(name="missing", data=True),
                ),
                reply=_ANSWER,
            ),
            # `form`: what was asked for. `reply`: what came instead.
            Template(name="repair", variables=(Variable(name="form"), Variable(name="reply", data=True)), reply=()),
        )
    }
)
"""All templates by name."""


def render(name: str, variables: Mapping[str, Any], *, folder: Path | str | None = None) -> Rendered:
    """Render a template.

    Args:
        name: One of `TEMPLATES`.
        variables: What it declares. What it doesn't declare is left out: stages hand the built-in model more than they
            show.
        folder: Overrides shipped templates by files of the same name; they may include each other by name.

    Raises:
        InputError: The folder or template is missing or damaged, or a variable is missing or of the wrong kind. Names
            file and line.

    Example:
        >>> prompt = render("refine", {"question": "Which dose?", "passages": [{"n": 1, "text": "Aspirin 75 mg"}]})
        >>> "<1>" in prompt.text, prompt.template_key.split(":")[0]
        (True, 'refine')
    """
    if name not in TEMPLATES:
        raise InputError(f"There is no template {name!r}.", f"There are {', '.join(TEMPLATES)}.")
    template = TEMPLATES[name]
    values = _values(template, variables)
    sources = _sources(f"{name}.jinja", Path(folder) if folder is not None else None)
    compiled = _compile(template, sources)
    return Rendered(text=_run(compiled, name, values), template_key=f"{name}:{_digest(sources)}")


def _values(template: Template, variables: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: _value(template.name, each, variables, each.name) for each in template.variables}


def _value(template: str, declared: Variable, given: Mapping[str, Any], path: str) -> Any:
    """The value of a variable, checked and disarmed."""
    value: Any = given.get(declared.name, declared.default)
    if value is _REQUIRED:
        raise InputError(f"The template {template} needs {path}, which isn't given.")
    accepted = isinstance(value, declared.kind) and not (declared.items and isinstance(value, str))
    if not accepted:
        kinds = " or ".join("None" if kind is type(None) else kind.__name__ for kind in declared.kind)
        raise InputError(f"The template {template} needs {path} as {kinds}, not {type(value).__name__}.")
    if declared.items:
        return [_item(template, declared, item, f"{path}[{place}]") for place, item in enumerate(value)]
    return _disarmed(value) if declared.data else value


def _item(template: str, declared: Variable, item: object, path: str) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        raise InputError(f"The template {template} needs {path} as a mapping, not {type(item).__name__}.")
    return {each.name: _value(template, each, item, f"{path}.{each.name}") for each in declared.items}


def _disarmed(text: str) -> str:
    """Text in which no tag of ours stands; of the same length, and the same text wherever there was none."""
    return _TAG.sub("‹", text)


def _sources(name: str, folder: Path | None) -> tuple[tuple[str, str], ...]:
    """Names and sources of a template and all that it includes, in order of first use."""
    if folder is not None:
        _check_folder(folder)
    found: dict[str, str] = {}
    wanted = [name]
    while wanted:
        each = wanted.pop(0)
        if each not in found:
            found[each] = _source(each, folder)
            wanted += _included(each, found[each])
    return tuple(found.items())


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(
            f"There is no folder of prompts at {folder}.", "Give a folder, or none for the shipped prompts."
        )
    names = [f"{name}.jinja" for name in (*TEMPLATES, "passages")]  # the last is included by those that show any
    if not any((folder / name).is_file() for name in names):
        raise InputError(f"{folder} overrides no prompt.", f"It may hold {', '.join(names)}.")


def _source(name: str, folder: Path | None) -> str:
    if not _FILE_NAME.fullmatch(name):
        raise InputError(f"A template can't include {name!r}.", "Includes are names of files in the same folder.")
    places: tuple[Path, ...] = (folder, *_SHIPPED) if folder else _SHIPPED
    for place in places:
        if (place / name).is_file():
            try:
                return (place / name).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"The template {place / name} can't be read: {error}") from error
    raise InputError(f"There is no template {name} in {' or '.join(map(str, places))}.")


@lru_cache(maxsize=32)
def _included(name: str, source: str) -> tuple[str, ...]:
    from jinja2 import TemplateSyntaxError, meta

    try:
        names = tuple(meta.find_referenced_templates(_environment(()).parse(source, name, name)))
    except TemplateSyntaxError as error:
        raise InputError(f"{name}, line {error.lineno}: {error.message}", "Mend the template.") from error
    if None in names:
        raise InputError(f"{name} includes a template whose name is computed.", "Write the file's name out.")
    return tuple(each for each in names if each)


def _digest(sources: tuple[tuple[str, str], ...]) -> str:
    return hashlib.blake2b(repr(sources).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@lru_cache(maxsize=32)
def _compile(template: Template, sources: tuple[tuple[str, str], ...]) -> Environment:
    """An environment that knows these sources only, checked against what the template declares."""
    from jinja2 import meta

    environment = _environment(sources)
    shown: set[str] = set()
    declared = {variable.name for variable in template.variables}
    for name, source in sources:
        used = meta.find_undeclared_variables(environment.parse(source, name, name))
        if unknown := used - declared - set(environment.globals):
            raise InputError(
                f"{name}, line {_line_of(min(unknown), source)}: there is no variable {min(unknown)}.",
                f"There are {', '.join(sorted(declared))}.",
            )
        shown |= used
    for variable in template.variables:
        if variable.required and variable.name not in shown:
            raise InputError(f"{sources[0][0]} doesn't show {variable.name}.", "A prompt without it makes no sense.")
    return environment


def _line_of(word: str, source: str) -> int:
    found = re.search(rf"\b{re.escape(word)}\b", source)
    return source.count("\n", 0, found.start()) + 1 if found else 1


def _environment(sources: tuple[tuple[str, str], ...]) -> Environment:
    from jinja2 import FunctionLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    known = dict(sources)
    # No autoescape: a prompt is no HTML. Sandboxed: a folder of prompts may come from anyone and is no program.
    return ImmutableSandboxedEnvironment(
        # The name stands for the file's path, so that errors can be traced to it.
        loader=FunctionLoader(lambda name: (known[name], name, None) if name in known else None),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def _run(environment: Environment, name: str, values: Mapping[str, Any]) -> str:
    file = f"{name}.jinja"
    try:
        text: str = environment.get_template(file).render(values)
    except Exception as error:
        # A template is foreign code: whatever goes wrong in it is the template's fault and is said as such.
        where, line = _place(error) or (file, 1)
        raise InputError(f"{where}, line {line}: {error}", "Mend the template.") from error
    return text


def _place(error: BaseException) -> tuple[str, int] | None:
    """The template and line that an error came from: the innermost frame that Jinja mapped back to a template."""
    place, step = None, error.__traceback__
    while step:
        file = step.tb_frame.f_code.co_filename
        if _FILE_NAME.fullmatch(file):
            place = (file, step.tb_lineno)
        step = step.tb_next
    return place
