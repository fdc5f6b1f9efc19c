"""The README and the docs keep what they say: code runs and prints what stands there, commands exist, links lead on."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from pytest_examples import CodeExample, EvalExample, find_examples

import hierarchy

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [example for example in find_examples(*map(str, PAGES)) if example.prefix.startswith("python")]
SHELL_BLOCK = re.compile(r"^```(?:bash|sh|shell|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")
TEST_LINE = 'python3 -m venv .venv && .venv/bin/pip install -q -e ".[test]" && .venv/bin/pytest -q'
DEMO_LINE = "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/hierarchy demo"


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands_in(text: str) -> list[str]:
    """Command lines of `hierarchy` in the shell blocks of a page."""
    lines = [line for block in SHELL_BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in (line.removeprefix("$ ").strip() for line in lines) if line.startswith("hierarchy ")]


COMMANDS = [(shown(path), line) for path in PAGES for line in commands_in(path.read_text("utf-8"))]


@pytest.fixture(scope="module")
def command_line():
    if not importlib.util.find_spec("hierarchy.cli"):
        pytest.skip("there is no command line yet")
    from hierarchy.cli import main

    return main


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_code_runs_and_prints_what_the_page_says(example: CodeExample, eval_example: EvalExample, monkeypatch):
    """From the root of a clone, as a reader would. `pytest --update-examples tests/test_docs.py` writes the output."""
    if example.source.startswith("import hierarchy\n") and not hasattr(hierarchy, "ask"):
        pytest.skip("there is no hierarchy.ask yet")
    monkeypatch.chdir(ROOT)
    eval_example.set_config(line_length=88)
    if eval_example.update_examples:
        eval_example.run_print_update(example)
    elif "#> " in example.source:
        eval_example.run_print_check(example)
    else:
        eval_example.run(example)


def test_there_is_code_and_there_are_commands_to_check():
    """Or the two tests around this one would pass by finding nothing."""
    assert len(EXAMPLES) >= 5
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_commands_and_options_exist(page, line, command_line):
    import click

    words = shlex.split(line.partition("|")[0], comments=True)[1:]
    command = command_line
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
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
