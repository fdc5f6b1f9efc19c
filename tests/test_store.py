"""The store: what was paid for survives, what is damaged is never read as truth, and nothing found is overwritten."""

import contextlib
import importlib.util
import json
import math
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from documents import chart, documents, long_text
from hypothesis import given, settings
from hypothesis import strategies as st
from test_planner import built

from hierarchy.budget import Usage
from hierarchy.document import Document
from hierarchy.errors import InputError, StoreError
from hierarchy.loaders import load
from hierarchy.margins import Margin
from hierarchy.planner import outline
from hierarchy.store import Completion, Store, database, default_path, file_key, kept_outline, place, tree_key, trees
from hierarchy.store.trees import packed, unpacked
from hierarchy.tokens import TiktokenCounter, count_tokens
from hierarchy.tree import LeafTable, NodeTable, SummaryTree, Vectors

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
any_text = st.text(st.characters(codec=None, categories=None) | st.just("\x00"))
usages = st.builds(
    Usage,
    input_tokens=st.integers(-(10**30), 10**30),
    output_tokens=st.integers(0, 10**6),
    calls=st.integers(0, 9),
    cost_usd=st.none() | st.floats(0, 10**6) | st.just(-0.0),
)


class Clock:
    """Time that passes when told to."""

    def __init__(self, now=1_000_000.0):
        self.now = now

    def __call__(self):
        self.now += 1
        return self.now


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kept" / "store.sqlite"


def reply(key, text="3 May.", **changes):
    usage = Usage(input_tokens=900, output_tokens=12, calls=1, cost_usd=0.003)
    return Completion(**{"key": key, "model": "a/b", "stage": "compose", "text": text, "usage": usage, **changes})


def filled(path, rows=40, size=3_000):
    """A store of replies with text of their own, closed; the replies."""
    replies = [reply(f"key{n}", f"{n} " * (size // (len(str(n)) + 1))) for n in range(rows)]
    with Store.open(path) as store:
        for each in replies:
            store.keep_completion(each)
        store.keep_tree("tree", outline(chart()))
        store.keep_margin("a/b", Margin(1.1, 7))
    return replies


def tampered(path, statement, *values):
    """Run a statement behind the store's back."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def process(code, *args, **options):
    """A Python process of its own that runs code with the store's names imported."""
    names = (
        "import sys, os\nfrom pathlib import Path\nfrom hierarchy.store import Store, Completion\n"
        "from hierarchy.budget import Usage\nfrom hierarchy.margins import Margin\n"
        "from hierarchy.errors import StoreError\n"
    )
    command = [sys.executable, "-c", names + textwrap.dedent(code), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


class TestCompletions:
    @settings(max_examples=60)
    @given(any_text, any_text, any_text, any_text, usages)
    def test_whatever_was_put_in_comes_out(self, key, model, stage, text, usage):
        """NULs, halves of surrogate pairs, counts beyond 64 bits, unknown costs; also by another process later."""
        kept = Completion(key=key, model=model, stage=stage, text=text, usage=usage)
        with tempfile.TemporaryDirectory() as folder:
            with Store.open(Path(folder) / "s.sqlite") as store:
                store.keep_completion(kept)
                again = store.completion(key)
            with Store.open(Path(folder) / "s.sqlite") as store:
                assert store.completion(key) == again
                assert store.verify().sound
        assert (again.key, again.model, again.stage, again.text) == (key, model, stage, text)
        assert again.usage.cost_usd == usage.cost_usd
        if abs(usage.input_tokens) < 2**63:
            assert again.usage == usage

    @pytest.mark.parametrize("cost", [math.nan, math.inf])
    def test_a_cost_that_is_no_number_is_unknown(self, path, cost):
        """SQLite has no NaN; a price of infinity is none."""
        with Store.open(path) as store:
            store.keep_completion(reply("k", usage=Usage(cost_usd=cost)))
            assert store.completion("k").usage.cost_usd is None

    def test_what_is_not_there_is_none(self, path):
        """Of every kind."""
        with Store.open(path) as store:
            assert (store.completion("k"), store.tree("k"), store.margin("k")) == (None, None, None)

    def test_a_later_reply_to_the_same_request_counts(self, path):
        """And leaves one row."""
        with Store.open(path) as store:
            store.keep_completion(reply("k", "old"))
            store.keep_completion(reply("k", "new"))
            assert store.completion("k").text == "new"
            assert len(store.entries()) == 1

    def test_a_closed_store_says_so(self, path):
        """Closing twice does no harm."""
        store = Store.open(path)
        store.close()
        store.close()
        with pytest.raises(StoreError, match="was closed"):
            store.completion("k")
        with pytest.raises(StoreError, match="was closed"):
            store.keep_completion(reply("k"))


class TestMargins:
    def test_what_two_processes_learnt_is_joined(self, path):
        """Neither overwrites the other's highest ratio."""
        with Store.open(path) as one, Store.open(path) as other:
            one.keep_margin("a/b", Margin(1.2, 3, overhead_tokens=4))
            other.keep_margin("a/b", Margin(1.1, 9, overhead_tokens=8))
            assert one.margin("a/b") == Margin(1.2, 9, overhead_tokens=8)


class TestDurability:
    @posix
    def test_what_was_acknowledged_survives_a_kill(self, path):
        """Killed in the middle of writing, time and again: all that was acknowledged is there, and nothing half."""
        acknowledged = []
        for attempt in range(4):
            writer = process(
                """
                store, start = Store.open(sys.argv[1]), int(sys.argv[2])
                for number in range(start, start + 100_000):
                    text = f"{number} " * 2_000
                    usage = Usage(input_tokens=number)
                    store.keep_completion(Completion(key=f"k{number}", model="m", stage="s", text=text, usage=usage))
                    print(number, flush=True)
                """,
                path,
                attempt * 1_000_000,
            )
            acknowledged += [int(writer.stdout.readline()) for _ in range(10 + 17 * attempt)]
            writer.send_signal(signal.SIGKILL)
            rest, _ = writer.communicate(timeout=60)
            acknowledged += [int(line) for line in rest.split("\n")[:-1]]
            assert writer.returncode == -signal.SIGKILL
        with Store.open(path) as store:
            for number in acknowledged:
                found = store.completion(f"k{number}")
                assert found.text == f"{number} " * 2_000
                assert found.usage.input_tokens == number
            assert store.verify().sound
            assert len(acknowledged) <= len(store.entries()) <= len(acknowledged) + 4

    @posix
    def test_a_kill_while_it_is_made_leaves_no_half_store(self, path, monkeypatch):
        """Only a draft beside it; the next one begins anew."""
        killed = process(
            """
            from hierarchy.store import place
            place._publish = lambda draft, path: os.kill(os.getpid(), 9)
            Store.open(sys.argv[1])
            """,
            path,
        )
        assert killed.wait(60) == -signal.SIGKILL
        assert not path.exists()
        with Store.open(path) as store:
            store.keep_completion(reply("k"))
            assert store.completion("k") == reply("k")

    def test_writers_at_once_from_nothing(self, path):
        """Four processes make the store and write at the same moment; nothing is lost."""
        path.parent.mkdir()
        code = """
            me = sys.argv[2]
            print("ready", flush=True)
            sys.stdin.readline()
            with Store.open(sys.argv[1]) as store:
                for number in range(40):
                    store.keep_completion(
                        Completion(key=f"{me}-{number}", model="m", stage="s", text=me * 500, usage=Usage())
                    )
                    store.completion(f"{number % 4}-{number}")
                    store.keep_margin("m", Margin(1.0 + int(me) / 10, number))
        """
        writers = [process(code, path, number, stdin=subprocess.PIPE) for number in range(4)]
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            writer.stdin.write("\n")
            writer.stdin.flush()
        for writer in writers:
            assert writer.communicate(timeout=120)[1] == ""
            assert writer.returncode == 0
        with Store.open(path) as store:
            assert all(store.completion(f"{me}-{n}").text == str(me) * 500 for me in range(4) for n in range(40))
            assert store.margin("m") == Margin(1.3, 39)
            assert store.verify().sound
        assert [each.name for each in path.parent.iterdir()] == ["store.sqlite"]

    def test_threads_share_one_store(self, path):
        """Reading and writing."""
        with Store.open(path) as store:

            def work(me):
                for number in range(30):
                    store.keep_completion(reply(f"{me}-{number}", f"{me} {number}"))
                    assert store.completion(f"{me}-{number}").text == f"{me} {number}"

            threads = [threading.Thread(target=work, args=(me,)) for me in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(store.entries()) == 180

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_a_forked_process_opens_its_own(self, path):
        """And leaves the parent's alone when it ends."""
        code = """
            store = Store.open(sys.argv[1])
            put = lambda key: store.keep_completion(Completion(key=key, model="m", stage="s", text=key, usage=Usage()))
            put("before")
            child = os.fork()
            if not child:
                assert store.completion("before").text == "before"
                put("child")
                store.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            put("parent")
            assert [store.completion(key).text for key in ("before", "child", "parent")]
            assert store.verify().sound
        """
        done = process(code, path)
        assert done.communicate(timeout=60) == ("", "")

    def test_a_store_that_others_hold_is_busy(self, path, monkeypatch):
        """Said after a wait, with a remedy."""
        monkeypatch.setattr(database, "BUSY_S", 0.05)
        with Store.open(path) as store, contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="is busy") as caught:
                store.keep_completion(reply("k"))
            assert "Try again" in caught.value.hint
            other.execute("ROLLBACK")
            store.keep_completion(reply("k"))
            assert store.completion("k") == reply("k")

    def test_an_interrupted_write_leaves_nothing_and_does_no_harm(self, path, monkeypatch):
        """An exception between the statements of one write takes all of it back."""
        with Store.open(path) as store:

            def interrupted(*args):
                raise KeyboardInterrupt

            with monkeypatch.context() as patch:
                patch.setattr(store, "_put", interrupted)
                with pytest.raises(KeyboardInterrupt):
                    store.keep_completion(reply("k"))
            assert store.completion("k") is None
            store.keep_completion(reply("k"))
            assert store.completion("k") == reply("k")


class TestDamage:
    def unusable(self, path, match):
        """Opening is refused, with a remedy, and what is there stays as it is."""
        before = path.read_bytes() if path.is_file() else None
        with pytest.raises(StoreError, match=match) as caught:
            Store.open(path)
        assert str(path) in caught.value.message
        assert caught.value.hint
        if before is not None:
            assert path.read_bytes() == before
        return caught.value

    def test_what_is_no_store_is_left_alone(self, path):
        """Nothing in it, text, a folder, somebody else's database."""
        path.parent.mkdir()
        path.touch()
        assert "Move it away" in self.unusable(path, "is empty").hint
        path.write_text("Dear diary, " * 500)
        self.unusable(path, "isn't a SQLite database")
        path.write_text("short")
        self.unusable(path, "isn't a SQLite database")
        path.unlink()
        tampered(path, "CREATE TABLE diary (entry)")
        self.unusable(path, "no store of hierarchy")
        path.unlink()
        path.mkdir()
        self.unusable(path, "is a folder")

    @posix
    def test_a_pipe_does_not_hang(self, path):
        """Nor a link that leads nowhere."""
        path.parent.mkdir()
        os.mkfifo(path)
        self.unusable(path, "no regular file")
        path.unlink()
        path.symlink_to(path.parent / "nowhere")
        self.unusable(path, "No such file")

    def test_a_newer_version_is_not_touched(self, path):
        """It asks for an update."""
        filled(path, rows=3)
        tampered(path, "PRAGMA user_version = 9")
        assert "Update hierarchy" in self.unusable(path, "is of version 9").hint
        tampered(path, "PRAGMA user_version = 0")
        self.unusable(path, "no version 0")

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        """A file is in the way."""
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="can't be made") as caught:
            Store.open(tmp_path / "file" / "store.sqlite")
        assert "HIERARCHY_STORE" in caught.value.hint

    def test_the_journal_of_a_store_that_is_gone_is_not_played_into_a_new_one(self, path):
        """It would ruin it."""
        path.parent.mkdir()
        journal = path.with_name("store.sqlite-wal")
        journal.write_bytes(b"frames")
        with pytest.raises(StoreError, match="isn't there any more"):
            Store.open(path)
        assert journal.read_bytes() == b"frames"

    @pytest.mark.parametrize("share", [0.0001, 0.001, 0.05, 0.5, 0.9, 0.9999])
    def test_a_file_that_was_cut_off(self, path, share):
        """Wherever: an error, never another reply than was kept."""
        replies = filled(path)
        with path.open("r+b") as file:
            file.truncate(int(path.stat().st_size * share))
        assert not self.sound(path, replies)

    def sound(self, path, replies):
        """Whether everything is there; whatever comes out at all is what was kept."""
        held = 0
        try:
            with Store.open(path) as store:
                for each in replies:
                    with contextlib.suppress(StoreError):
                        found = store.completion(each.key)
                        assert found in (None, each)
                        held += found == each
                with contextlib.suppress(StoreError):
                    assert store.margin("a/b") in (None, Margin(1.1, 7))
                    assert store.tree("tree") in (None, outline(chart()))
                return held == len(replies) and store.verify().sound
        except StoreError:
            return False

    def test_flipped_bytes_are_never_read_as_truth(self, path):
        """A byte or a stretch anywhere, headers, pages and rows: another reply than was kept never comes out."""
        replies = filled(path, rows=25, size=700)
        whole, chance = path.read_bytes(), random.Random(7)
        noticed = 0
        for attempt in range(250):
            data = bytearray(whole)
            at = chance.randrange(100) if attempt < 30 else chance.randrange(len(data))
            for offset in range(at, min(len(data), at + chance.choice([1, 1, 4, 64]))):
                data[offset] ^= chance.randrange(1, 256)
            path.write_bytes(data)
            for beside in ("-wal", "-shm"):
                path.with_name(path.name + beside).unlink(missing_ok=True)
            noticed += not self.sound(path, replies)
        assert noticed > 50  # much of a page is free, and what stands there is nobody's

    def test_a_damaged_row_is_named_and_can_be_removed(self, path):
        """The others stay."""
        filled(path, rows=5)
        tampered(path, "UPDATE completions SET text = ? WHERE key = ?", b"4 May.", b"key2")
        tampered(path, "UPDATE trees SET tokens = tokens + 1")
        with Store.open(path) as store:
            with pytest.raises(StoreError, match=r"key2.*checksum") as caught:
                store.completion("key2")
            assert "prune --damaged" in caught.value.hint
            with pytest.raises(StoreError, match="checksum"):
                store.tree("tree")
            found = store.verify()
            assert not found.sound
            assert [(each.kind, each.key) for each in found.damaged] == [("completions", "key2"), ("trees", "tree")]
            assert store.prune(damaged=True, dry_run=True).total == 2
            assert store.prune(damaged=True).entries == (("completions", 1), ("trees", 1))
            assert store.verify().sound
            assert store.completion("key2") is None
            assert store.completion("key3") is not None

    @pytest.mark.parametrize(
        "change",
        ["model = x'00'", "stage = x''", "input_tokens = 0", "cost_usd = NULL", "created = 0", "checksum = x''"],
    )
    def test_every_column_is_sealed(self, path, change):
        """The bill as well as the text."""
        filled(path, rows=2)
        tampered(path, f"UPDATE completions SET {change}")
        with Store.open(path) as store, pytest.raises(StoreError, match="checksum"):
            store.completion("key0")

    def test_a_row_under_another_key_is_not_taken_for_it(self, path):
        """The key is sealed, too."""
        filled(path, rows=2)
        tampered(path, "DELETE FROM completions WHERE key = ?", b"key0")
        tampered(path, "UPDATE completions SET key = ?", b"key0")
        with Store.open(path) as store, pytest.raises(StoreError, match="checksum"):
            store.completion("key0")

    def test_a_damaged_margin_is_not_learnt_from(self, path):
        """Nor overwritten."""
        filled(path, rows=1)
        tampered(path, "UPDATE margins SET ratio = 0.1")
        with Store.open(path) as store:
            with pytest.raises(StoreError, match="checksum"):
                store.margin("a/b")
            with pytest.raises(StoreError, match="checksum"):
                store.keep_margin("a/b", Margin(1.0, 1))

    def test_a_table_that_is_gone_is_damage(self, path):
        """Not a store without replies."""
        filled(path, rows=1)
        tampered(path, "DROP TABLE completions")
        with Store.open(path) as store, pytest.raises(StoreError, match="is damaged"):
            store.completion("key0")

    def test_a_store_that_was_moved_while_in_use(self, path):
        """Writing to a file that nobody finds again would keep nothing."""
        with Store.open(path) as store:
            path.rename(path.with_name("moved.sqlite"))
            with pytest.raises(StoreError, match="was moved"):
                store.keep_completion(reply("k"))

    def test_a_full_disk(self, path):
        """An error with a remedy; what was there before stays."""
        with Store.open(path) as store:
            store.keep_completion(reply("k"))
            with store._database.reading() as connection:
                connection.execute("PRAGMA max_page_count = 20")
            with pytest.raises(StoreError, match="disk is full") as caught:
                store.keep_completion(reply("large", "x" * 200_000))
            assert "Make room" in caught.value.hint
            assert store.completion("k") == reply("k")
            assert store.completion("large") is None

    @posix
    def test_a_disk_that_takes_no_more(self, path):
        """The system's own refusal, met by a real process."""
        filled(path, rows=2)
        code = """
            import resource
            store = Store.open(sys.argv[1])
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
            def put(text):
                store.keep_completion(Completion(key=text[:9], model="m", stage="s", text=text, usage=Usage()))
            put("a little")
            try:
                put("x" * 900_000)
            except StoreError as error:
                print(error)
            print(store.completion("a little"[:9]).text)
        """
        told, complaint = process(code, path).communicate(timeout=60)
        assert complaint == ""
        assert "can't" in told.splitlines()[0]
        assert told.splitlines()[1] == "a little"
        with Store.open(path) as store:
            assert store.verify().sound
            assert store.completion("a little"[:9]).text == "a little"


@pytest.fixture
def nobody():
    """A folder that belongs to an ordinary user, whom root becomes meanwhile: nothing is forbidden to root."""
    with tempfile.TemporaryDirectory() as folder:
        as_root = os.geteuid() == 0
        if as_root:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if as_root:
                os.seteuid(0)


@posix
class TestPermissions:
    def test_only_its_owner_reads_it(self, tmp_path):
        """Documents are in it: the file, its journal, and the folder made for it, whatever the umask."""
        path = tmp_path / "new" / "store.sqlite"
        before = os.umask(0)
        try:
            with Store.open(path) as store:
                store.keep_completion(reply("k"))
                modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        finally:
            os.umask(before)
        assert modes == dict.fromkeys(("store.sqlite", "store.sqlite-wal", "store.sqlite-shm"), 0o600)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_a_file_that_may_not_be_read(self, nobody):
        """Said with a remedy."""
        path = nobody / "store.sqlite"
        filled(path, rows=1)
        path.chmod(0)
        with pytest.raises(StoreError, match="Permission denied") as caught:
            Store.open(path)
        assert "permissions" in caught.value.hint

    def test_a_file_that_may_not_be_written(self, nobody):
        """Reading goes on, writing says why not."""
        path = nobody / "store.sqlite"
        (kept,) = filled(path, rows=1)
        path.chmod(0o400)
        with Store.open(path) as store:
            assert store.completion("key0") == kept
            with pytest.raises(StoreError, match="may not be written") as caught:
                store.keep_completion(reply("k"))
            assert "permissions" in caught.value.hint

    def test_a_folder_that_may_not_be_written(self, nobody):
        """Neither is a store made there, nor one opened that would need its journal there."""
        path = nobody / "store.sqlite"
        filled(path, rows=1)
        nobody.chmod(0o500)
        try:
            with pytest.raises(StoreError, match=r"can't be made.*Permission denied"):
                Store.open(nobody / "other.sqlite")
            with pytest.raises(StoreError, match=r"can't be opened|may not be written"), Store.open(path) as store:
                store.keep_completion(reply("k"))
        finally:
            nobody.chmod(0o700)


class TestSize:
    def test_it_keeps_within_its_bound(self, path):
        """Its file as well as what is in it; the last ones are there, the first are gone."""
        with Store.open(path, max_bytes=400_000, clock=Clock()) as store:
            for number in range(400):
                store.keep_completion(reply(f"k{number}", "x" * (number % 50 * 100)))
                assert store.bytes_used <= 400_000
            assert store.completion("k399") is not None
            assert store.completion("k0") is None
            assert 50 < len(store.entries()) < 400
            assert store.verify().sound
        assert path.stat().st_size <= 400_000

    def test_what_is_used_stays(self, path):
        """Reading counts as use, also for a process that only read."""
        clock = Clock()
        with Store.open(path, max_bytes=400_000, clock=clock) as store:
            for number in range(20):
                store.keep_completion(reply(f"k{number}", "x" * 10_000))
        with Store.open(path, clock=clock) as store:
            assert store.completion("k0") is not None
        with Store.open(path, max_bytes=400_000, clock=clock) as store:
            for number in range(20, 45):
                store.keep_completion(reply(f"k{number}", "x" * 10_000))
            assert store.completion("k0") is not None
            assert store.completion("k1") is None

    def test_trees_go_before_what_was_paid_for(self, path):
        """However old that is; and a tree takes no reply's place."""
        tree = outline(Document(name="long", text=long_text(600)))
        size = len(packed(tree))
        with Store.open(path, max_bytes=400_000, clock=Clock()) as store:
            store.keep_completion(reply("first", "x" * 10_000))
            assert all(store.keep_tree(f"t{n}", tree) for n in range(400_000 // size + 3))
            assert store.tree("t0") is None
            assert store.completion("first") is not None
            number = 0
            while any(entry.kind == "trees" for entry in store.entries()):
                store.keep_completion(reply(f"k{number}", "x" * 10_000))
                number += 1
            assert store.completion("first") is not None
            before = store.entries()
            while store.keep_tree("t", tree):
                store.keep_completion(reply(f"k{number}", "x" * 10_000))
                number += 1
            assert len(store.entries()) >= len(before)
            assert store.tree("t") in (None, tree)

    def test_a_tree_larger_than_the_store_displaces_none(self, path):
        """The others stay."""
        small, large = outline(chart()), outline(Document(name="long", text=noise(600_000)))
        with Store.open(path, max_bytes=300_000) as store:
            store.keep_tree("small", small)
            assert not store.keep_tree("large", large)
            assert store.tree("small") == small

    def test_a_lowered_bound_is_reached_by_and_by(self, path):
        """No write has to do all the work."""
        filled(path, rows=600, size=3_000)
        size = path.stat().st_size
        with Store.open(path, max_bytes=300_000) as store:
            sizes = []
            for number in range(30):
                store.keep_completion(reply(f"new{number}"))
                sizes.append(store.bytes_used)
            assert sizes[0] > 300_000
            assert sizes[-1] <= 300_000
            assert store.verify().sound
        assert path.stat().st_size < size / 4

    def test_a_reply_larger_than_the_store_is_refused(self, path):
        """Said, as it was paid for."""
        with Store.open(path, max_bytes=300_000) as store, pytest.raises(StoreError, match="doesn't fit"):
            store.keep_completion(reply("k", "x" * 300_000))

    @pytest.mark.parametrize("size", [0, -1, 1_000, math.nan])
    def test_a_bound_must_leave_room_for_something(self, path, size):
        """Refused before anything is made."""
        with pytest.raises(InputError, match="max_bytes"):
            Store.open(path, max_bytes=size)
        assert not path.exists()


class TestPrune:
    @pytest.fixture
    def store(self, path):
        clock = Clock()
        with Store.open(path, clock=clock) as store:
            for number in range(10):
                store.keep_completion(reply(f"old{number}", f"SECRET{number}" * 500))
            store.keep_tree("tree", outline(chart()))
            store.keep_margin("a/b", Margin(1.1, 3))
            clock.now += 1_000
            for number in range(10):
                store.keep_completion(reply(f"new{number}", "x" * 5_000))
            store.clock = clock
            yield store

    def kept(self, store):
        return {entry.key for entry in store.entries()}

    def test_by_age(self, store):
        """Counted from the last use; margins, which take no room, stay."""
        assert store.completion("old3") is not None
        removed = store.prune(older_than=500)
        assert dict(removed.entries) == {"completions": 9, "trees": 1}
        assert self.kept(store) == {"old3", "a/b", *(f"new{n}" for n in range(10))}

    def test_by_kind(self, store):
        """Everything of one kind and of no other."""
        assert store.prune(kind="trees", all=True).entries == (("trees", 1),)
        assert store.prune(kind="margins", all=True).entries == (("margins", 1),)
        assert len(self.kept(store)) == 20

    def test_by_size(self, store):
        """Trees and what was used longest ago go, until the rest fits."""
        store.prune(to_bytes=100_000)
        assert store.bytes_used <= 100_000
        assert "tree" not in self.kept(store)
        assert {f"new{n}" for n in range(10)} <= self.kept(store)
        assert store.prune(to_bytes=100_000).total == 0

    def test_a_dry_run_tells_what_would_go(self, store):
        """And removes nothing."""
        would = store.prune(older_than=500, to_bytes=80_000, dry_run=True)
        assert len(self.kept(store)) == 22
        removed = store.prune(older_than=500, to_bytes=80_000)
        assert removed.total >= would.total > 11
        assert store.bytes_used <= 80_000

    def test_what_was_pruned_is_gone_from_the_disk(self, store, path):
        """Documents may be sensitive: not in free pages, not in the journal; and the file is smaller."""
        before = store.bytes_used
        assert any(b"SECRET3" in each.read_bytes() for each in path.parent.iterdir())
        store.prune(older_than=500)
        assert not any(b"SECRET3" in each.read_bytes() for each in path.parent.iterdir())
        assert store.prune(all=True).total == 11
        assert path.stat().st_size < before / 2
        assert store.verify().sound

    def test_it_must_be_told_what(self, store):
        """Nothing is removed by accident."""
        with pytest.raises(InputError, match="what to prune"):
            store.prune()
        with pytest.raises(InputError, match="no kind 'leaves'"):
            store.prune(kind="leaves", all=True)
        assert len(self.kept(store)) == 22

    def test_entries_say_what_is_kept(self, store):
        """Last used first, within each kind."""
        first, *_ = store.entries()
        assert (first.kind, first.key, first.name) == ("completions", "new9", "compose · a/b")
        assert first.size_bytes >= 5_000
        assert [entry.kind for entry in store.entries()][-2:] == ["trees", "margins"]


class TestPlace:
    def test_where_it_lies(self, tmp_path, monkeypatch):
        """What is named, else the cache folder of the user or of the platform."""
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        assert default_path({"HIERARCHY_STORE": str(tmp_path / "x.db")}) == tmp_path / "x.db"
        assert default_path({"HIERARCHY_STORE": "~/x.db"}) == tmp_path / "x.db"
        cache = {"XDG_CACHE_HOME": str(tmp_path / "c"), "HIERARCHY_STORE": ""}
        for platform in ("linux", "darwin", "win32"):
            assert default_path(cache, platform) == tmp_path / "c" / "hierarchy" / "store.sqlite"
        assert default_path({"XDG_CACHE_HOME": "c"}, "linux") == tmp_path / ".cache" / "hierarchy" / "store.sqlite"
        assert default_path({}, "darwin") == tmp_path / "Library" / "Caches" / "hierarchy" / "store.sqlite"
        assert default_path({"LOCALAPPDATA": str(tmp_path / "L")}, "win32").parent == tmp_path / "L" / "hierarchy"

    def test_it_is_opened_where_it_lies(self, tmp_path, monkeypatch):
        """Without a path."""
        monkeypatch.setenv("HIERARCHY_STORE", str(tmp_path / "named.sqlite"))
        with Store.open() as store:
            assert store.path == tmp_path / "named.sqlite"

    def test_any_name_will_do(self, tmp_path):
        """Signs that mean something in a URI, blanks, other scripts."""
        for name in ("a b?mode=ro#x%41.sqlite", "Grüße 東京.sqlite"):
            with Store.open(tmp_path / name) as store:
                store.keep_completion(reply("k"))
            assert (tmp_path / name).is_file()

    def test_without_links_it_is_renamed_into_place(self, path, monkeypatch):
        """Some file systems have none."""

        def refused(*args):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(place.os, "link", refused)
        with Store.open(path) as store:
            store.keep_completion(reply("k"))
        assert [each.name for each in path.parent.iterdir()] == ["store.sqlite"]


def noise(length):
    """Prose that doesn't deflate well."""
    chance = random.Random(3)
    words = ("".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(length // 8))
    return " ".join(word + "." * (number % 12 == 0) for number, word in enumerate(words))


class TestTrees:
    @given(documents())
    def test_a_tree_comes_back_as_it_was(self, document):
        """With its document, titles and counter."""
        tree = built(document)
        if tree:
            again = unpacked(packed(tree), tree.count)
            assert again == tree
            assert again.document == tree.document
            assert again.titles == tree.titles

    @given(documents(), st.integers(0, 5), st.integers(1, 4))
    def test_vectors_of_its_passages_come_back_with_it(self, document, passages, dimensions):
        """Bit by bit; cut short they are no tree."""
        tree = built(document)
        if tree:
            rows = (np.arange(passages * dimensions) / 7).astype(np.float16).reshape(passages, dimensions)
            tree.vectors = Vectors(made_by="a model", rows=rows)
            data = packed(tree)
            again = unpacked(data, tree.count)
            assert again == tree
            assert again.vectors.made_by == "a model"
            assert again.vectors.rows.tobytes() == rows.tobytes()
            assert again.vectors.rows.shape == rows.shape
            short = trees.zlib.compress(trees.zlib.decompress(data)[:-2])
            with pytest.raises(StoreError):
                unpacked(short, tree.count)

    def test_what_a_tree_lacks_is_added_and_kept(self, path):
        """Once: whether it was built just now or kept before without."""
        added = []

        def add(tree):
            missing = tree.vectors is None
            if missing:
                added.append(tree)
                tree.vectors = Vectors(made_by="a model", rows=np.ones((1, 2), dtype=np.float16))
            return missing

        ways = {"load": load, "build": outline}
        with Store.open(path) as store:
            for document in (chart(), Document(name="other", text=long_text(9))):
                if document.name == "other":
                    assert kept_outline(store, document, count_tokens, **ways)[1]
                tree, kept = kept_outline(store, document, count_tokens, **ways, add=add)
                assert kept
                assert added.pop() is tree
                again, kept = kept_outline(store, document, count_tokens, **ways, add=add)
                assert (again.vectors.made_by, kept, added) == ("a model", False, [])

    def test_numbers_beyond_32_bits(self):
        """A text of more than two gigabytes has some."""
        tree = outline(chart())
        columns = {name: getattr(tree.leaves, name) for name in LeafTable.__slots__}
        far = LeafTable(**{**columns, "end": columns["end"] + 2**40})
        wide = SummaryTree(document=tree.document, leaves=far, nodes=tree.nodes, titles={})
        again = unpacked(packed(wide), count_tokens)
        assert all(np.array_equal(getattr(again.leaves, name), getattr(far, name)) for name in LeafTable.__slots__)
        assert all(np.array_equal(getattr(again.nodes, n), getattr(tree.nodes, n)) for n in NodeTable.__slots__)

    @pytest.mark.parametrize(
        "data", [b"", b"no", trees.zlib.compress(b""), trees.zlib.compress(b"\x02" + b"\0" * 7 + b"{}")]
    )
    def test_what_is_no_tree_is_refused(self, data):
        """One clear error."""
        with pytest.raises(StoreError, match="no tree"):
            unpacked(data, count_tokens)

    def test_a_tree_of_another_format_is_refused(self):
        """Should one ever be met."""
        raw = trees.zlib.decompress(packed(outline(chart())))
        newer = trees.zlib.compress(raw.replace(b'"format":2', b'"format":9'))
        with pytest.raises(StoreError, match="format 9"):
            unpacked(newer, count_tokens)

    @given(documents(), documents())
    def test_equal_keys_are_equal_trees(self, one, other):
        """And different documents have different keys."""
        assert (tree_key(one, count_tokens) == tree_key(other, count_tokens)) == (one == other)

    def test_a_key_holds_all_that_a_tree_depends_on(self, tmp_path, monkeypatch):
        """Content, name, folders, notes, counter and code."""
        document = chart()
        key = tree_key(document, count_tokens)
        folder = Document(name="f", media="folder", parts=(document,))
        nested = Document(name="f", media="folder", parts=(folder,))
        noted = Document(name=document.name, text=document.text, notes=("Scanned.",))
        keys = [key, *(tree_key(each, count_tokens) for each in (folder, nested, noted))]
        keys.append(tree_key(document, TiktokenCounter("o200k_base")))
        monkeypatch.setattr(trees, "_tree_code", lambda: "another version")
        keys.append(tree_key(document, count_tokens))
        assert len(set(keys)) == len(keys)
        assert tree_key(document, len) is None

    def test_a_file_s_key_needs_no_loading(self, tmp_path, monkeypatch):
        """It changes with name, bytes, counter and code, and is none for what isn't one file."""
        path = tmp_path / "note.md"
        path.write_text("# Dose\n\n75 mg daily.\n")
        keys = [file_key(path, count_tokens), file_key(path, TiktokenCounter("o200k_base"))]
        assert file_key(str(path), count_tokens) == keys[0]
        os.utime(path, (1, 1))
        assert file_key(path, count_tokens) == keys[0]
        path.write_text("# Dose\n\n80 mg daily.\n")
        keys.append(file_key(path, count_tokens))
        keys.append(file_key(path.rename(tmp_path / "note.txt"), count_tokens))
        monkeypatch.setattr(trees, "_loader_code", lambda: "another version")
        keys.append(file_key(tmp_path / "note.txt", count_tokens))
        assert len(set(keys)) == len(keys)
        others = (tmp_path, "-", tmp_path / "*.txt", tmp_path / "none", "\0")
        assert [file_key(each, count_tokens) for each in others] == [None] * 5
        assert file_key(tmp_path / "note.txt", len) is None

    def test_all_code_that_makes_trees_is_in_the_key(self):
        """What the planner imports, but for errors and what is made of a tree later."""
        package = Path(importlib.util.find_spec("hierarchy").origin).parent
        listed, pending = {"planner"}, ["planner"]
        while pending:
            source = (package / f"{pending.pop()}.py").read_text("utf-8")
            for line in source.splitlines():
                if line.startswith("from hierarchy.") and (name := line.split()[1].split(".")[1]) not in listed:
                    listed.add(name)
                    pending.append(name)
        assert {f"{name}.py" for name in listed - {"errors", "summaries", "terms"}} == set(trees.TREE_CODE)
        assert all((package / name).is_file() for name in trees.TREE_CODE)
        assert (package / trees.LOADER_CODE / "__init__.py").is_file()


class TestKeptOutline:
    def outlined(self, store, source, loaded=None):
        def noted(path):
            if loaded is not None:
                loaded.append(path)
            return load(path)

        return kept_outline(store, source, count_tokens, load=noted, build=outline)

    def test_a_file_is_loaded_once(self, path, tmp_path):
        """The second time neither loading nor planning takes place."""
        note, loaded = tmp_path / "note.md", []
        note.write_text("# Dose\n\n75 mg daily.\n")
        with Store.open(path) as store:
            first, kept = self.outlined(store, note, loaded)
            again, kept_again = self.outlined(store, note, loaded)
            assert (kept, kept_again, loaded) == (True, False, [note])
            assert again == first == outline(load(note))
            note.write_text("# Dose\n\n80 mg daily.\n")
            assert "80 mg" in self.outlined(store, note, loaded)[0].files[0].text

    def test_documents_and_folders_are_planned_once(self, path, tmp_path):
        """Found by what was loaded."""
        (tmp_path / "notes").mkdir()
        for name in ("a.md", "b.md"):
            (tmp_path / "notes" / name).write_text(f"# {name}\n\n75 mg daily.\n")
        with Store.open(path) as store:
            for source in (chart(), tmp_path / "notes"):
                first, kept = self.outlined(store, source)
                again, kept_again = self.outlined(store, source)
                assert (kept, kept_again) == (True, False)
                assert again == first

    def test_a_file_that_changes_meanwhile_is_not_kept(self, path, tmp_path):
        """It would be found by the content that it had before."""
        note = tmp_path / "note.md"
        note.write_text("# Dose\n\n75 mg daily.\n")

        def changing(source):
            note.write_text("# Dose\n\n80 mg daily.\n")
            return load(source)

        with Store.open(path) as store:
            _, kept = kept_outline(store, note, count_tokens, load=changing, build=outline)
            assert not kept
            assert store.entries() == ()

    def test_a_counter_that_nobody_knows_keeps_nothing(self, path):
        """Another one might count differently."""

        def letters(text):
            return len(text)

        with Store.open(path) as store:
            tree, kept = kept_outline(
                store, chart(), letters, load=load, build=lambda document: outline(document, letters)
            )
            assert not kept
            assert tree.tokens == len(chart().text)
            assert json.loads(tree.to_json())["hierarchy_tree"] == 1
