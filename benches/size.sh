#!/usr/bin/env bash
# Builds what is shipped and fails if it is larger than 15 MiB. Everything is built again, with link-time optimisation.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --locked --profile dist --bin flightdeck
size=$(stat -c %s "${CARGO_TARGET_DIR:-target}/dist/flightdeck")
printf 'flightdeck, profile dist: %d bytes\n' "$size"
[ "$size" -le $((15 * 1024 * 1024)) ] || { echo "larger than 15 MiB"; exit 1; }
