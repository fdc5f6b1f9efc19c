"""The built-in model: verbatim, readable, within its cap, in a language model's form, silent where it has nothing."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierarchy.calls import Request
from hierarchy.errors import Unavailable
from hierarchy.models import ExtractiveModel
from hierarchy.templates import TEMPLATES, parse_reply, render
from hierarchy.tokens import count_tokens

MODEL = ExtractiveModel()

CASH_FLOW = {
    "n": 1,
    "heading": "Item 8. Financial Statements › Statement of Cash Flows",
    "context": "Years ended December 31 2018 2017 2016 (Millions)",
    "page": 58,
    "text": "Net income 5,363 4,869 5,058\nPurchases of property, plant and equipment (PP&E) (1,577) (1,373) (1,420)\n"
    "Proceeds from sale of PP&E 262 49 58\n",
    "sentences": [(0, 29, 0.1), (29, 103, 0.7), (103, 140, 0.3)],
    "relevance": 0.7,
}
RISKS = {
    "n": 2,
    "heading": "Item 1A. Risk Factors",
    "text": "Our results depend on the weather. Capital markets may be closed to us.",
    "sentences": [(0, 34, 0.02), (35, 71, 0.05)],
    "relevance": 0.05,
}
QUESTION = "What were the purchases of property, plant and equipment in 2018?"


def ask(question, *passages, stage="compose", most=400, model=MODEL):
    variables = {"question": question, "passages": list(passages)}
    prompt = render(stage, variables).text
    return model.complete(Request(stage=stage, prompt=prompt, max_output_tokens=most, variables=variables))


def reply(question, *passages, **options):
    return parse_reply(
        ask(question, *passages, **options).text, fields=TEMPLATES[options.get("stage", "compose")].reply
    )


class TestCompose:
    def test_quotes_the_row_with_what_makes_it_readable(self):
        """The best row is quoted verbatim; in the answer its section, column heads and unit stand before it."""
        read = reply(QUESTION, CASH_FLOW, RISKS)
        row = "Purchases of property, plant and equipment (PP&E) (1,577) (1,373) (1,420)"
        assert read["quotes"][0] == {"source": 1, "text": row}
        assert read["answer"].splitlines()[:2] == [
            "Statement of Cash Flows — Years ended December 31 2018 2017 2016 (Millions)",
            row,
        ]
        assert read["missing"] == ""

    def test_every_quote_is_verbatim_and_from_its_source(self):
        """Quotes stand character by character in the passage they name, at most four of them."""
        passages = [
            {"n": n, "text": f"Ward {n}:  the dose of aspirin was\n{n}0 mg. It rained.", "relevance": 0.5}
            for n in range(1, 9)
        ]
        quotes = reply("What was the dose of aspirin?", *passages)["quotes"]
        assert 1 <= len(quotes) <= 4
        assert all(quote["text"] in passages[quote["source"] - 1]["text"] for quote in quotes)

    def test_prose_comes_without_a_lead(self):
        """A sentence is understood as it stands: its answer is the sentence, on one line."""
        passage = {
            "n": 3,
            "heading": "Discharge",
            "text": "Aspirin was\nstopped on day 3.",
            "sentences": [(0, 29, 0.8)],
        }
        read = reply("When was aspirin stopped?", passage)
        assert read["answer"] == "Aspirin was stopped on day 3."
        assert read["quotes"] == [{"source": 3, "text": "Aspirin was\nstopped on day 3."}]

    def test_relevance_decides_between_equal_words(self):
        """Of two sentences with the same words of the question, the one thought more relevant is quoted first."""
        passage = {"n": 1, "text": "Dose A is 5 mg.\nDose B is 6 mg.", "sentences": [(0, 15, 0.1), (16, 31, 0.9)]}
        assert reply("Which dose?", passage)["quotes"][0]["text"] == "Dose B is 6 mg."

    def test_words_decide_between_equal_relevance(self):
        """Of two sentences thought equally relevant, the one that says more of the question is quoted first."""
        passage = {"n": 1, "text": "The clinic opened.\nAspirin was given.", "sentences": [(0, 18, 0.5), (19, 37, 0.5)]}
        assert reply("Who was given aspirin?", passage)["quotes"][0]["text"] == "Aspirin was given."

    def test_other_words_than_the_question_need_belief(self):
        """A sentence without a word of the question is quoted if the caller believes in it, and else not."""
        passage = {"n": 1, "text": "Purchases of PP&E (1,577)", "sentences": [(0, 25, 0.8)]}
        assert reply("How much capital expenditure?", passage)["quotes"]
        assert not reply("How much capital expenditure?", {**passage, "sentences": [(0, 25, 0.2)]})["quotes"]

    @pytest.mark.parametrize("title", ["## 3 May. Aspirin dose", "Aspirin dose", "Item 4. Aspirin dose in 2021"])
    def test_a_title_answers_nothing(self, title):
        """A line that only names what follows comes after a sentence that says it, however alike the words."""
        text = f"{title}\nThe patient takes a low dose of aspirin."
        passage = {"n": 1, "text": text, "relevance": 0.4, "section": "Item 4. Aspirin dose in 2021"}
        assert reply("Which aspirin dose?", passage)["quotes"][0]["text"].startswith("The patient")

    def test_a_number_is_sought_in_rows_of_the_year_asked(self):
        """Of rows equal in words and relevance the one whose own heads hold the year; prose before either if no number
        is asked."""
        text = "Warranty expense rose.\nWarranty expense 48.3\nWarranty expense 51.2"
        passage = {"n": 1, "text": text, "relevance": 0.4, "contexts": ["", "2023", "2024"]}
        read = reply("How much was warranty expense in 2024?", passage)
        assert read["quotes"][0]["text"] == "Warranty expense 51.2"
        assert read["answer"].splitlines()[0] == "2024"
        assert reply("Did warranty expense rise?", passage)["quotes"][0]["text"] == "Warranty expense rose."

    def test_the_same_is_not_said_twice(self):
        """A sentence repeated nearly word by word is quoted once; rows that differ in their numbers are both quoted."""
        twice = {"n": 1, "text": "The dose of aspirin was low.\nThe dose of aspirin was low!", "relevance": 0.6}
        assert len(reply("What was the dose of aspirin?", twice)["quotes"]) == 1
        rows = {"n": 1, "text": "Dose of aspirin 75\nDose of aspirin 100", "relevance": 0.6}
        assert len(reply("What was the dose of aspirin?", rows)["quotes"]) == 2

    def test_abstains_without_a_match(self):
        """With nothing that fits it answers nothing, and what is missing are the question's own words."""
        read = reply("Who won the football cup in Uruguay?", {**CASH_FLOW, "sentences": [(0, 29, 0.3)]}, RISKS)
        assert read["answer"] == ""
        assert read["quotes"] == []
        assert read["missing"] == "won, football, cup, Uruguay"

    @pytest.mark.parametrize("passages", [(), ({"n": 1, "text": ""},), ({"n": 1, "text": " \n", "sentences": []},)])
    def test_abstains_without_evidence(self, passages):
        """No passage, or none with text, is no error."""
        assert reply("Which dose?", *passages)["answer"] == ""

    def test_a_question_without_words(self):
        """A question of stop words only abstains unless the caller believes in a sentence."""
        assert reply("What is it?", RISKS)["missing"] == "What is it?"
        assert reply("What is it?", CASH_FLOW)["quotes"]

    def test_lines_stand_in_for_sentences(self):
        """A caller without sentence bounds gets lines at the passage's relevance."""
        passage = {key: CASH_FLOW[key] for key in ("n", "text", "relevance")}
        assert reply(QUESTION, passage)["quotes"][0]["text"].startswith("Purchases of property")


class TestRefine:
    def test_copies_what_is_worth_keeping(self):
        """It quotes the sentences that matter as a language model is asked to, verbatim and in document order."""
        quotes = reply(QUESTION, CASH_FLOW, RISKS, stage="refine")["quotes"]
        texts = [quote["text"] for quote in quotes]
        assert {"source": 1, "text": CASH_FLOW["text"][29:103].strip()} in quotes
        assert not any("weather" in text for text in texts)
        assert texts == sorted(texts, key=(CASH_FLOW["text"] + RISKS["text"]).index)
        assert all(quote["text"] in (CASH_FLOW, RISKS)[quote["source"] - 1]["text"] for quote in quotes)

    def test_keeps_nothing_of_nothing(self):
        """A branch without a match comes back with an empty list."""
        assert reply("Who won the football cup in Uruguay?", RISKS, stage="refine")["quotes"] == []

    def test_the_best_survive_a_small_cap(self):
        """When not all quotes fit, whole ones are dropped, the worst first."""
        passage = {
            "n": 1,
            "text": "".join(f"Dose {n}\n" for n in range(10)),
            "sentences": [(7 * n, 7 * n + 6, 0.9 if n == 7 else 0.6) for n in range(10)],
        }
        best = {"source": 1, "text": "Dose 7"}
        most = count_tokens(json.dumps({"quotes": [best]}))
        assert reply("Which dose?", passage, stage="refine", most=most)["quotes"] == [best]
        assert len(reply("Which dose?", passage, stage="refine", most=2 * most)["quotes"]) == 2

    def test_a_short_quote_is_taken_where_the_best_is_too_long(self):
        """One sentence too long for the cap doesn't cost the others."""
        long = "The dose of aspirin " + "and so on " * 60 + "ended."
        passage = {"n": 1, "text": f"{long}\nAspirin dose 5 mg.", "relevance": 0.6}
        quotes = reply("What was the dose of aspirin?", passage, stage="refine", most=40)["quotes"]
        assert quotes == [{"source": 1, "text": "Aspirin dose 5 mg."}]


class TestBill:
    def test_it_is_billed_as_any_other(self):
        """Input is what the prompt counts, output what the reply does, one call, no price."""
        variables = {"question": QUESTION, "passages": [CASH_FLOW]}
        prompt = render("compose", variables).text
        outcome = ask(QUESTION, CASH_FLOW)
        assert outcome.usage.input_tokens == count_tokens(prompt)
        assert outcome.usage.output_tokens == count_tokens(outcome.text)
        assert (outcome.usage.calls, outcome.usage.cost_usd) == (1, 0.0)

    @pytest.mark.parametrize("stage", ["compose", "refine"])
    @pytest.mark.parametrize("most", range(0, 160, 3))
    def test_the_cap_is_obeyed(self, stage, most):
        """A reply never counts more than allowed; from the smallest whole reply on it can be read."""
        outcome = ask(QUESTION, CASH_FLOW, RISKS, stage=stage, most=most)
        assert count_tokens(outcome.text) <= most
        if most >= 24:
            parse_reply(outcome.text, fields=TEMPLATES[stage].reply)

    def test_whole_quotes_are_left_out(self):
        """Under a tight cap fewer quotes come back, each still whole; a shorter match is taken rather than none."""
        passage = {key: CASH_FLOW[key] for key in ("n", "text", "heading", "context", "relevance")}
        question = "Which income, purchases and proceeds?"
        assert len(reply(question, passage, most=400)["quotes"]) == 3
        seen = set()
        for most in range(30, 300, 5):
            quotes = reply(question, passage, most=most)["quotes"]
            assert all(quote["text"] in passage["text"].splitlines() for quote in quotes)
            seen.add(len(quotes))
        assert seen == {0, 1, 2, 3}

    def test_another_counter_is_obeyed(self):
        """Cap and bill go by the model's own counter."""
        words = ExtractiveModel(lambda text: len(text.split()))
        outcome = ask(QUESTION, CASH_FLOW, most=40, model=words)
        assert outcome.usage.output_tokens == len(outcome.text.split()) <= 40

    def test_other_stages_are_errors(self):
        """What it can't do comes back as an error that names the stage, billed for what it was shown."""
        outcome = MODEL.complete(Request(stage="summarise", prompt="one two", max_output_tokens=5))
        assert isinstance(outcome.error, Unavailable)
        assert "summarise" in str(outcome.error)
        assert outcome.usage.total_tokens == 2

    def test_async_is_the_same(self):
        """Both ways of calling give the same outcome."""
        request = Request(
            stage="compose", prompt="x", max_output_tokens=99, variables={"question": "?", "passages": [RISKS]}
        )
        assert asyncio.run(MODEL.acomplete(request)) == MODEL.complete(request)

    @given(
        st.lists(st.text(st.sampled_from("dose aspirin 75mg.,\n<>\"'{}\\"), max_size=60), max_size=3),
        st.integers(0, 80),
        st.sampled_from(["compose", "refine"]),
    )
    @settings(max_examples=120, deadline=None)
    def test_any_text(self, texts, most, stage):
        """Whatever the passages hold, the reply is the same each time, within its cap, and quotes verbatim."""
        passages = [{"n": n, "text": text, "relevance": 0.5} for n, text in enumerate(texts, 1)]
        outcome = ask("Which dose of aspirin?", *passages, stage=stage, most=most)
        assert outcome == ask("Which dose of aspirin?", *passages, stage=stage, most=most)
        assert outcome.usage.output_tokens <= most
        if outcome.text.endswith("}"):
            for quote in json.loads(outcome.text).get("quotes", []):
                assert quote["text"] in texts[quote["source"] - 1]
