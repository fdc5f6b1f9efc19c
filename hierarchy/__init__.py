"""Answer a question over documents too long to read whole, within a hard token budget.

>>> import hierarchy
>>> chart = hierarchy.Document(name="chart", text="Warfarin was stopped on 3 May. He lives alone.")
>>> hierarchy.ask(chart, "When was warfarin stopped?", budget=500).text
'Warfarin was stopped on 3 May.'

Names are imported when first used, so that `import hierarchy` is quick.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hierarchy.account import Account
    from hierarchy.answer import Answer, Citation, Receipt, Unread
    from hierarchy.budget import Budget, Usage
    from hierarchy.document import Document
    from hierarchy.engine import Reasoner, aask, ask, astream, context, outline, quote, stream
    from hierarchy.errors import BudgetTooSmall, HierarchyError, InputError
    from hierarchy.flow import Context
    from hierarchy.loaders import load
    from hierarchy.quoting import Quote
    from hierarchy.trace import Trace
    from hierarchy.tree import SummaryTree

__version__ = "0.1.0"

__all__ = [
    "Account",
    "Answer",
    "Budget",
    "BudgetTooSmall",
    "Citation",
    "Context",
    "Document",
    "HierarchyError",
    "InputError",
    "Quote",
    "Reasoner",
    "Receipt",
    "SummaryTree",
    "Trace",
    "Unread",
    "Usage",
    "aask",
    "ask",
    "astream",
    "context",
    "load",
    "outline",
    "quote",
    "sample",
    "stream",
]

_HOMES = {
    "answer": ("Answer", "Citation", "Receipt", "Unread"),
    "budget": ("Budget", "Usage"),
    "document": ("Document",),
    "engine": ("Reasoner", "aask", "ask", "astream", "context", "outline", "quote", "stream"),
    "errors": ("BudgetTooSmall", "HierarchyError", "InputError"),
    "flow": ("Context",),
    "account": ("Account",),
    "loaders": ("load",),
    "quoting": ("Quote",),
    "trace": ("Trace",),
    "tree": ("SummaryTree",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def sample(name: str) -> Path:
    """The path of a report that comes with the library: `annual_report.pdf` or `patient_chart.md`. Both are fiction.

    Raises:
        InputError: There is no such sample.
    """
    from hierarchy.errors import InputError

    folder = Path(__file__).parent / "samples"
    found = folder / name
    if Path(name).name != name or not found.is_file():
        known = ", ".join(sorted(path.name for path in folder.iterdir() if path.suffix in {".pdf", ".md"}))
        raise InputError(f"There is no sample {name!r}.", f"There are {known}.")
    return found


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'hierarchy' has no attribute {name!r}")
    value = getattr(import_module(f"hierarchy.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, whether imported yet or not."""
    return sorted({*globals(), *__all__})
