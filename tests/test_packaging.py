"""What a user gets by installing: a light import, documented public names, modules one can read, an import graph."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import hierarchy

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "hierarchy"
MODULES = sorted(PACKAGE.rglob("*.py"))

IMPORT_CPU_SECONDS = 0.3
LONGEST_MODULE = 550
SLOW_PACKAGES = {
    "huggingface_hub",
    "jinja2",
    "langchain_core",
    "litellm",
    "numba",
    "onnxruntime",
    "openai",
    "pydantic",
    "requests",
    "rich",
    "sentence_transformers",
    "textual",
    "tiktoken",
    "torch",
    "transformers",
}


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout


def importable() -> list[ModuleType]:
    names = [
        name for _, name, _ in pkgutil.walk_packages([str(PACKAGE)], "hierarchy.") if not name.endswith("__main__")
    ]
    return [hierarchy, *map(importlib.import_module, names)]


def test_importing_the_package_is_cheap():
    """CPU, not wall time, and the best of several: another process on the machine is not our cost."""
    code = "import time; began = time.process_time(); import hierarchy; print(time.process_time() - began)"
    best = float("inf")
    for _ in range(8):
        best = min(best, float(run_python(code)))
        if best < IMPORT_CPU_SECONDS:
            return
    pytest.fail(f"import hierarchy took {best:.2f} s of CPU at best; {IMPORT_CPU_SECONDS} s are allowed.")


def test_importing_the_package_loads_nothing_slow():
    loaded = set(run_python("import hierarchy, sys; print(*{name.partition('.')[0] for name in sys.modules})").split())
    assert not loaded & SLOW_PACKAGES


def test_importing_the_package_changes_nothing_around_it():
    """No environment variable, no warning filter, no log handler: those are the application's."""
    code = (
        "import logging, os, warnings; before = dict(os.environ), list(warnings.filters), list(logging.root.handlers); "
        "import hierarchy; print(before == (dict(os.environ), list(warnings.filters), list(logging.root.handlers)))"
    )
    assert run_python(code).strip() == "True"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_can_be_read_in_one_sitting(path):
    lines = path.read_text("utf-8").count("\n")
    assert lines <= LONGEST_MODULE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_owns(path):
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), "no docstring"


def test_every_public_name_exists_and_has_a_docstring():
    bare = []
    for module in importable():
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            bare += [f"{module.__name__}.{name}{member}" for member in undocumented(value)]
    assert not bare


def undocumented(value: object) -> list[str]:
    # A constant is documented by the string beneath it, which only a reader of the source sees; so is what a function
    # returned, such as a shared option of the command line.
    if not (inspect.isclass(value) or inspect.isroutine(value)) or "<locals>" in value.__qualname__:
        return []
    # A dataclass without a docstring is given its signature for one.
    bare = [""] if not value.__doc__ or value.__doc__.startswith(f"{value.__name__}(") else []
    if inspect.isclass(value):
        members = {name: member for name, member in vars(value).items() if not name.startswith("_")}
        bare += [
            f".{name}"
            for name, member in members.items()
            if (inspect.isroutine(member) or isinstance(member, property)) and not inspect.getdoc(member)
        ]
    return bare


def test_names_promised_by_the_package_are_few_and_sorted():
    promised = list(getattr(hierarchy, "__all__", ()))
    assert promised == sorted(promised)
    assert len(promised) <= 28


def test_names_promised_by_the_package_are_seen_by_dir():
    """Also those that a lazy `__getattr__` would bring: completion in a shell goes by `dir`."""
    assert set(getattr(hierarchy, "__all__", ())) <= set(dir(hierarchy))


def test_the_import_graph_is_the_table_of_contents(monkeypatch, capsys):
    """The contracts are in pyproject.toml, each with the modules it holds for."""
    from importlinter.cli import lint_imports

    monkeypatch.chdir(ROOT)
    failed = lint_imports(cache_dir=None)
    assert not failed, capsys.readouterr().out


def test_type_checkers_are_told_that_the_package_is_typed():
    assert (PACKAGE / "py.typed").is_file()


def test_the_templates_go_into_the_wheel():
    """They lie outside the package, so the build must be told; an editable install finds them where they lie."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {"prompts": "hierarchy/prompts"}


def test_every_exception_from_the_lint_rules_has_its_reason():
    """In the configuration a comment on its line, or on the line it shares a reason with."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    ignored = text.partition("\nignore = [\n")[2].partition("\n]\n")[0].splitlines()
    assert ignored
    assert all("#" in line for line in ignored)


def test_a_lint_rule_switched_off_in_the_code_is_named():
    """`# noqa` and `# type: ignore` without a code would also hide what nobody has seen yet."""
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if line.rstrip().endswith(("# noqa", "# type: ignore"))
    ]
    assert not bare
