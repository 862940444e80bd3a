"""Functions, libraries, pools that grow, and mailboxes: from YAML to typed entries."""

from __future__ import annotations

import pytest

from supervisor.core.config import decode, imports, parse, references
from supervisor.core.config.decode import FileDraft
from supervisor.core.spec import (
    Code,
    Entry,
    FunctionEntry,
    HostEntry,
    LibraryCode,
    LibraryEntry,
    PoolSize,
    ProcessEntry,
    ServiceEntry,
)
from wippy.core.backoff import Backoff
from wippy.core.retry import RetryPolicy

HEAD = 'version: "1.0"\nnamespace: app\nentries:\n'


def draft(text: str) -> FileDraft:
    document = parse.parse((HEAD + text).encode(), "app.yaml")
    return decode.decode(
        document, file_path="/etc/shop/app.yaml", environ={}, may_have_runtime=True
    )


def entry(text: str) -> Entry:
    """Return the one entry whose fields are `text`."""
    fields = "".join(f"    {line}\n" for line in text.strip().splitlines())
    found = draft(f"  - name: it\n{fields}")
    assert found.reading.problems == []
    made = found.drafts[0].entry
    assert made is not None
    return made


def problems(text: str) -> list[str]:
    found = draft(text)
    assert found.reading.problems == []
    return [each.message for each in references.judge(found.drafts, found.reading.references)]


def test_a_function_has_all_its_fields() -> None:
    made = entry(
        "kind: function.py\nsource: file://f.py\nmethod: run\nhost: pool\ntimeout: 5s\n"
        "imports: {texts: other:texts, x: x}\nmeta: {owner: me}\n"
        "retry: {attempts: 3, initial_delay: 1s, max_delay: 9s, factor: 3, jitter: 0,\n"
        "  non_retryable: [ValueError, shop.errors.Rejected]}"
    )
    assert made == FunctionEntry(
        id="app:it",
        meta={"owner": "me"},
        place=made.place,
        code=Code(
            method="run",
            path="/etc/shop/f.py",
            imports={"texts": "other:texts", "x": "app:x"},
        ),
        host="app:pool",
        timeout_s=5.0,
        retry=RetryPolicy(3, Backoff(1.0, 9.0, 3.0, 0.0), ("ValueError", "shop.errors.Rejected")),
    )
    assert isinstance(made, FunctionEntry)
    assert made.pool_id == "app:pool"


def test_a_function_that_says_nothing_has_a_lazy_pool_a_limit_and_one_attempt() -> None:
    made = entry("kind: function.py\nmodule: json\nmethod: dumps")
    assert isinstance(made, FunctionEntry)
    assert (made.pool.min, made.pool.max, made.pool_id) == (0, 1, "app:it")
    assert (made.timeout_s, made.retry.attempts) == (60.0, 1)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("{kind: static}", PoolSize(1, 1, 4)),
        ("{kind: static, min: 3}", PoolSize(3, 3, 4)),
        ("{kind: static, max: 3}", PoolSize(3, 3, 4)),
        ("{kind: static, min: 3, max: 3}", PoolSize(3, 3, 4)),
        ("{kind: lazy}", PoolSize(0, 1, 4)),
        ("{kind: lazy, idle_timeout: 5s}", PoolSize(0, 1, 4, 5.0)),
        ("{kind: lazy, max: 4, grow_at: 1}", PoolSize(0, 4, 1)),
        ("{kind: adaptive, max: 4}", PoolSize(1, 4, 4)),
        ("{kind: adaptive, min: 2, max: 4, grow_at: 9, idle_timeout: 1m}", PoolSize(2, 4, 9, 60)),
    ],
)
def test_pools_of_functions(text: str, size: PoolSize) -> None:
    made = entry(f"kind: function.py\nmodule: json\nmethod: dumps\npool: {text}")
    assert isinstance(made, FunctionEntry)
    assert made.pool == size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("3", PoolSize(3, 3)),
        ("{min: 0, max: 8}", PoolSize(0, 8)),
        ("{min: 1, max: 8, grow_at: 5, idle_timeout: 9s}", PoolSize(1, 8, 5, 9.0)),
        ("{min: 2, max: 2}", PoolSize(2, 2)),
    ],
)
def test_workers_of_hosts(text: str, size: PoolSize) -> None:
    made = entry(f"kind: process.host\nworkers: {text}")
    assert isinstance(made, HostEntry)
    assert made.size == size


def test_a_library_is_code_without_a_function() -> None:
    made = entry("kind: library.py\nimports: {x: x}\nsource: |\n  x = 1")
    assert isinstance(made, LibraryEntry)
    assert made.code == LibraryCode(
        text="x = 1\n", origin="/etc/shop/app.yaml:8", imports={"x": "app:x"}
    )


def test_a_mailbox_has_a_size_of_the_code_or_of_the_service() -> None:
    process = entry("kind: process.py\nmodule: json\nmethod: dumps\nmailbox: {size: 5}")
    assert isinstance(process, ProcessEntry)
    assert process.code.mailbox_messages == 5
    plain = entry("kind: process.py\nmodule: json\nmethod: dumps\nmailbox: {}")
    assert isinstance(plain, ProcessEntry)
    assert plain.code.mailbox_messages == 10_000
    service = entry("kind: process.service\nprocess: p\nmailbox: {size: 7}")
    assert isinstance(service, ServiceEntry)
    assert service.mailbox_messages == 7


# --- what imports mean together ------------------------------------------------------------------


def libraries(links: dict[str, list[str]]) -> str:
    return "".join(
        f"  - {{name: {name}, kind: library.py, module: json.x}}\n"
        if not inner
        else f"  - {{name: {name}, kind: library.py, source: 'file://x', imports: "
        f"{{{', '.join(f'i{each}: {each}' for each in inner)}}}}}\n"
        for name, inner in links.items()
    )


@pytest.mark.parametrize(
    ("links", "circles"),
    [
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, []),
        ({"a": ["a"]}, ["app:a imports itself"]),
        ({"a": ["b"], "b": ["a"]}, ["app:a imports itself: app:a imports app:b (app.yaml:4:"]),
        ({"z": ["a"], "a": ["b"], "b": ["a"]}, ["app:a imports itself: app:a imports app:b"]),
        ({"a": ["b"], "b": ["b", "a"]}, ["app:b imports itself", "app:a imports itself: app:a"]),
        ({"a": ["b", "c"], "b": ["a"], "c": ["a"]}, ["app:a imports itself"] * 2),
    ],
)
def test_every_circle_of_imports_is_found_once(
    links: dict[str, list[str]], circles: list[str]
) -> None:
    found = problems(libraries(links))
    assert len(found) == len(circles)
    assert all(each.startswith(start) for each, start in zip(found, circles, strict=True))


def test_a_very_long_chain_of_imports_is_no_recursion() -> None:
    links = {f"l{n}": [f"l{n + 1}"] for n in range(3000)} | {"l3000": []}
    found = problems(libraries(links))
    assert found[0] == "app:l0 reaches 3000 libraries; at most 256 are loaded"
    assert len(found) == 3000 - imports.MAX_LIBRARIES


def test_the_inline_code_that_travels_together_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imports, "MAX_INLINE_BYTES", 20)
    code = "    source: |\n      " + "#" * 12 + "\n"
    text = f"  - name: a\n    kind: library.py\n    imports: {{b: b}}\n{code}"
    assert problems(text + f"  - name: b\n    kind: library.py\n{code}") == [
        "the inline code of app:a and all that it imports has 26 bytes; at most 20"
    ]
    monkeypatch.setattr(imports, "MAX_INLINE_BYTES", 12)
    assert "the inline code of app:b has 13 bytes; at most 12" in problems(
        text + f"  - name: b\n    kind: library.py\n{code}"
    )
