"""PDFs made for the tests: a filing with every way of declaring its structure."""

import io

from reportlab.lib.pagesizes import letter
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

PROSE = "The Company sells widgets in many countries and expects demand for them to go on growing."
TITLES = ("Item 1. Business", "Item 1A. Risk Factors", "Item 7. Management Discussion", "Item 8. Financial Statements")


def pdf(pages, *, password=None, finish=None):
    """A PDF of pages of lines; a line may be `(text, options)` with `size`, `bold` and `x`."""
    buffer = io.BytesIO()
    encrypt = StandardEncryption(password) if password else None
    canvas = Canvas(buffer, pagesize=letter, encrypt=encrypt, invariant=True)
    for index, lines in enumerate(pages):
        canvas.bookmarkPage(f"page{index}")
        height = 740
        for line in lines:
            text, options = line if isinstance(line, tuple) else (line, {})
            canvas.setFont("Helvetica-Bold" if options.get("bold") else "Helvetica", options.get("size", 10))
            if "x" in options:
                height += 16  # on the line before
            canvas.drawString(options.get("x", 60), height, text)
            height -= 16
        if finish:
            finish(canvas, index)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def filing(*, marks=False, links=False, printed=False):
    """Eight pages of a filing: a cover, contents, four items, signatures and an end; each numbered at its foot."""

    def finish(canvas, index):
        canvas.setFont("Helvetica", 8)
        canvas.drawString(300, 30, str(index + 1))
        if marks and index >= 2 and index - 2 < len(TITLES):
            canvas.addOutlineEntry(TITLES[index - 2], f"page{index}", 0)
        if links and index == 1:
            for place in range(len(TITLES)):
                top = 740 - 16 * (1 + place)
                canvas.linkAbsolute("", f"page{place + 2}", Rect=(60, top - 3, 400, top + 11), thickness=0)
            canvas.linkAbsolute("", "page6", Rect=(60, 740 - 16 * 5 - 3, 400, 740 - 16 * 5 + 11), thickness=0)

    listed = [f"{title} {'.' * 20} {place + 3}" if printed else title for place, title in enumerate(TITLES)]
    signatures = "Signatures" + (" ........ 7" if printed else "")
    cover = ["Annual report of the Widget Company", PROSE]
    contents = ["Table of Contents", *listed, signatures]
    body = [[PROSE, title.upper() if place % 2 else title, PROSE, PROSE] for place, title in enumerate(TITLES)]
    body[3] += ["Consolidated Balance Sheets continue below."]
    closing = [["Signatures", PROSE], [PROSE]]
    return pdf([cover, contents, *body, *closing], finish=finish)
