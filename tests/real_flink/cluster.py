"""A real Flink session cluster on loopback, made from the jars of the PyPI source package `apache-flink-libraries`.

Nothing here knows flightdeck: distribution, job jar, processes, and Flink's REST API in a few calls.
"""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(
    os.environ.get("FLIGHTDECK_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flightdeck"
)
MAIN_CLASS = "io.flightdeck.check.CheckJob"
VERSIONS = {"1.20": "1.20.5", "2.x": "2.1.3"}
SPLITS = 8

# What Flink's own start scripts open for Java 17 and later.
MODULES = [f"--add-opens=java.base/{p}=ALL-UNNAMED" for p in (
    "java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.text", "java.time",
    "java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks")]

LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = file
appender.file.name = file
appender.file.type = FILE
appender.file.fileName = ${sys:log.file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
"""


class CheckFailed(Exception):
    """Something that should be true of the cluster or of flightdeck is not."""


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


class Refused(CheckFailed):
    """Flink answered with an error."""

    def __init__(self, what, status, text):
        super().__init__(f"{what}: {status} {text}")
        self.status = status


# -- distribution and job ----------------------------------------------------------------------------------------------


def distribution(version):
    """The folder with `lib` and `bin` of this Flink version; downloaded once."""
    home = CACHE / f"flink-{version}"
    if (home / "lib").is_dir():
        return home
    archive = CACHE / "download" / f"apache_flink_libraries-{version}.tar.gz"
    if not archive.is_file():
        say(f"getting apache-flink-libraries {version} (about 230-310 MB, once)")
        # pip asks every source package for its metadata, which needs a setuptools that can build wheels.
        venv = CACHE / "venv"
        pip = venv / "bin" / "pip"
        if not pip.is_file():
            subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(pip), "install", "--quiet", "setuptools>=70.1", "wheel"], check=True)
        archive.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(pip), "download", "--quiet", "--no-deps", "--no-build-isolation", "--no-binary",
                        "apache-flink-libraries", "--dest", str(archive.parent), f"apache-flink-libraries=={version}"],
                       check=True)
    say(f"unpacking Flink {version}")
    unpacked = Path(f"{home}.{os.getpid()}")
    shutil.rmtree(unpacked, ignore_errors=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            folder, name = os.path.split(member.name)
            part = os.path.basename(folder)
            # A streaming job needs flink-dist and the logging jars; SQL, Python and the plugins stay out.
            wanted = part == "bin" or (part == "lib" and name.startswith(("flink-dist", "log4j")))
            if member.isfile() and wanted and "/deps/" in member.name:
                target = unpacked / part / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with tar.extractfile(member) as source, open(target, "wb") as out:
                    shutil.copyfileobj(source, out)
    if not list(unpacked.glob("lib/flink-dist-*.jar")) or not list(unpacked.glob("bin/*.jar")):
        raise CheckFailed(f"{archive} does not hold the jars that were expected under deps/lib and deps/bin")
    unpacked.rename(home)
    return home


def build_job(home):
    """The jar of our own job, compiled against this distribution; kept until a source changes."""
    sources = sorted((HERE / "job").glob("*.java"))
    digest = hashlib.sha256(b"".join(s.read_bytes() for s in sources)).hexdigest()[:12]
    jar = CACHE / f"job-{home.name}-{digest}.jar"
    if jar.is_file():
        return jar
    say("compiling the job")
    classes = CACHE / f"classes-{os.getpid()}"
    shutil.rmtree(classes, ignore_errors=True)
    subprocess.run(["javac", "-nowarn", "--release", "11", "-cp", f"{home}/lib/*", "-d", str(classes), *map(str, sources)],
                   check=True)
    partial = jar.with_suffix(f".{os.getpid()}")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\nMain-Class: {MAIN_CLASS}\n\n")
        for path in sorted(classes.rglob("*.class")):
            out.write(path, path.relative_to(classes))
    partial.rename(jar)
    shutil.rmtree(classes)
    return jar


def free_ports(count):
    """Ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


# -- cluster -----------------------------------------------------------------------------------------------------------


class Cluster:
    """One JobManager and its TaskManagers as processes of this machine."""

    def __init__(self, version, folder, task_managers=2, slots=4):
        self.version = version
        self.folder = Path(folder)
        self.task_managers = task_managers
        self.slots = slots
        self.url = None
        self.pids = []

    def start(self):
        home = distribution(self.version)
        shutil.rmtree(self.folder, ignore_errors=True)
        for part in ("conf", "log", "tmp", "checkpoints", "savepoints", "web"):
            (self.folder / part).mkdir(parents=True)
        rest, rpc = free_ports(2)
        config = {
            "jobmanager.rpc.address": "127.0.0.1",
            "jobmanager.rpc.port": rpc,
            "jobmanager.bind-host": "127.0.0.1",
            "jobmanager.scheduler": "adaptive",
            "jobmanager.memory.process.size": "1024m",
            "rest.address": "127.0.0.1",
            "rest.bind-address": "127.0.0.1",
            "rest.port": rest,
            "taskmanager.host": "127.0.0.1",
            "taskmanager.bind-host": "127.0.0.1",
            "taskmanager.numberOfTaskSlots": self.slots,
            "taskmanager.memory.process.size": "1024m",
            "taskmanager.memory.managed.fraction": "0.1",
            "metrics.fetcher.update-interval": "5000",
            "execution.checkpointing.dir": (self.folder / "checkpoints").as_uri(),
            "execution.checkpointing.savepoint-dir": (self.folder / "savepoints").as_uri(),
            "io.tmp.dirs": str(self.folder / "tmp"),
            "web.tmpdir": str(self.folder / "web"),
        }
        text = "".join(f"{key}: {value}\n" for key, value in config.items())
        (self.folder / "conf" / "config.yaml").write_text(text)
        (self.folder / "conf" / "log4j.properties").write_text(LOG4J)
        self.url = f"http://127.0.0.1:{rest}"

        say(f"starting Flink {self.version} at {self.url} (logs in {self.folder / 'log'})")
        self._java(home, "jobmanager", "JM", "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint")
        for n in range(self.task_managers):
            self._java(home, f"taskmanager-{n}", "TM", "org.apache.flink.runtime.taskexecutor.TaskManagerRunner")
        slots = self.task_managers * self.slots
        wait_for(f"{slots} slots", 120, lambda: self.get("/overview")["slots-total"] == slots, alive=self.check_alive)

    def _java(self, home, name, kind, main):
        conf = self.folder / "conf"
        utils = subprocess.run(
            ["java", "-cp", ":".join(map(str, [*home.glob("bin/*.jar"), *home.glob("lib/*.jar")])),
             "org.apache.flink.runtime.util.bash.BashJavaUtils", f"GET_{kind}_RESOURCE_PARAMS", "--configDir", str(conf)],
            capture_output=True, text=True, check=False)
        mark = "BASH_JAVA_UTILS_EXEC_RESULT:"
        lines = [line.split(mark, 1)[1].strip() for line in utils.stdout.splitlines() if mark in line]
        if len(lines) != 2:
            raise CheckFailed(f"BashJavaUtils gave no memory arguments for {name}:\n{utils.stdout}{utils.stderr}")
        jvm, dynamic = (line.split() for line in lines)
        log = self.folder / "log"
        command = ["java", *jvm, *MODULES, f"-Dlog.file={log / name}.log",
                   f"-Dlog4j.configurationFile={(conf / 'log4j.properties').as_uri()}",
                   "-cp", f"{home}/lib/*", main, "--configDir", str(conf), *dynamic]
        with open(log / f"{name}.out", "wb") as out:
            # A session of its own, so that Ctrl-C ends it through stop() and not halfway through a request.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                       start_new_session=True)
        self.pids.append(process.pid)

    def check_alive(self):
        for pid in self.pids:
            if not self._ours(pid):
                tail = "\n".join(
                    f"== {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
                    for path in sorted((self.folder / "log").iterdir()))
                raise CheckFailed(f"a Flink process ended early; the ends of its logs:\n{tail}")

    def _ours(self, pid):
        """The process still runs and is the one that was started (numbers are used again)."""
        try:
            done, _ = os.waitpid(pid, os.WNOHANG)
            if done == pid:
                return False
        except ChildProcessError:
            pass  # started by an earlier `up`
        seen = subprocess.run(["ps", "-o", "args=", "-ww", "-p", str(pid)], capture_output=True, text=True, check=False)
        return str(self.folder) in seen.stdout

    def stop(self):
        for sig, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
            left = [pid for pid in self.pids if self._ours(pid)]
            for pid in left:
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
            until = time.monotonic() + patience
            while left and time.monotonic() < until:
                time.sleep(0.2)
                left = [pid for pid in left if self._ours(pid)]
            if not left:
                break
        self.pids = []

    # -- what `up` leaves for `down` and `rate` ------------------------------------------------------------------------

    def save(self):
        state = {"version": self.version, "url": self.url, "pids": self.pids}
        (self.folder / "cluster.json").write_text(json.dumps(state))

    @classmethod
    def saved(cls, folder):
        try:
            state = json.loads((Path(folder) / "cluster.json").read_text())
        except OSError:
            return None
        cluster = cls(state["version"], folder)
        cluster.url, cluster.pids = state["url"], state["pids"]
        return cluster

    # -- Flink's REST API ----------------------------------------------------------------------------------------------

    def call(self, method, path, body=None, headers=None):
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers or {})
        # Loopback is never reached through a proxy, whatever the environment says.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Refused(f"{method} {path}", error.code, error.read(2000).decode(errors="replace")) from error

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body):
        return self.call("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def upload(self, jar):
        boundary = uuid.uuid4().hex
        body = (f"--{boundary}\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"check-job.jar\"\r\n"
                "Content-Type: application/x-java-archive\r\n\r\n").encode()
        body += jar.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        answer = self.call("POST", "/jars/upload", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        return answer["filename"].rsplit("/", 1)[-1]

    # -- the job -------------------------------------------------------------------------------------------------------

    def set_rate(self, records_per_second):
        with open(self.folder / "rates", "a", encoding="ascii") as rates:
            rates.write(f"{int(time.time() * 1000)} {records_per_second}\n")

    def submit(self, work_ms, checkpoint_ms):
        """Starts the job with parallelism 1 and waits until all its tasks run."""
        jar = self.upload(build_job(distribution(self.version)))
        arguments = [str(self.folder / "rates"), str(SPLITS), str(work_ms), str(checkpoint_ms)]
        answer = self.post(f"/jars/{urllib.parse.quote(jar)}/run", {"programArgsList": arguments, "parallelism": 1})
        job = answer["jobid"]
        wait_for("all tasks RUNNING", 60, lambda: self.all_running(job), alive=self.check_alive)
        return job

    def overview(self, job):
        found = [j for j in self.get("/jobs/overview")["jobs"] if j["jid"] == job]
        if not found:
            raise CheckFailed(f"Flink does not list job {job} any more")
        return found[0]

    def all_running(self, job):
        seen = self.overview(job)
        if seen["state"] in ("FAILED", "FINISHED", "CANCELED"):
            raise CheckFailed(f"the job is {seen['state']}: {json.dumps(self.get(f'/jobs/{job}/exceptions'))[:2000]}")
        return seen["state"] == "RUNNING" and seen["tasks"]["running"] == seen["tasks"]["total"] > 0

    def vertices(self, job):
        """Vertex name -> id and parallelism."""
        return {v["name"]: (v["id"], v["parallelism"]) for v in self.get(f"/jobs/{job}")["vertices"]}

    def vertex(self, job, part):
        """Id and parallelism of the vertex whose name contains `part`."""
        for name, found in self.vertices(job).items():
            if part in name:
                return found
        raise CheckFailed(f"no vertex named like {part!r}")

    def metric(self, job, vertex, suffix):
        """Sum over the subtasks of the metric with this suffix; None while Flink has no values."""
        base = f"/jobs/{job}/vertices/{vertex}/subtasks/metrics"
        names = [m["id"] for m in self.get(base) if m["id"] == suffix or m["id"].endswith("." + suffix)]
        if not names:
            return None
        values = self.get(f"{base}?get={urllib.parse.quote(names[0])}&agg=sum")
        return float(values[0]["sum"]) if values else None

    def pending(self, job):
        source, _ = self.vertex(job, "Source: paced")
        return self.metric(job, source, "pendingRecords")


def wait_for(what, seconds, ready, alive=None, every=0.5):
    """Waits until `ready()` is true; answers that do not come yet count as not ready."""
    until = time.monotonic() + seconds
    last = None
    while time.monotonic() < until:
        if alive:
            alive()
        try:
            if ready():
                return
        except (OSError, KeyError, IndexError) as error:
            last = error
        except Refused as error:
            if error.status != 503:  # no leader yet
                raise
            last = error
        time.sleep(every)
    raise CheckFailed(f"no {what} within {seconds} s" + (f" (last: {last})" if last else ""))
