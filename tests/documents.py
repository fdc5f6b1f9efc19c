"""Documents for tests: random ones for properties, and small ones that read like the real thing."""

from itertools import pairwise

from hypothesis import strategies as st

from hierarchy.document import Document, Section, Span

WORDS = (
    "revenue capital expenditure cash dividend margin inventory warranty patient dose creatinine warfarin bleeding "
    "placebo trial assignment licence termination royalty the of and in 2018 1,577 (403) $ 12.5% n.s. Dr. e.g."
).split()

words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join)
lines = st.one_of(
    words.map(lambda line: line[:1].upper() + line[1:] + "."),
    words,
    st.just(""),
    st.text(max_size=40).map(lambda line: line.replace("\n", " ").replace("\r", " ")),
)


@st.composite
def files(draw, name="file.txt"):
    """A file of random lines with random, nested sections, pages, rows and furniture that keep the invariants."""
    drawn = draw(st.lists(lines, min_size=1, max_size=30))
    text = "\n".join(drawn) + draw(st.sampled_from(["", "\n"]))
    starts, position = [], 0
    for line in drawn:
        starts.append(position)
        position += len(line) + 1
    starts = [start for start in starts if start < len(text)] or [0]
    cuts = sorted(draw(st.sets(st.sampled_from(starts), max_size=6)))
    sections = _sections(draw, cuts, len(text))
    edges = sorted({0, *draw(st.sets(st.sampled_from(starts), max_size=4)), len(text)})
    pages = tuple(Span(a, b) for a, b in pairwise(edges)) if draw(st.booleans()) else ()
    ends = [*starts[1:], len(text)]
    spans = [Span(a, b) for a, b in zip(starts, ends, strict=True) if b > a]
    marks = draw(st.lists(st.sampled_from(["", "", "row", "furniture"]), min_size=len(spans), max_size=len(spans)))
    return Document(
        name=name,
        text=text,
        sections=sections,
        pages=pages,
        rows=tuple(span for span, mark in zip(spans, marks, strict=True) if mark == "row"),
        furniture=tuple(span for span, mark in zip(spans, marks, strict=True) if mark == "furniture"),
    )


def _sections(draw, cuts, length):
    depths = draw(st.lists(st.integers(1, 4), min_size=len(cuts), max_size=len(cuts)))
    sections = []
    for index, (start, depth) in enumerate(zip(cuts, depths, strict=True)):
        closing = (cuts[later] for later in range(index + 1, len(cuts)) if depths[later] <= depth)
        end = next(closing, length)
        sections.append(Section(title=f"Section {index}", span=Span(start, end), depth=depth))
    return tuple(sections)


@st.composite
def documents(draw):
    """A random file, or a folder of up to five."""
    if draw(st.booleans()):
        return draw(files())
    parts = tuple(draw(files(name=f"{index}.txt")) for index in range(draw(st.integers(1, 5))))
    return Document(name="folder", media="folder", parts=parts)


def chart():
    """A short chart with sections, a table and a repeated footer."""
    text = (
        "# Discharge letter\n\nMr Okoro was admitted with a gastrointestinal bleed on warfarin.\n"
        "Warfarin was stopped on 3 May 2024. Apixaban 5 mg twice daily was begun on 10 May 2024.\n\n"
        "# Laboratory\n\n| Test | 1 May | 3 May |\n| --- | --- | --- |\n| INR | 4.8 | 1.2 |\n"
        "| Haemoglobin (g/L) | 78 | 96 |\n| Creatinine (µmol/L) | 141 | 128 |\n\n"
        "# Social history\n\nHe lives with his daughter. He stopped smoking in 2009.\nConfidential\n"
    )
    titles = ("Discharge letter", "Laboratory", "Social history")
    starts = [text.index(f"# {title}") for title in titles]
    sections = tuple(
        Section(title=title, span=Span(a, b))
        for title, a, b in zip(titles, starts, [*starts[1:], len(text)], strict=True)
    )
    rows = tuple(
        Span(text.index(line), text.index(line) + len(line))
        for line in text.splitlines(keepends=True)
        if line.startswith("|")
    )
    footer = text.index("Confidential")
    return Document(
        name="chart.md",
        text=text,
        media="markdown",
        sections=sections,
        rows=rows,
        furniture=(Span(footer, len(text)),),
    )


def long_text(paragraphs=400):
    """Plain prose without headings, every paragraph its own."""
    return "\n\n".join(
        f"Clause {n} of the agreement concerns item {n * 7 % 101}. The parties {n} agree on matter {n * 13 % 97}, "
        f"and the supplier delivers {n + 3} units in week {n % 52}."
        for n in range(paragraphs)
    )
