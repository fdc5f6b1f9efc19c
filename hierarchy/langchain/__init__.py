"""LangChain: a retriever, and a runnable that answers, for chains and graphs.

`HierarchyRetriever` finds what is worth reading within a budget, without calling a model; `HierarchyAnswerer` answers
within one. Each is a runnable like any other: it can be piped, batched, awaited, bound and configured, and callback
handlers see what it does. `cite` makes of what was retrieved the text that a prompt is given.

**Nobody inside imports this**, and only this imports langchain_core: a chat model of LangChain becomes a model of the
`Reasoner` without it (`models`).
"""

try:
    import langchain_core  # noqa: F401  What follows would say less about the remedy.
except ImportError as missing:
    raise ImportError("hierarchy.langchain needs langchain_core: pip install langchain-core") from missing

from hierarchy.langchain.answerer import Asked, HierarchyAnswerer
from hierarchy.langchain.retriever import HierarchyRetriever, cite

__all__ = ["Asked", "HierarchyAnswerer", "HierarchyRetriever", "cite"]
