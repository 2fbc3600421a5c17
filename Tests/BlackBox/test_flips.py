"""A flipped bit anywhere in a journal: found and named, or, in what may be an unfinished write, cut and told."""
import collections
import os
import random
import re
import shutil
import subprocess

import pytest

import daemon as daemons
from ledger import Ledger
from load import Client, Oracle, events, make_subjects_known

IS_LONG = os.environ.get("DECISIOND_TEST_LONG") == "1"
FLIPS = int(os.environ.get("DECISIOND_TEST_FLIPS") or (2000 if IS_LONG else 24))
HEADER_BYTES, FRAME_HEADER_BYTES = 64, 24


@pytest.fixture(scope="module")
def journal(make_daemon, tmp_path_factory):
    """A journal of several segments whose daemon was killed; a copy that may be damaged."""
    daemon = make_daemon(journal_segment_bytes=65536)
    make_subjects_known(daemon)
    client, oracle, chance = Client(daemon), Oracle(), random.Random(1)
    for number in range(80):
        operation = events(f"flip-{number}", chance.randint(1, 8), chance)
        assert oracle.told(operation, client.send(operation))
    daemon.wait_shipped()
    daemon.kill9()
    copy = tmp_path_factory.mktemp("flips") / "journal"
    shutil.copytree(daemon.data / "journal", copy)
    assert len(list(copy.glob("*.segment"))) >= 3
    return daemon, copy


def frames(content):
    """(offset, length, payload bytes, index in its group) of every frame of a segment."""
    found, offset = [], HEADER_BYTES
    while offset + FRAME_HEADER_BYTES <= len(content):
        payload = int.from_bytes(content[offset:offset + 4], "little")
        if int.from_bytes(content[offset + 8:offset + 16], "little") == 0:
            break
        total = (FRAME_HEADER_BYTES + payload + 7) & ~7
        found.append((offset, total, payload, int.from_bytes(content[offset + 20:offset + 24], "little")))
        offset += total
    return found


def region(offset, layout):
    """Which part of a segment a byte belongs to."""
    if offset < HEADER_BYTES:
        return "segment_header"
    for start, total, payload, _ in layout:
        if start <= offset < start + total:
            part = offset - start
            return "frame_header" if part < FRAME_HEADER_BYTES else "payload" if part < FRAME_HEADER_BYTES + payload else "padding"
    return "unused"


def verify(directory):
    return subprocess.run(
        [str(daemons.binary()), "journal", "verify", str(directory)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=120)


def outcome(path, place, layout, done, may_be_cut):
    """What became of a flip; what must not be fails here."""
    if done.returncode != 0:
        named = re.search(re.escape(path.name) + r"@(\d+)", done.stdout)
        assert named, done.stdout
        # The frame is named by its first byte, the header by any of its own.
        owner = next((start for start, total, _, _ in layout if start <= place < start + total), None)
        at = int(named[1])
        assert at == owner if owner is not None else at < HEADER_BYTES, f"{at} named, {place} flipped"
        return "named"
    assert may_be_cut and "torn tail" in done.stdout, f"{path.name}@{place}: {done.stdout}"
    return "cut_and_told"


def test_a_flipped_bit_is_found(journal):
    """Only the last group of the last segment, and what was never used behind it, may look like a write that never ended."""
    _, directory = journal
    segments = sorted(directory.glob("*.segment"))
    contents = {path: path.read_bytes() for path in segments}
    assert verify(directory).returncode == 0
    book, table = Ledger("bit_flip"), collections.Counter()
    for seed in range(FLIPS):
        chance = random.Random(seed)
        path = chance.choice(segments)
        content, layout = contents[path], frames(contents[path])
        # Frames are most of a file; every part gets its share.
        used = layout[-1][0] + layout[-1][1]
        start, total, _, _ = chance.choice(layout)
        place = chance.choice([
            chance.randrange(HEADER_BYTES), chance.randrange(used), start + chance.randrange(FRAME_HEADER_BYTES),
            start + total - 1 - chance.randrange(8), chance.randrange(len(content))])
        where = region(place, layout)
        # The last group begins with its last frame of index 0.
        last_group = max(start for start, _, _, index in layout if index == 0)
        is_last = path == segments[-1]
        if book.has(where, seed):
            continue
        with open(path, "r+b") as file:
            file.seek(place)
            file.write(bytes([content[place] ^ 1 << chance.randrange(8)]))
        try:
            what = outcome(path, place, layout, verify(directory), is_last and place >= last_group)
        finally:
            path.write_bytes(content)
        table[where, what] += 1
        book.add(where, seed, "passed", named=int(what == "named"), cut_and_told=int(what == "cut_and_told"), unseen=0)
    print("\n".join(f"{where}: {count} {what}" for (where, what), count in sorted(table.items())))


def test_a_daemon_refuses_to_start_on_it(journal, make_daemon):
    daemon, directory = journal
    victim = make_daemon(start=False, database_url=None, journal_segment_bytes=65536)
    shutil.copytree(daemon.data, victim.data)
    path = sorted((victim.data / "journal").glob("*.segment"))[1]
    content = path.read_bytes()
    offset = frames(content)[3][0]
    for place in (21, offset + 5, offset + FRAME_HEADER_BYTES + 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1:])
        victim.start(wait=False)
        assert victim._end() != 0
        assert f"{path.name}@" in victim.log, victim.log[-2000:]
    path.write_bytes(content)
    victim.start()
    victim.kill9()
