"""Stacks as faulthandler writes them."""

from __future__ import annotations

from supervisor.core.stacks import loop_stack, users_frames

DUMP = """\
starting up
Thread 0x00007f01 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait

Current thread 0x00007f02 (most recent call first):
  File "/usr/lib/python3.11/json/decoder.py", line 5 in decode
  File "/etc/shop/workers.py", line 12 in crunch
  File "/etc/shop/workers.py", line 30 in handler
  File "/opt/wippy/runtime/actor.py", line 90 in run
  File "/usr/lib/python3.11/asyncio/events.py", line 84 in _run
  File "/usr/lib/python3.11/asyncio/base_events.py", line 607 in run_forever
  File "/opt/wippy/runtime/boot.py", line 120 in run
"""


def test_the_innermost_frame_of_user_code_in_the_loops_thread_is_found() -> None:
    frames = users_frames(loop_stack(DUMP.splitlines()))
    assert [str(frame) for frame in frames] == [
        "workers.py:12 in crunch",
        "workers.py:30 in handler",
    ]


def test_of_two_dumps_the_last_counts() -> None:
    later = DUMP.replace("line 12", "line 14")
    assert users_frames(loop_stack((DUMP + later).splitlines()))[0].line == 14


def test_where_no_loop_is_there_is_no_stack() -> None:
    assert loop_stack(["", "nothing", *DUMP.splitlines()[:3]]) == ()
