"""Things done beside others: nothing that was begun is left half done, whoever is interrupted."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from analyzer.convex.beside import Beside, Hand

INTERRUPTED = """
import os, signal, threading
from analyzer.convex.beside import Hand

signal.signal(signal.SIGINT, signal.default_int_handler)
leave, done = threading.Event(), []

def call():
    os.kill(os.getpid(), signal.SIGINT)
    leave.wait(20)
    done.append(1)

hand = Hand()
try:
    hand.do(call)
except KeyboardInterrupt:
    print("interrupted", done)
threading.Timer(0.3, leave.set).start()  # when `end` waits already
hand.end()
print("ended", done)
"""


def test_a_hand_does_one_thing_after_the_other_in_one_thread() -> None:
    hand = Hand()
    assert {hand.do(threading.get_ident) for _ in range(3)} != {threading.get_ident()}
    assert len({hand.do(threading.get_ident) for _ in range(3)}) == 1
    hand.end()


def test_what_a_call_raises_is_raised_where_it_was_asked_for_and_the_next_is_done() -> None:
    hand = Hand()
    with pytest.raises(ZeroDivisionError):
        hand.do(lambda: 1 // 0)
    assert hand.do(lambda: 2) == 2
    hand.end()
    with pytest.raises(ZeroDivisionError):
        Beside(lambda: 1 // 0).result()


def test_an_interrupt_breaks_off_who_waits_and_not_what_is_done() -> None:
    shown = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.splitlines() == ["interrupted []", "ended [1]"]
