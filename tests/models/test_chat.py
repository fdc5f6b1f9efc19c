"""LangChain's chat models as models: their text, their bill, the cap in their own words, their failures as outcomes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel, FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field, SecretStr

from hierarchy.calls import Request
from hierarchy.errors import ContextExceeded, InputError, OutputInvalid, Refused, Unavailable
from hierarchy.models import (
    CallsForbidden,
    ChatModel,
    ExtractiveModel,
    Model,
    ProviderModel,
    ScriptedModel,
    as_model,
    forbid_calls,
)

REQUEST = Request(stage="compose", prompt="Which dose?", max_output_tokens=40)
WAYS = ("sync", "sync-stream", "async", "async-stream")


class Chat(BaseChatModel):
    """A chat model with a cap among its fields, which says what it is told and notes what it was asked."""

    model_name: str = "gpt-4o"
    max_tokens: int | None = None
    message: Any = None
    error: Any = None
    asked: list[Any] = []  # noqa: RUF012 - a field, copied for each instance

    @property
    def _llm_type(self):
        return "chat"

    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_provider": "openai", "ls_model_name": self.model_name}

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.asked.append((messages, self.max_tokens, kwargs))
        if self.error:
            raise self.error
        return ChatResult(generations=[ChatGeneration(message=self.message)])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        self.asked.append((messages, self.max_tokens, kwargs))
        if self.error:
            raise self.error
        text = self.message.content
        parts = [text[:4], text[4:]] if isinstance(text, str) else [[block] for block in text]
        for part in parts:
            yield ChatGenerationChunk(message=AIMessageChunk(content=part))
        told = {"usage_metadata": self.message.usage_metadata, "response_metadata": self.message.response_metadata}
        yield ChatGenerationChunk(message=AIMessageChunk(content="", **told))


class Tuned(Chat):
    """One with settings, keys among them."""

    temperature: float = 0.0
    base: Any = "http://a/v1"
    timeout: float | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    api_key: SecretStr | None = None
    plain_api_key: str = ""


def usage(read=12, written=5, **details):
    return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written, **details}


def says(content="75 mg", **others):
    return Chat(message=AIMessage(content=content, **others), asked=[])


def ask(model, way="sync", on_text=None):
    on_text = (on_text or (lambda _: None)) if way.endswith("stream") else None
    if way.startswith("async"):
        return asyncio.run(model.acomplete(REQUEST, on_text))
    return model.complete(REQUEST, on_text)


@pytest.mark.parametrize("way", WAYS)
class TestReplies:
    def test_text_and_bill(self, way):
        """The text, and the bill as the message reports it, with the price of the model that it says it is."""
        model = ChatModel(says(usage_metadata=usage()))
        outcome = ask(model, way)
        assert (outcome.text, outcome.error) == ("75 mg", None)
        assert (outcome.usage.input_tokens, outcome.usage.output_tokens, outcome.usage.calls) == (12, 5, 1)
        assert outcome.usage.cost_usd == pytest.approx(model.price(12, 5))

    def test_no_bill(self, way):
        """A chat model that doesn't count has no bill, rather than one of nothing."""
        assert ask(ChatModel(says()), way).usage is None
        assert ask(ChatModel(FakeListChatModel(responses=["75 mg"])), way).usage is None

    def test_blocks(self, way):
        """Of a list of blocks the text is the reply; thoughts aren't."""
        blocks = [
            {"type": "thinking", "thinking": "Hm."},
            {"type": "text", "text": "75 "},
            {"type": "text", "text": "mg"},
        ]
        assert ask(ChatModel(says(blocks)), way).text == "75 mg"

    def test_only_thoughts(self, way):
        """Nothing but thoughts is told as what it is, with its bill."""
        outcome = ask(ChatModel(says([{"type": "thinking", "thinking": "Hm."}], usage_metadata=usage())), way)
        assert isinstance(outcome.error, OutputInvalid)
        assert "reasoning" in outcome.error.message
        assert outcome.usage.total_tokens == 17

    def test_refusal(self, way):
        """A reply that a filter withheld is a refusal, in whoever's words."""
        outcome = ask(ChatModel(says("", response_metadata={"finish_reason": "SAFETY"}, usage_metadata=usage())), way)
        assert isinstance(outcome.error, Refused)
        assert outcome.usage.total_tokens == 17

    def test_the_cap_is_sent(self, way):
        """The cap is set on a copy of the chat model, each call's own; the caller's stays as it was."""
        chat = says()
        ask(ChatModel(chat), way)
        messages, cap, _ = chat.asked[0]
        assert (cap, chat.max_tokens) == (40, None)
        assert [message.content for message in messages] == ["Which dose?"]

    def test_the_cap_as_an_argument(self, way):
        """A word for the cap can be given; it then goes with the call."""
        chat = says()
        ask(ChatModel(chat, cap="max_new_tokens"), way)
        _, cap, arguments = chat.asked[0]
        assert (cap, arguments["max_new_tokens"]) == (None, 40)

    def test_failures_are_outcomes(self, way):
        """What an integration raises is told like a provider's failure, as far as it says what it is."""
        raised = type("APIStatusError", (Exception,), {"status_code": 429})("slow down")
        assert ask(ChatModel(Chat(error=raised)), way).retry_after_s == 0.0
        raised = type("BadRequestError", (Exception,), {"status_code": 400})("maximum context length is 8192 tokens")
        assert isinstance(ask(ChatModel(Chat(error=raised)), way).error, ContextExceeded)
        raised = ConnectionRefusedError(111, "refused")
        assert ask(ChatModel(Chat(error=raised)), way).unbilled
        outcome = ask(ChatModel(Chat(error=ValueError("no such region sk-abcdef123456"))), way)
        assert isinstance(outcome.error, Unavailable)
        assert outcome.error.message == "openai/gpt-4o failed: no such region [key]"
        assert (outcome.retry_after_s, outcome.unbilled) == (None, False)

    def test_the_fuse(self, way):
        """Under the fuse nothing is asked."""
        chat = says()
        with forbid_calls(), pytest.raises(CallsForbidden):
            ask(ChatModel(chat), way)
        assert chat.asked == []


class TestChatModel:
    @pytest.mark.parametrize("way", ["sync-stream", "async-stream"])
    def test_pieces(self, way):
        """Pieces come as the chat model makes them, and are the text together."""
        pieces = []
        outcome = ask(
            ChatModel(GenericFakeChatModel(messages=iter([AIMessage(content="one two")]))), way, pieces.append
        )
        assert len(pieces) > 1
        assert "".join(pieces) == outcome.text == "one two"

    def test_it_is_a_model(self):
        """It has what the engine asks for, by what it says of itself; a name and a margin can be given."""
        model = ChatModel(says())
        assert isinstance(model, Model)
        assert (model.name, model.cap, model.streams) == ("openai/gpt-4o", "max_tokens", True)
        assert model.count.encoding == "o200k_base"
        assert model.context_tokens == 128_000
        assert model.margin == 1.35
        named = ChatModel(FakeListChatModel(responses=[]), name="mine", margin=1.1)
        assert (named.name, named.margin, named.cap, named.price(1, 1)) == ("mine", 1.1, "", None)

    def test_a_cap_that_is_not_known(self):
        """Without a word for it the cap isn't sent, which `cap` tells; the reply comes as it is."""
        model = ChatModel(FakeListChatModel(responses=["word " * 100]))
        assert model.cap == ""
        assert len(ask(model).text) == 500

    def test_other_settings_are_another_model(self):
        """By class and settings it is told apart in a store's key; what replies don't depend on makes no other."""

        class Another(Chat):
            pass

        def identity(chat, **given):
            return ChatModel(chat, **given).identity

        plain = identity(Tuned())
        others = [
            Tuned(temperature=0.7),
            Tuned(base="http://b/v1"),
            Tuned(model_kwargs={"top_p": 0.5}),
            Chat(),
            Another(),
        ]
        assert len({plain, *map(identity, others)}) == len(others) + 1
        assert len({identity(FakeListChatModel(responses=[text])) for text in ("a", "b")}) == 2
        same = [
            Tuned(temperature=0.0),
            Tuned(verbose=True),
            Tuned(max_tokens=9),
            Tuned(timeout=3.0),
            Tuned(cache=False),
        ]
        assert {identity(chat) for chat in same} == {plain}
        assert plain.startswith("openai/gpt-4o@")
        assert identity(Tuned(), cap="max_new_tokens") != identity(Tuned(max_tokens=9), cap="max_new_tokens")

    def test_keys_are_no_part_of_it(self):
        """A key, wherever it is given, makes no other model, and a setting that is no data is known by its class."""
        keys = [
            Tuned(api_key=SecretStr("sk-1")),
            Tuned(plain_api_key="sk-2"),
            Tuned(model_kwargs={"extra_headers": {"Authorization": "x"}, "access_token": "y"}),
        ]
        told = {ChatModel(chat).identity for chat in keys[:2]}
        assert told == {ChatModel(Tuned()).identity}
        assert ChatModel(keys[2]).identity == ChatModel(Tuned(model_kwargs={"secret": "z"})).identity
        with_user, without = (ChatModel(Tuned(base=f"http://{user}b/v1")).identity for user in ("me:pass@", ""))
        assert with_user == without
        client, other = (ChatModel(Tuned(base=object())).identity for _ in range(2))
        assert client == other

    def test_keys_and_headers_never_show(self):
        """An integration that repeats what it was given is quoted without, wherever it was given."""
        words = ("words-of-ours", "more-of-ours", "still-more-of-ours")
        for error in (ValueError(f"bad: {words}"), ConnectionResetError(f"broke: {words}")):
            chat = Tuned(
                api_key=SecretStr(words[0]),
                plain_api_key=words[1],
                model_kwargs={"extra_headers": {"X-Corp": words[2]}},
                error=error,
            )
            shown = str(ask(ChatModel(chat)).error)
            assert "[key]" in shown
            assert "of-ours" not in shown

    def test_it_is_the_same_in_every_process(self):
        """Whatever the order of a set, and wherever objects lie."""
        code = (
            "from langchain_core.language_models import FakeListChatModel; from hierarchy.models import ChatModel;"
            "print(ChatModel(FakeListChatModel(responses=['a'], metadata={'b': 1})).identity)"
        )
        told = {
            subprocess.check_output([sys.executable, "-c", code], text=True, env={**os.environ, "PYTHONHASHSEED": seed})
            for seed in ("1", "2")
        }
        assert len(told) == 1

    def test_only_chat_models(self):
        """Anything else is refused."""
        with pytest.raises(InputError, match="no chat model"):
            ChatModel("gpt-4o")


class TestAsModel:
    def test_whatever_stands_for_a_model(self):
        """A name, a model or a chat model."""
        scripted = ScriptedModel([])
        assert isinstance(as_model("extractive"), ExtractiveModel)
        assert as_model(scripted) is scripted
        assert as_model(says()).name == "openai/gpt-4o"
        named = as_model("some-model", api_base="http://localhost:1/v1", timeout_s=5)
        assert isinstance(named, ProviderModel)
        assert named.name == "openai/some-model"

    @pytest.mark.parametrize("value", [None, 3, "no-such-model", object(), Chat])
    def test_anything_else(self, value):
        """What is none of these is refused, with what would do."""
        with pytest.raises(InputError) as caught:
            as_model(value)
        assert caught.value.hint

    def test_without_langchain(self):
        """Where nobody imported LangChain, nobody does for this."""
        code = (
            "import sys; from hierarchy.models import as_model; as_model('extractive'); as_model('openai/gpt-4o');"
            "print([name for name in sys.modules if name.startswith('langchain')])"
        )
        assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
