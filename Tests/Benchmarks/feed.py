"""Keeps ingesting while something else is measured: BENCH_FEED_RATE events a second (default 1000), ten requests a second.

    feed.py PORT ENTITIES TAG          key in DECISIOND_KEY; ends at SIGTERM and prints what it sent
"""
import datetime
import os
import random
import signal
import sys
import time

import harness
import workload

PERIOD_SECONDS = 0.1


def main():
    port, entities, tag = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    rate = int(os.environ.get("BENCH_FEED_RATE", "1000"))
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    client = harness.Client(port, os.environ["DECISIOND_KEY"])
    generator = random.Random(tag)
    per_request = max(1, int(rate * PERIOD_SECONDS))
    sent = refused = 0
    begin = due = time.monotonic()
    while not stopped:
        now = datetime.datetime.now(datetime.timezone.utc)
        lines = [workload.event(f"f{tag}-{sent + i}", generator.randrange(entities), now, generator)
                 for i in range(per_request)]
        status, _ = client.send("POST", "/v1/events?results=problems", ("\n".join(lines) + "\n").encode(),
                                content_type="application/x-ndjson")
        sent += per_request
        refused += status != 200
        due += PERIOD_SECONDS
        time.sleep(max(0.0, due - time.monotonic()))
    print(f"{sent / (time.monotonic() - begin):.0f} {refused}")


if __name__ == "__main__":
    main()
