"""What libraries print by themselves does not reach the terminal, and everything else does."""

import os
import threading

import pytest

from shared_networks.io.quiet_libraries import quiet_libraries


def test_nothing_is_printed_inside_and_everything_around(capfd):
    os.write(2, b"before ")
    with quiet_libraries():
        os.write(2, b"one ")
        with quiet_libraries():
            os.write(2, b"two ")
        os.write(2, b"three ")
    with pytest.raises(ValueError, match="passes"), quiet_libraries():
        raise ValueError("passes")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_threads_that_overlap(capfd):
    inside, leave = threading.Barrier(2), threading.Event()

    def stay():
        with quiet_libraries():
            inside.wait()
            leave.wait()

    thread = threading.Thread(target=stay)
    with quiet_libraries():
        thread.start()
        inside.wait()
    os.write(2, b"still quiet ")
    leave.set()
    thread.join()
    os.write(2, b"loud")
    assert capfd.readouterr().err == "loud"
