"""The benchmark of caps: our own row keeps what the page says of it, and the table's figures are the runs'."""

import json
import sys
from types import SimpleNamespace

import benchmark_caps as benchmark
import pytest
from benchmark_caps import OURS, Run, Said, Scripted, Task, Tool
from loopback import Received

QUESTION = "What were total net sales in fiscal 2025?"
REPL = {"role": "system", "content": "Write a ```repl``` block."}


def received(*messages, number=1):
    return Received(number=number, path="/v1/chat/completions", headers={}, body={"messages": list(messages)})


def asks(text, number=1):
    return received({"role": "user", "content": text}, number=number)


def replied(request, **options):
    return Scripted(QUESTION, **options)(request).text


@pytest.fixture(scope="module")
def tasks():
    return benchmark.workload(3_000, ("ar-01", "pc-05"))


@pytest.mark.parametrize("hoards", [False, True])
def test_ours_stays_within_the_cap_and_answers(tasks, hoards):
    """Billed by the server, not by our own account; and both agree. Never done or not, the model is cut off in time."""
    for task in tasks:
        done = benchmark.run(OURS, task, hoards=hoards)
        assert 0 < done.billed <= task.cap
        assert done.within
        assert done.said.reported == done.billed
        assert done.said.text
        assert hoards or done.said.ended == "answer"


def test_too_small_a_cap_is_refused_before_the_first_call(tasks):
    """Which the table shows as what it is: nothing billed, and an error by its name."""
    small = Task(tasks[0].id, tasks[0].tree, tasks[0].question, 50)
    done = benchmark.run(OURS, small, hoards=False)
    assert (done.said.ended, done.billed, done.calls) == ("BudgetTooSmall", 0, 0)


def test_a_reply_quotes_what_it_was_shown_in_the_form_asked_for():
    prompt = (
        "Answer.\n<passages>\n<1> Notes · p. 3\nThe weather was fine.\n<2>\nTotal net sales in fiscal 2025 were 7.\n"
        '</passages>\n\nReply with JSON only: {"answer": "…", "quotes": [{"source": 1, "text": "…"}], "missing": ""}'
    )
    said = json.loads(replied(asks(prompt)))
    assert said["quotes"][0] == {"source": 2, "text": "Total net sales in fiscal 2025 were 7."}
    assert said["missing"] == ""
    hoarded = json.loads(replied(asks(prompt), hoards=True))
    assert [quote["source"] for quote in hoarded["quotes"]] == [1, 2]
    assert hoarded["missing"]


def test_a_summary_is_of_what_stands_between_the_rules():
    rule = "-" * 21
    body = "It rained.\nNet sales in fiscal 2025 were 7.\nNothing else."
    prompt = f"Context information is below.\n{rule}\n{body}\n{rule}\nQuery: {QUESTION}\nAnswer: "
    assert replied(asks(prompt)) == "Net sales in fiscal 2025 were 7."
    assert replied(asks(prompt), hoards=True).splitlines() == body.splitlines()


@pytest.mark.parametrize("program", ["search", "delegate", "recurse"])
def test_programs_run_and_end_with_an_answer(program, capsys):
    """In a REPL as rlms has it, whose sub-calls this model answers too; the hoarding model's never say they're done."""
    context = "It rained.\nTotal net sales in fiscal 2025 were 7.\n" * 4_000

    def query(prompts):
        return [replied(asks(prompt)) for prompt in prompts]

    names = {"context": context, "answer": {}, "llm_query_batched": query, "rlm_query_batched": query}
    head = {"role": "user", "content": f"Answer the following: {QUESTION}"}
    turns = []
    while "ready" not in names["answer"]:
        reply = replied(received(REPL, head, *turns), program=program)
        code = reply.removeprefix("```repl\n").removesuffix("\n```")
        exec(code, names)
        turns.append({"role": "assistant", "content": reply})
        assert len(turns) <= 3
    assert "net sales in fiscal 2025 were 7." in names["answer"]["content"]
    for turn in range(5):
        hoarded = replied(received(REPL, head, *[{"role": "assistant", "content": ""}] * turn), hoards=True)
        assert "ready" not in hoarded


def test_there_is_an_end_for_whoever_has_none():
    last = asks("Go on.", number=benchmark.MOST_CALLS + 1)
    assert Scripted(QUESTION)(last).status == 400


def test_the_table_says_what_the_runs_were():
    task = SimpleNamespace(cap=100)
    runs = [
        Run("a", task, Said("answer", 90), 90, 2),
        Run("a", task, Said("answer", 100), 100, 2),
        Run("b", task, Said("Error", None), 101, 1),
        Run("b", task, Said("answer", 40), 1_000, 3),
    ]
    assert benchmark.rows(runs) == [
        ("a", "2 × answer", "2 of 2", "2", "95", "100", "95"),
        ("b", "1 × Error, 1 × answer", "0 of 2", "1 to 3", "550", "1,000", "40"),
    ]
    lines = benchmark.table(runs, markdown=True).splitlines()
    assert lines[0].split(" | ")[1] == "came back with"
    assert {line.count("|") for line in lines} == {len(benchmark.HEADS) + 1}
    assert benchmark.table(runs, markdown=False).splitlines()[1].split()[:4] == ["a", "2", "×", "answer"]


def test_what_is_not_installed_is_left_out_and_named(capsys):
    absent = Tool("another", "no-such-package-as-this", OURS.ask)
    assert benchmark.installed([OURS, absent]) == [OURS]
    assert "pip install no-such-package-as-this" in capsys.readouterr().err


def test_nobody_elses_package_is_needed_to_import_it():
    assert not {"rlm", "llama_index"} & set(sys.modules)
