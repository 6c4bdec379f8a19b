"""Goals, and by how much one is missed. Pure."""
import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Goal:
    """A bound on one figure. `what` is its name in a verdict, if a row has more than one of them;
    `unit` follows its value."""
    what: str
    bound: float
    at_most: bool = False
    unit: str = ''

    def missed_by(self, value):
        """The factor between the value and the bound; None: it is reached."""
        if self.at_most:
            return None if value <= self.bound else value / self.bound
        if value >= self.bound:
            return None
        return self.bound / value if value > 0 else float('inf')

    def __str__(self):
        return '%s %s%s' % ('at most' if self.at_most else 'at least', number(self.bound),
                            self.unit)


def verdict(goals_and_values):
    """'met', or by how much which goal is missed. A value of None is one that was not measured."""
    if not goals_and_values:
        return 'no goal'
    if any(value is None for _, value in goals_and_values):
        return 'not compared'
    missed = []
    for goal, value in goals_and_values:
        factor = goal.missed_by(value)
        if factor is not None:
            missed.append(('%s by %.2f times' % (goal.what, factor)).strip())
    return 'missed ' + '; '.join(missed) if missed else 'met'


def number(value):
    """Three significant digits, and whole numbers from 100 on."""
    if value is None:
        return '–'
    if abs(value) >= 100:
        return '%.0f' % value
    return '%.3g' % value


def median(values):
    """Of those that are there; None: there are none."""
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None


def ratios(above, below):
    """Pairs divided, repetition by repetition; None where that says nothing."""
    return [a / b if a and b else None for a, b in zip(above, below)]
