"""The sentences below a table: which servers, which machine, and what else it was doing. Pure."""
from compare_lib.goals import median, number
from compare_lib.records import select
from compare_lib.rows import TITLES


def made_on(lines, measured):
    """What the reader of these measurements has to know about the runs that they are of."""
    runs = {line['run'] for line in measured}
    of_runs = [line for line in lines if line['run'] in runs]
    said = [repetitions(measured), servers(of_runs), *machines(of_runs), others(measured)]
    return ' '.join(said)


def is_quick(lines):
    return any(line.get('quick') for line in select(lines, 'machine'))


def repetitions(measured):
    counts = {}
    for line in measured:
        key = (line['row'], line['members'], line['server'], line.get('point'))
        counts[key] = counts.get(key, 0) + 1
    least, most = min(counts.values()), max(counts.values())
    text = str(most) if least == most else '%d to %d' % (least, most)
    return 'Medians of %s repetition%s, the servers in turns.' % (text, '' if most == 1 else 's')


def servers(lines):
    said = []
    for line in select(lines, 'server'):
        text = '%s %s' % (TITLES[line['server']], line.get('version', '(of no version)'))
        if line.get('commit'):
            text += ' of commit ' + line['commit']
        if line.get('flags'):
            text += ' with ' + ' '.join(line['flags'])
        if text not in said:
            said.append(text)
    return ', '.join(said) + '.'


def machines(lines):
    said = []
    for line in select(lines, 'machine'):
        said.append('%d cores (%s), %d GB, Linux %s, %s, on %s; load average before: %s.' % (
            line['cores'], line['processor'], line['memory_gb'], line['kernel'],
            line['file_system'], line['date'], number(line['load_average'])))
        if line.get('quick'):
            said.append('A quick trial: no figures to keep.')
    return said


def others(measured):
    used = [max(0, line['other_cores']) for line in measured
            if line.get('other_cores') is not None]
    if not used:
        return 'What else the machine did is not known.'
    text = 'Others used %s cores in the middle and %s at most' % (
        number(median(used)), number(max(used)))
    stolen = [line['result']['stolen_cores'] for line in measured if line.get('result')]
    if stolen:
        text += '; the host took %s at most for other machines' % number(max(stolen))
    return text + '.'
