"""Makes a daemon die, or its server process, at a moment of the life of a frame: preload/moments.c does it."""
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

SOURCE = pathlib.Path(__file__).resolve().parent / "preload" / "moments.c"

# Where a process may die, in the order of a frame's life.
JOURNAL = {
    "before_write": "the group is stamped and not written",
    "torn_write": "half of the group is written",
    "after_write": "written, not synchronized",
    "after_sync": "durable, not applied",
    "before_answer": "applied, the answer is about to leave",
    "segment_roll": "a step of preparing or starting the next segment is done",
}
SHIPPING = {
    "mid_copy": "half of a COPY is with the server",
    "copy_end": "a COPY has ended, its answer is unread",
    "before_commit": "all rows are with the server, COMMIT is not",
    "commit_sent": "COMMIT is with the server, its answer is unread",
}
SNAPSHOT = {
    "snapshot_write": "a snapshot is partly written",
    "snapshot_rename": "a snapshot is about to get its name, or has got it",
}


@functools.cache
def library():
    """The preloaded library, compiled once."""
    compiler = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for the library that is preloaded")
    made = pathlib.Path(tempfile.mkdtemp(prefix="decisiond-moments-")) / "moments.so"
    subprocess.run(
        [compiler, "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(made), str(SOURCE), "-ldl"],
        check=True)
    return made


class Moments:
    """The moments of one daemon, one a life."""

    def __init__(self, daemon):
        self._arm = daemon.directory / "moment"
        self._fired = daemon.directory / "moment.fired"
        daemon.extra_environment = {"LD_PRELOAD": str(library()), "MOMENT_ARM": str(self._arm)}

    def arm(self, name, at, times=1, target="self"):
        """From now on every `at`-th occurrence of a moment ends this process or its "backend", at most `times` times."""
        self._fired.unlink(missing_ok=True)
        fresh = self._arm.with_suffix(".new")
        fresh.write_text(f"{name} {at} {times} {target}\n")
        fresh.rename(self._arm)

    def disarm(self):
        """For the next life: nothing is chosen."""
        self._arm.unlink(missing_ok=True)

    def fired(self):
        """When it came, on the monotonic clock in seconds; one time per occurrence."""
        if not self._fired.exists():
            return []
        return [int(line) / 1e9 for line in self._fired.read_text().split()]


def instrumented():
    """Whether the daemon under test has a sanitizer, which must be the first library of a process."""
    return bool(os.environ.get("DECISIOND_SANITIZER"))
