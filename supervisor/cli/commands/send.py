"""`send`: a message to an actor."""

from __future__ import annotations

from supervisor.cli.messages import (
    Payload,
    Target,
    TimeoutText,
    Topic,
    encode_json,
    reached,
    timeout_of,
)
from supervisor.cli.options import Config, RunDir


def send(
    target: Target,
    topic: Topic,
    json: Payload = "null",
    timeout: TimeoutText = "5s",
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Send a message to an actor; returns when it lies in its mailbox.

    Examples:

        wippy-supervisor send app:worker task '{"id": 1}'
        wippy-supervisor send 'shop/app:pool#1.3/7' stop
    """
    data = encode_json(json)
    with reached(target, timeout_of(timeout), run_dir, config) as (client, pid, left_s):
        client.send(pid, topic, data, left_s)
