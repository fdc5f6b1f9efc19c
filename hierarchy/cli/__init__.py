"""The command line: `hierarchy`. The only place that prints, reads options or exits.

    ask · tree · trace · store · evaluate   the commands, by what they are about
    options                                 what several commands take
    console                                 where and how they print
    exits                                   what the process's exit code says, and how errors are shown

A command imports what it needs when it runs, so that help and completion are there at once.
"""

from __future__ import annotations

import os

import click

from hierarchy.cli.ask import ask, context, demo, quote
from hierarchy.cli.evaluate import evaluate
from hierarchy.cli.exits import Commands
from hierarchy.cli.store import index, store
from hierarchy.cli.trace import trace
from hierarchy.cli.tree import tree

__all__ = ["main"]


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  hierarchy demo
  hierarchy ask 10-K.pdf "What was capital expenditure in fiscal 2018?" --budget 8k
  hierarchy tree 10-K.pdf

\b
Exit codes:
  0    answered, or done
  1    what was read of the document holds no answer
  2    wrong usage
  3    a document or other input can't be read or used
  4    the budget is too small
  5    the model can't be used
  6    a trace or the store is damaged or can't be used
  70   a defect of hierarchy itself
  130  interrupted

\b
Completion by the Tab key, in the file that your shell reads when it starts:
  bash   eval "$(_HIERARCHY_COMPLETE=bash_source hierarchy)"
  zsh    eval "$(_HIERARCHY_COMPLETE=zsh_source hierarchy)"
  fish   _HIERARCHY_COMPLETE=fish_source hierarchy | source
""",
)
@click.version_option(None, "-V", "--version", package_name="hierarchy", message="%(prog)s %(version)s")
@click.option(
    "--debug", is_flag=True, expose_value=False, help="Show the traceback of an error (or HIERARCHY_DEBUG=1)."
)
def main() -> None:
    """Answer questions over long documents within a hard token budget, and show where every token went.

    Documents are PDF, HTML, DOCX, Markdown or text, a folder, a pattern, or "-" for standard input. Everything works
    without a key and without a network.
    """
    # Several threads of linear algebra wait for each other when cores are busy, for many times as long as matrices as
    # small as ours take, and it counts as CPU. Set before numpy is imported, which is when it looks.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


for command in (ask, quote, context, demo, tree, trace, index, store, evaluate):
    main.add_command(command)
