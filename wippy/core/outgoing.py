"""What may be sent: the checks of a topic and of an encoded payload, the same for every sender."""

from __future__ import annotations

from wippy.core.wire import CREDIT_UNIT_BYTES, MAX_MESSAGE_BYTES, MAX_TOPIC_LENGTH
from wippy.errors import Invalid


def check_topic(topic: str) -> None:
    """Raise `Invalid` for what is no topic of a user's; `TypeError` for what is no text."""
    if not isinstance(topic, str):
        raise TypeError(f"a topic is a str, not {topic!r:.80}")
    if not topic or len(topic) > MAX_TOPIC_LENGTH:
        raise Invalid(f"a topic has 1 to {MAX_TOPIC_LENGTH} characters, not {len(topic)}")
    if topic[0] == "@":
        raise Invalid(f"{topic!r}: topics that begin with '@' are the runtime's own")
    if not topic.isprintable():
        raise Invalid(f"{topic!r} is no topic: it must be printable")


def check_size(data: bytes) -> None:
    """Raise `Invalid` for a payload that is too large."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise Invalid(
            f"a message of {len(data)} bytes; at most {MAX_MESSAGE_BYTES} are carried: send parts, "
            "or the name of a file"
        )


def cost_of(data: bytes) -> int:
    """Return the units of credit that a message of this payload takes, at least 1."""
    return -(-len(data) // CREDIT_UNIT_BYTES) or 1
