"""Sound that comes in pieces."""

import socket
import time
from threading import Thread

import numpy as np
import pytest

from ml.sandbox.conversation import Conversation, Sounds
from ml.sandbox.errors import GarbledError


@pytest.mark.parametrize("sizes", [[5], [1, 1, 1, 1, 1], [100_000, 3, 250_000, 1]])
def test_pieces_become_one_sound(sizes: list[int]) -> None:
    said = np.random.default_rng(0).normal(size=sum(sizes)).astype(np.float32)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        speaker = Thread(target=theirs.sendall, args=(said.tobytes(),))
        speaker.start()
        sounds = Sounds(most_parts=1, most_samples=len(said))
        told = Conversation(ours, time.monotonic() + 10.0)
        for size in sizes:
            sounds.take({"part": 0, "n_samples": size}, told)
        speaker.join()
        with pytest.raises(GarbledError, match="1 more samples of part 0"):
            sounds.take({"part": 0, "n_samples": 1}, told)
    (heard,) = sounds.finished()
    np.testing.assert_array_equal(heard, said)
