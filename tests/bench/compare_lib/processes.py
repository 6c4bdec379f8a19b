"""What every process that a comparison starts has in common."""
import ctypes
import signal

_LIBC = ctypes.CDLL(None)  # Loaded here: between fork and exec little is allowed.
_PR_SET_PDEATHSIG = 1


def end_with_parent():
    """For preexec_fn: the process ends with us, also if we are killed and can clean up nothing."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
