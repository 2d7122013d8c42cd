"""Processes of a run: on loopback, logged below target/bench-peers, ended with the run however it ends."""

import atexit
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "bench-peers"
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class Skip(Exception):
    """Something is not installed; the text says what."""


class Failed(Exception):
    """Something that was to run did not; the text says what to do."""


def setting(name, default):
    """A whole number from 1 on, from the environment."""
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or int(text) < 1:
        raise Failed(f"{name} has to be a whole number from 1 on, not {text!r}")
    return int(text)


def need(program, package):
    """The path of a program; skips without it."""
    found = shutil.which(program)
    if not found:
        raise Skip(f"{program} is not installed ({package})")
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def log_file(name):
    (WORK / "logs").mkdir(parents=True, exist_ok=True)
    return WORK / "logs" / f"{name}.log"


def run(name, argv, cwd=ROOT, env=None, timeout=900, user=None):
    """Runs a program to its end and gives its standard output; what it says goes into its log."""
    process = Process(name, argv, cwd=cwd, env=env, user=user, stdout=subprocess.PIPE)
    try:
        output, _ = process.popen.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.stop(signal.SIGKILL)
        raise Failed(f"{name} took longer than {timeout} s; see {log_file(name)}") from None
    Process.running.remove(process)
    if process.popen.returncode:
        raise Failed(f"{name} ended with {process.popen.returncode}; see {log_file(name)}")
    return output.decode()


class Process:
    """A program in a process group of its own."""

    running = []

    def __init__(self, name, argv, cwd=ROOT, env=None, user=None, stdin=None, stdout=None, end=signal.SIGTERM):
        self.name, self.end = name, end
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        log = open(log_file(name), "ab")
        try:
            # even where this process is killed and can end nothing itself
            self.popen = subprocess.Popen(
                [str(part) for part in argv], cwd=cwd, env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, stdout=stdout or log, stderr=log, start_new_session=True,
                preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, end), **identity)
        finally:
            log.close()
        Process.running.append(self)
        if stdin is not None:
            self.popen.stdin.write(stdin.encode())
            self.popen.stdin.close()

    def memory(self):
        """(VmRSS, VmHWM) in MiB: what it takes now, and the most that it ever took."""
        fields = {}
        for line in Path(f"/proc/{self.popen.pid}/status").read_text().splitlines():
            field, _, value = line.partition(":")
            fields[field] = value
        return tuple(int(fields[field].split()[0]) / 1024 for field in ("VmRSS", "VmHWM"))

    def wait_until(self, ready, seconds=120, every=0.02):
        """Waits for `ready()` to give something true, and gives it; fails when the program ends first."""
        limit = time.monotonic() + seconds
        while True:
            if self.popen.poll() is not None:
                raise Failed(f"{self.name} ended with {self.popen.returncode}; see {log_file(self.name)}")
            if (answer := ready()):
                return answer
            if time.monotonic() > limit:
                raise Failed(f"{self.name} was not ready after {seconds} s; see {log_file(self.name)}")
            time.sleep(every)

    def stop(self, how=None):
        if self in Process.running:
            Process.running.remove(self)
        if self.popen.poll() is None:
            self.popen.send_signal(how or self.end)
            try:
                self.popen.wait(30)
            except subprocess.TimeoutExpired:
                pass
        try:
            # what it started and left behind
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()


def end_all():
    # the last one first: servers before the database
    for process in reversed(list(Process.running)):
        process.stop()


def prepare():
    """To be called first: nothing that is started outlives this process."""
    atexit.register(end_all)
    for stop in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(stop, lambda number, _: sys.exit(128 + number))
    shutil.rmtree(WORK / "logs", ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
