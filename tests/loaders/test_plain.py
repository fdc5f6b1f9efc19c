import time

from hypothesis import given
from hypothesis import strategies as st

from hierarchy.loaders.plain import read_plain

PARAGRAPH = "The parties agree to the terms that follow and to no others, whatever was said before.\n"


def outline(text, name="x.txt"):
    """Depth and title of each section."""
    return [(section.depth, section.title) for section in read_plain(name, text).sections]


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=400), st.sampled_from(["a.txt", "b.csv", "c"]))
def test_any_text_is_kept(text, name):
    """Whatever the text, it is kept as it is, and every span lies within it."""
    document = read_plain(name, text)
    assert document.text == text
    assert all(span.end <= len(text) for span in (*document.rows, *document.furniture))


def test_contracts():
    """Articles, sections, capitals and exhibits nest; a bare article takes the title below it."""
    text = (
        "SERVICE AGREEMENT\n\n" + PARAGRAPH + "\nARTICLE I\n\nDEFINITIONS\n\n" + PARAGRAPH
        + "Section 1.1 Fees. The fee is due in May.\n\n1.2 Payment Terms. It is paid by wire.\n\n"
        + "ARTICLE II TERMINATION\n\n" + PARAGRAPH + "\nEXHIBIT A\n\nPRICE LIST\n\n" + PARAGRAPH
    )  # fmt: skip
    assert outline(text) == [
        (1, "SERVICE AGREEMENT"),
        (1, "ARTICLE I DEFINITIONS"),
        (2, "Section 1.1 Fees"),
        (2, "1.2 Payment Terms"),
        (1, "ARTICLE II TERMINATION"),
        (1, "EXHIBIT A PRICE LIST"),
    ]


def test_labels():
    """Labels with a common stem go below it, plain ones stay on top."""
    text = (
        "TITLE:\nA trial\n\nABSTRACT.METHODS:\nWe tried.\n\nABSTRACT.RESULTS:\nIt worked.\n\n"
        "BODY.1. INTRODUCTION:\nLong ago.\n"
    )
    assert outline(text) == [
        (1, "TITLE"),
        (1, "ABSTRACT"),
        (2, "METHODS"),
        (2, "RESULTS"),
        (1, "BODY"),
        (2, "1. INTRODUCTION"),
    ]


def test_a_section_starts_at_its_heading():
    """Spans begin with the heading's own characters, also with Windows line ends."""
    document = read_plain("x.txt", "Intro line here.\r\n\r\n1. Scope.\r\nAll of it.\r\n2. Term.\r\nOne year.\r\n")
    assert [document.text[section.span.start :][:6] for section in document.sections] == ["1. Sco", "2. Ter"]


def test_speech_has_no_headings():
    """Speakers of a transcript aren't headings, neither in capitals nor otherwise."""
    text = "PhD C: Yeah.\nGrad A: OK .\nMR. SMITH:\nI object.\nMR. SMITH:\nAgain.\nMR. SMITH:\nStill.\n" * 3
    assert outline(text) == []


def test_contents_are_no_sections():
    """Entries of a list of contents, with page numbers or without, don't come before the real headings."""
    entries = "ARTICLE I SCOPE ........ 3\nARTICLE II TERM ........ 9\n"
    bare = "1. Scope.\n2. Term.\n\n"
    body = f"1. Scope.\n{PARAGRAPH}2. Term.\n{PARAGRAPH}"
    document = read_plain("x.txt", entries + bare + body)
    assert [section.title for section in document.sections] == ["1. Scope", "2. Term"]
    assert document.sections[0].span.start > len(entries)


def test_marks_of_markdown_count_outside_of_code():
    """A `#` heading in a text file is one, a comment in a fenced block isn't."""
    assert outline("# Setup\ntext\n```\n# comment\n```\n## More\ntext\n") == [(1, "Setup"), (2, "More")]


def test_texts_that_lost_their_line_ends():
    """Where a page is one line with runs of spaces, headings are found within it, and references aren't."""
    text = f"AGREEMENT   1. PURPOSE   {PARAGRAPH[:-1]}   2. Payment Terms   {PARAGRAPH[:-1]}   Section 1 of it says so"
    document = read_plain("x.txt", f"{text}\n")
    assert [section.title for section in document.sections] == ["1. PURPOSE", "2. Payment Terms"]
    assert [text[section.span.start :][:2] for section in document.sections] == ["1.", "2."]


def test_useless_titles_are_no_sections():
    """ "Table of Contents" tells a reader nothing."""
    assert outline(f"TABLE OF CONTENTS\n\n{PARAGRAPH}\nSCOPE OF WORK\n\n{PARAGRAPH}") == [(1, "SCOPE OF WORK")]


def test_form_feeds_are_pages():
    """Two form feeds or more divide a text into pages, and running headers over them are furniture."""
    text = "\f".join(f"Ward report\nPatient {name} is well.\n" for name in ("Ann", "Bob", "Cid", "Dan"))
    document = read_plain("x.txt", text)
    assert len(document.pages) == 4
    assert [document.text[span.start : span.end] for span in document.furniture] == ["Ward report"] * 4
    assert read_plain("x.txt", "one\ftwo").pages == ()


def test_page_lines_are_furniture():
    """Lines such as "Page 3 of 9" are furniture where they repeat."""
    text = "".join(f"{PARAGRAPH}Page {page} of 9\n" for page in range(1, 10))
    assert len(read_plain("x.txt", text).furniture) == 9
    assert read_plain("x.txt", f"{PARAGRAPH}Page 1 of 9\n").furniture == ()


def test_delimited_files_are_all_rows():
    """Every line of a CSV or TSV file that has its delimiter is a row."""
    assert len(read_plain("x.csv", "a,b\r\n1,2\r\n\r\n3,4\r\n").rows) == 3
    assert len(read_plain("x.tsv", "a\tb\n1\t2\n").rows) == 2


def test_thousands_of_headings():
    """4,000 headings become 4,000 sections."""
    text = "".join(f"Section {n // 40 + 1}.{n % 40 + 1} Title Number Words\n{PARAGRAPH}" for n in range(4_000))
    assert len(read_plain("x.txt", text).sections) == 4_000


def test_time_is_linear():
    """Four times the text takes at most eight times as long, for prose, one long line, and lines that nearly match."""

    def seconds(text):
        started = time.process_time()
        read_plain("x.txt", text)
        return time.process_time() - started

    near = "SECTION ........ ........ (((( 1.1.1.1 §§ NOTE — — — — 12\n"
    for unit in (PARAGRAPH, "word 12 ", "A. . . . ", near, "((((", "-1", "CONSOLIDATED ", "# # ", " ", "   1. A  "):
        small, large = unit * (400_000 // len(unit)), unit * (1_600_000 // len(unit))
        quick = min(seconds(small) for _ in range(2))
        assert min(seconds(large) for _ in range(2)) <= 8 * quick + 0.05, unit
