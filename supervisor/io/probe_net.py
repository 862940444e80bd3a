"""Probes over the network: does it accept connections, does it answer well?"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import msgspec

from wippy.errors import Invalid

MAX_STATUS_LINE_BYTES = 4096
"""A status line is 30 bytes; who sends more than this before a line end speaks no HTTP."""

_PASSING = range(200, 400)


class Url(msgspec.Struct, frozen=True):
    """What is needed of a URL.

    Attributes:
        host: Name or address, without brackets.
        port: TCP port.
        authority: Value of the Host header.
        path: Path and query, at least `/`.
        is_tls: https.
    """

    host: str
    port: int
    authority: str
    path: str
    is_tls: bool


def split_address(target: str) -> tuple[str, int]:
    """Return (host, port) of `host:port` or `[v6]:port`; `Invalid` says what is wrong."""
    try:
        parts = urlsplit(f"//{target}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid(f"{target!r} is no address: {error}") from error
    if not host or not port or parts.path or parts.query or parts.username is not None:
        raise Invalid(f"{target!r} is no address; one looks like 127.0.0.1:6379 or [::1]:6379")
    return host, port


def split_url(target: str) -> Url:
    """Return the parts of an http or https URL; `Invalid` says what is wrong."""
    try:
        parts = urlsplit(target)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid(f"{target!r} is no URL: {error}") from error
    # What is sent is one line of printable ASCII; a line end in it would be a second header.
    if not target.isascii() or not target.isprintable() or " " in target:
        raise Invalid(f"{target!r} is no URL: write other characters than ASCII as %xx")
    if parts.scheme not in {"http", "https"} or not host or parts.username is not None:
        raise Invalid(f"{target!r} is no URL to probe; one looks like http://127.0.0.1:8080/health")
    is_tls = parts.scheme == "https"
    query = f"?{parts.query}" if parts.query else ""
    return Url(
        host=host,
        port=port or (443 if is_tls else 80),
        authority=parts.netloc,
        path=(parts.path or "/") + query,
        is_tls=is_tls,
    )


async def accepts(host: str, port: int) -> bool:
    """Say whether a TCP connection is accepted."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except (OSError, ValueError):  # ValueError: a name that cannot exist
        return False
    # A port of the ephemeral range may be given to the connection itself, which then meets itself
    # where nobody listens (simultaneous open, RFC 9293 section 3.5).
    is_itself = writer.get_extra_info("sockname") == writer.get_extra_info("peername")
    writer.transport.abort()
    return not is_itself


async def answers(url: Url) -> bool:
    """Say whether a GET is answered with 2xx or 3xx (a redirect is not followed)."""
    try:
        reader, writer = await asyncio.open_connection(
            url.host, url.port, ssl=True if url.is_tls else None, limit=MAX_STATUS_LINE_BYTES
        )
    except (OSError, ValueError):  # a certificate that does not hold, a name that cannot exist
        return False
    try:
        writer.write(_request(url))
        return _status(await reader.readline()) in _PASSING
    except (OSError, ValueError):  # ValueError: a line longer than the limit
        return False
    finally:
        writer.transport.abort()


def _request(url: Url) -> bytes:
    lines = (
        f"GET {url.path} HTTP/1.1",
        f"Host: {url.authority}",
        "User-Agent: wippy-supervisor",
        "Accept: */*",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _status(line: bytes) -> int:
    """Return the status code of a status line (RFC 9112, section 4), 0 if it is none."""
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    return int(code) if version.startswith(b"HTTP/1.") and code.isdigit() else 0
