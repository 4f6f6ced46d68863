"""Flightdeck against a real Flink: the commands of run.sh."""

import signal
import sys

from check import BUSY, CALM, WORK_MS, binary, check, forget
from cluster import CACHE, VERSIONS, CheckFailed, Cluster, say


def folder(version, purpose):
    return CACHE / f"{purpose}-{version}"


def up(version):
    down(version)
    cluster = Cluster(version, folder(version, "up"))
    try:
        cluster.start()
        cluster.set_rate(CALM)
        job = cluster.submit(WORK_MS, checkpoint_ms=10_000)
        cluster.save()
    except BaseException:
        cluster.stop()
        raise
    say(f"Flink {version} is up: {cluster.url}  job {job}")
    say(f"set its rate with `run.sh rate {BUSY} {version}`, stop it with `run.sh down {version}`")


def whole(version):
    binary()
    cluster = Cluster(version, folder(version, "check"))
    try:
        cluster.start()
        check(cluster)
    except BaseException:
        say(f"logs are kept in {cluster.folder}")
        raise
    finally:
        cluster.stop()
    forget(cluster.folder)
    say(f"flightdeck and Flink {version}: everything as it should be")


def down(version):
    cluster = Cluster.saved(folder(version, "up"))
    if cluster:
        cluster.stop()
        (cluster.folder / "cluster.json").unlink(missing_ok=True)
        say(f"Flink {version} is down")


def rate(version, records):
    cluster = Cluster.saved(folder(version, "up"))
    if not cluster:
        raise CheckFailed(f"no Flink {version} is up")
    cluster.set_rate(records)
    say(f"the source of Flink {version} has {records} records a second now")


def version_of(word):
    return VERSIONS.get(word, word)


def main(words):
    # Ended by a signal, the `finally` clauses still stop what was started.
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda number, frame: sys.exit(128 + number))
    match words:
        case ["up", *rest] if len(rest) <= 1:
            up(version_of(*(rest or ["1.20"])))
        case ["down"]:
            for version in VERSIONS.values():
                down(version)
        case ["down", word]:
            down(version_of(word))
        case ["rate", number, *rest] if len(rest) <= 1 and number.isdigit():
            rate(version_of(*(rest or ["1.20"])), int(number))
        case []:
            for version in VERSIONS.values():
                whole(version)
        case [word] if word in VERSIONS or word[0].isdigit():
            whole(version_of(word))
        case _:
            sys.exit(f"usage: run.sh [1.20|2.x] | up [VERSION] | rate N [VERSION] | down [VERSION], got {words}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except CheckFailed as failed:
        sys.exit(f"real Flink check FAILED: {failed}")
    except KeyboardInterrupt:
        sys.exit(130)
