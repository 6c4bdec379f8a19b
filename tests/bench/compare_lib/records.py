"""The raw lines: one JSON object for each thing that was measured, from which all tables are made.

Every line has a `table`, and the `run` that it is of. Those of measurements also have `server`,
`row`, `members`, `repetition` and either `result` (what the load program said) or `figure` (one
number).
"""
import json
import os
import time

from compare_lib.problem import Problem


class Records:
    """Keeps lines, and writes each to a file as soon as it is known."""

    def __init__(self, path=None):
        self.path = path
        self.lines = []
        self._run = time.strftime('%Y%m%d-%H%M%S')
        self._file = None
        if path:
            try:
                os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
                self._file = open(path, 'a', encoding='utf-8')
            except OSError as error:
                raise Problem('cannot write raw lines to %s: %s' % (path, error.strerror))

    def add(self, table, **fields):
        line = {'table': table, 'run': self._run, **fields}
        self.lines.append(line)
        if self._file:
            self._file.write(json.dumps(line) + '\n')
            self._file.flush()
        return line

    def close(self):
        if self._file:
            self._file.close()


def read(paths):
    """The lines of files that earlier comparisons have left."""
    lines = []
    for path in paths:
        try:
            with open(path, encoding='utf-8') as handle:
                for number, text in enumerate(handle, 1):
                    line = json.loads(text)
                    if not isinstance(line, dict) or not {'table', 'run'} <= line.keys():
                        raise Problem('%s:%d is not a line of a comparison' % (path, number))
                    lines.append(line)
        except OSError as error:
            raise Problem('cannot read %s: %s' % (path, error.strerror))
        except ValueError as error:
            raise Problem('%s is not a file of raw lines: %s' % (path, error))
    return lines


def select(lines, table, **fields):
    """Those of one table in which these fields have these values."""
    return [line for line in lines if line['table'] == table
            and all(line.get(name) == value for name, value in fields.items())]
