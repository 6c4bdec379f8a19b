"""Tells of each comparison whether it found differences, and which."""


class Report:
    def __init__(self):
        self.failed = False

    def __call__(self, name, differences):
        print('%s %s' % ('FAILED' if differences else 'ok    ', name), flush=True)
        for difference in differences:
            print(difference)
        self.failed = self.failed or bool(differences)
