"""What an entry says of a connection: its type, where it leads, and how many of it there may be.

    - name: postgres
      kind: registry.entry
      meta: {type: db.sql.postgres}
      data: {host: db1, database: shop, user: shop, pool: {max: 4, idle_timeout: 1m}}

`pool` is the same for all types; the rest of `data` belongs to the driver of the type.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from wippy.core.durations import seconds
from wippy.errors import Invalid

MAX_CONNECTIONS = 1000
"""Of one entry in one process: a server that takes more of one client is hard to find."""
POOL_FIELD = "pool"
HIDDEN = "***"
_SECRET_WORDS = ("password", "passwd", "secret", "token", "key")

S = TypeVar("S", bound=msgspec.Struct)


class Pooling(msgspec.Struct, frozen=True):
    """How connections of one entry are kept, in each process.

    Attributes:
        max_connections: At one time; while an old one is still in use after a change of its entry,
            up to twice as many.
        acquire_timeout_s: How long to wait for one that is free.
        connect_timeout_s: How long opening one may take.
        idle_timeout_s: What nobody has used for so long is closed.
        check_after_s: What was not used for so long is asked for a sign of life before it is
            handed out; 0 asks each time.
    """

    max_connections: int = 4
    acquire_timeout_s: float = 10.0
    connect_timeout_s: float = 5.0
    idle_timeout_s: float = 60.0
    check_after_s: float = 1.0


class Description(msgspec.Struct, frozen=True):
    """A connection, as its entry describes it.

    Attributes:
        entry_id: The entry.
        type: Its `meta.type`, which names the driver.
        data: What the driver is to know.
        pooling: How its connections are kept.
    """

    entry_id: str
    type: str
    data: dict[str, Any]
    pooling: Pooling

    def leads_elsewhere(self, other: Description) -> bool:
        """Say whether a connection that was opened for the one is wrong for the other."""
        return (self.type, self.data) != (other.type, other.data)


def describe(entry_id: str, meta: Mapping[str, Any], data: Mapping[str, Any]) -> Description:
    """Return what an entry says.

    Raises:
        Invalid: It has no `meta.type`, or its `pool` is none; says what is wrong.
    """
    kind = meta.get("type")
    if not isinstance(kind, str) or not kind:
        raise Invalid(
            f"{entry_id} is no connection: it has no 'meta.type', for instance db.sql.postgres"
        )
    rest = {key: value for key, value in data.items() if key != POOL_FIELD}
    return Description(entry_id, kind, rest, _pooling(entry_id, data.get(POOL_FIELD)))


def settings_of(description: Description, wanted: type[S]) -> S:
    """Return the data of `description` as the settings of its driver.

    Numbers may be text, as `${env:PORT}` makes them.

    Raises:
        Invalid: A field is unknown, missing or of another type; names it, and never a value.
    """
    known = [field.encode_name for field in msgspec.structs.fields(wanted)]
    where = f"{description.entry_id} is no {description.type}"
    _refuse_unknown(where, "data", description.data, known)
    try:
        return msgspec.convert(description.data, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"{where}: data: {error}") from None


def hide_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return `text` without what nobody is to read in an error or a log."""
    # The longest first: one may be a part of another.
    for secret in sorted(set(secrets), key=len, reverse=True):
        if secret:
            text = text.replace(secret, HIDDEN)
    return text


def secrets_in(data: Any, *, is_secret: bool = False) -> Iterator[str]:
    """Yield every text in `data` that stands under a name like password, secret or token."""
    if isinstance(data, Mapping):
        for name, value in data.items():
            yield from secrets_in(value, is_secret=is_secret or _names_a_secret(str(name).lower()))
    elif isinstance(data, list):
        for value in data:
            yield from secrets_in(value, is_secret=is_secret)
    elif is_secret and data is not None and not isinstance(data, bool):
        yield str(data)


def _names_a_secret(name: str) -> bool:
    # `password_env` and `password_file` say where one is to be found.
    return any(word in name for word in _SECRET_WORDS) and not name.endswith(("_env", "_file"))


def _pooling(entry_id: str, written: Any) -> Pooling:
    if written is None:
        return Pooling()
    where = f"{entry_id}: data.pool"
    if not isinstance(written, Mapping):
        raise Invalid(f"{where} is a dict, for instance {{max: 4, idle_timeout: 1m}}")
    fields = {"max": "max_connections"} | {
        name.removesuffix("_s"): name for name in Pooling.__struct_fields__ if name.endswith("_s")
    }
    fields.pop("max_connection", None)
    _refuse_unknown(where, "", written, fields)
    return Pooling(**{fields[name]: _bound(where, name, it) for name, it in written.items()})


def _bound(where: str, name: str, value: Any) -> Any:
    if name != "max":
        try:
            return seconds(value)
        except Invalid as error:
            raise Invalid(f"{where}.{name}: {error}") from None
    count = int(value) if isinstance(value, str) and value.isdecimal() else value
    if type(count) is not int or not 1 <= count <= MAX_CONNECTIONS:
        raise Invalid(f"{where}.max is a number from 1 to {MAX_CONNECTIONS}, not {value!r}")
    return count


def _refuse_unknown(where: str, field: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), list(known), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            place = f"{field}.{name}" if field else str(name)
            raise Invalid(f"{where}: unknown field {place!r}; {hint}")
