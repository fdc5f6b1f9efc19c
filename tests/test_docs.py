"""The README and the docs keep what they say: code runs and prints what stands there, commands exist, links lead on."""

import importlib.util
import itertools
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from pytest_examples import CodeExample, EvalExample, find_examples

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [example for example in find_examples(*map(str, PAGES)) if example.prefix.startswith("python")]
SHELL_BLOCK = re.compile(r"^```(?:bash|sh|shell|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A command by itself in a block, a paragraph at most, and what it prints.
SHOWN_OUTPUT = re.compile(
    r"^```(?:bash|sh|shell|console)\n(?:\$ )?((?:hierarchy|python examples/)[^\n]*(?:\\\n[^\n]*)*)\n```\n"
    r"(?:\n(?:[^\n`#][^\n]*\n)+)?\n```text\n(.*?)^```",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")
TEST_LINE = 'python3 -m venv .venv && .venv/bin/pip install -q -e ".[test]" && .venv/bin/pytest -q'
DEMO_LINE = "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/hierarchy demo"


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands_in(text: str) -> list[str]:
    """Command lines of `hierarchy` in the shell blocks of a page."""
    lines = [line for block in SHELL_BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in (line.removeprefix("$ ").strip() for line in lines) if line.startswith("hierarchy ")]


def outputs_in(text: str) -> list[tuple[str, str]]:
    """Commands on what comes with the library, each with the output that a page shows below."""
    found = [(line.replace("\\\n", " "), block) for line, block in SHOWN_OUTPUT.findall(text)]
    runnable = r"python|hierarchy demo|hierarchy .*hierarchy/samples/|hierarchy trace .*\bdemo\.jsonl"
    return [each for each in found if re.match(runnable, each[0])]


COMMANDS = [(shown(path), line) for path in PAGES for line in commands_in(path.read_text("utf-8"))]

OUTPUTS = [(shown(path), *each) for path in PAGES for each in outputs_in(path.read_text("utf-8"))]
PICTURES = {
    "demo.svg": "hierarchy demo --svg {}",
    "trace.svg": "hierarchy trace demo.jsonl --svg {}",
}


def output_of(line: str, command_line) -> list[str]:
    """What a command prints, from the root of a clone, into 100 columns."""
    from click.testing import CliRunner

    words = shlex.split(line)
    if words[0] == "python":
        plain = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        ran = subprocess.run([sys.executable, *words[1:]], cwd=ROOT, env=plain, capture_output=True, check=True)
        return ran.stdout.decode().rstrip().splitlines()
    terminal = {"COLUMNS": "100", "NO_COLOR": "1"}
    with tempfile.TemporaryDirectory() as folder:
        if "demo.jsonl" in words:  # what `hierarchy demo --trace demo.jsonl` writes, as the page says further up
            trace = str(Path(folder) / "demo.jsonl")
            CliRunner().invoke(command_line, ["demo", "--trace", trace], catch_exceptions=False)
            words = [trace if word == "demo.jsonl" else word for word in words]
        ran = CliRunner().invoke(command_line, words[1:], env=terminal, catch_exceptions=False)
    return ran.stdout.rstrip().splitlines()


def refreshed(block: str, printed: list[str]) -> str:
    """A page's block with its lines as they are printed now.

    A line with nothing but "…" stands for lines left out. What follows one goes on at the next line that is printed as
    it is there, or at least begins with the same word; up to the next "…" it is as long as before, and what follows the
    last runs to the end.
    """
    parts = [list(group) for _, group in itertools.groupby(block.splitlines(), key=_left_out)]
    at, fresh = 0, []
    for number, part in enumerate(parts, start=1):
        if not _left_out(part[0]):
            blank = next(n for n, line in enumerate(part) if line)
            at = _goes_on(part[blank], printed, at)
            end = len(printed) if number == len(parts) else at + len(part) - blank
            part[blank:] = printed[at:end]
            at = end
        fresh += part
    return "".join(f"{line}\n" for line in fresh)


def _left_out(line: str) -> bool:
    return line.strip() == "…"


def _goes_on(line: str, printed: list[str], at: int) -> int:
    word = line.split(maxsplit=1)[0]
    like = [n for n in range(at, len(printed)) if printed[n].split()[:1] == [word]]
    assert like, f"nothing printed begins like {line!r}"
    return next((n for n in like if printed[n] == line), like[0])


@pytest.fixture(scope="session", autouse=True)
def rewritten(pytestconfig):
    """Pieces of pages to replace. Done last, since the examples' outputs are written at the places they had before."""
    pieces: list[tuple[Path, str, str]] = []
    yield pieces
    for path, old, new in pieces:
        path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")


@pytest.fixture(scope="module")
def command_line():
    from hierarchy.cli import main

    return main


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_code_runs_and_prints_what_the_page_says(example: CodeExample, eval_example: EvalExample, monkeypatch):
    """From the root of a clone, as a reader would; `pytest -n0 --update-examples tests/test_docs.py` writes it anew."""
    monkeypatch.chdir(ROOT)
    eval_example.set_config(line_length=88)
    if eval_example.update_examples:
        eval_example.run_print_update(example)
    elif "#> " in example.source:
        eval_example.run_print_check(example)
    else:
        eval_example.run(example)


def test_there_is_code_and_there_are_commands_to_check():
    """Or the tests around this one would pass by finding nothing."""
    assert len(EXAMPLES) >= 5
    assert len(COMMANDS) >= 5
    assert len(OUTPUTS) >= 5


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: f"{output[0]}:{output[1]}")
def test_commands_print_what_the_page_says(output, command_line, monkeypatch, pytestconfig, rewritten):
    """As far as it is shown. `pytest -n0 --update-examples tests/test_docs.py` writes the output."""
    page, line, block = output
    monkeypatch.chdir(ROOT)
    fresh = refreshed(block, output_of(line, command_line))
    if pytestconfig.getoption("update_examples"):
        rewritten.append((ROOT / page, block, fresh))
    else:
        assert block == fresh


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_show_what_is_printed(name, command_line, monkeypatch, tmp_path, pytestconfig, rewritten):
    """Their words; versions of rich may draw them in different ways. `--update-examples` draws them."""
    monkeypatch.chdir(ROOT)
    drawn, picture = tmp_path / name, ROOT / "docs" / "pages" / "images" / name
    output_of(PICTURES[name].format(drawn), command_line)
    old, new = (path.read_text("utf-8") for path in (picture, drawn))
    if pytestconfig.getoption("update_examples"):
        rewritten.append((picture, old, new))
    else:
        words = re.compile(r">([^<>]+)</text>")
        assert words.findall(old) == words.findall(new)


@pytest.mark.parametrize(
    ("block", "fresh"),
    [
        ("Answer\n  1 old\n…\n", "Answer\n  1 new\n…\n"),
        ("Answer\n  …\n\nBudget\n  9 tokens\n…\n", "Answer\n  …\n\nBudget\n  7 tokens\n…\n"),
        ("Answer\n  …\n\nBudget\n", "Answer\n  …\n\nBudget\n  7 tokens\n\nNot read\n"),
        ("…\nNot read\n", "…\nNot read\n"),
        ("Budget\n  …\nNot written\n", "Budget\n  …\nNot read\n"),
    ],
)
def test_lines_left_out_stay_out(block, fresh):
    assert refreshed(block, ["Answer", "  1 new", "  2 more", "", "Budget", "  7 tokens", "", "Not read"]) == fresh


def test_what_is_not_printed_any_more_is_noticed():
    with pytest.raises(AssertionError, match="Quotes"):
        refreshed("Answer\n…\nQuotes\n", ["Answer", "  new", "Budget"])


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_commands_and_options_exist(page, line, command_line):
    import click

    words = shlex.split(line.partition("|")[0], comments=True)[1:]
    command = command_line
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        if command.name == "trace" and words[0] not in command.commands:
            words.insert(0, "show")  # what is meant by no command
        assert words[0] in command.commands, f"{page}: no command {words[0]!r}"
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= known, f"{page}: {line}"


def test_the_command_reference_is_the_commands_own_help(command_line, monkeypatch):
    """If not: `python docs/cli_reference.py`."""
    monkeypatch.setenv("NO_COLOR", "1")
    spec = importlib.util.spec_from_file_location("cli_reference", ROOT / "docs" / "cli_reference.py")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    current = generator.PAGE.read_text("utf-8")
    assert current == generator.page(current, command_line)


def test_every_module_is_in_the_api_reference():
    """If not: a line `::: hierarchy.NAME` in docs/pages/api.md. The command line has a page of its own."""
    reference = (ROOT / "docs" / "pages" / "api.md").read_text("utf-8")
    listed = set(re.findall(r"^::: hierarchy\.(\w+)$", reference, re.MULTILINE))
    modules = {path.stem for path in (ROOT / "hierarchy").glob("*.py")}
    packages = {path.parent.name for path in (ROOT / "hierarchy").glob("*/__init__.py")}
    assert listed == (modules | packages) - {"__init__", "__main__", "cli"}


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_links_lead_somewhere(path):
    targets = [first or second for first, second in LINK.findall(path.read_text("utf-8"))]
    local = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    assert not [target for target in local if not (path.parent / target).exists()]


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_pages_speak_to_any_reader(path):
    """No path of somebody's machine, no colour codes of somebody's terminal."""
    assert not re.search(r"/(?:home|root|work|tmp|Users)/|\x1b\[", path.read_text("utf-8"))


def test_the_readme_sets_up_in_one_line_each():
    """The check in .ci runs these very lines."""
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert lines.count(TEST_LINE) == 1
    assert lines.count(DEMO_LINE) == 1
    assert sum(line.startswith("python3 -m venv") for line in lines) == len({TEST_LINE, DEMO_LINE})


def test_the_docs_load_nothing_from_elsewhere():
    """They are read where there is no network, and tell nobody that they are read."""
    assert "font: false" in (ROOT / "docs" / "mkdocs.yml").read_text("utf-8")
