"""`longweave-worker` as a process that dies with its parent and speaks in lines of JSON: as the worker of a place, or as the driver of a run."""
import ctypes
import os
import queue
import signal
import subprocess
import threading

from . import executable

PR_SET_PDEATHSIG = 1
# Loaded before any fork: a child may not.
LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with(parent):
    """Runs in the child: the kernel kills it once the thread that started it ends. Signals to stop are for its parent, which asks it to."""

    def prepare():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


class Process:
    """A process of `longweave-worker`. It stays in its parent's session, so that Ray's clean-up of process groups finds it too."""

    def __init__(self, *arguments):
        command = [executable(), *map(str, arguments)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8", "errors": "replace", "bufsize": 1}
        self.process = subprocess.Popen(command, **pipes, preexec_fn=_die_with(os.getpid()))

    def send(self, line):
        """Writes a line; a process that has ended takes none, which `lines` shows."""
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError, OSError):
            pass

    def lines(self):
        """Its lines until it ends; of one that is killed, the last may be cut short and is left out."""
        with self.process.stdout as out:
            for line in out:
                if line.endswith("\n"):
                    yield line[:-1]

    def wait(self):
        return self.process.wait()

    def stop(self, patience):
        """Ends its input, and kills it if it still runs `patience` seconds later."""
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def killed_for_memory():
    """Processes that the kernel has killed for memory on this machine; 0 where it does not tell."""
    try:
        with open("/proc/vmstat", encoding="ascii") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
    except OSError:
        return 0


class Worker:
    """The worker of a place. `read` never waits longer than it is asked to."""

    def __init__(self, threads, memory, scratch=None):
        self.before = killed_for_memory()
        local = () if scratch is None else ("--scratch", scratch)
        self.process = Process("--threads", threads, "--memory", memory, *local)
        self.inbox = queue.Queue()
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        for line in self.process.lines():
            self.inbox.put(line)
        self.inbox.put(None)

    def send(self, lines):
        for line in lines:
            self.process.send(line)

    def read(self, seconds):
        """Lines that have come, waiting for the first; then why the process has ended, or None."""
        lines = []
        try:
            lines.append(self.inbox.get(timeout=seconds))
            while lines[-1] is not None:
                lines.append(self.inbox.get_nowait())
        except queue.Empty:
            return lines, None
        code = self.process.wait()
        memory = code == -signal.SIGKILL and killed_for_memory() > self.before
        how = f"signal {-code}" if code < 0 else f"status {code}"
        reason = "the kernel killed its worker because memory was short" if memory else f"its worker ended with {how}"
        return lines[:-1], {"reason": reason, "memory": memory}

    def stop(self, patience):
        self.process.stop(patience)
