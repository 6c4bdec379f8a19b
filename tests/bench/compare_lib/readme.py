"""The marked parts of a README that are regenerated; what is around them stays as it is.

  <!-- compare: NAME -->
  ... replaced ...
  <!-- compare: end -->
"""
import os
import re

from compare_lib.problem import Problem


def replace(text, sections):
    """Returns the text with each named part replaced. A part that was not made again stays."""
    for name, content in sections.items():
        pattern = re.compile(r'(<!-- compare: %s -->\n).*?(<!-- compare: end -->)'
                             % re.escape(name), re.DOTALL)
        found = pattern.findall(text)
        if len(found) != 1:
            raise Problem('the README has %d parts between "<!-- compare: %s -->" and '
                          '"<!-- compare: end -->", not one' % (len(found), name))
        text = pattern.sub(lambda match: match.group(1) + content.strip() + '\n' + match.group(2),
                           text)
    return text


def check(path, names):
    """Refuses, before hours of measuring, a file that could not be rewritten after them."""
    try:
        with open(path, encoding='utf-8') as handle:
            replace(handle.read(), {name: '' for name in names})
    except OSError as error:
        raise Problem('cannot read %s: %s' % (path, error.strerror))


def rewrite(path, sections):
    try:
        with open(path, encoding='utf-8') as handle:
            text = handle.read()
        changed = replace(text, sections)
        # Whole or not at all.
        with open(path + '.new', 'w', encoding='utf-8') as handle:
            handle.write(changed)
        os.replace(path + '.new', path)
    except OSError as error:
        raise Problem('cannot rewrite %s: %s' % (path, error.strerror))
