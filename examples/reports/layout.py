"""Page layout of the sample report: a small line-based markup set with reportlab.

# PART I                 part heading            ## Item 1. Business      item: new page, in the contents
### Heading              bold heading            #### Heading             italic heading
=== Statement            centred title, new page, in the index of Item 8
== Note 1. ...           note heading, in the index of Item 8
- text                   bullet                  > text                   small print under a table
@contents, @index, @pagebreak, @space n, @center text
@table <units>; flow 25 24 23 | at 25 24 | cols A, B, C
<row> ...                `[h|t|T] label | cell | cell`: h heading, t subtotal, T total
@end
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import Any

from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_JUSTIFY
from reportlab.lib.pagesizes import letter
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)
from template import Template

BODY, BOLD, ITALIC = "Times-Roman", "Times-Bold", "Times-Italic"
WIDTH = letter[0] - 2 * 60
UNNUMBERED = 2  # the cover and the contents carry no number, so printed page 1 is the third page of the file
CLOSING = {25: "Sept. 27, 2025", 24: "Sept. 28, 2024", 23: "Sept. 30, 2023", 22: "Oct. 1, 2022"}
SHADE = colors.HexColor("#e6eef5")
RULE = colors.HexColor("#333333")


def _style(name: str, font: str, size: float, **options: Any) -> ParagraphStyle:
    return ParagraphStyle(name, fontName=font, fontSize=size, leading=size * 1.32, **options)


STYLES = {
    "text": _style("text", BODY, 10.5, spaceAfter=8, alignment=TA_JUSTIFY),
    "bullet": _style("bullet", BODY, 10.5, spaceAfter=5, leftIndent=22, bulletIndent=10, alignment=TA_JUSTIFY),
    "small": _style("small", BODY, 8, spaceAfter=3, leftIndent=4),
    "part": _style("part", BOLD, 13, spaceAfter=10, alignment=TA_CENTER),
    "item": _style("item", BOLD, 12, spaceAfter=9),
    "heading": _style("heading", BOLD, 10.5, spaceBefore=7, spaceAfter=5),
    "subheading": _style("subheading", "Times-BoldItalic", 10, spaceBefore=4, spaceAfter=4),
    "statement": _style("statement", BOLD, 11.5, spaceAfter=4, alignment=TA_CENTER),
    "center": _style("center", BODY, 10, spaceAfter=4, alignment=TA_CENTER),
    "cover": _style("cover", BOLD, 20, spaceBefore=10, spaceAfter=8, alignment=TA_CENTER),
}


class Anchor(Flowable):
    """A link target that also tells the document which page it fell on."""

    width = height = 0.0

    def __init__(self, key: str, pages: dict[str, int]) -> None:
        super().__init__()
        self.key, self.pages = key, pages

    def draw(self) -> None:
        """Set the target and note the page."""
        self.canv.bookmarkHorizontal(self.key, 0, 24)
        self.pages[self.key] = self.canv.getPageNumber()


class ContentsLine(Flowable):
    """A line of the contents: title, dots, printed page number; the whole line links to its target."""

    def __init__(self, title: str, key: str, page: int, indent: float, bold: bool) -> None:
        super().__init__()
        self.title, self.key, self.page, self.indent, self.bold = title, key, page, indent, bold
        self.width, self.height = WIDTH, 15.0

    def draw(self) -> None:
        """Draw the line and lay its link over it."""
        font, canvas = (BOLD if self.bold else BODY), self.canv
        text = leaders(self.title, font, 10, WIDTH - self.indent - 26)
        canvas.setFont(font, 10)
        canvas.drawString(self.indent, 4, text)
        canvas.drawRightString(WIDTH, 4, str(self.page - UNNUMBERED))
        canvas.linkRect("", self.key, (0, 1, WIDTH, 14), relative=1)


def leaders(label: str, font: str, size: float, width: float) -> str:
    """The label, filled up to the width with dots."""
    room = width - stringWidth(label + " ", font, size)
    if room < 0:
        raise ValueError(f"label does not fit on its line: {label}")
    return label + " " + "." * int(room / stringWidth(".", font, size))


def markup(text: str) -> str:
    """Paragraph text for reportlab: escaped, with *italic* and **bold**, and curly quotes."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    text = re.sub(r"\*(.+?)\*", r"<i>\1</i>", text)
    text = re.sub(r'(^|[\s(])"', "\\1\N{LEFT DOUBLE QUOTATION MARK}", text).replace(
        '"', "\N{RIGHT DOUBLE QUOTATION MARK}"
    )
    return text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")


class Report:
    """Turns the marked-up lines into a PDF; built until the page numbers in the contents stay the same."""

    def __init__(self, lines: Iterable[str], template: Template) -> None:
        self.lines = [line.rstrip() for line in lines]
        self.template = template
        self.pages: dict[str, int] = {}
        self.contents: list[tuple[str, str, int]] = []

    def build(self) -> bytes:
        """The bytes of the PDF, the same each time."""
        while True:
            before = self.pages
            pdf = self._render()
            if self.pages == before:
                return pdf

    def _render(self) -> bytes:
        found: dict[str, int] = {}
        entries: list[tuple[str, str, int]] = []
        story = self._story(found, entries)
        target = io.BytesIO()
        frame = Frame(60, 56, WIDTH, letter[1] - 56 - 62, 0, 0, 0, 0)
        document = BaseDocTemplate(
            target,
            pagesize=letter,
            invariant=1,
            title="Marrowick Corporation - Annual Report on Form 10-K, fiscal 2025",
            author="Marrowick Corporation",
        )
        document.addPageTemplates(PageTemplate("page", [frame], onPage=self._head, onPageEnd=self._foot))
        document.build(story)
        self.pages, self.contents = found, entries
        return target.getvalue()

    @staticmethod
    def _head(canvas: Canvas, _document: BaseDocTemplate) -> None:
        """Running head of every page but the cover."""
        if canvas.getPageNumber() == 1:
            return
        canvas.setFont(BODY, 8)
        canvas.drawString(60, letter[1] - 42, "Marrowick Corporation")
        canvas.drawRightString(60 + WIDTH, letter[1] - 42, "Annual Report on Form 10-K")
        canvas.setLineWidth(0.4)
        canvas.line(60, letter[1] - 47, 60 + WIDTH, letter[1] - 47)

    @staticmethod
    def _foot(canvas: Canvas, _document: BaseDocTemplate) -> None:
        """Foot of every page but the cover: the printed page number and a link back to the contents."""
        page = canvas.getPageNumber()
        if page == 1:
            return
        canvas.setFont(BODY, 8)
        canvas.drawString(60, 34, "Fiscal 2025")
        if page > UNNUMBERED:
            canvas.drawCentredString(letter[0] / 2, 34, str(page - UNNUMBERED))
        canvas.drawRightString(60 + WIDTH, 34, "Table of Contents")
        canvas.linkRect("", "contents", (60 + WIDTH - 62, 31, 60 + WIDTH, 43), relative=0)

    def _story(self, found: dict[str, int], entries: list[tuple[str, str, int]]) -> list[Flowable]:
        story: list[Flowable] = []
        pending: list[Flowable] = []  # headings stay with what follows them

        def add(*flowables: Flowable, keep: bool = False) -> None:
            if pending or keep:
                story.append(KeepTogether([*pending, *flowables]))
                pending.clear()
            else:
                story.extend(flowables)

        def heading(text: str, style: str, level: int | None = None) -> None:
            if level is not None:
                key = f"s{len(entries)}"
                entries.append((text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}"), key, level))
                pending.append(Anchor(key, found))
            pending.append(Paragraph(markup(self.template.fill(text)), STYLES[style]))

        def new_page() -> None:
            add()
            if story and not isinstance(story[-1], PageBreak):
                story.append(PageBreak())

        part_waiting = False
        lines = iter(self.lines)
        for line in lines:
            if not line:
                continue
            mark, _, rest = line.partition(" ")
            if mark == "@table":
                rows = []
                for row in lines:
                    if row == "@end":
                        break
                    if row.strip():
                        rows.append(row)
                add(*self._table(rest, rows), keep=len(rows) <= 34)
            elif mark == "@contents":
                add(Anchor("contents", found), Spacer(1, 4), *self._index((0, 1)))
            elif mark == "@index":
                add(*self._index((2, 3)))
            elif mark == "@pagebreak":
                new_page()
            elif mark == "@space":
                add(Spacer(1, float(rest)))
            elif mark == "@center":
                add(Paragraph(markup(self.template.fill(rest)), STYLES["center"]))
            elif mark == "@cover":
                add(Paragraph(markup(rest), STYLES["cover"]))
            elif mark == "#":
                new_page()
                part_waiting = True
                heading(rest, "part", 0)
            elif mark in ("##", "##~"):
                if mark == "##" and not part_waiting:
                    new_page()
                elif not part_waiting:
                    add(Spacer(1, 10))
                part_waiting = False
                heading(rest, "item", 1)
            elif mark == "===":
                new_page()
                heading(rest, "statement", 2)
            elif mark == "==":
                add(CondPageBreak(150))
                heading(rest, "heading", 3)
            elif mark == "###":
                heading(rest, "heading")
            elif mark == "####":
                heading(rest, "subheading")
            elif mark == "-":
                add(Paragraph(markup(self.template.fill(rest)), STYLES["bullet"], bulletText="\N{BULLET}"))
            elif mark == ">":
                add(Paragraph(markup(self.template.fill(rest)), STYLES["small"]))
            elif line.endswith(("follows.", "follow.", ":")):  # stays with the table it announces
                pending.append(Paragraph(markup(self.template.fill(line)), STYLES["text"]))
            else:
                add(Paragraph(markup(self.template.fill(line)), STYLES["text"]))
        add()
        return story

    def _index(self, levels: tuple[int, int]) -> list[Flowable]:
        """The contents lines of two levels, from the pages of the previous rendering."""
        return [
            ContentsLine(title, key, self.pages[key], 0 if level == levels[0] else 14, level == levels[0] == 0)
            for title, key, level in self.contents
            if level in levels
        ]

    @staticmethod
    def _widths(titles: list[str], rows: list[str], literal: bool, narrow: float, size: float) -> list[float]:
        """Column widths: the usual one, or what the heading or the longest literal cell needs."""
        widths = [max(narrow, stringWidth(title, BOLD, size) + 10) for title in titles]
        for row in rows if literal else []:
            for column, cell in enumerate(row.split("|")[1:]):
                if cell.strip().startswith('"'):
                    widths[column] = max(widths[column], stringWidth(cell.strip()[1:], BOLD, size) + 8)
        return widths

    def _table(self, head: str, rows: list[str]) -> list[Flowable]:
        units, _, columns = head.rpartition(";")
        kind, _, names = columns.strip().partition(" ")
        years: list[int | None]
        if kind == "cols":
            titles = [name.strip() for name in names.split(",")]
            years = [None] * len(titles)
        else:
            years = [int(name) for name in names.split()]
            titles = [CLOSING[year] if kind == "at" else f"20{year}" for year in years if year]
        count = len(titles)
        long = len(rows) > 40  # the cash flow statement still goes on one page
        size = 8.5 if long else 9.0 if count <= 5 else 8.0
        narrow = 72.0 if count <= 3 else 64.0 if count <= 5 else 52.0
        widths = self._widths(titles, rows, kind == "cols", narrow, size)
        label_width = WIDTH - sum(widths)
        data: list[list[str]] = [[units.strip(), *titles]]
        style: list[tuple[Any, ...]] = [
            ("FONT", (0, 0), (-1, -1), BODY, size),
            ("FONT", (0, 0), (0, 0), ITALIC, size),
            ("FONT", (1, 0), (-1, 0), BOLD, size),
            ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
            ("LINEBELOW", (1, 0), (-1, 0), 0.6, RULE),
            ("TOPPADDING", (0, 0), (-1, -1), 0.1 if long else 2.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.2 if long else 3.2),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ("ROWBACKGROUNDS", (0, 1), (-1, -1), [SHADE, colors.white]),
        ]
        for index, row in enumerate(rows, 1):
            match = re.match(r"(?:([htT]) )?(.*)", row)
            flag = (match and match[1]) or ""
            indent = "" if flag else "   "
            label, *specs = [part.strip() for part in (match[2] if match else row).split("|")]
            label = label.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
            if label.startswith("<"):
                label, indent = label[1:], ""
            font = BOLD if flag in ("h", "T") else BODY
            if flag == "h":
                data.append([label, *[""] * count])
                style.append(("FONT", (0, index), (0, index), BOLD, size))
                continue
            if len(specs) == 1 and None not in years:
                specs = specs * count
            cells = [self.template.cell(spec, year) for spec, year in zip(specs, years, strict=True)]
            wordy = kind == "cols" and any(re.search("[a-z]{3}", cell) for cell in cells)
            if wordy:
                data.append([label, *cells])
            else:
                data.append([leaders(indent + label, font, size, label_width - 8), *cells])
            if flag:
                style.append(("LINEABOVE", (1, index), (-1, index), 0.5, RULE))
            if flag == "T":
                style.append(("FONT", (0, index), (-1, index), BOLD, size))
                style.append(("LINEBELOW", (1, index), (-1, index), 0.5, RULE, None, None, None, 2, 1.2))
        for line in data:
            for cell, width in zip(line[1:], widths, strict=True):
                if stringWidth(cell, BOLD, size) > width - 5 and line is not data[0]:
                    raise ValueError(f"cell does not fit in its column: {cell}")
        table = Table(data, [label_width, *widths], repeatRows=1, hAlign="LEFT")
        table.setStyle(TableStyle(style))
        return [Spacer(1, 3), table, Spacer(1, 8)]
