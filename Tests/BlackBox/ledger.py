"""A ledger of what the long tests have shown: one JSON line per finished unit, so that an interrupted run goes on.

    python3 Tests/BlackBox/ledger.py          prints the totals, per test and moment

It stands outside of git: DECISIOND_LEDGER, or .build/ledger.jsonl. What was shown of other sources is not counted again as
shown of these: a line names the tree of Sources and migrations that it speaks of. JournalSimulation writes to it, too.
"""
import collections
import hashlib
import json
import os
import pathlib
import subprocess
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def _git(*arguments):
    done = subprocess.run(["git", "-C", str(REPOSITORY), *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode().strip() if done.returncode == 0 else ""


def code():
    """What is under test: a hash of the committed trees of the product, and of what was changed since."""
    given = os.environ.get("DECISIOND_LEDGER_CODE")
    if given:
        return given
    parts = _git("rev-parse", "HEAD:Sources", "HEAD:migrations") + _git("diff", "HEAD", "--", "Sources", "migrations")
    return hashlib.sha256(parts.encode()).hexdigest()[:12]


def path():
    return pathlib.Path(os.environ.get("DECISIOND_LEDGER") or REPOSITORY / ".build" / "ledger.jsonl")


def lines():
    """All lines; one that was cut short by a kill is left out."""
    found = []
    if path().exists():
        for line in path().read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found


class Ledger:
    """What one test has shown of the present sources. Only a long run (DECISIOND_TEST_LONG=1) reads it and adds to it."""

    def __init__(self, test):
        self.test, self.code, self.commit = test, code(), _git("rev-parse", "--short", "HEAD")
        self._is_kept = os.environ.get("DECISIOND_TEST_LONG") == "1"
        self._passed = collections.Counter(
            (line["moment"], line["seed"]) for line in (lines() if self._is_kept else [])
            if (line["test"], line["code"], line["result"]) == (test, self.code, "passed"))

    def has(self, moment, seed):
        return (moment, seed) in self._passed

    def count(self, moment):
        return sum(1 for known, _ in self._passed if known == moment)

    def add(self, moment, seed, result, **facts):
        """Writes a finished unit."""
        if result == "passed":
            self._passed[moment, seed] += 1
        if not self._is_kept:
            return
        line = {
            "test": self.test, "moment": moment, "seed": seed, "result": result, "commit": self.commit, "code": self.code,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **facts}
        path().parent.mkdir(parents=True, exist_ok=True)
        with open(path(), "a") as file:
            file.write(json.dumps(line) + "\n")


def totals():
    """Lines of text: units, and sums of their numbers, per test and moment of the present sources."""
    mine, sums = code(), collections.defaultdict(collections.Counter)
    for line in lines():
        if line["code"] != mine:
            continue
        sums[line["test"], line["moment"]][line["result"]] += 1
        for name, value in line.items():
            if isinstance(value, int) and name != "seed":
                sums[line["test"], line["moment"]][name] += value
    return [
        f"{test} {moment}: " + ", ".join(f"{count} {name}" for name, count in sorted(counter.items()))
        for (test, moment), counter in sorted(sums.items())]


if __name__ == "__main__":
    print("\n".join(totals()))
