#!/usr/bin/env bash
# A real Apache Flink on loopback, and flightdeck's check against it.
#
#   run.sh [1.20|2.x]        the whole check (default: both versions, one after the other)
#   run.sh up [1.20|2.x]     only starts the cluster with the job, prints its address and stays up
#   run.sh rate N [VERSION]  sets the job's source to N records a second
#   run.sh down [VERSION]    stops what `up` started
#
# Needs Java 11 or later (a JDK: javac), Python 3.9 or later and a way to PyPI; the Flink distribution (about 230 MB a version)
# is kept in ${FLIGHTDECK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/flightdeck}. The check runs the binary named by FLIGHTDECK_BIN
# (default: target/release/flightdeck, else target/debug/flightdeck).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

missing=()
command -v java >/dev/null || missing+=(java)
command -v javac >/dev/null || missing+=("javac (a JDK)")
command -v python3 >/dev/null || missing+=(python3)
if [ "${#missing[@]}" -gt 0 ]; then
    list=$(IFS=,; echo "${missing[*]}")
    if [ "${CI:-}" = true ]; then
        echo "real Flink check: missing: $list; in CI that is a failure" >&2
        exit 1
    fi
    echo "real Flink check: SKIPPED, missing: $list"
    exit 0
fi
exec python3 "$here/real_flink.py" "$@"
