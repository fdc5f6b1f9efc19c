"""LangChain: what is retrieved keeps its budget; what is answered streams, batches, shows itself and fails as told."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from operator import attrgetter

import pytest
from documents import chart, documents, long_text
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.documents import Document as LangChainDocument
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnablePassthrough
from langchain_core.tools import create_retriever_tool

from hierarchy.account import Account
from hierarchy.answer import Answer
from hierarchy.budget import Budget, Usage
from hierarchy.calls import Outcome
from hierarchy.document import Document
from hierarchy.engine import Reasoner
from hierarchy.errors import BudgetTooSmall, DocumentEmpty, DocumentNotFound, InputError, Unavailable
from hierarchy.langchain import HierarchyAnswerer, HierarchyRetriever, cite
from hierarchy.models import ExtractiveModel, FunctionModel, ScriptedModel, forbid_calls
from hierarchy.tokens import count_tokens

CHART = chart()
AGREEMENT = Document(name="agreement.txt", text=long_text(120))
QUESTION = "When was warfarin stopped?"
TEXT = "Warfarin was stopped on 3 May 2024."


def said(text=TEXT, quote="Warfarin was stopped on 3 May 2024.", missing=""):
    """A reply of a composer."""
    return json.dumps({"answer": text, "quotes": [{"source": 1, "text": quote}], "missing": missing})


def answering(text=TEXT):
    """A model that answers every request alike."""
    return FunctionModel(lambda _: said(text))


class Streaming(ScriptedModel):
    """A scripted model that says each reply three characters at a time."""

    streams = True

    def complete(self, request, on_text=None):
        outcome = super().complete(request)
        for at in range(0, len(outcome.text), 3):
            if on_text:
                on_text(outcome.text[at : at + 3])
        return outcome

    async def acomplete(self, request, on_text=None):
        return self.complete(request, on_text)


class Hanging(FunctionModel):
    """A model that says that it was reached, and never replies."""

    def __init__(self):
        super().__init__(lambda _: said())
        self.reached = asyncio.Event()
        self.cancelled = 0

    async def acomplete(self, request):
        self.reached.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        raise AssertionError("never")


class Diary(BaseCallbackHandler):
    """What a callback handler is told, in order."""

    def __init__(self):
        self.pages = []
        self.lock = threading.Lock()

    def note(self, what, detail, **told):
        with self.lock:
            self.pages.append((what, detail, told))

    def on_chain_start(self, serialized, inputs, **told):
        self.note("chain_start", inputs, **told)

    def on_chain_end(self, outputs, **told):
        self.note("chain_end", outputs, **told)

    def on_chain_error(self, error, **told):
        self.note("chain_error", error, **told)

    def on_llm_start(self, serialized, prompts, **told):
        self.note("llm_start", prompts, **told)

    def on_llm_end(self, response, **told):
        self.note("llm_end", response, **told)

    def on_llm_error(self, error, **told):
        self.note("llm_error", error, **told)

    def on_custom_event(self, name, data, **told):
        self.note(name, data, **told)

    def on_retriever_start(self, serialized, query, **told):
        self.note("retriever_start", query, **told)

    def on_retriever_end(self, found, **told):
        self.note("retriever_end", found, **told)

    def on_retriever_error(self, error, **told):
        self.note("retriever_error", error, **told)

    @property
    def words(self):
        return [what for what, _, _ in self.pages]

    def of(self, what):
        return [page for page in self.pages if page[0] == what]


def settled_down():
    """A stream that was given up is wound up in the thread that asked."""
    for thread in threading.enumerate():
        if thread.name == "hierarchy-stream":
            thread.join(10)
            assert not thread.is_alive()


def invoked(runnable, config=None):
    return runnable.invoke(QUESTION, config)


def ainvoked(runnable, config=None):
    return asyncio.run(runnable.ainvoke(QUESTION, config))


def streamed(runnable, config=None):
    return list(runnable.stream(QUESTION, config))


def astreamed(runnable, config=None):
    async def pieces():
        return [piece async for piece in runnable.astream(QUESTION, config)]

    return asyncio.run(pieces())


def answerer(model=None, **options):
    reasoner = options.pop("reasoner", None) or Reasoner(model or answering(), way=options.pop("way", "staged"))
    return HierarchyAnswerer(reasoner=reasoner, **{"document": CHART, **options})


# -- the retriever -----------------------------------------------------------------------------------------------------


def test_a_retriever_finds_the_characters_of_the_file_and_says_where():
    with forbid_calls():
        found = HierarchyRetriever(document=AGREEMENT, budget=300).invoke("What does clause 17 concern?")
    assert any("Clause 17 of the agreement" in one.page_content for one in found)
    for one in found:
        told = one.metadata
        assert one.page_content == AGREEMENT.text[told["start"] : told["end"]]
        assert told["source"] == "agreement.txt"
        assert 0 <= told["relevance"] <= 1
        assert told["tokens"] > 0
        assert set(told) == {
            "source", "page", "start", "end", "heading", "context", "relevance", "tokens", "node"
        }  # fmt: skip
        json.dumps(told)


@settings(max_examples=40)
@given(documents(), st.sampled_from(["warfarin dose", "margin in 2018", "the of and"]), st.integers(20, 400))
def test_what_is_retrieved_counts_at_most_the_budget(document, question, budget):
    """All of `page_content` together, and the text that `cite` makes of it, which is the engine's own."""
    reasoner = Reasoner()
    retriever = HierarchyRetriever(document=document, budget=budget, reasoner=reasoner)
    try:
        found = retriever.invoke(question)
    except (BudgetTooSmall, DocumentEmpty):
        return
    assert sum(count_tokens(one.page_content) for one in found) <= budget
    assert count_tokens(cite(found)) <= budget
    assert cite(found) == reasoner.context(document, question, budget).text
    assert [one.id for one in found] == [one.id for one in retriever.invoke(question)]
    assert len({one.id for one in found}) == len(found)


def test_passages_come_in_document_order_or_by_relevance():
    question = "What do clauses 90, 17 and 3 concern?"
    by_place = HierarchyRetriever(document=AGREEMENT, budget=500).invoke(question)
    by_relevance = HierarchyRetriever(document=AGREEMENT, budget=500, order="relevance").invoke(question)
    starts = [one.metadata["start"] for one in by_place]
    relevances = [one.metadata["relevance"] for one in by_relevance]
    assert starts == sorted(starts)
    assert relevances == sorted(relevances, reverse=True)
    assert {one.id for one in by_place} == {one.id for one in by_relevance}


def test_an_id_depends_on_the_file_and_the_place_and_on_nothing_else(tmp_path):
    """Other files in the folder make no difference; the file's text does."""
    (tmp_path / "a.txt").write_text(AGREEMENT.text)
    (tmp_path / "b.txt").write_text("Something else entirely.")

    def ids(document):
        found = HierarchyRetriever(document=document, budget=20_000).invoke("Clause 17?")
        return [one.id for one in found if one.metadata["source"] == "a.txt"]

    alone = ids(tmp_path / "a.txt")
    assert len(alone) == len(set(alone)) > 1
    assert ids(tmp_path) == alone
    (tmp_path / "a.txt").write_text(AGREEMENT.text + "\n\nOne more line.")
    assert not set(ids(tmp_path / "a.txt")) & set(alone)


def test_a_row_is_cited_under_its_column_heads():
    found = HierarchyRetriever(document=CHART, budget=60).invoke("What was the INR?")
    row = next(one for one in found if "INR" in one.page_content)
    assert "3 May" in row.page_content or "3 May" in row.metadata["context"]
    assert row.metadata["heading"] == "Laboratory"
    assert "Laboratory" in cite(found)


def test_documents_of_langchain_are_retrieved_from():
    pages = [LangChainDocument(f"Page {n}. Item {n * 7}.", metadata={"source": "x.pdf", "page": n}) for n in range(3)]
    found = HierarchyRetriever(document=pages, budget=200).invoke("item 14")
    assert any("Item 14" in one.page_content and one.metadata["page"] == 3 for one in found)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_cannot_be_read_is_an_error_and_never_an_empty_list(tmp_path, asynchronous):
    def retrieve(**options):
        retriever, diary = HierarchyRetriever(**options), Diary()
        try:
            if asynchronous:
                return asyncio.run(retriever.ainvoke(QUESTION, {"callbacks": [diary]}))
            return retriever.invoke(QUESTION, {"callbacks": [diary]})
        finally:
            assert diary.words[-1] == "retriever_error"

    (tmp_path / "empty.txt").write_text(" \n")
    with pytest.raises(DocumentNotFound):
        retrieve(document=tmp_path / "none.pdf")
    with pytest.raises(DocumentEmpty):
        retrieve(document=tmp_path / "empty.txt")
    with pytest.raises(BudgetTooSmall) as small:
        retrieve(document=CHART, budget=3)
    assert small.value.needed_tokens > 3
    assert small.value.trace is not None


def test_a_blank_question_is_an_error():
    with pytest.raises(InputError):
        HierarchyRetriever(document=CHART).invoke("  ")


@pytest.mark.parametrize(
    "options",
    [
        {"document": 7},
        {"document": None},
        {"document": []},
        {"document": CHART, "budget": "much"},
        {"document": CHART, "budget": 0},
        {"document": CHART, "budget": True},
        {"document": CHART, "policy": "best"},
        {"document": CHART, "policy": "expected_gain", "reasoner": Reasoner()},
    ],
)
def test_wrong_options_are_refused_when_they_are_given(options):
    with pytest.raises(InputError):
        HierarchyRetriever(**options)


def test_a_retriever_does_not_block_the_event_loop(monkeypatch):
    """While it reads, other tasks go on."""
    threads = []
    context = Reasoner.context

    def watched(self, *args, **options):
        threads.append(threading.current_thread())
        return context(self, *args, **options)

    monkeypatch.setattr(Reasoner, "context", watched)
    found = asyncio.run(HierarchyRetriever(document=CHART, budget=200).ainvoke(QUESTION))
    assert found == HierarchyRetriever(document=CHART, budget=200).invoke(QUESTION)
    assert threads[0] is not threading.main_thread()


def test_a_retriever_shows_what_it_does():
    diary = Diary()
    found = HierarchyRetriever(document=CHART, budget=200).invoke(QUESTION, {"callbacks": [diary], "tags": ["mine"]})
    assert diary.words[0] == "retriever_start"
    assert diary.words[-1] == "retriever_end"
    assert {"hierarchy.started", "hierarchy.estimated", "hierarchy.allocated"} <= set(diary.words)
    run = diary.pages[0][2]["run_id"]
    assert all(told["run_id"] == run for _, _, told in diary.pages)
    assert diary.pages[-1][1] == found


def test_events_for_handlers_hold_no_texts_of_calls_and_no_columns():
    """Prompts and replies are shown as LLM runs, and the tree's shape is the tree over again."""
    diary = Diary()
    HierarchyAnswerer(document=CHART, budget=600).invoke(QUESTION, {"callbacks": [diary]})
    told = {what: data for what, data, _ in diary.pages if what.startswith("hierarchy.")}
    assert "hierarchy.mapped" not in told
    assert told["hierarchy.reserved"]["tokens"] > 0
    assert "prompt" not in told["hierarchy.reserved"]
    assert "reply" not in told["hierarchy.settled"]
    assert "relevance_permille" not in told["hierarchy.estimated"]


# -- chains ------------------------------------------------------------------------------------------------------------


PROMPT = ChatPromptTemplate.from_template("Answer from the passages.\n\n{passages}\n\n{question}")


def test_a_retriever_in_a_chain():
    """Retrieved, cited, put into a prompt, answered by somebody else's model: sync, async, streamed and in a batch."""
    prompts = []
    chain = (
        {"passages": HierarchyRetriever(document=CHART, budget=200) | cite, "question": RunnablePassthrough()}
        | PROMPT
        | RunnableLambda(lambda prompt: prompts.append(prompt.to_string()) or prompt)
        | FakeListChatModel(responses=["On 3 May."])
        | StrOutputParser()
    )
    assert chain.invoke(QUESTION) == "On 3 May."
    assert asyncio.run(chain.ainvoke(QUESTION)) == "On 3 May."
    assert "".join(chain.stream(QUESTION)) == "On 3 May."
    assert chain.batch([QUESTION, "What was the INR?"]) == ["On 3 May."] * 2
    assert len(prompts) == 5
    assert all("[1] chart.md · " in prompt for prompt in prompts)
    assert "Warfarin was stopped on 3 May 2024." in prompts[0]


def test_a_retriever_as_a_tool():
    tool = create_retriever_tool(HierarchyRetriever(document=CHART, budget=200), "chart", "Reads the chart.")
    assert "Warfarin was stopped on 3 May 2024." in tool.invoke({"query": QUESTION})


def test_an_answerer_in_a_chain():
    """Its answer, its text and its values each go on; a plain function reads a field."""
    assert (answerer() | attrgetter("text")).invoke(QUESTION) == TEXT
    assert (answerer(output="text") | StrOutputParser()).invoke(QUESTION) == TEXT
    chain = RunnablePassthrough.assign(answer=answerer(output="dict")) | (lambda state: state["answer"]["citations"])
    (citation,) = chain.invoke({"question": QUESTION, "language": "en"})
    assert citation["verified"]
    named = RunnableLambda(lambda name: {"question": f"When was {name} stopped?"}) | answerer(output="text")
    assert named.invoke("warfarin") == TEXT


def test_schemas_tell_what_goes_in_and_comes_out():
    assert answerer(output="text").get_output_jsonschema()["type"] == "string"
    assert answerer(output="dict").get_output_jsonschema()["type"] == "object"
    assert "citations" in str(answerer().get_output_jsonschema())
    asked = answerer().get_input_jsonschema()["$defs"]["Asked"]
    assert asked["required"] == ["question"]
    assert set(asked["properties"]) == {"question", "document", "budget"}
    assert answerer().get_name() == "HierarchyAnswerer"
    assert answerer(name="chart").get_name() == "chart"


def test_tracers_are_shown_names_and_not_texts():
    """What is kept of each run says which document, not what stands in it."""
    for runnable in (answerer(), HierarchyRetriever(document=CHART), answerer(document=Reasoner().outline(CHART))):
        dumped = dumpd(runnable)
        assert dumped["type"] == "not_implemented"
        assert "chart.md" in dumped["repr"]
        assert "warfarin" not in str(dumped).lower()
    diary = Diary()
    answerer(document=None).invoke({"question": QUESTION, "document": CHART}, {"callbacks": [diary]})
    assert diary.pages[0][:2] == ("chain_start", {"question": QUESTION, "document": "chart.md"})


# -- the answerer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["extractive", answering()], ids=["extractive", "function"])
@pytest.mark.parametrize("way", ["auto", "staged"])
def test_an_answer_is_the_engines_own(model, way):
    """With whatever model, sync and async alike, within the budget."""
    runnable = HierarchyAnswerer(document=AGREEMENT, budget=1_500, reasoner=Reasoner(model, way=way))
    question = "What does clause 17 concern?"
    answer = runnable.invoke(question)
    assert answer == Reasoner(model, way=way).ask(AGREEMENT, question, 1_500)
    assert asyncio.run(runnable.ainvoke(question)) == answer
    assert 0 < answer.usage.total_tokens <= 1_500
    assert runnable.invoke(question, {"callbacks": [Diary()]}) == answer


def test_an_answerer_without_a_reasoner_needs_no_key():
    with forbid_calls():
        assert TEXT in HierarchyAnswerer(document=CHART, output="text").invoke(QUESTION)


def test_what_is_not_set_comes_with_the_question():
    free = answerer(document=None)
    asked = {"question": QUESTION, "document": CHART, "budget": "2k", "language": "en"}
    assert free.invoke(asked).budget == Budget(2_000)
    assert free.invoke({"question": QUESTION, "document": CHART}).budget == Budget(8_000)
    assert free.bind(document=CHART, budget=900).invoke(QUESTION).budget == Budget(900)
    pages = [LangChainDocument(CHART.text, metadata={"source": "chart"})]
    assert free.invoke({"question": QUESTION, "document": pages}).citations[0].source == "chart"


def test_what_is_set_cannot_be_changed_by_an_input():
    """An input that comes from a stranger neither reads another file nor spends more."""
    fixed = answerer(budget=1_000)
    for extra in ({"document": "/etc/hostname"}, {"budget": 10**6}):
        with pytest.raises(InputError, match="has its own"):
            fixed.invoke({"question": QUESTION, **extra})
        with pytest.raises(InputError, match="has its own"):
            fixed.bind(**extra).invoke(QUESTION)
    assert fixed.invoke({"question": QUESTION}).budget == Budget(1_000)


def test_who_wrote_the_chain_can_make_a_field_configurable():
    field = ConfigurableField(id="budget")
    runnable = answerer(budget=1_000).configurable_fields(budget=field)
    assert runnable.invoke(QUESTION).budget == Budget(1_000)
    assert runnable.with_config(configurable={"budget": 1_234}).invoke(QUESTION).budget == Budget(1_234)


@pytest.mark.parametrize("given", [7, None, {}, {"question": None}, ["q"], {"query": "q"}])
def test_an_input_without_a_question_is_refused_within_the_run(given):
    diary = Diary()
    with pytest.raises(InputError, match="no question"):
        answerer().invoke(given, {"callbacks": [diary]})
    assert diary.words == ["chain_start", "chain_error"]


def test_no_document_and_unknown_arguments_are_refused():
    with pytest.raises(InputError, match="No document"):
        answerer(document=None).invoke(QUESTION)
    with pytest.raises(InputError, match="'stop' can't be bound"):
        answerer().bind(stop=["\n"]).invoke(QUESTION)
    with pytest.raises(InputError):
        answerer(document=[])


@pytest.mark.parametrize("how", [invoked, ainvoked, streamed, astreamed])
def test_errors_are_the_librarys_and_carry_the_trace(how):
    diary = Diary()
    with pytest.raises(BudgetTooSmall) as small:
        how(answerer(budget=20, output="text"), {"callbacks": [diary]})
    assert len(small.value.trace) > 0
    assert diary.pages[-1][:2] == ("chain_error", small.value)
    assert "llm_start" not in diary.words


def test_a_model_that_fails_gives_a_partial_answer_and_an_error_on_its_run():
    diary = Diary()
    answer = answerer(FunctionModel(lambda _: Unavailable("It can't be reached."))).invoke(
        QUESTION, {"callbacks": [diary]}
    )
    assert answer.partial
    assert diary.of("llm_error")
    assert isinstance(diary.of("llm_error")[0][1], Unavailable)
    assert not diary.of("llm_end")
    assert diary.words[-1] == "chain_end"


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [streamed, astreamed])
def test_text_is_streamed_as_it_comes_and_adds_up_to_the_answer(how):
    runnable = answerer(Streaming({"compose": [said()] * 2}), output="text", way="single")
    stream = how(runnable)
    assert len(stream) > 5
    assert "".join(stream) == TEXT == runnable.invoke(QUESTION)


@pytest.mark.parametrize("output", ["answer", "dict"])
def test_other_outputs_are_streamed_in_one(output):
    runnable = answerer(output=output)
    assert streamed(runnable) == astreamed(runnable) == [runnable.invoke(QUESTION)]


def test_a_model_that_cannot_stream_is_streamed_in_one_piece():
    assert list(answerer(output="text").stream(QUESTION)) == [TEXT]


@pytest.mark.parametrize("how", [streamed, astreamed])
def test_a_text_that_begins_anew_comes_after_an_empty_line(how):
    """As it does where a second round of reading finds more."""
    replies = {
        "compose": [said("Perhaps in May.", missing="clauses of the agreement that concern an item")],
        "follow_up": [said()],
    }
    runnable = answerer(Streaming(replies), document=AGREEMENT, output="text", budget=6_000)
    stream = how(runnable)
    assert "".join(stream).startswith(f"Perhaps in May.\n\n{TEXT}")


def test_a_streamed_text_that_did_not_hold_is_followed_by_the_one_that_does():
    """The reply breaks off and can't be read; what stands in for it comes whole."""
    runnable = answerer(Streaming({"compose": ['{"answer": ', said("")], "repair": ["?"]}), output="text", way="single")
    text = runnable.invoke(QUESTION)
    runnable = answerer(Streaming({"compose": ['{"answer": ', said("")], "repair": ["?"]}), output="text", way="single")
    assert "".join(runnable.stream(QUESTION)) == text != ""


def test_a_chain_streams_through():
    runnable = answerer(Streaming({"compose": [said()]}), output="text", way="single")
    chain = RunnableLambda(lambda name: f"When was {name} stopped?") | runnable | StrOutputParser()
    stream = list(chain.stream("warfarin"))
    assert len(stream) > 5
    assert "".join(stream) == TEXT


def test_giving_up_a_stream_stops_the_question():
    """Nothing more is sent after its first piece."""
    model = Streaming({"compose": [said("Perhaps.", missing="the date")], "follow_up": [said()]})
    stream = answerer(model, document=AGREEMENT, output="text").stream(QUESTION)
    next(stream)
    stream.close()
    settled_down()
    assert sum(request.stage == "follow_up" for request in model.requests) <= 1


def test_giving_up_an_async_stream_stops_the_question():
    model = Hanging()

    async def ask():
        stream = answerer(model, output="text").astream(QUESTION)
        first = asyncio.ensure_future(anext(stream))
        await model.reached.wait()
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        await stream.aclose()
        await asyncio.sleep(0.1)

    asyncio.run(ask())
    assert model.cancelled == 1


def test_events_of_a_stream_reach_callback_handlers_and_astream_events():
    async def ask():
        runnable = answerer(Streaming({"compose": [said()]}), output="text", way="single")
        return [event async for event in runnable.astream_events(QUESTION, version="v2")]

    events = asyncio.run(ask())
    names = [event["name"] for event in events if event["event"] == "on_custom_event"]
    assert names[0] == "hierarchy.started"
    assert names[-1] == "hierarchy.finished"
    assert "hierarchy.said" not in names
    chunks = [event["data"]["chunk"] for event in events if event["event"] == "on_chain_stream"]
    assert "".join(chunks) == TEXT
    assert events[-1]["data"]["output"] == TEXT
    (ended,) = [event for event in events if event["event"] == "on_llm_end"]
    assert ended["name"] == "compose"
    assert ended["parent_ids"] == [events[0]["run_id"]]


# -- batches -----------------------------------------------------------------------------------------------------------


class Counting(FunctionModel):
    """A model that knows how many calls were under way at once."""

    def __init__(self):
        super().__init__(lambda _: said())
        self.now = self.most = 0
        self.guard = threading.Lock()

    def enter(self):
        with self.guard:
            self.now += 1
            self.most = max(self.most, self.now)

    def leave(self):
        with self.guard:
            self.now -= 1

    def complete(self, request):
        self.enter()
        time.sleep(0.02)
        self.leave()
        return super().complete(request)

    async def acomplete(self, request):
        self.enter()
        await asyncio.sleep(0.02)
        self.leave()
        return super().complete(request)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_batch_keeps_to_its_concurrency(asynchronous):
    model = Counting()
    runnable = answerer(model, output="text", way="single")
    config = {"max_concurrency": 2}
    questions = [QUESTION] * 6
    texts = (
        asyncio.run(runnable.abatch(questions, config)) if asynchronous else runnable.batch(questions, config)
    )  # fmt: skip
    assert texts == [TEXT] * 6
    assert 1 <= model.most <= 2


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_batch_shares_an_account(asynchronous):
    """Ten questions on a budget for about three: answers or refusals, and never a token more than all may cost."""
    account = Account(Budget(1_500))
    runnable = answerer(budget=800, account=account, way="single")
    questions = [f"{QUESTION} ({n})" for n in range(10)]
    results = (
        asyncio.run(runnable.abatch(questions, return_exceptions=True))
        if asynchronous
        else runnable.batch(questions, {"max_concurrency": 3}, return_exceptions=True)
    )
    answers = [result for result in results if isinstance(result, Answer)]
    assert answers
    assert all(isinstance(result, Answer | BudgetTooSmall) or "udget" in str(result) for result in results)
    assert account.ledger.spent.total_tokens <= 1_500
    assert account.ledger.spent.total_tokens == sum(answer.usage.total_tokens for answer in answers)
    assert not account.ledger.reservations


def test_one_failure_in_a_batch_leaves_the_others():
    results = answerer().batch([QUESTION, "", QUESTION], return_exceptions=True)
    assert [type(result) for result in results] == [Answer, InputError, Answer]


# -- callbacks ---------------------------------------------------------------------------------------------------------


def check_told(diary, answer):
    """A run with each call within it, and the engine's events in their order."""
    assert diary.words[0] == "chain_start"
    assert diary.words[-1] == "chain_end"
    assert diary.pages[-1][1] == answer
    run = diary.pages[0][2]["run_id"]
    events = [word for word in diary.words if word.startswith("hierarchy.")]
    assert len(events) == len(answer.trace) - 1  # the map isn't told
    assert events[0] == "hierarchy.started"
    assert events[-1] == "hierarchy.finished"
    starts, ends = diary.of("llm_start"), diary.of("llm_end")
    assert [told["run_id"] for *_, told in starts] == [told["run_id"] for *_, told in ends]
    assert all(told["parent_run_id"] == run for *_, told in starts)
    assert [told["name"] for *_, told in starts] == ["route", "compose"]
    assert [set(told["tags"]) & {"hierarchy:route", "hierarchy:compose"} for *_, told in starts] == [
        {"hierarchy:route"},
        {"hierarchy:compose"},
    ]
    assert "mine" in starts[0][2]["tags"]
    assert starts[0][2]["metadata"]["ls_model_name"] == "scripted"
    assert QUESTION in starts[1][1][0]
    billed = [response.llm_output["token_usage"]["total_tokens"] for _, response, _ in ends]
    assert sum(billed) == answer.usage.total_tokens


ROUTED = json.dumps({"terms": ["warfarin", "stopped"], "needs": [], "kind": "lookup", "questions": []})
SCRIPT = {"route": [ROUTED], "compose": [said()]}


def test_callback_handlers_see_the_run_its_calls_and_its_events_in_order():
    diary, bill = Diary(), UsageMetadataCallbackHandler()
    answer = answerer(ScriptedModel(SCRIPT), document=AGREEMENT, budget=3_000).invoke(
        QUESTION, {"callbacks": [diary, bill], "tags": ["mine"]}
    )
    check_told(diary, answer)
    words = [
        word for word in diary.words if word in {"llm_start", "llm_end", "hierarchy.reserved", "hierarchy.settled"}
    ]
    assert words == ["hierarchy.reserved", "llm_start", "llm_end", "hierarchy.settled"] * 2
    assert bill.usage_metadata["scripted"]["total_tokens"] == answer.usage.total_tokens


def test_async_callback_handlers_are_awaited():
    class Slow(AsyncCallbackHandler):
        def __init__(self):
            self.names = []

        async def on_custom_event(self, name, data, **told):
            await asyncio.sleep(0.001)
            self.names.append(name)

    slow, diary = Slow(), Diary()
    answer = asyncio.run(
        answerer(ScriptedModel(SCRIPT), document=AGREEMENT, budget=3_000).ainvoke(
            QUESTION, {"callbacks": [slow, diary], "tags": ["mine"]}
        )
    )
    check_told(diary, answer)
    assert len(slow.names) == len(answer.trace) - 1
    assert slow.names[-1] == "hierarchy.finished"


class Angry(BaseCallbackHandler):
    """A handler that doesn't put up with reading."""

    raise_error = True

    def on_custom_event(self, name, data, **told):
        if name == "hierarchy.allocated":
            raise RuntimeError("Enough.")


@pytest.mark.parametrize("how", [invoked, ainvoked, streamed, astreamed])
def test_a_handler_that_raises_ends_the_question(how):
    account = Account(Budget(5_000))
    runnable = answerer(document=AGREEMENT, account=account, budget=3_000, output="text")
    with pytest.raises(RuntimeError, match="Enough"):
        how(runnable, {"callbacks": [Angry()]})
    settled_down()
    assert not account.ledger.reservations
    assert account.ledger.kept_tokens == 0


def test_usage_that_makes_no_sense_is_not_passed_on():
    lying = FunctionModel(lambda _: Outcome(text=said(), usage=Usage(input_tokens=-5, output_tokens=3)))
    bill = UsageMetadataCallbackHandler()
    answer = answerer(lying).invoke(QUESTION, {"callbacks": [bill]})
    assert bill.usage_metadata == {}
    assert 0 < answer.usage.total_tokens <= 8_000


def test_being_overheard_changes_nothing_about_the_reasoner():
    """Its trees, places and margins are the same, and its model is its own again for who isn't watched."""
    model = answering()
    reasoner = Reasoner(model, summary_model=answering())
    runnable = answerer(reasoner=reasoner)
    watched = runnable.invoke(QUESTION, {"callbacks": [Diary()]})
    assert reasoner.model is model
    assert reasoner.outline(CHART) is reasoner.outline(CHART)
    assert watched == runnable.invoke(QUESTION)


def test_a_store_is_shared_by_who_is_watched_and_who_is_not(tmp_path):
    model = answering()
    runnable = answerer(reasoner=Reasoner(model, way="staged", store=tmp_path / "store.db"))
    first, diary = runnable.invoke(QUESTION), Diary()
    calls = len(model.requests)
    again = runnable.invoke(QUESTION, {"callbacks": [diary]})
    assert again.text == first.text
    assert again.usage.total_tokens == 0
    assert len(model.requests) == calls
    assert "hierarchy.recalled" in diary.words
    assert "llm_start" not in diary.words


# -- chat models of LangChain ------------------------------------------------------------------------------------------


def chat(*replies):
    return GenericFakeChatModel(messages=iter([AIMessage(reply) for reply in replies]))


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_chat_model_answers_and_shows_its_own_calls_once(asynchronous):
    class Chats(Diary):
        def on_chat_model_start(self, serialized, messages, **told):
            self.note("chat_start", messages, **told)

    diary = Chats()
    runnable = answerer(chat(said()), way="single", output="text")
    config = {"callbacks": [diary]}
    text = asyncio.run(runnable.ainvoke(QUESTION, config)) if asynchronous else runnable.invoke(QUESTION, config)
    assert text == TEXT
    (start,) = diary.of("chat_start")
    assert start[2]["parent_run_id"] == diary.pages[0][2]["run_id"]
    assert "hierarchy:compose" in start[2]["tags"]
    assert not diary.of("llm_start")
    assert len(diary.of("llm_end")) == 1


def test_a_chat_models_text_is_streamed():
    runnable = answerer(chat(said()), way="single", output="text")
    stream = list(runnable.stream(QUESTION, {"callbacks": [Diary()]}))
    assert len(stream) > 2
    assert "".join(stream) == TEXT


# -- cancellation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("watched", [False, True])
def test_cancelling_gives_the_best_answer_from_what_was_read(watched):
    """The first cancellation is an interrupt, as in the engine."""
    model, diary = Hanging(), Diary()

    async def ask():
        config = {"callbacks": [diary]} if watched else {}
        task = asyncio.ensure_future(answerer(model, way="single").ainvoke(QUESTION, config))
        await model.reached.wait()
        task.cancel()
        return await task

    answer = asyncio.run(ask())
    assert answer.partial
    assert "Warfarin was stopped on 3 May" in answer.text
    assert answer.usage.total_tokens <= 8_000
    if watched:
        assert diary.words[-1] in {"chain_end", "llm_error"}
        assert diary.of("llm_error")


# -- graphs ------------------------------------------------------------------------------------------------------------


def graph_of(node, state):
    from langgraph import graph as graphs

    graph = graphs.StateGraph(state)
    graph.add_node("answer", node)
    graph.add_edge(graphs.START, "answer")
    graph.add_edge("answer", graphs.END)
    return graph


def test_an_answerer_in_a_graph():
    """Found, answered and kept in a checkpoint; custom events reach who streams the graph's events."""
    from langgraph.checkpoint.memory import InMemorySaver
    from typing_extensions import TypedDict

    class State(TypedDict, total=False):
        question: str
        found: list
        answer: dict

    retriever, runnable = HierarchyRetriever(document=CHART, budget=200), answerer(output="dict")
    graph = graph_of(lambda state, config: {"answer": runnable.invoke(state["question"], config)}, State)
    graph.add_node("find", lambda state, config: {"found": retriever.invoke(state["question"], config)})
    graph.add_edge("__start__", "find")
    compiled = graph.compile(checkpointer=InMemorySaver())
    config, diary = {"configurable": {"thread_id": "1"}}, Diary()
    state = compiled.invoke({"question": QUESTION}, {**config, "callbacks": [diary]})
    assert state["answer"]["text"] == TEXT
    assert any("Warfarin" in one.page_content for one in state["found"])
    assert compiled.get_state(config).values["answer"] == state["answer"]
    assert "hierarchy.answered" in diary.words

    async def events():
        return [event async for event in compiled.astream_events({"question": QUESTION}, config, version="v2")]

    names = [event["name"] for event in asyncio.run(events())]
    assert "hierarchy.planned" in names


def test_an_answerer_is_a_node_by_itself():
    """A graph's state is its input; the keys of its output are updates."""
    from typing_extensions import TypedDict

    class State(TypedDict, total=False):
        question: str
        text: str
        citations: list

    graph = graph_of(answerer(output="dict"), State).compile()
    state = graph.invoke({"question": QUESTION})
    assert state["text"] == TEXT
    assert state["citations"][0]["source"] == "chart.md"


def test_a_graphs_stream_of_messages_shows_no_reply_in_its_raw_form():
    """It shows every chat model within; replies in JSON are no messages to people. The text's pieces can be sent on."""
    from langgraph.config import get_stream_writer
    from typing_extensions import TypedDict

    class State(TypedDict, total=False):
        question: str
        text: str

    runnable = answerer(chat(said()), way="single", output="text")

    def node(state, config):
        write, pieces = get_stream_writer(), []
        for piece in runnable.stream(state["question"], config):
            write(piece)
            pieces.append(piece)
        return {"text": "".join(pieces)}

    graph = graph_of(node, State).compile()
    shown = list(graph.stream({"question": QUESTION}, stream_mode=["custom", "messages"]))
    assert not [chunk for mode, chunk in shown if mode == "messages"]
    assert "".join(chunk for mode, chunk in shown if mode == "custom") == TEXT


# -- importing ---------------------------------------------------------------------------------------------------------


def test_importing_the_package_does_not_import_langchain():
    code = (
        "import sys, hierarchy; hierarchy.Reasoner(); hierarchy.sample\n"
        "assert not {name.partition('.')[0] for name in sys.modules} & {'langchain_core', 'langgraph', 'langsmith'}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_langchain_core_the_remedy_is_named():
    code = (
        "import sys; sys.modules['langchain_core'] = None\n"
        "try:\n    import hierarchy.langchain\n"
        "except ImportError as error:\n    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install langchain-core" in ran.stdout


def test_the_extractive_model_is_shown_as_a_call_too():
    """It is billed like one."""
    diary = Diary()
    answer = HierarchyAnswerer(document=CHART, reasoner=Reasoner(ExtractiveModel())).invoke(
        QUESTION, {"callbacks": [diary]}
    )
    (ended,) = diary.of("llm_end")
    assert ended[1].llm_output["token_usage"]["total_tokens"] == answer.usage.total_tokens
    assert ended[1].llm_output["model_name"] == "extractive"
