#!/usr/bin/env bash
# The real kubectl against the embedded cluster. Needs FLIGHTDECK_BIN (the binary to test) and kubectl; says what fails and exits 1.
#   FLIGHTDECK_BIN=target/debug/flightdeck tests/kubectl.sh
set -euo pipefail

bin=${FLIGHTDECK_BIN:?set FLIGHTDECK_BIN to the flightdeck binary}
command -v curl >/dev/null || { echo "curl is not installed" >&2; exit 1; }
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
has "api-resources: built in" 'horizontalpodautoscalers +hpa +autoscaling/v2 +true +HorizontalPodAutoscaler' k api-resources
has "api-versions" '^events\.k8s\.io/v1$' k api-versions
has "get crd" '^flinkstatesnapshots\.flink\.apache\.org ' k get crd
has "explain" 'Default parallelism' k explain flinkdeployment.spec.job.parallelism
has "explain: recursive" 'upgradeMode' k explain flinkdeployment.spec --recursive
has "explain: built in" 'restartPolicy' k explain pod.spec
has "get: head" 'NAME +JOB STATUS +LIFECYCLE STATE' k get flinkdeployments
has "get: row" '^orders +RUNNING +STABLE' k get flinkdep
has "get -A" '^flink +orders +RUNNING' k get flinkdeployments -A
has "get -o wide" 'NOMINATED NODE +READINESS GATES' k get pods -o wide
has "get -o yaml" 'lifecycleState: STABLE' k get flinkdep orders -o yaml
has "get -o json" '"kind": "FlinkDeployment"' k get flinkdep orders -o json
has "get -o jsonpath" '^READY$' k get flinkdep orders -o 'jsonpath={.status.jobManagerDeploymentStatus}'
has "get -o name" '^flinkdeployment.flink.apache.org/orders$' k get flinkdep -o name
has "get all" 'service/orders-rest +ClusterIP' k get all
has "get in pages" 'orders-taskmanager-1-1' k get pods --chunk-size=1
has "get by field" '^flink +Active' k get namespaces --field-selector metadata.name=flink
has "get pods" 'orders-taskmanager-1-1 +1/1 +Running' k get pods -l app=orders
has "get services" 'orders-rest +ClusterIP' k get services -o wide
has "describe" 'Lifecycle State: +STABLE' k describe flinkdep orders
has "describe: events" 'Events:' k describe flinkdep orders
has "describe pod" 'flink-main-container:' k describe pod orders-taskmanager-1-1
has "describe deployment" 'Replicas:' k describe deployment orders
has "describe namespace" 'Status: +Active' k describe namespace flink
has "raw proxy" '"name": *"orders"' k get --raw /api/v1/namespaces/flink/services/orders-rest:8081/proxy/jobs/overview
has "auth can-i" '^yes$' k auth can-i patch flinkdeployments
has "auth can-i --list" '\*\.\* .*\[\*\]' k auth can-i --list
has "auth whoami" 'flightdeck' k auth whoami
has "cluster readiness" '^ok$' k get --raw /readyz
refused "get of nothing" 'flinkdeployments\.flink\.apache\.org "none" not found' k get flinkdep none
refused "an unknown kind" 'doesn.t have a resource type "sausages"' k get sausages
refused "an unknown field selector" 'field label not supported: spec\.image' k get pods --field-selector spec.image=x
refused "a wrong type" 'spec\.job\.parallelism: Invalid value: "string": spec\.job\.parallelism in body must be of type integer: "string"' k patch flinkdep orders --type merge -p '{"spec":{"job":{"parallelism":"many"}}}'
refused "a wrong word" 'spec\.job\.state: Unsupported value: "paused": supported values: "running", "suspended"' k patch flinkdep orders --type merge -p '{"spec":{"job":{"state":"paused"}}}'
has "an unknown field is warned of" 'Warning: unknown field "spec\.imege"' k patch flinkdep orders --type merge --dry-run=server -p '{"spec":{"imege":"x"}}'
refused "a stale version" 'the object has been modified' k patch flinkdep orders --type merge -p '{"metadata":{"resourceVersion":"1"},"spec":{"restartNonce":1}}'
refused "a strategic patch of a custom kind" 'unsupported media|media type|strategic' k patch flinkdep orders --type strategic -p '{"spec":{"restartNonce":1}}'
has "patch --dry-run=server" 'patched' k patch flinkdep orders --type merge --dry-run=server -p '{"spec":{"restartNonce":5}}'
has "a dry run stores nothing" '^$' k get flinkdep orders -o 'jsonpath={.spec.restartNonce}'

# Logs, written by hand.
pod=/sim/logs/flink/orders-taskmanager-1-1/flink-main-container
url=$(grep -oE 'server: .*' "$dir/kubeconfig" | cut -d' ' -f2)
post() { curl -sf -X POST "$url$1" ${2+--data-binary "$2"} >/dev/null || fail "POST $1"; }
post "$pod/restart"
post "$pod" $'line one\nline two\nline three'
has "logs" '^line two$' k logs orders-taskmanager-1-1
has "logs --tail" '^line three$' k logs orders-taskmanager-1-1 --tail=1
refused "logs of no container" 'container nothing is not valid for pod orders-taskmanager-1-1' k logs orders-taskmanager-1-1 -c nothing
timeout 60 kubectl --kubeconfig "$dir/kubeconfig" logs -f --timestamps orders-taskmanager-1-1 >"$dir/log" 2>&1 &
follower=$!
eventually "logs -f begins" '^20[0-9-]+T.*Z line three$' cat "$dir/log"
post "$pod" 'line four'
eventually "logs -f goes on" 'line four$' cat "$dir/log"
post "$pod/restart"
wait "$follower" || fail "logs -f did not end with its container"
echo "ok   logs -f ends with the container"
has "logs --previous" '^line four$' k logs --previous orders-taskmanager-1-1

vertex=$(k get --raw /api/v1/namespaces/flink/services/orders-rest:8081/proxy/jobs/overview | grep -oE '"jid": *"[0-9a-f]{32}"' | head -1 | grep -oE '[0-9a-f]{32}')
vertex=$(k get --raw "/api/v1/namespaces/flink/services/orders-rest:8081/proxy/jobs/$vertex" | tr '{' '\n' | grep 'Source: orders' | grep -oE '"id": *"[0-9a-f]{32}"' | head -1 | grep -oE '[0-9a-f]{32}')
[ -n "$vertex" ] || fail "no vertex id"

timeout 120 kubectl --kubeconfig "$dir/kubeconfig" get flinkdep -w >"$dir/watch" 2>&1 &
watch=$!
has "patch --type merge" 'flinkdeployment.flink.apache.org/orders patched' k patch flinkdep orders --type merge \
  -p "{\"spec\":{\"flinkConfiguration\":{\"pipeline.jobvertex-parallelism-overrides\":\"$vertex:2\"}}}"
eventually "the operator rescales in place" "^2$" k get flinkdep orders -o 'jsonpath={.status.observedGeneration}'
eventually "the event of it" 'Scaling' k get events
has "events" 'FlinkDeployment/orders' k events --for flinkdeployment.flink.apache.org/orders
has "wait --for=jsonpath" 'condition met' k wait flinkdep/orders --for='jsonpath={.status.lifecycleState}=STABLE' --timeout=60s
eventually "the watch shows it" 'orders +(RUNNING|CREATED) +DEPLOYED' cat "$dir/watch"

# A compaction: the open watch goes on, nobody new can begin in the past.
old=$(k get flinkdep orders -o 'jsonpath={.metadata.resourceVersion}')
post /sim/compact
has "a new watch from an old version" '"code": *410' k get --raw "/apis/flink.apache.org/v1beta1/flinkdeployments?watch=1&resourceVersion=$old&timeoutSeconds=2"
refused "an old list" 'too old resource version' k get --raw "/apis/flink.apache.org/v1beta1/flinkdeployments?resourceVersion=$old&resourceVersionMatch=Exact"
lines=$(wc -l <"$dir/watch")
has "patch --type json" 'patched' k patch flinkdep orders --type json -p '[{"op":"add","path":"/spec/restartNonce","value":9}]'
eventually "an upgrade" 'UPGRADING' k get flinkdep
eventually "the watch went on" 'UPGRADING' tail -n "+$((lines + 1))" "$dir/watch"
kill "$watch" 2>/dev/null || true
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
sed 's/image:/imege:/' "$dir/new.yaml" >"$dir/typo.yaml"
refused "create with a typo" 'strict decoding error: unknown field "spec\.imege"' k create -f "$dir/typo.yaml"
has "create --dry-run=server" 'created \(server dry run\)' k create --dry-run=server -f "$dir/new.yaml"
has "apply creates" 'second created' k apply -f "$dir/new.yaml"
refused "create again" '"second" already exists' k create -f "$dir/new.yaml"
eventually "a session cluster comes up" '^second +STABLE$' k get flinkdep second --no-headers
has "apply of the same" 'second unchanged' k apply -f "$dir/new.yaml"
sed 's/1\.20/1.20.5/' "$dir/new.yaml" >"$dir/changed.yaml"
out=$(k diff -f "$dir/changed.yaml" 2>&1) && fail "diff found nothing"
grep -qE '^\+ +image: flink:1\.20\.5' <<<"$out" || fail "diff: $out"
echo "ok   diff"
has "apply --server-side --dry-run=server by the same manager" 'serverside-applied \(server dry run\)' k apply --server-side --dry-run=server --force-conflicts -f "$dir/changed.yaml"
refused "apply conflict" 'conflict with "kubectl-client-side-apply".*: \.spec\.image|conflicts with "kubectl-client-side-apply"' k apply --server-side --field-manager=pilot -f "$dir/changed.yaml"
cat >"$dir/part.yaml" <<'YAML'
apiVersion: flink.apache.org/v1beta1
kind: FlinkDeployment
metadata: {name: second, namespace: flink, labels: {team: a}}
YAML
has "apply --server-side of a part" 'serverside-applied' k apply --server-side --field-manager=pilot -f "$dir/part.yaml"
has "managedFields" 'manager: pilot' k get flinkdep second -o yaml --show-managed-fields
has "label" 'labeled' k label flinkdep second tier=one
refused "label without overwrite" 'already has a value|overwrite' k label flinkdep second tier=two
has "annotate" 'annotated' k annotate flinkdep second note=first
has "get by label" '^second' k get flinkdep -l tier=one,team=a --no-headers
k get flinkdep second -o yaml | sed 's/note: first/note: second/' >"$dir/replace.yaml"
has "replace" 'replaced' k replace -f "$dir/replace.yaml"
has "edit" 'edited' env KUBE_EDITOR='sed -i s/note:.second/note:\ third/' timeout 60 kubectl --kubeconfig "$dir/kubeconfig" edit flinkdep second
refused "replace of an old version" 'the object has been modified' k replace -f "$dir/replace.yaml"
has "scale" 'scaled' k scale flinkdep second --replicas=2
has "scale is in the spec" '^2$' k get flinkdep second -o 'jsonpath={.spec.taskManager.replicas}'
has "delete --dry-run=server" 'deleted \(server dry run\)' k delete flinkdep second --dry-run=server
has "delete --wait" 'second.* deleted' k delete flinkdep second --wait=true --timeout=60s
refused "it is gone" 'not found' k get flinkdep second

# A built-in kind, with strategic merge and owners.
cat >"$dir/web.yaml" <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: flink}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: a, image: "a:1"}, {name: b, image: "b:1"}]}
YAML
has "apply of a built-in kind" 'web created' k apply -f "$dir/web.yaml"
has "patch --type strategic" 'patched' k patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"b","image":"b:2"}]}}}}'
has "items merge by their key" '^a:1 b:2$' k get deployment web -o 'jsonpath={.spec.template.spec.containers[*].image}'
has "apply of it again" 'web configured' k apply -f "$dir/web.yaml"
has "set image" 'image updated' k set image deployment/web a=a:3
has "scale a Deployment" 'scaled' k scale deployment web --replicas=3
has "its replicas" '^web +0/3' k get deployment web --no-headers
uid=$(k get deployment web -o 'jsonpath={.metadata.uid}')
cat >"$dir/owned.yaml" <<YAML
apiVersion: v1
kind: ConfigMap
metadata:
  name: owned
  namespace: flink
  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: $uid, blockOwnerDeletion: true}]
data: {a: b}
YAML
has "create an owned object" 'created' k create -f "$dir/owned.yaml"
has "delete --cascade=foreground" 'deleted' k delete deployment web --cascade=foreground --timeout=30s
refused "what it owned went with it" 'not found' k get configmap owned
has "create namespace" 'created' k create namespace other
has "create configmap" 'created' k create configmap x -n other --from-literal=a=b
has "delete namespace" 'deleted' k delete namespace other --timeout=30s
refused "what was in it is gone" 'not found' k get configmap x -n other

# Faults, by the control path.
fault() { post /sim/faults "$1"; }
calm() { curl -sf -X DELETE "$url/sim/faults" >/dev/null; }
fault '{"kind":"forbidden","verb":"list","resource":"pods","for":"1m"}'
refused "a forbidden verb" 'pods is forbidden: User "flightdeck" cannot list resource "pods" in API group "" in the namespace "flink"' k get pods
has "auth can-i says no" '^no' bash -c "kubectl --kubeconfig '$dir/kubeconfig' auth can-i list pods || true"
calm
fault '{"kind":"webhook-denied","message":"not today","for":"1m"}'
refused "a webhook denies" 'admission webhook "validationwebhook.flink.apache.org" denied the request: not today' k patch flinkdep orders --type merge -p '{"spec":{"restartNonce":10}}'
calm
fault '{"kind":"token-expired","for":"1m"}'
refused "an expired token" 'Unauthorized|logged in|credentials' k get pods
calm
fault '{"kind":"write-conflicts","for":"1m"}'
refused "a conflict" 'the object has been modified' k replace -f <(k get flinkdep orders -o yaml)
calm
has "and all is well again" '^orders +RUNNING +STABLE' k get flinkdep

kill -TERM "$sim"
wait "$sim" || fail "flightdeck sim ended with $? on SIGTERM"
sim=
echo "all of kubectl holds"
