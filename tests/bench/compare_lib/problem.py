"""What ends a comparison with one message instead of a trace."""


class Problem(Exception):
    """Something that whoever started the comparison can do something about."""
