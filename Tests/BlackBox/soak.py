"""Half an hour under load: resident memory and open descriptors of the daemon must not grow.

    DECISIOND_BINARY=.build/release/decisiond python3 Tests/BlackBox/soak.py [MINUTES]

Prints a line per sample and, at the end, the slopes over the second half (the first half is warm-up: tables, pools and
dedupe fill up). The load repeats identities and decides, reads and writes for a fixed set of customers, so what memory must
hold stays the same. Exit code 1 if a slope is past its bound.
"""
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time

import daemon as daemons
from load import Client, Load, Oracle, events, make_subjects_known

SAMPLE_S = 10
# Growth per hour that is still noise of the allocator, in bytes; descriptors may not grow by one.
RESIDENT_BYTES_PER_HOUR_MAX = 8 << 20
DESCRIPTORS_PER_HOUR_MAX = 0.5


class Repeating(Load):
    """Sends the same events over and over, with decisions and reads between them."""

    def _make(self, kind, name, chance, records):
        if kind in ("single", "batch"):
            number = chance.randrange(200)
            return events(f"soak-{kind}-{number}", 1 if kind == "single" else 20, random.Random(number))
        operation = super()._make(kind, name, chance, records[-50:])
        # A key is remembered for a day, which is growth that is meant.
        operation.key = None
        operation.headers.pop("Idempotency-Key", None)
        return operation


def resident_bytes(process):
    with open(f"/proc/{process}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def slope(samples):
    """Least squares, per hour."""
    count = len(samples)
    mean_x, mean_y = sum(x for x, _ in samples) / count, sum(y for _, y in samples) / count
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return 3600 * sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0


def soak(minutes):
    cluster, directory = daemons.Cluster().start(), pathlib.Path(tempfile.mkdtemp(prefix="decisiond-soak-"))
    # Small segments, so that all that is kept of them is reached in the first half.
    daemon = daemons.Daemon(directory, database_url=cluster.create_database(), journal_segment_bytes=4 << 20)
    resident, descriptors = [], []
    try:
        daemon.start()
        make_subjects_known(daemon)
        oracle, began = Oracle(), time.monotonic()
        load = Repeating(daemon, oracle, "soak", 1, goes_on=True).start()
        try:
            while (elapsed := time.monotonic() - began) < minutes * 60:
                time.sleep(SAMPLE_S)
                oracle.refused.clear()
                del load.answered[:-1000]
                status, _ = Client(daemon).ask("GET", "/v1/features/customer_purchases?customer=s1")
                assert status == 200
                process = daemon.process.pid
                resident.append((elapsed, resident_bytes(process)))
                descriptors.append((elapsed, len(os.listdir(f"/proc/{process}/fd"))))
                print(f"{elapsed:.0f} s  {resident[-1][1] >> 10} KiB  {descriptors[-1][1]} descriptors", flush=True)
        finally:
            load.stop()
        assert not oracle.wrong, oracle.wrong[:3]
        assert daemon.stop() == 0
    finally:
        if daemon.is_running():
            daemon.kill9()
        cluster.remove()
        shutil.rmtree(directory, ignore_errors=True)
    half = len(resident) // 2
    growth, leaked = slope(resident[half:]), slope(descriptors[half:])
    print(f"resident {growth / (1 << 20):+.2f} MiB/h, descriptors {leaked:+.2f}/h over the second half of {minutes} min")
    return growth <= RESIDENT_BYTES_PER_HOUR_MAX and leaked <= DESCRIPTORS_PER_HOUR_MAX


if __name__ == "__main__":
    sys.exit(0 if soak(float(sys.argv[1]) if len(sys.argv) > 1 else 30) else 1)
