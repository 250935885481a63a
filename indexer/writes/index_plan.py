"""The plan of an `index` or `create`: the client's document with its vectors."""

from indexer.document import Document
from indexer.writes.pending import PendingWrite
from indexer.writes.plan import OutgoingWrite, RecheckPolicy, VectorInsertion, WritePlan, encode_line


def plan_index(pending: PendingWrite, source: str) -> WritePlan:
    """Plan an operation whose document is `source`.

    Raises:
        DocumentError: the source is no JSON object, or holds something else in the place of a vector.
    """
    document = Document(source)
    bare = source
    for field in reversed(pending.settings.fields):
        bare = Document(bare).without_vector(field)
    if pending.runs_pipeline:
        return OutgoingWrite(encode_line(bare), None, RecheckPolicy.ALWAYS)
    return VectorInsertion(source, pending.find_texts(document.values, document.values))
