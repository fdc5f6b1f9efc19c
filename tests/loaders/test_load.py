import io
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from docx import Document as Word
from pages import PROSE, pdf

from hierarchy.errors import DocumentEmpty, DocumentNotFound, DocumentUnreadable
from hierarchy.loaders import from_langchain, from_text, load


@pytest.fixture
def folder(tmp_path):
    """A folder with documents of each kind, a folder within, and what isn't for reading."""
    (tmp_path / "b.txt").write_text("Plain text.\n")
    (tmp_path / "a.md").write_text("# Dose\n\n75 mg daily.\n")
    (tmp_path / "page.html").write_text("<html><p>A page.</p></html>")
    (tmp_path / "report.pdf").write_bytes(pdf([[PROSE]]))
    word = Word()
    word.add_paragraph("A letter.")
    word.save(tmp_path / "letter.docx")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.txt").write_text("Below.\n")
    (tmp_path / ".hidden.txt").write_text("Not for reading.\n")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    return tmp_path


def test_each_kind_of_file(folder):
    """Every supported kind is read by its own reader, from a str or a Path, and named by its file."""
    kinds = {"b.txt": "text", "a.md": "markdown", "page.html": "html", "report.pdf": "pdf", "letter.docx": "docx"}
    assert {name: load(folder / name).media for name in kinds} == kinds
    assert load(str(folder / "b.txt")).name == "b.txt"


def test_text_is_the_file(tmp_path):
    """Offsets refer to the decoded file: line ends of all kinds stay as they are."""
    path = tmp_path / "x.txt"
    path.write_bytes("\ufeffone\r\ntwo\rthree\n\n é".encode())
    assert load(path).text == "one\r\ntwo\rthree\n\n é"


def test_a_folder_is_a_tree(folder):
    """Files come in order of name with relative names, folders as documents of their own; the rest is counted."""
    seen = []
    document = load(folder, progress=lambda *args: seen.append(args))
    assert [part.name for part in document.parts] == ["a.md", "b.txt", "letter.docx", "page.html", "report.pdf", "sub"]
    assert [file.name for file in document.files][-1] == "sub/c.txt"
    assert document.notes == ("Skipped 1 hidden.", "Skipped 1 of an unsupported kind (.png).")
    assert seen[0] == (1, 6, "a.md")
    assert seen[-1] == (6, 6, "sub/c.txt")


def test_a_file_that_fails_is_left_out_visibly(folder):
    """Within a folder a damaged file costs a note with its name and the reason, not the whole."""
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
    (folder / "empty.txt").write_text("")
    document = load(folder)
    assert len(document.files) == 6
    assert "Left out bad.pdf: bad.pdf is no whole PDF: 16 bytes" in " ".join(document.notes)
    assert "Left out empty.txt: empty.txt is empty: 0 bytes." in document.notes


def test_many_failures_are_summed_up(tmp_path):
    """Notes name the first twenty files that were left out and count the others."""
    (tmp_path / "good.txt").write_text("text")
    for number in range(25):
        (tmp_path / f"{number:02}.txt").write_text("")
    notes = load(tmp_path).notes
    assert len(notes) == 21
    assert notes[-1] == "Left out 5 more files that couldn't be read."


def test_a_folder_without_documents(tmp_path):
    """A folder in which nothing can be read is an error that says what was there."""
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    with pytest.raises(DocumentNotFound, match=r"holds no document that can be read. Skipped 1 of") as caught:
        load(tmp_path)
    assert "PDF" in caught.value.hint


def test_patterns(folder):
    """A glob finds files in folders too, named relative to where it begins to vary."""
    document = load(f"{folder}/**/*.txt")
    assert [file.name for file in document.files] == ["b.txt", "sub/c.txt"]
    with pytest.raises(DocumentNotFound, match="Nothing matches"):
        load(f"{folder}/*.epub")


def test_a_relative_pattern(folder, monkeypatch):
    """A pattern without a folder is relative to where one stands."""
    monkeypatch.chdir(folder)
    assert [part.name for part in load("*.txt").parts] == ["b.txt"]


def test_a_name_with_brackets_is_a_name(tmp_path):
    """A file whose name looks like a pattern is found by that name first."""
    (tmp_path / "note [1].txt").write_text("text")
    assert load(tmp_path / "note [1].txt").text == "text"


@pytest.mark.parametrize("stream", [io.BytesIO(b"# A\n\ntext\n\n# B\n"), io.StringIO("# A\n\ntext\n\n# B\n")])
def test_standard_input(stream):
    """`-` reads a stream of bytes or text and recognises what it holds."""
    document = load("-", stdin=stream)
    assert (document.name, document.media, len(document.sections)) == ("stdin", "markdown", 2)


def test_a_pdf_on_standard_input(monkeypatch):
    """The process's own standard input is the default, and may be binary."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(pdf([[PROSE]]))))
    assert load("-").media == "pdf"
    with pytest.raises(DocumentEmpty, match="stdin is empty"):
        load("-", stdin=io.BytesIO(b""))


def test_a_missing_file_suggests_its_neighbour(folder):
    """A misspelt name is answered with the one that is there, a missing folder by saying so."""
    with pytest.raises(DocumentNotFound, match="Nothing is at") as caught:
        load(folder / "reprot.pdf")
    assert caught.value.hint == "Did you mean 'report.pdf'?"
    with pytest.raises(DocumentNotFound) as caught:
        load(folder / "zzzzzzzzzz")
    assert "check the spelling" in caught.value.hint
    with pytest.raises(DocumentNotFound) as caught:
        load(folder / "nowhere" / "x.txt")
    assert "isn't there either" in caught.value.hint


@pytest.mark.parametrize(
    ("number", "held"), [(0, "nothing"), (1, "one file or folder"), (1_001, "1,001 files and folders")]
)
def test_a_missing_file_without_a_neighbour_says_what_its_folder_holds(tmp_path, number, held):
    """So that a wrong folder shows."""
    for each in range(number):
        (tmp_path / f"{each}").touch()
    with pytest.raises(DocumentNotFound) as caught:
        load(tmp_path / "zzzzzzzzzz")
    assert caught.value.hint == f"Its folder holds {held}; check the spelling."


@pytest.mark.parametrize("path", ["one\ntwo", "word " * 900, "nul\0byte"])
def test_text_instead_of_a_path(path):
    """Text given as a path isn't found; where it shows, the hint names the function for text."""
    with pytest.raises(DocumentNotFound) as caught:
        load(path)
    assert "\0" in path or "from_text" in caught.value.hint


def test_no_permission(tmp_path, monkeypatch):
    """A file that may not be read says so."""
    path = tmp_path / "x.txt"
    path.write_text("text")

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DocumentUnreadable, match="permission denied"):
        load(path)


def test_a_folder_that_may_not_be_entered(folder, monkeypatch):
    """A folder within that may not be listed is left out with a note."""
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    document = load(folder)
    assert len(document.files) == 5
    assert "permission denied" in document.notes[-1]


def test_a_failing_disk(tmp_path, monkeypatch):
    """Any other trouble of the file system is passed on in its own words."""
    path = tmp_path / "x.txt"
    path.write_text("text")
    monkeypatch.setattr(Path, "read_bytes", lambda self: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(DocumentUnreadable, match="Input/output error"):
        load(path)


def test_a_file_deleted_while_reading(folder, monkeypatch):
    """A file that goes away between listing and reading is left out like any other that can't be read."""
    read = Path.read_bytes

    def vanish(self):
        if self.name == "b.txt":
            raise FileNotFoundError(2, "No such file")
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", vanish)
    document = load(folder)
    assert len(document.files) == 5
    assert any(note.startswith("Left out b.txt: Nothing is at") for note in document.notes)


@pytest.mark.parametrize("text", ["", " \n\t\r\n\f "])
def test_empty_files(tmp_path, text):
    """A file of no bytes, or of white space alone, is empty, with the number of them."""
    path = tmp_path / "x.txt"
    path.write_text(text, newline="")
    with pytest.raises(DocumentEmpty, match=f"{len(text)} (bytes|characters)"):
        load(path)


def test_links(folder):
    """A broken link names its target, a link in a circle says so, and neither stops a folder."""
    (folder / "broken.txt").symlink_to(folder / "gone.txt")
    (folder / "circle.txt").symlink_to(folder / "circle.txt")
    with pytest.raises(DocumentNotFound, match=r"is a link to .*gone.txt, which isn't there"):
        load(folder / "broken.txt")
    with pytest.raises(DocumentUnreadable, match="leads in a circle"):
        load(folder / "circle.txt")
    document = load(folder)
    assert len(document.files) == 6
    assert sum("is a link to" in note for note in document.notes) == 2


def test_the_same_file_is_read_once(folder):
    """Links to a file or folder that is read anyway are passed over, circles of folders included."""
    (folder / "z.txt").symlink_to(folder / "b.txt")
    (folder / "sub" / "up").symlink_to(folder)
    os.link(folder / "a.md", folder / "sub" / "same.md")
    document = load(folder)
    assert [file.name for file in document.files].count("z.txt") == 0
    assert len(document.files) == 6
    assert "Skipped 3 links to what is read already." in document.notes


def test_pipes_and_devices_dont_hang(tmp_path):
    """A FIFO or device is refused before it is opened; within a folder it is left out."""
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(DocumentUnreadable, match="named pipe"):
        load(tmp_path / "pipe.txt")
    with pytest.raises(DocumentUnreadable, match="character device"):
        load("/dev/zero")
    (tmp_path / "x.txt").write_text("text")
    document = load(tmp_path)
    assert len(document.files) == 1
    assert "named pipe" in document.notes[0]


def test_a_wrong_extension_works(tmp_path):
    """A PDF called .txt is read as a PDF, with a note."""
    path = tmp_path / "report.txt"
    path.write_bytes(pdf([[PROSE]]))
    document = load(path)
    assert document.media == "pdf"
    assert document.notes == ("Named .txt but holds a PDF document; read as that.",)


@pytest.mark.parametrize(
    ("data", "note"),
    [("Größe".encode("cp1252"), "Windows-1252"), ("Größe".encode("utf-16"), "UTF-16"), (b"a\0b" + b"c" * 90, "NUL")],
)
def test_what_was_guessed_is_noted(tmp_path, data, note):
    """Encodings other than UTF-8 and replaced bytes show in the document's notes."""
    path = tmp_path / "x.txt"
    path.write_bytes(data)
    assert note in load(path).notes[0]


def test_one_word_and_one_long_line(tmp_path):
    """The shortest text and a line of five million characters are documents."""
    path = tmp_path / "x.txt"
    path.write_text("word")
    assert load(path).text == "word"
    path.write_text("word 12 " * 625_000)
    assert len(load(path).text) == 5_000_000


def test_a_hundred_megabytes(tmp_path):
    """100 MB of prose load whole, in about 25 times the time of 4 MB."""

    def seconds(size):
        path = tmp_path / "big.txt"
        path.write_text(line * (size // len(line)))
        started = time.process_time()
        assert len(load(path).text) == size // len(line) * len(line)
        return time.process_time() - started

    line = (
        "The quarterly revenue of the company rose by 5 percent to 1,234 million dollars, a record for this company.\n"
        * 9
    )
    small = max(seconds(4_000_000), 0.02)
    assert seconds(100_000_000) <= 50 * small + 1


def test_text_in_memory():
    """Text is kept as it is; its name's suffix or its marks decide how it is read."""
    assert from_text("# A\n\nx\n\n# B\n").media == "markdown"
    assert from_text("# A\n\nx\n\n# B\n", "a.txt").media == "text"
    assert from_text("plain\r\ntext", "a.md").text == "plain\r\ntext"
    assert len(from_text("a,b\n1,2\n", "x.csv").rows) == 2
    with pytest.raises(DocumentEmpty, match="text holds no text: 2 characters"):
        from_text(" \n")


def piece(text, **metadata):
    """What a LangChain loader makes."""
    return SimpleNamespace(page_content=text, metadata=metadata)


def test_documents_of_langchain():
    """Pages of one source become one part with pages; chunks and unnamed texts are parts with names of their own."""
    paged = [piece("one", source="a.pdf", page=0), piece("two\n", source="a.pdf", page=1)]
    chunks = [piece("x", source="b.txt"), piece("y", source="b.txt"), piece("z"), piece(" ")]
    document = from_langchain(paged + chunks)
    assert [part.name for part in document.parts] == ["a.pdf", "b.txt", "b.txt#2", "document 4"]
    assert document.parts[0].text == "one\ntwo\n"
    assert [document.parts[0].page_of(at) for at in (0, 4)] == [1, 2]
    assert document.notes == ("Left out what holds no text: 1.",)
    with pytest.raises(DocumentEmpty, match="None of the 1 documents"):
        from_langchain([piece("")])


def test_importing_is_light():
    """The loaders' heavy libraries are imported when a file needs them, not before."""
    import subprocess
    import sys

    heavy = ("pypdfium2", "selectolax", "mammoth", "markdown_it")
    code = f"import sys, hierarchy.loaders; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
