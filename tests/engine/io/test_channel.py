import socket
import threading

import numpy as np
import pytest

from cloudseg_ops.engine.io.channel import Array, Channel


def pair() -> tuple[Channel, Channel]:
    one, other = socket.socketpair()
    return Channel(one), Channel(other)


@pytest.mark.parametrize("shape", [(0,), (1, 1), (3, 5, 7), (900, 1100, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_arrays_are_received_unchanged(shape: tuple[int, ...], dtype: type) -> None:
    one, other = pair()
    array: Array = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    sender = threading.Thread(target=one.send, args=(("image", 7), array))
    sender.start()
    message, got = other.receive()
    sender.join()
    assert message == ("image", 7)
    assert got is not None
    assert got.dtype == dtype
    assert np.array_equal(got, array)
    assert got.flags.writeable


def test_non_contiguous_array_is_received_unchanged() -> None:
    one, other = pair()
    array = np.arange(60, dtype=np.uint8).reshape(6, 10)[::2, ::-3]
    one.send((), array)
    assert np.array_equal(other.receive()[1], array)  # type: ignore[arg-type]


def test_messages_of_concurrent_threads_do_not_interleave() -> None:
    one, other = pair()

    def send(number: int) -> None:
        for _ in range(50):
            one.send((number,), np.full(2000, number, np.uint8))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        (number,), array = other.receive()
        assert array is not None
        assert (array == number).all()
    for thread in threads:
        thread.join()


def test_closed_channel_raises() -> None:
    one, other = pair()
    one.send((1,))
    one.close()
    assert other.receive() == ((1,), None)
    with pytest.raises(EOFError):
        other.receive()
    with pytest.raises(OSError):  # noqa: PT011  broken pipe, or reset
        other.send((2,), np.zeros(10**6, np.uint8))
