"""What every folder of tests may ask for."""

from __future__ import annotations

import gc
import logging
import os
import uuid
from collections.abc import Callable, Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer  # type: ignore[import-untyped]  # the package has no types
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from towpath.broker.ports import free_port
from towpath.kafka import KafkaSettings
from towpath.testing.kafka import DOCKER, VARIABLE, kafka_for_tests, why_no_docker

END_TO_END = "tests/e2e/"
FIRST = (
    "tests/e2e/bng_nopcommerce/",
    "tests/e2e/test_pair_replay.py",
    "tests/e2e/brightpearl_nopcommerce/",
    "tests/e2e/test_chaos.py",
    "tests/e2e/test_f01_kills.py",
    "tests/e2e/bng_magento/",
    END_TO_END,
    "tests/integration/engines/test_engines_killed.py",
    "tests/integration/engines/",
    "tests/integration/",
    "tests/unit/delivery/test_tokens_of_processes.py",
    "tests/unit/delivery/test_budgets_of_processes.py",
)
"""What takes longest, so that nothing of it is left alone at the end; what mostly waits (a pair's tests) beside what keeps a processor busy."""
STACK_EACH = ("tests/e2e/test_f01_kills.py", "tests/e2e/test_f01_many.py", "tests/e2e/test_demo_live.py")

settings.register_profile("towpath", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""How long an example takes says how busy the machine is."""
settings.load_profile("towpath")


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the secrets of a test behind it: they are struck out of what systems answer, in later tests too."""
    monkeypatch.setattr("towpath.hiding._forms", {})


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Let a test that sets up the logs do so for itself: else each later record finds its handler closed and tells of it."""
    root = logging.getLogger()
    handlers, level = tuple(root.handlers), root.level
    yield
    if root.level != level or set(root.handlers) - set(handlers):
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)


@pytest.fixture
def unused_tcp_port() -> int:
    """Return a port that nobody listens on; one of pytest-asyncio's may be an outgoing connection's a moment later."""
    return free_port()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a real Kafka for the whole run, come by as TOWPATH_TEST_KAFKA says."""
    with kafka_for_tests(os.environ.get(VARIABLE, ""), tmp_path_factory.mktemp("kafka")) as address:
        yield address


class ByFile(LoadFileScheduling):  # type: ignore[misc]
    """Gives a file's tests to one process, but for those that have a stack each; and those of a package that share one stack."""

    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.rpartition("/")[0]
        if folder.startswith(END_TO_END):
            return folder
        return nodeid if nodeid.startswith(STACK_EACH) else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile | None:
    """Give out the tests by file where `--dist loadfile` says so."""
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Have nobody look for garbage in what is collected, then or later: it stays to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Begin with what takes longest, whatever shuffled the tests before."""
    yield
    items.sort(key=lambda item: next((place for place, path in enumerate(FIRST) if item.nodeid.startswith(path)), len(FIRST)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end that Docker was asked for and not there."""
    if os.environ.get(VARIABLE) == DOCKER and (reason := why_no_docker()):
        terminalreporter.write_line(f"{VARIABLE}={DOCKER}, but the tests ran against the embedded Kafka: {reason}", yellow=True)


@pytest.fixture(scope="session")
def kafka_settings(kafka: str) -> KafkaSettings:
    """Give the settings to reach that Kafka."""
    return KafkaSettings(bootstrap_servers=kafka)


@pytest.fixture
def topic_name() -> Callable[[str], str]:
    """Give a function from a word to a topic or group name that no other test has."""
    prefix = uuid.uuid4().hex[:8]
    return lambda word: f"t{prefix}.{word}"
