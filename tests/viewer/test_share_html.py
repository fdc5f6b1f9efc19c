"""A trace as one HTML file: the whole story, safe whatever it holds, for any eye, and right in a real browser.

What the browser tests check they check in a headless Chromium where one is on PATH; what can be told from the markup
alone is told from it everywhere.
"""

from __future__ import annotations

import json
import re
import struct
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from headless import NAMES, Browser, browser
from hypothesis import given, settings
from hypothesis import strategies as st
from share_traces import (
    ALL_CHARACTERS,
    ATTACKS,
    HOSTILE,
    QUESTION,
    cut_off,
    extractive,
    hostile,
    report,
    staged,
    version_1,
)

import hierarchy
from hierarchy.document import Document
from hierarchy.errors import InputError
from hierarchy.events import Answered, Mapped, Read, Reserved, Retried, Settled, Started
from hierarchy.redaction import redacted
from hierarchy.trace import Trace
from hierarchy.viewer.share_html import trace_html
from hierarchy.viewer.share_markup import digest
from hierarchy.viewer.share_text import trace_json, trace_markdown
from hierarchy.viewer.text import one_line, plain

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
VOID = {"meta", "br", "hr"}
ELEMENTS = set(
    "html head meta title style body script a header p h1 h2 h3 h4 nav ul ol li main section div span bdi small b sup "
    "dl dt dd figure figcaption table thead tbody tfoot tr th td blockquote mark pre details summary footer br hr "
    "svg g defs pattern path rect line".split()
)


class Page(HTMLParser):
    """A page taken apart: elements with attributes and the text right in them, and whether it nests.

    Attributes:
        elements: Each as name, attributes and path of the names around it.
        text: Everything that is shown.
    """

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = source
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.text = ""
        self.open: list[str] = []
        self.broken: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.broken.append(tag)

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text += data

    def handle_comment(self, data):
        self.broken.append(f"<!--{data}")

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes, _ in self.elements if tag == name]

    def with_class(self, name: str) -> list[dict[str, str | None]]:
        return [each for _, each, _ in self.elements if name in (each.get("class") or "").split()]

    @property
    def ids(self) -> list[str]:
        return [each["id"] for _, each, _ in self.elements if each.get("id")]


TRACES = {"extractive": extractive, "staged": staged, "hostile": hostile}


def tree_for(name: str):
    return None if name == "hostile" else report()


@pytest.fixture(scope="module", params=[(name, whole) for name in TRACES for whole in (True, False)], ids=str)
def page(request) -> Page:
    """Each trace as a page, with the document and without."""
    name, whole = request.param
    return Page(trace_html(TRACES[name](), tree_for(name) if whole else None))


@pytest.fixture(scope="module")
def full() -> Page:
    """The demo with its document."""
    return Page(trace_html(extractive(), report()))


# -- what a page is ----------------------------------------------------------------------------------------------------


def test_pages_are_well_formed(page):
    """Every element is closed where it was opened, every id is there once, and every link leads to one."""
    assert not page.broken
    assert not page.open
    assert len(page.ids) == len(set(page.ids))
    targets = [each["href"] for each in page.named("a")]
    assert targets
    assert all(target.startswith("#") and target[1:] in page.ids for target in targets)
    for _, each, _ in page.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert each.get(name) is None or each[name] in page.ids


def test_pages_load_nothing(page):
    """No element that fetches, no address but of the page itself."""
    assert {tag for tag, _, _ in page.elements} <= ELEMENTS
    for _, each, _ in page.elements:
        assert not {"src", "srcset", "action", "formaction", "style", "ping", "background"} & each.keys()
        assert not [name for name in each if name.startswith("on")]
    style = re.search(r"<style>(.*?)</style>", page.source, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style


def test_pages_forbid_themselves_everything_else(page):
    """The policy allows the one style and the one script by hash, and comes before both."""
    metas = {each.get("http-equiv"): each["content"] for each in page.named("meta") if each.get("http-equiv")}
    policy = dict(part.strip().split(" ", 1) for part in metas["Content-Security-Policy"].split(";"))
    style, script = (re.search(rf"<{tag}>(.*?)</{tag}>", page.source, re.DOTALL)[1] for tag in ("style", "script"))
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'{digest(style)}'",
        "script-src": f"'{digest(script)}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert page.source.index("Content-Security-Policy") < page.source.index("<title>") < page.source.index("<style>")
    assert len(page.named("script")) == len(page.named("style")) == 1


def test_pages_have_a_structure_to_move_by(page):
    """One heading of the first level, none skipped, a language, landmarks, a link that skips to the answer first."""
    assert page.named("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    document = levels[: levels.index(4)] if 4 in levels else levels
    assert all(below <= above + 1 for above, below in pairwise(document))
    for landmark in ("header", "nav", "main", "footer"):
        assert len(page.named(landmark)) == 1
    assert page.named("a")[0] == {"class": "skip", "href": "#answer"}
    assert all(each.get("scope") for each in page.named("th"))
    assert all("aria-label" in each or each.get("aria-hidden") or each.get("role") for each in page.named("svg"))


def test_every_fold_opens_by_keyboard(page):
    """Natively: each is a details element that begins with its one summary, and nothing else is to be clicked."""
    assert len(page.named("details")) == len(page.named("summary"))
    for tag, each, around in page.elements:
        if tag == "summary":
            assert around[-1] == "details"
        assert "tabindex" not in each or each["tabindex"] == "0"
    assert not page.named("button")  # The script adds these, as nothing works them without it.


def test_the_same_gives_the_same_bytes():
    assert trace_html(extractive(), report()) == trace_html(Trace.from_jsonl(extractive().to_jsonl()), report())
    assert trace_html(hostile()) == trace_html(hostile())


def test_pages_are_small(page):
    """Below three megabytes with the bundled report in them."""
    assert len(page.source.encode()) < 600_000


# -- what a page tells -------------------------------------------------------------------------------------------------


def test_a_page_tells_question_answer_and_quotes(full):
    assert QUESTION in full.text
    for citation in extractive().answer()["citations"]:
        assert one_line(citation["quote"]) in full.text
        assert f"page {citation['page']}" in full.text
    assert full.text.count("✓ stands there verbatim") == len(extractive().answer()["citations"]) > 0


def test_quotes_are_marked_where_they_stand(full):
    """A number in the answer leads to the quote, the quote to its place, and its place is the document's own words."""
    marks = re.findall(r'<mark id="quote-(\d+)">(.*?)</mark>', full.source, re.DOTALL)
    quotes = [citation["quote"] for citation in extractive().answer()["citations"]]
    found = {int(number): Page(words).text for number, words in marks}
    assert found == {number: plain(quote) for number, quote in enumerate(quotes, 1)}
    hrefs = [each["href"] for each in full.named("a")]
    for number in found:
        assert f"#cite-{number}" in hrefs
        assert f"#quote-{number}" in hrefs


def test_all_that_was_read_is_highlighted_and_nothing_else(full):
    """Character for character, blank space at the edges aside."""
    text = report().document.text
    read = "".join(text[each.start : each.end] for each in extractive().reads())
    source = re.sub(r'<sup class="cite">.*?</sup>|<span class="page">.*?</span>', "", full.source)
    shown = "".join(Page(each).text for each in re.findall(r'<div class="text read".*?</div>', source, re.DOTALL))
    assert "".join(shown.split()) == "".join(plain(read).split())


def test_the_whole_document_is_there_once(full):
    source = re.sub(r'<sup class="cite">.*?</sup>|<span class="page">.*?</span>', "", full.source)
    shown = "".join(Page(each).text for each in re.findall(r'<div class="text(?: read)?".*?</div>', source, re.DOTALL))
    assert "".join(shown.split()) == "".join(plain(report().document.text).split())


def test_no_quote_is_folded_away(full):
    """Without a script nothing would open it."""
    for tag, each, around in full.elements:
        if tag == "mark" and each.get("id"):
            assert "details" not in around


def test_the_bill_adds_up_to_what_was_spent():
    page = Page(trace_html(staged()))
    spent = staged().usage()
    assert f"{spent.total_tokens:,} of 9,000 tokens spent" in page.text
    for stage, bill in staged().usage_by_stage():
        assert f"{stage}{bill.calls:,}{bill.input_tokens:,}{bill.output_tokens:,}{bill.total_tokens:,}" in page.text
    assert "Hard cap: 9,000 tokens" in page.text
    assert page.with_class("cap")


def test_bars_are_as_wide_as_what_they_stand_for():
    source = trace_html(staged())
    figure = re.search(r"<figure>.*?</figure>", source, re.DOTALL)[0]
    parts = [float(width) for width in re.findall(r'<rect class="part [\w ]+" x="[\d.]+%" width="([\d.]+)%', figure)]
    bills = [bill.total_tokens / 9_000 * 100 for _, bill in staged().usage_by_stage()]
    assert parts[:-1] == pytest.approx(bills, abs=0.001)
    assert sum(parts) == pytest.approx(100, abs=0.01)
    patterns = re.findall(r'fill="url\(#pattern-(\d)\)"', figure)
    assert len(patterns) == len(set(patterns)) == len(bills) - 1  # Stages are told apart without colours.


def test_every_call_is_there_with_all_that_was_said():
    """In order, prompt and reply in full."""
    source = trace_html(staged())
    calls = re.search(r'<ol class="calls">.*?</ol>', source, re.DOTALL)[0]
    texts = [Page(each).text for each in re.findall(r"<pre[^>]*>(.*?)</pre>", calls, re.DOTALL)]
    ends = {event.call: event for event in staged().of(Settled)}
    said = []
    for event in staged().of(Reserved):
        said += [event.prompt, *filter(None, [ends[event.call].reply])]
    assert [each.removeprefix("\n") for each in texts] == [plain(each) for each in said]
    shown = Page(calls).text
    assert "✗ failed" in shown
    assert "attempt 2" in shown
    assert "The provider is <busy>." in shown
    waits = [event.wait_s for event in staged().of(Retried)]
    assert waits
    assert all(f"sent again after {wait:.1f} seconds" in shown for wait in waits)


def test_the_map_says_how_closely_each_part_was_looked_at(full):
    """In a word and a sign, beside the colour; what was read of the parts adds up."""
    map_ = re.search(r'<ul class="map">.*?</section>', full.source, re.DOTALL)[0]
    states = re.findall(
        r'<span class="state"><span class="sign (\w+)" aria-hidden="true">(.)</span>([\w ]+)</span>', map_
    )
    assert {(kind, word) for kind, _, word in states} >= {
        ("verbatim", "verbatim"),
        ("part", "in part"),
        ("unread", "unread"),
    }
    assert all(sign.strip() for _, sign, _ in states)
    assert f"{extractive().receipt()['read_tokens']:,}</b> / 38,734" in map_
    assert "Note 20. Subsequent Events" in map_


def test_the_map_is_folded_where_nothing_happened(full):
    map_ = re.search(r'<ul class="map">.*?</section>', full.source, re.DOTALL)[0]
    for opened, row in re.findall(r"<details( open)?>(<summary.*?</summary>)", map_, re.DOTALL):
        if 'class="name quiet"' in row:
            assert not opened
    assert "<details open>" in map_


def test_what_was_not_read_has_its_price():
    page = Page(trace_html(staged()))
    unread = staged().receipt()["unread"]
    assert f"{sum(each['tokens'] for each in unread):,} tokens in all" in page.text
    assert "To send all of it to the same model would cost $0.1" in page.text
    assert "Sending the whole document once would be 38,734 tokens ($0.1162)" in page.text


def test_without_the_document_the_evidence_is_shown_as_prompts_show_it():
    page = Page(trace_html(staged()))
    assert "The document wasn't at hand when this page was made" in page.text
    marks = re.findall(r'<mark id="quote-1">(.*?)</mark>', page.source, re.DOTALL)
    assert marks == ["we settled with Orchard Lane Markets for $11.7 million"]


def test_another_document_is_refused():
    """Highlights would stand on the wrong words."""
    other = hierarchy.outline(Document(name="other.txt", text="Something else. " * 40))
    with pytest.raises(InputError, match=r"other\.txt isn't the document") as caught:
        trace_html(extractive(), other)
    assert "annual_report.pdf" in caught.value.message
    with pytest.raises(InputError):
        trace_html(redacted(extractive()), report())
    assert "Orchard" in trace_html(redacted(extractive(), keep_key=True), report())  # Who has the file may look.


def test_what_is_cut_off_old_or_redacted_opens():
    for cut in cut_off(staged()):
        page = Page(trace_html(cut, report() if cut.of(Started) else None))
        assert "Incomplete" in page.text
        assert not page.broken
    old = Page(trace_html(version_1(staged()), report()))
    assert "The trace holds no map of the tree" in old.text
    bare = Page(trace_html(version_1(staged())))
    assert "it holds no prompts" in bare.text
    hidden = Page(trace_html(redacted(staged())))
    assert "Redacted" in hidden.text
    assert "Orchard" not in hidden.source


def test_a_folder_is_shown_file_by_file():
    """Reads and quotes go by the file's name."""
    folder = Document(
        name="box",
        media="folder",
        parts=(
            Document(name="a.txt", text="Apples are red. Pears are green.\n"),
            Document(name="b.txt", text="Plums are blue. Cherries are dark.\n"),
        ),
    )
    tree = hierarchy.outline(folder)
    trace = hierarchy.ask(tree, "Which colour are plums?", budget=2_000).trace
    page = Page(trace_html(trace, tree))
    assert [name for name in ("a.txt", "b.txt") if f"<h3>{name}</h3>" in page.source] == ["a.txt", "b.txt"]
    assert not page.broken


# -- what means harm ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_words_are_shown_as_words(attack):
    """Wherever they stand: question, answer, titles, prompts, replies, errors, names, notes, kinds."""
    page = Page(trace_html(hostile(attack)))
    assert not page.broken
    assert not page.open
    assert {tag for tag, _, _ in page.elements} <= ELEMENTS
    assert one_line(attack) in page.text
    assert len(page.named("script")) == 1
    assert not CONTROLS.search(page.source)


@given(st.text(st.characters(codec=None, exclude_categories=()) | st.sampled_from("<>&\"'`=/-!"), max_size=60))
@settings(max_examples=60)
def test_no_text_changes_the_page(words):
    """The same elements with the same attributes, whatever the words; only whether there are any matters."""

    def shape(text: str) -> list[tuple[str, tuple[str, ...]]]:
        page = Page(trace_html(hostile(f"x{text}x")))
        assert not page.broken
        return [(tag, tuple(each)) for tag, each, _ in page.elements]

    assert shape(words) == shape("plain")


def test_a_hostile_document_is_shown_as_words():
    text = f"# Heading {HOSTILE}\n\nThe answer is 42. {HOSTILE}\n\n{ALL_CHARACTERS}\n"
    document = Document(name=HOSTILE, text=text)
    tree = hierarchy.outline(document)
    trace = hierarchy.ask(tree, "What is the answer?", budget=8_000).trace
    page = Page(trace_html(trace, tree))
    assert not page.broken
    assert {tag for tag, _, _ in page.elements} <= ELEMENTS
    assert not CONTROLS.search(page.source)
    assert one_line(HOSTILE) in one_line(page.text)


@given(st.data())
@settings(max_examples=60)
def test_maps_that_contradict_themselves_are_none(data):
    """Columns of other lengths, parents that come later, kinds and files that aren't there: still a page."""
    numbers = st.lists(st.integers(-2, 4), max_size=5).map(tuple)
    mapped = data.draw(
        st.builds(
            Mapped, parents=numbers, kinds=numbers, tokens=numbers, files=numbers, starts=numbers, ends=numbers,
            pages=numbers, kind_names=st.just(("document", "passage")), titles=st.just({"1": "One", "x": 3}),
        )
    )  # fmt: skip
    events = [mapped if isinstance(event, Mapped) else event for event in hostile("words")]
    assert not Page(trace_html(Trace(tuple(events)))).broken


@given(st.lists(st.dictionaries(st.sampled_from(["quote", "source", "page", "start", "end", "verified"]),
                                st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)),
                max_size=3))  # fmt: skip
@settings(max_examples=60)
def test_quotes_of_any_kind_open(citations):
    """Mappings in an answer are anybody's; positions may lie anywhere."""
    tree = hierarchy.outline(Document(name="note.txt", text="Apples are red. Pears are green.\n"))
    events = [
        Answered(text="Words.", citations=tuple(citations), receipt={"unread": tuple(citations), "read_tokens": "x"})
        if isinstance(event, Answered)
        else event
        for event in hierarchy.ask(tree, "Which colour are pears?", budget=2_000).trace
    ]
    trace = Trace(tuple(events))
    assert not Page(trace_html(trace, tree)).broken
    assert trace_markdown(trace)
    assert trace_json(trace)


def test_reads_beyond_the_document_do_no_harm():
    started = extractive().of(Started)[0]
    wild = [
        Read(node="0", source="annual_report.pdf", start=a, end=b, tokens=1)
        for a, b in ((-5, 9), (10**9, 10**10), (9, 3))
    ]
    assert not Page(trace_html(Trace((started, *wild)), report())).broken


# -- in a browser ------------------------------------------------------------------------------------------------------

chromium = pytest.mark.skipif(browser() is None, reason=f"no Chromium on PATH ({', '.join(NAMES)})")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "full": trace_html(extractive(), report()),
        "staged": trace_html(staged(), report()),
        "hostile": trace_html(hostile(HOSTILE + ALL_CHARACTERS)),
        "redacted": trace_html(redacted(staged())),
    }
    for name, text in made.items():
        (folder / f"{name}.html").write_text(text, "utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.fixture(scope="module")
def chrome():
    with Browser() as running:
        yield running


@pytest.fixture
def window(chrome):
    """A browser in which nothing has been complained of yet."""
    chrome.console.clear()
    chrome.requests.clear()
    chrome.scripts(on=True)
    return chrome


@chromium
@pytest.mark.parametrize("name", ["full", "staged", "hostile", "redacted"])
@pytest.mark.parametrize("scripts", [True, False])
def test_a_browser_has_nothing_to_complain_of(window, files, name, scripts):
    """No error on the console (the policy's among them), and no request but for the file itself."""
    window.scripts(on=scripts)
    window.open(files[name])
    assert window.console == []
    assert window.requests == [files[name].resolve().as_uri()]


@chromium
def test_hostile_words_run_nothing(window, files):
    window.open(files["hostile"])
    assert window.run("document.title").startswith(one_line(HOSTILE))
    assert window.run("[...document.querySelectorAll('img, svg[onload], base, iframe, form')].length") == 0
    assert window.run("document.querySelector('h1').textContent") == one_line(HOSTILE + ALL_CHARACTERS)


@chromium
@pytest.mark.parametrize("scripts", [True, False])
def test_a_branch_opens_by_keyboard(window, files, scripts):
    """Tab gets there, Enter opens it, Enter folds it again; with and without the page's script."""
    window.scripts(on=scripts)
    window.open(files["full"])
    window.scripts(on=True)
    for _ in range(60):
        window.press("Tab")
        where = window.run("document.activeElement.closest('.map') ? document.activeElement.tagName : ''")
        if where == "SUMMARY":
            break
    assert where == "SUMMARY"
    before = window.run("document.activeElement.parentElement.open")
    window.press("Enter")
    assert window.run("document.activeElement.parentElement.open") is not before
    window.press("Enter")
    assert window.run("document.activeElement.parentElement.open") is before
    assert window.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@chromium
def test_the_first_tab_skips_to_the_answer(window, files):
    window.open(files["full"])
    window.press("Tab")
    assert window.run("document.activeElement.textContent") == "Skip to the answer"
    assert window.run("document.activeElement.getBoundingClientRect().left >= 0")
    window.press("Enter")
    assert window.run("location.hash") == "#answer"


@chromium
@pytest.mark.parametrize("name", ["full", "staged"])
def test_a_quote_is_scrolled_to_and_seen(window, files, name):
    """From the number in the answer to the list, from there to the highlighted words."""
    window.open(files[name])
    window.run("document.documentElement.style.scrollBehavior = 'auto'")
    window.run("document.querySelector('.said .cite a').click()")
    assert window.run("location.hash") == "#cite-1"
    window.run("document.querySelector('#cite-1 .to-place a').click()")
    window.settle()
    box = window.run("(b => [b.top, b.bottom, b.width])(document.querySelector(':target').getBoundingClientRect())")
    assert window.run("document.querySelector(':target').id") == "quote-1"
    assert 0 <= box[0] < box[1] <= 900
    assert box[2] > 0
    assert window.run("getComputedStyle(document.querySelector(':target')).outlineStyle") == "solid"


@chromium
def test_a_link_into_a_fold_opens_it(window, files):
    """As a find in the page or a link from elsewhere would have it."""
    window.open(files["full"])
    window.run("document.querySelector('.fold').firstElementChild.id = 'inside'; 0")
    window.run("document.querySelectorAll('.fold .text')[0].id = 'deep'; location.hash = '#deep'; 0")
    window.settle()
    assert window.run("document.getElementById('deep').closest('details').open")


@chromium
def test_everything_opens_and_folds_at_once(window, files):
    window.open(files["full"])
    folds = "document.querySelectorAll('#map details').length"
    opened = "document.querySelectorAll('#map details[open]').length"
    began = window.run(opened)
    for label, count in (("Open all", window.run(folds)), ("Fold all", 0), ("As it was", began)):
        window.run(f"[...document.querySelectorAll('#map button')].find(b => b.textContent == {label!r}).click()")
        assert window.run(opened) == count


@chromium
@pytest.mark.parametrize("width", [320, 390, 768, 1_200])
@pytest.mark.parametrize("name", ["full", "staged", "hostile"])
def test_nothing_is_wider_than_the_window(window, files, name, width):
    """From a phone's width on nothing has to be scrolled sideways but tables in their own frames."""
    window.open(files[name], width=width)
    window.run("document.querySelectorAll('details').forEach(each => { each.open = true; }); 0")
    window.settle()
    assert window.run("document.documentElement.scrollWidth") <= width


CONTRAST = """
(() => {
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = at => { for (; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor); if (colour[3] === 1) return colour; }
    return [255, 255, 255, 1]; };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const at = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || ["SCRIPT", "STYLE", "title"].includes(at.tagName)) continue;
    const [one, other] = [light(parse(getComputedStyle(at).color)), light(ground(at))].sort((a, b) => b - a);
    const ratio = (one + .05) / (other + .05);
    if (ratio < 4.5) found.push([at.tagName, at.className, ratio.toFixed(2)].join(" "));
  }
  return [...new Set(found)];
})()
"""


@chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["full", "staged", "hostile", "redacted"])
def test_all_words_can_be_read(window, files, name, scheme):
    """At least 4.5 to 1 against what is behind them, as WCAG's level AA asks, in both schemes."""
    window.open(files[name], prefers_color_scheme=scheme)
    window.run("document.querySelectorAll('details').forEach(each => { each.open = true; }); 0")
    ground = window.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 200) is (scheme == "dark")
    assert window.run(CONTRAST) == []


@chromium
def test_a_picture_can_be_taken(window, files):
    window.open(files["full"], width=800, height=600)
    assert struct.unpack(">II", window.picture()[16:24]) == (800, 600)


@chromium
@pytest.mark.parametrize("name", ["full", "staged"])
def test_it_prints(window, files, name):
    """To a PDF with the answer, the quotes at their places and the bill, on light paper whatever the screen; folds
    that are closed are a line each."""
    from hierarchy import loaders

    window.open(files[name], prefers_color_scheme="dark")
    target = files[name].with_suffix(".pdf")
    target.write_bytes(window.pdf())
    printed = loaders.load(target)
    words = " ".join(printed.text.split())
    assert 2 <= len(printed.pages) <= 30
    assert "11.7 million" in words
    assert "Hard cap" in words
    assert "spent in all" in words
    assert "Note 20. Subsequent Events" in words
    assert "Open all" not in words
    assert json.dumps(words).count("Skip to the answer") == 0
