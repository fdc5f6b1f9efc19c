"""Lexicons: matching, the files that come with the library, and a user's own."""

import re
import time
import tomllib
from pathlib import Path

import pytest

import hierarchy
from hierarchy.errors import InputError
from hierarchy.relevance.lexicon import Concept, Expansion, Lexicon, _keys, built_in, expand, load_lexicon
from hierarchy.terms import INSTRUCTION_WORDS, terms

FOLDER = Path(hierarchy.__file__).parent / "lexicons"
FILES = sorted(FOLDER.glob("*.toml"))
INSTRUCTIONS = {term for word in INSTRUCTION_WORDS for term in terms(word)}

ENTRY = '[[concept]]\nasks = ["tide"]\nwords = ["high water"]\nplaces = ["tables"]\n'


def lexicon(name="mine", **asks):
    """A lexicon of concepts whose only word is their own name."""
    concepts = [
        Concept(asks=tuple(phrases), words=(word,), places=(f"{word} chapter",), lexicon=name)
        for word, phrases in asks.items()
    ]
    return Lexicon(name=name, concepts=tuple(concepts))


def written(folder, text, name="mine.toml"):
    """The path of a file with that text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def entries():
    """Every entry that comes with the library, as its file has it."""
    return [
        pytest.param(file.stem, entry, id=f"{file.stem}-{number}")
        for file in FILES
        for number, entry in enumerate(tomllib.loads(file.read_text(encoding="utf-8"))["concept"], start=1)
    ]


# --- Matching ----------------------------------------------------------------------------------------------------


def test_a_question_is_put_in_the_words_of_the_document():
    """A ratio leads to the lines it is computed from, and to the statement that has them."""
    found = expand("What is the quick ratio of Acme in FY2022?", built_in())
    assert found.uses == (("finance", "quick ratio"),)
    assert {"inventori", "asset", "liabil"} <= set(found.words)
    assert ("total", "current", "asset") in found.phrases
    assert ("consolid", "balanc", "sheet") in found.places


def test_nothing_matched_is_an_empty_expansion():
    """A question that no lexicon knows, or without words, adds nothing."""
    for question in ("Where do penguins nest?", "", "the of and", "Please explain.", "???"):
        assert expand(question, built_in()) == Expansion()
        assert not expand(question, built_in())


@pytest.mark.parametrize(
    "question",
    ["returns on the assets", "RETURN ON ASSETS", "Return-on-asset?", "its return, on its assets"],
)
def test_inflection_case_and_small_words_do_not_matter(question):
    """Phrases are compared by stemmed terms."""
    assert expand(question, [lexicon(profit=["return on assets"])]).words == ("profit",)


@pytest.mark.parametrize("question", ["assets return", "return of other assets", "return", "assets"])
def test_the_terms_of_a_phrase_stand_one_after_another(question):
    """Neither another order nor a word between matches."""
    assert not expand(question, [lexicon(profit=["return on assets"])])


def test_the_longest_match_wins():
    """A phrase within a longer one that matched doesn't count, wherever in it it stands."""
    mine = lexicon(whole=["operating cash flow ratio"], part=["cash flow"], front=["operating cash"], end=["ratio"])
    assert expand("operating cash flow ratio", [mine]).words == ("whole",)
    assert expand("operating cash flow", [mine]).words == ("front",)
    assert expand("ratio of cash flow", [mine]).words == ("end", "part")


def test_a_shorter_match_counts_where_the_longest_at_its_place_lost():
    """What a winner leaves free goes to whatever still fits there."""
    mine = lexicon(one=["alpha beta"], long=["beta gamma delta"], single=["alpha"])
    assert expand("alpha beta gamma delta", [mine]).uses == (("mine", "alpha"), ("mine", "beta gamma delta"))


def test_of_equal_matches_the_earlier_one_wins():
    """Ties go to the order of the question."""
    mine = lexicon(first=["alpha beta"], second=["beta gamma"])
    assert expand("alpha beta gamma", [mine]).words == ("first",)


def test_the_longest_match_wins_over_lexicons():
    """Lexicons compete; the same words in two of them count for both, in the order given."""
    finance, clinic = lexicon("finance", goodwill=["impairment"]), lexicon("clinic", kidney=["renal impairment"])
    assert expand("renal impairment", [finance, clinic]).uses == (("clinic", "renal impairment"),)
    other = lexicon("other", brain=["impairments"])
    assert expand("impairment", [other, finance]).uses == (("other", "impairments"), ("finance", "impairment"))
    assert expand("impairment", [finance, other]).words == ("goodwil", "brain")


def test_a_phrase_may_repeat():
    """What is asked twice is listed once."""
    found = expand("debt, debt and debts again", [lexicon(loan=["debt"], bond=["debts again"])])
    assert found.words == ("loan", "bond")
    assert found.uses == (("mine", "debt"), ("mine", "debts again"))


def test_words_are_those_the_question_lacks():
    """No term of the question, no number and no word that only instructs is added; phrases stay whole."""
    concept = Concept(asks=("salt",), words=("table salts", "used for 10 days", "brine"), places=(), lexicon="mine")
    found = expand("Which salt is on the table?", [Lexicon(name="mine", concepts=(concept,))])
    assert found.words == ("day", "brine")
    assert found.phrases == (("tabl", "salt"), ("use", "10", "day"), ("brine",))
    assert found.places == ()


@pytest.mark.parametrize(
    ("question", "phrase"),
    [
        ("How much R&D was there?", "R&D"),
        ("SG&A in 2019?", "SG&A"),
        ("What was D&A?", "D&A"),
        ("What is the P/E?", "P/E"),
        ("results in q4 2020", "Q4"),
        ("What does the 8-K announce?", "8-K"),
        ("the patient's A1c", "A1c"),
    ],
)
def test_abbreviations_of_single_letters_match(question, phrase):
    """What terms would drop is kept whole, and doesn't match its bare digit."""
    assert phrase in [used for _, used in expand(question, built_in()).uses]
    assert phrase not in [used for _, used in expand("part 1, 4 or 8 of it", built_in()).uses]


@pytest.mark.parametrize(
    ("question", "used"),
    [
        ("Is the patient on a blood thinner?", ("clinical", "blood thinner")),
        ("How is his kidney function?", ("clinical", "kidney function")),
        ("Was there a difference in the primary outcomes?", ("clinical", "primary outcome")),
        ("How did they rate their quality of life?", ("clinical", "quality of life")),
        ("Can either side terminate without cause?", ("contracts", "terminate without cause")),
        ("Which state's laws govern it?", ("contracts", "state law governs")),
        ("Is liability capped, is there a cap on liability?", ("contracts", "cap on liability")),
        ("What is the DSO?", ("finance", "DSO")),
        ("How large was capex?", ("finance", "capex")),
        ("What was the free cash flow?", ("finance", "free cash flow")),
        ("Who sits on the board of directors?", ("finance", "board of directors")),
    ],
)
def test_common_questions_are_known(question, used):
    """Everyday questions of each trade find their concept."""
    assert used in expand(question, built_in()).uses


@pytest.mark.parametrize(
    "question",
    [
        "Did it improve compared with last year?",
        "What does the author consider likely?",
        "List the main points.",
        "What operations were added?",
        "Which percentage does it represent?",
        "What was the weighted average?",
        "Where is it located and who owns it?",
    ],
)
def test_words_of_every_trade_match_nothing(question):
    """Stems that mean little alone aren't asks: improvements, consideration, comparator, weight."""
    assert not expand(question, built_in())


# --- The files that come with the library ------------------------------------------------------------------------


def test_the_library_brings_its_lexicons():
    """Each file is loaded, once, and named after itself."""
    assert [lexicon.name for lexicon in built_in()] == [file.stem for file in FILES]
    assert {"clinical", "contracts", "finance"} <= {file.stem for file in FILES}
    assert built_in() is built_in()
    assert all(concept.lexicon == lexicon.name for lexicon in built_in() for concept in lexicon.concepts)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_asks_are_unique_within_a_lexicon(file):
    """No phrase is listed twice, not even in another inflection."""
    concepts = tomllib.loads(file.read_text(encoding="utf-8"))["concept"]
    seen: dict[tuple[str, ...], str] = {}
    for phrase in (phrase for concept in concepts for phrase in concept["asks"]):
        assert _keys(phrase) not in seen, f"{phrase!r} is {seen[_keys(phrase)]!r} again"
        seen[_keys(phrase)] = phrase


@pytest.mark.parametrize(("name", "entry"), entries())
def test_every_entry_is_well_formed(name, entry):
    """Three lists, none empty, each phrase trimmed, searchable and listed once."""
    assert set(entry) == {"asks", "words", "places"}
    for key, phrases in entry.items():
        assert phrases, key
        for phrase in phrases:
            assert phrase == " ".join(phrase.split())
        keys = [_keys(phrase) if key == "asks" else tuple(terms(phrase)) for phrase in phrases]
        assert all(keys)
        assert len(set(keys)) == len(keys), phrases


@pytest.mark.parametrize(("name", "entry"), entries())
def test_no_entry_consists_of_instruction_words(name, entry):
    """Every phrase asked or searched has a word that points somewhere, and not only a number."""
    for phrase in (*entry["asks"], *entry["words"]):
        keys = set(_keys(phrase)) | (set(terms(phrase)) - set(_keys(phrase)))
        assert any(key not in INSTRUCTIONS and not key.isdigit() for key in keys), phrase


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_files_explain_themselves(file):
    """A domain expert who opens one reads what the three lists are before the first entry."""
    head = file.read_text(encoding="utf-8").partition("[[concept]]")[0]
    assert all(line.startswith("#") or not line for line in head.splitlines())
    assert all(re.search(rf"#\s+{key} ", head) for key in ("asks", "words", "places"))


# --- A user's own ------------------------------------------------------------------------------------------------


def test_a_user_adds_a_lexicon(tmp_path):
    """A file of one's own works beside those of the library, under its own name."""
    mine = load_lexicon(written(tmp_path, ENTRY, "harbour.toml"))
    found = expand("When is the next tide, and what of the debts?", (*built_in(), mine))
    assert ("harbour", "tide") in found.uses
    assert {"high", "water"} <= set(found.words)
    assert ("tabl",) in found.places
    assert load_lexicon(str(tmp_path / "harbour.toml")) == mine


def test_words_or_places_may_be_left_out(tmp_path):
    """One of the two is enough: some things are known only by where they stand."""
    for line in ('words = ["high water"]', 'places = ["tables"]'):
        assert load_lexicon(written(tmp_path, f'[[concept]]\nasks = ["tide"]\n{line}\n')).concepts


def test_inflections_in_one_entry_are_forgiven(tmp_path):
    """Singular and plural in one list are one phrase."""
    path = written(tmp_path, ENTRY.replace('["tide"]', '["tide", "tides", "ebb"]'))
    assert load_lexicon(path).concepts[0].asks == ("tide", "ebb")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ENTRY + ENTRY, 'entry 2: "tide" in `asks` is in entry 1 already'),
        (ENTRY + ENTRY.replace("tide", "tides"), 'entry 2: "tides" in `asks` is in entry 1 already'),
        (ENTRY + "[[concept]]\n", "entry 2: `asks` is missing or empty"),
        ('[[concept]]\nasks = []\nwords = ["x y z water"]\n', "entry 1: `asks` is missing or empty"),
        ('[[concept]]\nasks = ["tide"]\n', "entry 1: both `words` and `places` are missing or empty"),
        (ENTRY.replace('["tide"]', '"tide"'), "entry 1: `asks` isn't a list of phrases"),
        (ENTRY.replace('["high water"]', "[7]"), "entry 1: `words` isn't a list of phrases"),
        (ENTRY.replace("high water", "of the"), 'entry 1: "of the" in `words` has only small words'),
        (ENTRY.replace("tables", "s/p"), 'entry 1: "s/p" in `places` has only small words'),
        (ENTRY.replace("tide", "please explain"), 'entry 1: "please explain" in `asks` has only words'),
        (ENTRY.replace("tide", "as is"), 'entry 1: "as is" in `asks` has only words'),
        (ENTRY.replace("words", "word"), "entry 1: `word` isn't known here"),
        (ENTRY.replace("[[concept]]", "[concept]"), "holds no concept"),
        ('concept = ["tide"]', "holds no concept"),
        ("title = 'tides'\n" + ENTRY, "holds `title`"),
        ("# nothing yet\n", "holds no concept"),
        ("", "holds no concept"),
        ("[[concept]\n", "isn't a TOML file"),
        ("[[concept]]\nasks = [tide]\n", "isn't a TOML file"),
    ],
)
def test_a_bad_file_is_named_with_the_entry_and_the_reason(tmp_path, text, says):
    """The message says which file, which entry and what is wrong; the hint what an entry looks like."""
    path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_lexicon(path)
    assert str(path) in caught.value.message
    assert says in caught.value.message
    assert caught.value.hint


def test_a_file_that_cannot_be_read(tmp_path):
    """No file, a folder and something that isn't text are errors with a name, not tracebacks."""
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "binary.toml"):
        with pytest.raises(InputError, match=re.escape(str(path))):
            load_lexicon(path)


def test_a_lexicon_made_in_code_is_checked_too():
    """A phrase that could match nothing, or everything, is refused wherever it comes from."""
    with pytest.raises(InputError, match='"of the"'):
        lexicon(nothing=["of the"])


# --- Speed -------------------------------------------------------------------------------------------------------


def cpu_seconds(work, repeat=7):
    """The least CPU time of several runs: what others do on the machine is not our cost."""
    best = float("inf")
    for _ in range(repeat):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def test_loading_costs_little_more_than_reading_toml():
    """Most of loading is the standard library's parser; ours is at most as much again and half."""
    contents = [file.read_text(encoding="utf-8") for file in FILES]
    parsing = cpu_seconds(lambda: [tomllib.loads(content) for content in contents])
    assert cpu_seconds(lambda: [load_lexicon(file) for file in FILES]) < 2.5 * parsing


def test_the_size_of_the_lexicons_does_not_slow_a_question():
    """Phrases are found by their first term: a thousand times as many that don't fit cost about the same."""
    question = "What was the quick ratio and the interest coverage in 2018, compared with a year before? " * 20
    small = [lexicon(asset=["quick ratio"], interest=["interest coverage"])]
    large = [*small, lexicon("large", **{f"word{n}": [f"phrase {n} nobody asks"] for n in range(2_000)})]
    assert cpu_seconds(lambda: expand(question, large)) < 3 * cpu_seconds(lambda: expand(question, small)) + 1e-4


def test_a_question_is_expanded_in_a_fraction_of_its_budget():
    """Thousands of expansions fit in the time of loading dozens of times: under a millisecond each."""
    question = "What was the quick ratio, the net debt and capital expenditure of Acme in 2018?"
    loading = cpu_seconds(lambda: [load_lexicon(file) for file in FILES])
    assert cpu_seconds(lambda: [expand(question, built_in()) for _ in range(40)]) < loading


OWN = """
[[concept]]
asks = ["churn"]
words = ["customers who did not renew", "renew"]
places = ["retention"]
"""


def test_a_lexicon_of_ones_own_is_used_beside_the_built_in_ones(tmp_path):
    """It lifts what the document calls it, its use shows in the trace, and a broken file is refused with its place."""
    import hierarchy
    from hierarchy.events import Estimated
    from hierarchy.relevance import built_in, estimate, load_lexicon

    path = tmp_path / "saas.toml"
    path.write_text(OWN, "utf-8")
    text = "".join(f"The platform processed {n} thousand orders in week {n}.\n\n" for n in range(300))
    told = "Customers who did not renew made up 4.1 % of the total."
    tree = hierarchy.outline(hierarchy.Document(name="report.txt", text=f"{text}{told}\n\n{text}"))
    (leaf,) = (leaf for leaf in range(len(tree.leaves)) if told in tree.leaf_text(leaf))
    question = "What was churn?"
    with_mine = estimate(tree, question, lexicons=(*built_in(), load_lexicon(path)))
    assert with_mine.leaf[leaf] > estimate(tree, question).leaf[leaf]
    answer = hierarchy.Reasoner(lexicons=[path]).ask(tree, question, budget=700)
    assert any("saas: churn" in use for event in answer.trace.of(Estimated) for use in event.vocabulary)
    path.write_text("[[concept]]\nasks = 3\n", "utf-8")
    with pytest.raises(InputError, match=r"saas\.toml"):
        hierarchy.Reasoner(lexicons=[path])
