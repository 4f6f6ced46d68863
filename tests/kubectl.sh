#!/usr/bin/env bash
# The real kubectl against the embedded cluster. Needs FLIGHTDECK_BIN (the binary to test) and kubectl; says what fails and exits 1.
#   FLIGHTDECK_BIN=target/debug/flightdeck tests/kubectl.sh
set -euo pipefail

bin=${FLIGHTDECK_BIN:?set FLIGHTDECK_BIN to the flightdeck binary}
command -v kubectl >/dev/null || { echo "kubectl is not installed (Debian: apt-get install kubernetes-client)" >&2; exit 1; }

dir=$(mktemp -d)
sim=
cleanup() { [ -z "$sim" ] || kill "$sim" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"; }
trap cleanup EXIT

cat >"$dir/scenario.toml" <<'TOML'
name = "kubectl"
prerun = "30s"
namespace = "flink"
[operator]
reconcile = "2s"
[[workload]]
name = "orders"
upgrade-mode = "savepoint"
[workload.application]
version = "1.20.5"
taskmanagers = { count = 1, max = 4, slots = 2 }
timings = { jobmanager-start = "1s", taskmanager-start = "1s", cooldown = "1s", stabilization = "1s" }
[[workload.vertex]]
name = "Source: orders"
cost = "90us"
source = { rate = { kind = "constant", rate = 500 } }
TOML

"$bin" sim --scenario "$dir/scenario.toml" --kubeconfig "$dir/kubeconfig" >"$dir/out" 2>"$dir/err" &
sim=$!
for _ in $(seq 100); do [ -s "$dir/kubeconfig" ] && grep -q ^kubeconfig "$dir/out" && break; sleep 0.1; done
[ -s "$dir/kubeconfig" ] || { echo "flightdeck sim did not start:" >&2; cat "$dir/err" >&2; exit 1; }

export HOME=$dir
k() { timeout 60 kubectl --kubeconfig "$dir/kubeconfig" "$@"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
# has WHAT PATTERN COMMAND...: the output of the command must contain the pattern.
has() {
  local what=$1 pattern=$2 out; shift 2
  out=$("$@" 2>&1) || fail "$what: exit $? of: $*
$out"
  grep -qE -- "$pattern" <<<"$out" || fail "$what: no /$pattern/ in the output of: $*
$out"
  echo "ok   $what"
}
# refused WHAT PATTERN COMMAND...: the command must fail and say so.
refused() {
  local what=$1 pattern=$2 out; shift 2
  if out=$("$@" 2>&1); then fail "$what: was not refused: $*"; fi
  grep -qE -- "$pattern" <<<"$out" || fail "$what: no /$pattern/ in: $out"
  echo "ok   $what"
}
# eventually WHAT PATTERN COMMAND...: within a minute.
eventually() {
  local what=$1 pattern=$2 out; shift 2
  for _ in $(seq 60); do
    out=$("$@" 2>&1) && grep -qE -- "$pattern" <<<"$out" && { echo "ok   $what"; return; }
    sleep 1
  done
  fail "$what: never /$pattern/, last: $out"
}

has "version" 'v1\.33' k version
has "api-resources" 'flinkdeployments +flinkdep +flink\.apache\.org/v1beta1 +true +FlinkDeployment' k api-resources
has "get: head" 'NAME +JOB STATUS +LIFECYCLE STATE' k get flinkdeployments
has "get: row" '^orders +RUNNING +STABLE' k get flinkdep
has "get -A" '^flink +orders +RUNNING' k get flinkdeployments -A
has "get -o yaml" 'lifecycleState: STABLE' k get flinkdep orders -o yaml
has "get -o jsonpath" '^READY$' k get flinkdep orders -o 'jsonpath={.status.jobManagerDeploymentStatus}'
has "get -o name" '^flinkdeployment.flink.apache.org/orders$' k get flinkdep -o name
has "get pods" 'orders-taskmanager-1-1 +1/1 +Running' k get pods -l app=orders
has "get services" 'orders-rest +ClusterIP' k get services
has "describe" 'Lifecycle State: +STABLE' k describe flinkdep orders
has "raw proxy" '"name": *"orders"' k get --raw /api/v1/namespaces/flink/services/orders-rest:8081/proxy/jobs/overview
refused "get of nothing" 'flinkdeployments\.flink\.apache\.org "none" not found' k get flinkdep none
refused "a wrong type" 'must be of type integer' k patch flinkdep orders --type merge -p '{"spec":{"job":{"parallelism":"many"}}}'
refused "a stale version" 'the object has been modified' k patch flinkdep orders --type merge -p '{"metadata":{"resourceVersion":"1"},"spec":{"restartNonce":1}}'
has "patch --dry-run=server" 'patched' k patch flinkdep orders --type merge --dry-run=server -p '{"spec":{"restartNonce":5}}'
has "a dry run stores nothing" '^$' k get flinkdep orders -o 'jsonpath={.spec.restartNonce}'

vertex=$(k get --raw /api/v1/namespaces/flink/services/orders-rest:8081/proxy/jobs/overview | grep -oE '"jid": *"[0-9a-f]{32}"' | head -1 | grep -oE '[0-9a-f]{32}')
vertex=$(k get --raw "/api/v1/namespaces/flink/services/orders-rest:8081/proxy/jobs/$vertex" | tr '{' '\n' | grep 'Source: orders' | grep -oE '"id": *"[0-9a-f]{32}"' | head -1 | grep -oE '[0-9a-f]{32}')
[ -n "$vertex" ] || fail "no vertex id"

timeout 30 kubectl --kubeconfig "$dir/kubeconfig" get flinkdep -w >"$dir/watch" 2>&1 &
watch=$!
has "patch --type merge" 'flinkdeployment.flink.apache.org/orders patched' k patch flinkdep orders --type merge \
  -p "{\"spec\":{\"flinkConfiguration\":{\"pipeline.jobvertex-parallelism-overrides\":\"$vertex:2\"}}}"
eventually "the operator rescales in place" "^2$" k get flinkdep orders -o 'jsonpath={.status.observedGeneration}'
eventually "the event of it" 'Scaling' k get events
eventually "stable again" '^orders +RUNNING +STABLE' k get flinkdep
eventually "the watch shows it" 'orders +(RUNNING|CREATED) +DEPLOYED' cat "$dir/watch"
kill "$watch" 2>/dev/null || true
has "patch --type json" 'patched' k patch flinkdep orders --type json -p '[{"op":"add","path":"/spec/restartNonce","value":9}]'
eventually "an upgrade" 'UPGRADING' k get flinkdep
eventually "and back" '^orders +RUNNING +STABLE' k get flinkdep

cat >"$dir/new.yaml" <<'YAML'
apiVersion: flink.apache.org/v1beta1
kind: FlinkDeployment
metadata: {name: second, namespace: flink}
spec:
  image: flink:1.20
  flinkVersion: v1_20
  serviceAccount: flink
  flinkConfiguration: {taskmanager.numberOfTaskSlots: "2", jobmanager.scheduler: adaptive}
  jobManager: {resource: {cpu: 1, memory: 2048m}}
  taskManager: {resource: {cpu: 1, memory: 2048m}}
YAML
has "create" 'second created' k create -f "$dir/new.yaml"
eventually "a session cluster comes up" '^second +STABLE$' k get flinkdep second --no-headers
has "delete" 'second.* deleted' k delete flinkdep second --wait=true --timeout=30s
refused "it is gone" 'not found' k get flinkdep second

kill -TERM "$sim"
wait "$sim" || fail "flightdeck sim ended with $? on SIGTERM"
sim=
echo "all of kubectl holds"
