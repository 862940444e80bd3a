"""Entries that somebody hands over in YAML, outside of the configuration's files.

| the text is | |
|---|---|
| a file of a configuration | `version`, `namespace`, `entries` |
| an entry with its whole id | `id: app:web`, `kind: ...`: as `registry get` shows it |
| a list of such entries | |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from supervisor.core.config import decode, nodes
from supervisor.core.config.documents import document_of
from supervisor.core.config.nodes import Node, Scalar, Style, describe
from supervisor.core.config.parse import Document, line_at, parse
from supervisor.core.config.problems import ConfigErrors, Problem
from supervisor.core.spec import Place
from wippy.core.entry import EntryDoc
from wippy.core.ids import split_id
from wippy.errors import Invalid


def read_entries(
    data: bytes, shown: str, *, folder: str, environ: Mapping[str, str]
) -> list[EntryDoc]:
    """Return the entries of a text, in its order, variables filled in.

    Args:
        data: The text, UTF-8.
        shown: Its name in problems.
        folder: Where relative paths start.
        environ: What `${env:NAME}` reads.

    Raises:
        ConfigErrors: With every problem of the text; what entries say of each other is not judged.
    """
    document = parse(data, shown)
    if document.root is None:
        raise ConfigErrors(document.problems)
    problems = list(document.problems)
    docs: list[EntryDoc] = []
    for part in _parts(document, problems):
        read = decode.decode(
            part, file_path=f"{folder}/{shown}", environ=environ, may_have_runtime=False
        )
        problems += read.reading.problems
        if not read.reading.problems:
            docs += [document_of(draft)[0] for draft in read.drafts]
    problems += _twice(docs, shown)
    if problems:
        raise ConfigErrors(problems)
    return docs


def _parts(document: Document, problems: list[Problem]) -> Iterator[Document]:
    """Yield what `decode` reads: the document as it is, or one for each entry with a whole id."""
    root = document.root
    if isinstance(root, nodes.Mapping) and not _has(root, "id"):
        yield Document(document.file, root, document.lines)
        return
    for node in root.items if isinstance(root, nodes.Sequence) else (root,):
        try:
            yield Document(document.file, _file_of(node), document.lines)
        except Invalid as error:
            assert node is not None
            line = line_at(document.lines, node.place.line)
            problems.append(Problem(place=node.place, message=str(error), line=line))


def _file_of(node: Node | None) -> nodes.Mapping:
    """Return the file that has one entry, which is given with its whole id."""
    if not isinstance(node, nodes.Mapping) or not _has(node, "id"):
        said = describe(node) if node is not None else "nothing"
        raise Invalid(f"an entry here is a mapping with id, kind and its fields, not {said}")
    place = node.place
    given = next(value for key, value in node.pairs if key.text == "id")
    namespace, name = split_id(given.text if isinstance(given, Scalar) else "")
    rest = tuple((key, value) for key, value in node.pairs if key.text != "id")
    entry = nodes.Mapping(place, ((_word(place, "name"), _word(given.place, name)), *rest))
    return nodes.Mapping(
        place,
        (
            (_word(place, "version"), _word(place, decode.VERSIONS[-1])),
            (_word(place, "namespace"), _word(given.place, namespace)),
            (_word(place, "entries"), nodes.Sequence(place, (entry,))),
        ),
    )


def _has(node: nodes.Mapping, key: str) -> bool:
    return any(it.text == key for it, _ in node.pairs)


def _word(place: Place, text: str) -> Scalar:
    return Scalar(place, text, Style.QUOTED)


def _twice(docs: list[EntryDoc], shown: str) -> Iterator[Problem]:
    ids = [doc.id for doc in docs]
    for id_ in sorted({it for it in ids if ids.count(it) > 1}):
        yield Problem(place=Place(shown, 0), message=f"{id_} is given twice")
