"""Fixtures: one PostgreSQL cluster for the whole run, a database and a daemon for each module, the shared data."""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import daemon as daemons  # noqa: E402

SHARED = pathlib.Path(os.environ.get("DECISIOND_SHARED") or daemons.REPOSITORY.parent / "shared")
LIVE = []


def shared_path(relative):
    """A file of the shared data. Without it the test is skipped, or fails where CI=true."""
    path = SHARED / relative
    if not path.exists():
        message = f"{path} is missing; DECISIOND_SHARED names the directory of the shared data"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def shared():
    """A function from a path relative to the shared data to a file that exists."""
    return shared_path


@pytest.fixture(scope="session")
def cluster():
    """A PostgreSQL that runs for the whole session. Who wants to stop one makes a `daemon.Cluster()`."""
    if not daemons.binary().exists():
        pytest.fail(f"{daemons.binary()} is not there; build first, or set DECISIOND_BINARY", pytrace=False)
    made = daemons.Cluster()
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture(scope="module")
def make_daemon(cluster, tmp_path_factory):
    """A function that makes a daemon on a fresh database (`start=False`: not started); all end with the module."""
    made = []

    def make(start=True, database_url="fresh", **options):
        url = cluster.create_database() if database_url == "fresh" else database_url
        fresh = daemons.Daemon(tmp_path_factory.mktemp("daemon"), database_url=url, **options)
        made.append(fresh)
        LIVE.append(fresh)
        return fresh.start() if start else fresh

    yield make
    problems = []
    for each in made:
        LIVE.remove(each)
        if (report := each.sanitizer_report()) is not None:
            problems.append(report)
        if each.process is None:
            continue
        if not each.is_running():
            problems.append(f"decisiond had ended with {each.process.returncode}:\n{each.log[-4000:]}")
        elif (code := each.stop()) != 0:
            problems.append(f"decisiond ended with {code} after SIGTERM:\n{each.log[-4000:]}")
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="module")
def daemon(make_daemon):
    """A ready daemon with the demo's definitions and nothing else; shared by the tests of a module."""
    return make_daemon()


@pytest.fixture(scope="module")
def api(daemon):
    """A session of role admin with `daemon`."""
    return daemon.admin


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts the end of the daemons' logs beside a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for index, each in enumerate(LIVE):
            if each.log:
                report.sections.append((f"log of daemon {index} ({each.directory})", each.log[-3000:]))
