"""Flightdeck's main line against a real Flink: overload, proposal, approval, rescale, shrinking backlog.

What flightdeck says is read from its own output; whether it is true is read from Flink's REST API.
"""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import threading
import time
from pathlib import Path

from cluster import HERE, CheckFailed, say, wait_for

# A subtask of the slow vertex handles 1000 / WORK_MS records a second at most.
WORK_MS = 4
CALM = 100
# Needs five subtasks at 70 % of their capacity, which alignment makes six; the growing backlog asks for six at most, so the proposal
# stays the same from turn to turn.
BUSY = 720
# After a (re)start the adaptive scheduler rescales nothing for 30 s.
COOL_DOWN = 30
OPTIONS = [word for option in ("loop.period=5s", "metrics.window=60s", "stabilization.interval=20s")
           for word in ("--set", option)]


def binary():
    named = os.environ.get("FLIGHTDECK_BIN")
    candidates = [Path(named)] if named else [HERE.parents[1] / "target" / p / "flightdeck" for p in ("release", "debug")]
    for path in candidates:
        if path.is_file():
            return str(path)
    raise CheckFailed(f"no flightdeck binary at {' or '.join(map(str, candidates))}: build it, or set FLIGHTDECK_BIN")


class Flightdeck:
    """The real binary, with folders of its own so that nothing of the user is read or written."""

    def __init__(self, folder, url):
        self.url = url
        self.program = binary()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("FLIGHTDECK_")}
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "HOME"):
            home = folder / "flightdeck" / name.lower()
            home.mkdir(parents=True, mode=0o700)
            self.environment[name] = str(home)
        self.environment.update(TERM="xterm-256color", COLORTERM="truecolor", LANG="C.UTF-8")
        self.environment.pop("NO_COLOR", None)

    def run(self, *words, seconds, expect=0):
        """Runs one command; its progress is shown as it comes. Returns what it printed: stdout, stderr."""
        say(f"flightdeck {' '.join(words)}")
        process = subprocess.Popen([self.program, *words], env=self.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        progress = []

        def follow():
            for line in process.stderr:
                progress.append(line)
                print(f"           | {line.rstrip()}", flush=True)

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        # Standard output is read beside it, so that neither pipe can fill up; a command that hangs is ended.
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            out = process.stdout.read()
            code = process.wait()
        finally:
            timed_out = not timer.is_alive()
            timer.cancel()
            if process.poll() is None:
                process.kill()
                process.wait()
        reader.join(timeout=5)
        if timed_out:
            raise CheckFailed(f"flightdeck {words[0]} did not end within {seconds} s")
        if code != expect:
            raise CheckFailed(f"flightdeck {' '.join(words)}: exit code {code}, expected {expect}\n{''.join(progress[-20:])}")
        return out, "".join(progress)


class Screen:
    """Flightdeck's screens in a pseudo terminal."""

    def __init__(self, flightdeck, *words):
        self.text = ""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(flightdeck.program, [flightdeck.program, *words], flightdeck.environment)
        self.resize(48, 160)

    def resize(self, rows, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        """What is drawn in this time, as words: a cursor that is moved separates them."""
        until = time.monotonic() + seconds
        raw = b""
        while (left := until - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                try:
                    raw += os.read(self.terminal, 65536)
                except OSError:
                    raise CheckFailed("the screens ended by themselves") from None
        text = raw.decode(errors="replace")
        text = re.sub(r"\x1b\][^\x07\x1b]*(\x07|\x1b\\)", "", text)
        text = re.sub(r"\x1b\[[0-9;:?<>=]*m", "", text)
        return re.sub(r"\s+", " ", re.sub(r"\x1b(\[[0-9;:?<>= ]*[A-Za-z@`~]|[()][A-Za-z0-9]|[=>78])", " ", text))

    def whole(self):
        """The whole screen: a new size makes flightdeck draw everything."""
        self.read(0.2)
        self.resize(47, 160)
        self.read(0.5)
        self.resize(48, 160)
        return self.read(1.0)

    def press(self, keys):
        os.write(self.terminal, keys.encode())

    def close(self):
        """Hangs up, and makes sure that the process is gone."""
        os.close(self.terminal)
        for _ in range(50):
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                return True
            time.sleep(0.1)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        return False


def pending_decision(document):
    """The pending decision of a `DecisionList`, or None."""
    for item in document["items"]:
        if item["state"]["state"] == "pending":
            return item
    return None


def check(cluster):
    """The whole line on a started cluster."""
    # From 2.0 on a rescale waits for the next checkpoint: a longer interval makes the wait visible.
    waits = not cluster.version.startswith("1.")
    flightdeck = Flightdeck(cluster.folder, cluster.url)
    cluster.set_rate(CALM)
    job = cluster.submit(WORK_MS, checkpoint_ms=30_000 if waits else 10_000)
    started = time.monotonic()
    slow, before = cluster.vertex(job, "Work")
    if before != 1:
        raise CheckFailed(f"the job starts with parallelism {before} of the slow vertex, not 1")
    wait_for("pendingRecords", 60, lambda: cluster.pending(job) is not None, alive=cluster.check_alive)

    out, _ = flightdeck.run("get", "jobs", "--flink", cluster.url, "-o", "json", *OPTIONS, seconds=60)
    seen = json.loads(out)["items"]
    if [(j["job_id"], j["state"]) for j in seen] != [(job, "RUNNING")]:
        raise CheckFailed(f"flightdeck sees other jobs than Flink has: {out[:2000]}")

    time.sleep(max(0.0, COOL_DOWN - (time.monotonic() - started)))
    cluster.set_rate(BUSY)
    say(f"the source has {BUSY} records a second now, one subtask handles at most {1000 // WORK_MS}")
    # Until the buffers between source and slow vertex are full the source seems to be the bottleneck.
    time.sleep(30)
    if waits:
        decision, progress, newest = approve_on_screen(flightdeck, cluster, job)
    else:
        decision, progress, newest = approve_headless(flightdeck, cluster, job)

    change = {c["name"]: c for c in decision["changes"]}
    wanted = next((c["to"] for name, c in change.items() if "Work" in name), None)
    if not wanted or wanted < 3:
        raise CheckFailed(f"the proposal does not help the slow vertex: {json.dumps(decision['changes'])}")
    say("what Flink itself says:")
    wait_for(f"parallelism {wanted} of the slow vertex", 180, alive=cluster.check_alive, ready=lambda: (
        cluster.vertex(job, "Work")[1] == wanted and cluster.all_running(job)))
    bounds = cluster.get(f"/jobs/{job}/resource-requirements")[slow]["parallelism"]
    if bounds["upperBound"] != wanted:
        raise CheckFailed(f"the requirements of the slow vertex are {bounds}, not {wanted}")
    restored = cluster.get(f"/jobs/{job}/checkpoints")["latest"]["restored"]
    if not restored or restored["id"] < newest:
        raise CheckFailed(f"restored from {restored}, not from checkpoint {newest} or a later one")
    say(f"  parallelism {before} -> {wanted}, all tasks RUNNING, restored from checkpoint {restored['id']}")
    if waits and restored["id"] <= newest:
        raise CheckFailed(f"Flink did not wait for a checkpoint after {newest}: the check no longer shows the wait")
    if waits and "checkpoint" not in progress:
        raise CheckFailed(f"flightdeck did not say that Flink waits for a checkpoint:\n{progress}")
    backlog_shrinks(cluster, job)


def completed(cluster, job):
    """Number of the newest completed checkpoint, 0 if there is none."""
    newest = cluster.get(f"/jobs/{job}/checkpoints")["latest"]["completed"]
    return newest["id"] if newest else 0


def approve(flightdeck, cluster, job, pending, *how):
    """Approves what is pending. The backlog grows all the while: should that change the proposal before it is applied,
    flightdeck must refuse, and the new proposal is approved. Nothing but a change of the proposal excuses a refusal."""
    for attempt in (1, 2, 3):
        decision = pending()
        say(f"pending: {decision['id']}: {decision['reason']['sentence']}")
        if cluster.vertex(job, "Work")[1] != 1:
            raise CheckFailed("the job was rescaled before anyone approved it")
        newest = completed(cluster, job)
        try:
            _, progress = flightdeck.run("decisions", "approve", decision["id"], "--yes", *how, seconds=900)
            return decision, progress, newest
        except CheckFailed as failed:
            text = str(failed)
            gone = "it is not proposed any more" in text and "metric window" not in text
            changed = "there is no decision" in text or "its numbers changed since it was shown" in text or gone
            if attempt == 3 or not changed:
                raise
            say("the proposal changed meanwhile: once more")


def approve_headless(flightdeck, cluster, job):
    """Each command runs a control loop of its own in the foreground."""
    at = ("--flink", cluster.url, *OPTIONS)

    def pending():
        out, _ = flightdeck.run("get", "decisions", "--wait", "5m", "-o", "json", *at, seconds=360)
        decision = pending_decision(json.loads(out))
        if not decision:
            raise CheckFailed(f"no decision is pending after five minutes of overload: {out[:2000]}")
        return decision

    return approve(flightdeck, cluster, job, pending, "--wait", "5m", *at)


def approve_on_screen(flightdeck, cluster, job):
    """The screens run in a pseudo terminal; scripts attach to them through their socket."""
    screen = Screen(flightdeck, "--flink", cluster.url, *OPTIONS)
    drawn = [""]
    stop = threading.Event()

    def watch():
        while not stop.is_set():
            drawn[0] += screen.read(0.5)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        found = [None]

        def pending_now():
            if not watcher.is_alive():
                raise CheckFailed("the screens ended by themselves")
            out, _ = flightdeck.run("get", "decisions", "-o", "json", seconds=60)
            found[0] = pending_decision(json.loads(out))
            return found[0] is not None

        def pending():
            wait_for("pending decision", 300, pending_now, alive=cluster.check_alive, every=10)
            # Right after a checkpoint the next one is far enough away for the wait to be seen.
            done = completed(cluster, job)
            wait_for("next checkpoint", 120, lambda: completed(cluster, job) > done, alive=cluster.check_alive)
            wait_for("pending decision", 60, pending_now, alive=cluster.check_alive, every=2)
            return found[0]

        time.sleep(5)
        approved = approve(flightdeck, cluster, job, pending)
        stop.set()
        watcher.join()
        if "checkpoint" not in drawn[0]:
            raise CheckFailed("the screens never said that Flink waits for a checkpoint")
        text = screen.whole()
        if "flightdeck-check" not in text:
            raise CheckFailed(f"the job is not on the screen: {text[:2000]}")
        return approved
    finally:
        stop.set()
        watcher.join()
        if not screen.close():
            say("  (the screens had to be ended: they did not follow the hang-up)")


def backlog_shrinks(cluster, job):
    """For two minutes, by pendingRecords: the backlog is worked off, or a quarter of the source's rate is left over to work it off."""
    readings = []
    times = []
    until = time.monotonic() + 120
    while time.monotonic() < until:
        cluster.check_alive()
        value = cluster.pending(job)
        if value is not None:
            readings.append(value)
            times.append(time.monotonic())
        time.sleep(5)
    say(f"  pendingRecords over two minutes: {' '.join(f'{r:.0f}' for r in readings)}")
    if len(readings) < 12:
        raise CheckFailed(f"only {len(readings)} readings of pendingRecords in two minutes")
    # The first readings may still be of the attempt before: Flink fetches metrics every 5 s.
    first, last = max(readings[:4]), sorted(readings[-3:])[1]
    rate = (first - last) / (times[-2] - times[3])
    if last > BUSY and rate < BUSY / 4:
        raise CheckFailed(f"the backlog does not shrink: {first:.0f} -> {last:.0f} records, {rate:.0f} a second")
    say(f"  the backlog shrank: {first:.0f} -> {last:.0f} records, {rate:.0f} a second on the way")


def forget(folder):
    shutil.rmtree(folder, ignore_errors=True)
