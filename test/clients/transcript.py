# What the Python clients share: where to connect, what to ask, and how a line of the transcript is printed.
import datetime
import os
import threading
import time

HOST, PORT = os.environ['PGHOST'], int(os.environ['PGPORT'])
USER, PASSWORD, DATABASE = os.environ['PGUSER'], os.environ['PGPASSWORD'], os.environ['PGDATABASE']
SCHEMA = os.environ['SCHEMA']
THINGS = SCHEMA + '.things'
MOOD = SCHEMA + '.mood'
# Set only through Sluice: a peer to make and the options to make it with.
PEER, PEER_OPTIONS = os.environ.get('VERBS_PEER'), os.environ.get('VERBS_OPTIONS')

ODD = "O'Reilly \\ ü€"
DIGITS = '12345678901234567890.123456789'
DOC = '{"a": [1, 2.50, null], "b": "ü"}'
BYTES = bytes([0, 1, 0, 255, 92, 39])
UUID = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
WORDS = ['a', 'b,c', None, 'd"e', '']
BIG = "select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i"
COPIED = b'1\ttab\\tand \\\\\n2\t\\N\n3\t\xc3\xbc\\nx\n'


def show(value):
    if value is None:
        return 'NULL'
    if isinstance(value, str):
        return value.replace('\t', '<tab>').replace('\n', '<newline>').replace('\r', '<return>')
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, datetime.datetime):
        return value.isoformat(' ')
    if isinstance(value, (list, tuple)):
        return '[' + ','.join(show(each) for each in value) + ']'
    return repr(value)


def say(step, *values):
    print(step + '\t' + '|'.join(show(value) for value in values), flush=True)


def refusal(error, code=None):
    """The code of a refused login where the client shows it, its words (without the address) where not."""
    if code:
        return code
    words = str(error)
    at = words.find('password authentication failed')
    return words[at:].strip() if at >= 0 else 'something else: ' + words


class Sums:
    """Sees every row of the big result, in order."""

    def __init__(self):
        self.rows = self.first = self.length = self.hash = 0

    def add(self, i, j, t):
        self.rows += 1
        self.first += int(i)
        self.length += len(t)
        self.hash = (self.hash * 31 + int(j)) % 1000000007

    def say(self, step='chunks'):
        say(step, f'{self.rows}|{self.first}|{self.hash}|{self.length}')


def cancelled(run, cancel, code):
    """Runs what takes long, and cancels it from another thread until it ends."""
    over = threading.Event()

    def insist():
        while not over.wait(0.2):
            cancel()

    thread = threading.Thread(target=insist)
    thread.start()
    began = time.monotonic()
    try:
        run()
        outcome = 'not cancelled'
    except Exception as error:
        outcome = code(error)
    finally:
        over.set()
        thread.join()
    return [outcome, 'in time' if time.monotonic() - began < 10 else 'late']
