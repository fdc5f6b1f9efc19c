"""A question as an OpenTelemetry trace: spans of what a trace tells, and their way to a collector.

`spans_of` is pure. Model calls are told by OpenTelemetry's conventions for generative AI, everything else under
`hierarchy.*`::

    hierarchy.ask                    budget, usage, plan, confidence
    ├── hierarchy.section            a branch of the tree that was read or asked about, nested as the tree is
    │   └── chat claude-sonnet-4-5   a model call about it
    └── chat claude-sonnet-4-5       a model call about the whole tree

**No word of the document, the question, a prompt, a reply or the answer leaves unless it is asked for** (`content`),
and nothing is sent anywhere but to the endpoint that the user named or set. A trace has no clock but for how long calls
took: spans are laid out one after another and say so (`hierarchy.synthetic_times`). Ids come from the trace's content,
so that exporting it again adds nothing; two runs that are the same to the byte are one trace.

    spans       what stands where, and when
    telling     attributes: which figures, and which words only if asked for
    delivery    the way to a collector; the only module that imports opentelemetry (the extra `otel`)
"""

from hierarchy.telemetry.delivery import export
from hierarchy.telemetry.spans import Moment, Span, spans_of

__all__ = ["Moment", "Span", "export", "spans_of"]
