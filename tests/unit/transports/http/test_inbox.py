from __future__ import annotations

from jupyter_pyserve.transports.http.inbox import Inbox


def put(inbox: Inbox, data: bytes) -> None:
    inbox.room()[: len(data)] = data
    inbox.filled(len(data))


def test_takes_in_the_order_of_coming() -> None:
    inbox = Inbox()
    put(inbox, b"abc")
    put(inbox, b"def")
    assert bytes(inbox.take(4)) == b"abcd"
    assert bytes(inbox.peek()) == b"ef"
    assert inbox
    assert bytes(inbox.take(100)) == b"ef"
    assert not inbox


def test_a_head_is_taken_when_its_blank_line_is_here() -> None:
    inbox = Inbox()
    put(inbox, b"GET / HTTP/1.1\r\nA: b\r\n\r")
    assert inbox.take_head() is None
    put(inbox, b"\nrest")
    assert inbox.take_head() == b"GET / HTTP/1.1\r\nA: b\r\n\r\n"
    assert bytes(inbox.peek()) == b"rest"


def test_old_bytes_do_not_make_a_head() -> None:
    inbox = Inbox()
    put(inbox, b"one\r\n\r\n")
    assert inbox.take_head() == b"one\r\n\r\n"
    put(inbox, b"two")
    assert inbox.take_head() is None


def test_empty_again_has_all_its_room() -> None:
    inbox = Inbox()
    size = len(inbox.room())
    put(inbox, b"x" * 1000)
    inbox.take(1000)
    assert len(inbox.room()) == size


def test_what_is_left_moves_to_the_start_when_the_end_is_reached() -> None:
    inbox = Inbox()
    size = len(inbox.room())
    put(inbox, b"x" * (size - 3) + b"end")
    inbox.take(size - 3)
    assert not inbox.full()
    assert len(inbox.room()) == size - 3
    assert bytes(inbox.peek()) == b"end"


def test_full_when_nothing_was_taken() -> None:
    inbox = Inbox()
    put(inbox, b"x" * len(inbox.room()))
    assert inbox.full()


def test_there_is_room_behind_what_is_left_even_at_the_end() -> None:
    inbox = Inbox()
    size = len(inbox.room())
    put(inbox, b"x" * (size - 3) + b"end")
    inbox.take(10)
    assert len(inbox.room()) == 10
    assert len(inbox.peek()) == size - 10
    assert bytes(inbox.peek()).endswith(b"end")
