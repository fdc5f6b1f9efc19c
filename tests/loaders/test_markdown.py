import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.loaders.markdown import looks_like_markdown, read_markdown

NOTE = (
    "---\ntitle: x\n---\n# Dose *now*\r\n\r\ntext\r\n```\n# comment\n```\n"
    "## In `code`\n\n|a|b|\n|-|-|\n|1|2|\n\nSet\n===\n"
)


def test_headings_and_rows_come_from_the_parser():
    """ATX and setext headings are sections, comments in code and metadata aren't; rows of a table are rows."""
    document = read_markdown("x.md", NOTE)
    assert document.text == NOTE
    assert [(section.depth, section.title) for section in document.sections] == [
        (1, "Dose now"),
        (2, "In code"),
        (1, "Set"),
    ]
    assert [document.text[section.span.start :][:3] for section in document.sections] == ["# D", "## ", "Set"]
    assert [document.text[row.start : row.end] for row in document.rows] == ["|a|b|", "|1|2|"]


@given(st.text(st.sampled_from("# \n\r`-=|ab1\f\u2028\0>*"), max_size=80))
def test_any_markdown_is_read(text):
    """Whatever the text and its line ends, it is kept, and sections start at the start of a line."""
    document = read_markdown("x.md", text)
    assert document.text == text
    assert all(not s.span.start or text[s.span.start - 1] in "\r\n" for s in document.sections)


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("# A\n\ntext\n\n## B\n", True),
        ("# A\n- one\n- two\n", True),
        ("# only a comment\nx = 1\n", False),
        ("text", False),
    ],
)
def test_markdown_is_recognised_by_its_marks(text, yes):
    """Two headings, or one with other marks, make a text of unknown kind Markdown."""
    assert looks_like_markdown(text) is yes


def test_a_very_long_text_falls_back_to_patterns(monkeypatch):
    """Beyond what the parser takes in reasonable time headings are found by pattern, and a note says so."""
    monkeypatch.setattr("hierarchy.loaders.markdown._LARGEST", 10)
    document = read_markdown("x.md", "# One\n\ntext\n\n# Two\n\nmore\n")
    assert len(document.sections) == 2
    assert "by pattern" in document.notes[0]
