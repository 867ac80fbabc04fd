#!/usr/bin/env python3
"""Makes golden cases for pattoo's body with the official library.

Needs PattooShared 0.0.120 (`pip install PattooShared==0.0.120` into a venv of its own).

    make_pattoo.py DIRECTORY                the cases below (those named 30 and up in `pattoo/`)
    make_pattoo.py DIRECTORY COUNT SEED     COUNT random cases instead

A case is two files: `NAME.case.json`, what was given to the library, and `NAME.body.json`, the exact bytes
that it would post. The clock (`time.time`), the host name (`socket.getfqdn`) and the agent's id are fixed.
"""

import json
import os
import random
import struct
import sys
import tempfile
from unittest import mock

POST_TIME_MS = 1700000000456
TIME_MS = 1700000000123
AGENT_ID = '0123456789abcdef' * 4
INT, FLOAT, COUNTER, COUNTER64, STRING = 99, 101, 32, 64, 2
NAMES = {INT: 'DATA_INT', FLOAT: 'DATA_FLOAT', COUNTER: 'DATA_COUNT', COUNTER64: 'DATA_COUNT64', STRING: 'DATA_STRING'}


def scalar(value):
    """A value in a form that survives every JSON reader."""
    if value is None:
        return {'none': True}
    if isinstance(value, bool):
        return {'bool': value}
    if isinstance(value, int):
        return {'int': str(value)}
    if isinstance(value, float):
        return {'float': repr(value)}
    return {'str': value}


def post(case):
    """The body that the official library posts."""
    from pattoo_shared import converter, files, variables
    with mock.patch.object(variables, 'time', lambda: POST_TIME_MS / 1000), \
            mock.patch.object(variables.socket, 'getfqdn', lambda: case['hostname']), \
            mock.patch.object(files, 'get_agent_id', lambda *_: AGENT_ID):
        agent = variables.AgentPolledData(case['program'], case['interval'])
        for target, datapoints in case['targets']:
            group = variables.TargetDataPoints(target)
            for key, value, data_type, metadata, timestamp in datapoints:
                point = variables.DataPoint(key, value, data_type=data_type, timestamp=timestamp)
                for name, text, identity in metadata:
                    point.add(variables.DataPointMetadata(name, text, update_checksum=identity))
                group.add(point)
            agent.add(group)
        data = converter.posting_data_points(converter.agentdata_to_post(agent))
    return json.dumps(data)


def write(directory, name, case):
    targets = [{
        'target': scalar(target),
        'datapoints': [{
            'key': scalar(key),
            'value': scalar(value),
            'data_type': data_type,
            'data_type_name': NAMES[data_type],
            'metadata': [
                {'key': scalar(label), 'value': scalar(text), 'update_checksum': identity}
                for label, text, identity in metadata],
            'timestamp_ms': timestamp,
        } for key, value, data_type, metadata, timestamp in datapoints],
    } for target, datapoints in case['targets']]
    document = {
        'case': name,
        'note': case['note'],
        'library': 'PattooShared 0.0.120, Python %s' % sys.version.split()[0],
        'input': {
            'program': case['program'],
            'polling_interval_s': case['interval'],
            'agent_id': AGENT_ID,
            'hostname': case['hostname'],
            'post_time_ms': POST_TIME_MS,
            'targets': targets,
        },
        # Datapoints that the library itself leaves out because their key is reserved.
        'refused': sum('pattoo' in key.lower() for _, points in case['targets'] for key, *_ in points),
    }
    with open(os.path.join(directory, name + '.case.json'), 'w') as file:
        json.dump(document, file, indent=1)
        file.write('\n')
    with open(os.path.join(directory, name + '.body.json'), 'w') as file:
        file.write(post(case))


def case(note, targets, program='T', hostname='collector.example.org', interval=300):
    return {'note': note, 'targets': targets, 'program': program, 'hostname': hostname, 'interval': interval}


def floats(values):
    return [('k%d' % index, value, FLOAT, [], TIME_MS) for index, value in enumerate(values)]


def bits(number):
    return struct.unpack('<d', struct.pack('<Q', number))[0]


def fixed_cases():
    text = '"\\/\n\r\t\b\f\x00\x1f ~\x7f\x80\xe9\u20ac\u2028\ufeff\U0001f600'
    pairs = [('ab', 'c', True)], [('a', 'bc', True)], [('a', 'bc', False)], [('a', 'b', True), ('c', '', True)]
    return {
        '30_escapes': case('every kind of escape, in values, keys, labels and targets', [
            ('t\x7f"\\', [
                ('k\x00\x7f"\\', text, STRING, [('n"\\\x7f', 'v' + text + 'v', True)], TIME_MS)])]),
        '31_float_ties': case('of two texts that are equally short and equally near, the even one', [
            ('h', floats([
                80399220247682.625, 615321984475855.25, 22923969202603.8125, 1125899906842623.875, 5e-324,
                9007199254740993.0, 1e23, 9.5e-05, 1e-05, 9.999e-05, 0.0001, -1.5e-07, 1e15, 1e16, 123456789012345680.0,
                2.0 ** 63, 2.0 ** 64, bits(1), bits(0x7fefffffffffffff), bits(0x0010000000000000)]))]),
        '32_equal_numbers_at_the_edges': case('numbers are equal by value where floats have gaps', [
            ('h', [
                ('a', 2 ** 53 + 1, INT, [], TIME_MS), ('b', 2.0 ** 53, FLOAT, [], TIME_MS),
                ('c', 2 ** 63 - 1, INT, [], TIME_MS), ('d', 2.0 ** 63, FLOAT, [], TIME_MS),
                ('e', 2 ** 63, COUNTER64, [], TIME_MS), ('f', 2 ** 64 - 1, COUNTER64, [], TIME_MS),
                ('g', 2.0 ** 64, FLOAT, [], TIME_MS), ('h', -2 ** 63, INT, [], TIME_MS),
                ('i', -2.0 ** 63, FLOAT, [], TIME_MS), ('j', -0.0, FLOAT, [], TIME_MS),
                ('k', 0, INT, [], TIME_MS), ('l', '0', STRING, [], TIME_MS), ('m', 0.0, STRING, [], TIME_MS),
                ('n', ' 1e3 ', INT, [], TIME_MS), ('o', 1000.0, FLOAT, [], TIME_MS), ('p', '.5', COUNTER, [], TIME_MS)])]),
        '33_identities_that_run_together': case('nothing stands between the parts of a checksum', [
            ('h', [('k', index, INT, labels, TIME_MS) for index, labels in enumerate(pairs)] + [
                ('k', 9, COUNTER, [], TIME_MS), ('k3', 'text', STRING, [], TIME_MS),
                ('k3', 10, COUNTER, [], TIME_MS), ('k33', 'text', STRING, [], TIME_MS)])]),
        '34_series_of_several_groups': case('a series may come again from another group: all its pairs are known', [
            ('h', [('k', 1, INT, [('room', 'a', True)], TIME_MS), ('k', 2, INT, [('room', 'a', True)], TIME_MS + 1)]),
            ('g', [('k', 1, INT, [('room', 'a', True)], TIME_MS)]),
            (' h ', [('k', 3, INT, [('room', ' a ', True)], TIME_MS)]),
            ('h', [('K', 1, INT, [('ROOM', 'a', True), ('room', 'b', True)], TIME_MS)])]),
        '35_labels_shared_between_keys': case('label sets that overlap, some descriptive, some reserved', [
            ('h', [
                ('k%d' % index, float(index), FLOAT, [
                    ('site', 'x', True), ('rack', str(index % 2), True), ('kernel', '5.%d' % index, False),
                    ('my_pattoo', 'left off', True)][index % 3:], TIME_MS + index % 2)
                for index in range(8)] + [('pattoo_key', 1, INT, [], TIME_MS)])]),
        '36_agent_with_white_space': case('host name and program are stripped', [
            ('\x1f h\x85', [('k', 1, INT, [], TIME_MS)])],
            program=' agent\u3000', hostname='\thost \x1c', interval=1),
        '37_long_texts_and_labels': case('messages of every length around the blocks of SHA-256', [
            ('t' * length, [
                ('k' * length, length, INT, [('n' * length, 'v' * (length // 2), True)], TIME_MS)])
            for length in list(range(15, 70)) + [118, 119, 120, 183, 500]]),
    }


def random_case(seed):
    pick = random.Random(seed)
    alphabet = 'abcABC012 _-."\\\n\t\x00\x7f\xa0\xe9\xc9\u20ac\u4e2d\u2028\U0001f600\u03a3'

    def text(longest=8):
        return ''.join(pick.choice(alphabet) for _ in range(pick.randint(0, longest)))

    def number():
        return pick.choice([
            pick.randint(-3, 3), float(pick.randint(-3, 3)), pick.getrandbits(63), pick.getrandbits(64),
            -pick.getrandbits(63), 2 ** 53 + pick.randint(-2, 2), float(2 ** 53 + pick.randint(-2, 2)),
            pick.uniform(-1000, 1000), pick.gauss(0, 1) * 10.0 ** pick.randint(-320, 300),
            pick.getrandbits(53) / 2 ** pick.randint(0, 12), -0.0])

    def datapoint():
        data_type = pick.choice(list(NAMES))
        if data_type == STRING:
            value = pick.choice([text(), number(), str(pick.randint(0, 3))])
        else:
            value = pick.choice([number(), number(), ' %d ' % pick.randint(-5, 5), '1e%d' % pick.randint(-3, 5)])
        names = ['room', 'Room', ' rack', 'a', 'ab', '', 'my_Pattoo', 'n' + text()]
        values = [text(), 'c', 'bc', pick.randint(0, 9), pick.uniform(0, 1), 1e21, True, None, 'x' * pick.randint(40, 130)]
        metadata = [
            (pick.choice(names), pick.choice(values), pick.random() < 0.7) for _ in range(pick.choice([0, 0, 1, 2, 5]))]
        key = pick.choice(['k', 'K ', 'k3', 'k33', 'x' + text(), 'mypattoo', 'key%d' % pick.randint(0, 5), 'k' * pick.randint(40, 130)])
        timestamp = pick.choice([TIME_MS, TIME_MS, TIME_MS + pick.randint(0, 2), 0, -5])
        return key, value, data_type, metadata, timestamp

    targets = [
        (pick.choice(['h', ' h', 'g', 'G', 't' + text(), 't' * pick.randint(20, 100)]),
         [datapoint() for _ in range(pick.randint(1, 25))])
        for _ in range(pick.randint(1, 6))]
    return case('random, seed %s' % seed, targets, program='p' + text(), hostname='h' + text(40), interval=pick.randint(1, 4000))


def main():
    directory = sys.argv[1]
    with tempfile.TemporaryDirectory() as work:
        etc = os.path.join(work, 'etc')
        os.makedirs(etc)
        os.environ['PATTOO_CONFIGDIR'] = etc
        with open(os.path.join(etc, 'pattoo.yaml'), 'w') as file:
            file.write('pattoo:\n' + ''.join('  %s: %s\n' % (name, work) for name in (
                'log_directory', 'cache_directory', 'daemon_directory', 'system_daemon_directory')))
            file.write('  log_level: info\n  language: en\n')
        with open(os.path.join(etc, 'pattoo_agent.yaml'), 'w') as file:
            file.write('pattoo_agent_api:\n  ip_address: localhost\n  ip_bind_port: 20201\n')
        if len(sys.argv) > 2:
            count, seed = int(sys.argv[2]), sys.argv[3]
            cases = {'random_%s_%d' % (seed, index): random_case('%s.%d' % (seed, index)) for index in range(count)}
        else:
            cases = fixed_cases()
        for name, one in cases.items():
            write(directory, name, one)


main()
