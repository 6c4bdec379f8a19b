"""What every process that a comparison starts has in common, and how an interruption reaches us."""
import contextlib
import ctypes
import signal

_LIBC = ctypes.CDLL(None)  # Loaded here: between fork and exec little is allowed.
_PR_SET_PDEATHSIG = 1


def end_with_parent():
    """For preexec_fn: the process ends with us, also if we are killed and can clean up nothing."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Interruption:
    depth = 0
    pending = False


def _interrupt(*_):
    if _Interruption.depth:
        _Interruption.pending = True
    else:
        raise KeyboardInterrupt


def take_interruptions():
    """SIGTERM and SIGINT raise KeyboardInterrupt from here on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


@contextlib.contextmanager
def unbroken():
    """An interruption waits until this has ended: a process that was just started, and that
    nobody knows of yet, would be left behind."""
    _Interruption.depth += 1
    try:
        yield
    finally:
        _Interruption.depth -= 1
    if _Interruption.pending and not _Interruption.depth:
        _Interruption.pending = False
        raise KeyboardInterrupt
