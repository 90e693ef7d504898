"""Set up and start volbal: `python3 start.py`; run its checks and tests: `python3 start.py test`.

Standard library only. Everything is installed into `.venv` beside this file and nowhere else.
Even Python 2.7 must be able to parse this file, to be told what is missing: no f-strings, no
annotations, and before the version check nothing is imported that an old Python lacks.
"""
# ruff: noqa: E402, RUF005, UP032  for the reason above

import sys

OLDEST, NEWEST = (3, 11), (3, 14)


def python_problem(version):
    """Why Python `version` (major, minor) cannot run volbal; None if it can."""
    if OLDEST <= version <= NEWEST:
        return None
    return (
        "volbal needs Python 3.11, 3.12, 3.13 or 3.14; this is Python {}.{}.\n"
        "Get one from https://www.python.org/downloads/ and start volbal with it, for example:\n"
        "    python3.13 start.py".format(*version)
    )


def leave(code):
    """Exit; a double-clicked Windows console stays open until its error has been read."""
    if code and sys.platform == "win32" and sys.stdin and sys.stdin.isatty():
        print("Press Enter to close this window.")
        sys.stdin.readline()
    sys.exit(code)


if python_problem(sys.version_info[:2]):
    print(python_problem(sys.version_info[:2]))
    leave(1)

import argparse
import errno
import hashlib
import http.client
import importlib.util
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import time
import webbrowser
from pathlib import Path

WINDOWS = sys.platform == "win32"
THIS_PYTHON = "{}.{}".format(*sys.version_info[:2])
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
LOCK = VENV / "volbal.lock"
UNFINISHED = VENV / "volbal-unfinished"  # there while .venv is being changed

APP, TESTS = "requirements.txt", "requirements-test.txt"
COVERS = {APP: [APP], TESTS: [TESTS, APP]}  # the second file includes the first
CHECKS = [
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["mypy", "--strict", "volbal"],
]
PROBE = """
import sys, pip._internal.cli.main
from importlib import metadata

def is_there(name):
    try:
        files = metadata.distribution(name).files or []
    except metadata.PackageNotFoundError:
        return False
    own = [file for file in files if file.name == "__init__.py" and len(file.parts) == 2]
    return all(file.locate().exists() for file in own)

print("%d.%d" % sys.version_info[:2])
lost = [name for name in sys.argv[1:] if not is_there(name)]
print(", ".join(lost) or "whole")
"""
UNREACHABLE = ("after connection broken by", "TimeoutError", "ConnectionError", "ProtocolError")

HOST, PORT, PORTS_TRIED = "127.0.0.1", 8501, 20
SIGNATURE = "X-Volbal"  # volbal/api sends it with /healthz
START_SECONDS, STOP_SECONDS = 90, 10


class SetupError(Exception):
    """Something the person at the keyboard has to know; its text is all they see."""


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def progress(text):
    """Show `text` in a line that the next one overwrites; a log file is spared it."""
    if sys.stdout.isatty():
        sys.stdout.write("\r" + text[:78].ljust(78) + "\r")
        sys.stdout.flush()


def environment():
    """The environment for .venv's Python, without settings that make it look elsewhere."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH")}
    return dict(kept, PIP_USER="0", PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1")


def start(command, **streams):
    words = [str(word) for word in command]
    return subprocess.Popen(words, cwd=ROOT, env=environment(), **streams)


def stop(process):
    """End `process`: politely, and after STOP_SECONDS by force."""
    if not WINDOWS:  # there Ctrl-C has reached it already, and terminate() is not polite
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(command, on_line=progress):
    """Run `command` to its end; returns its exit code and its lines, hidden but for `on_line`."""
    lines = []
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with start(command, encoding="utf-8", errors="replace", **pipes) as process:
        try:
            for line in process.stdout:
                lines.append(line.strip())
                if not line.startswith("WARNING"):
                    on_line("  " + lines[-1])
        except KeyboardInterrupt:
            stop(process)
            raise
        finally:
            on_line("")
    return process.returncode, lines


def last_words(lines):
    """What a failed program said that helps: its errors, else its last lines."""
    errors = [line for line in lines if line.lower().startswith("error")]
    return "\n".join("    " + line for line in (errors or lines)[-5:])


def take_lock():
    """Wait until no other start.py is at work on .venv; returns the lock, freed by closing it.

    The system frees it when its holder dies, so it is never stale.
    """
    VENV.mkdir(exist_ok=True)
    lock = LOCK.open("a")
    if not try_lock(lock):
        say("Another start of volbal is at work in this folder; waiting for it.")
        while not try_lock(lock):
            time.sleep(0.2)
    return lock


def try_lock(lock):
    try:
        if WINDOWS:
            import msvcrt  # exists only there

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # exists only elsewhere

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Any other error: a file system without locks, which is no reason not to start.
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
    return True


def stamp_path(name):
    return VENV / "volbal-{}.stamp".format(name)


def stamp_text(name):
    """What the stamp of a finished installation says: where, for which Python, of what."""
    content = b"\0".join((ROOT / covered).read_bytes() for covered in COVERS[name])
    return "\n".join([str(VENV), THIS_PYTHON, hashlib.sha256(content).hexdigest()])


def is_installed(name):
    """Has requirements file `name`, as it is now, been installed to its end?"""
    stamp = stamp_path(name)
    return stamp.exists() and stamp.read_text("utf-8") == stamp_text(name)


def installed_packages():
    """The packages that .venv has to have."""
    if not is_installed(APP):
        return []
    return [line.split("==")[0] for line in (ROOT / APP).read_text("utf-8").split()]


def venv_fault():
    """Why .venv cannot be used as it is; None if it can."""
    if UNFINISHED.exists():
        return "its set-up was interrupted"
    stamps = [path.read_text("utf-8") for path in VENV.glob("volbal-*.stamp")]
    if any(text.split("\n")[0] != str(VENV) for text in stamps):
        return "it was made in another folder"
    try:
        code, lines = run([PYTHON, "-c", PROBE] + installed_packages())
    except OSError:
        return "it has no Python that runs"
    if code or len(lines) < 2:
        return "its Python or its pip is damaged"
    if lines[-2] != THIS_PYTHON:
        return "it was made by Python {}, this is Python {}".format(lines[-2], THIS_PYTHON)
    return "{} is missing from it".format(lines[-1]) if lines[-1] != "whole" else None


def make_venv():
    """Empty .venv and make it anew with the Python that runs this file."""
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise SetupError(
            "This Python cannot make .venv: its part named venv or ensurepip is missing.\n"
            "On Debian or Ubuntu install it with:  sudo apt install python{}-venv\n"
            "or get a whole Python from https://www.python.org/downloads/ . Then start "
            "again.".format(THIS_PYTHON)
        )
    UNFINISHED.touch()
    for entry in VENV.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry not in (LOCK, UNFINISHED):
            entry.unlink()
    # Started from inside the .venv that was just emptied, only the base Python still runs.
    base = getattr(sys, "_base_executable", None) or sys.executable
    code, lines = run([base, "-m", "venv", VENV])
    if code:
        raise SetupError("Could not make .venv:\n" + last_words(lines))
    UNFINISHED.unlink()


def install(name):
    """Install requirements file `name` into .venv; stamp it only when all of it is there."""
    say("Installing {} into .venv; the first time this takes minutes.".format(name))
    UNFINISHED.touch()
    code, lines = run([PYTHON, "-m", "pip", "install", "--progress-bar", "off", "-r", name])
    UNFINISHED.unlink()  # pip undoes what it could not finish; only a killed pip leaves the mark
    if code and any(sign in line for line in lines for sign in UNREACHABLE):
        raise SetupError(
            "Could not download what volbal needs; pip says:\n{}\nIs this computer online? "
            "Nothing is broken: start again when it is.".format(last_words(lines))
        )
    if code:
        raise SetupError("Could not install {}; pip says:\n{}".format(name, last_words(lines)))
    for covered in COVERS[name]:
        beside = stamp_path(covered).with_suffix(".tmp")
        beside.write_text(stamp_text(covered), "utf-8")
        beside.replace(stamp_path(covered))


def prepare(name):
    """Leave .venv with everything that requirements file `name` lists; quick if it has."""
    fault = venv_fault()
    if fault and any(entry != LOCK for entry in VENV.iterdir()):
        say("The folder .venv cannot be used: {}. Making it anew.".format(fault))
    elif fault:
        say("Making .venv with Python {}.".format(THIS_PYTHON))
    if fault:
        make_venv()
    if not is_installed(name):
        install(name)
        say("Compiling the calculations, once.")
        run([PYTHON, "-m", "volbal", "warm-up"])  # only saves time later, so it may fail


def is_loopback(host):
    """Does `host` mean this machine alone?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def require_token(host):
    """Beyond this machine volbal answers only who knows its token."""
    if not is_loopback(host) and not os.environ.get("VOLBAL_API_TOKEN", "").strip():
        raise SetupError(
            "volbal does not listen on {} without a token: set VOLBAL_API_TOKEN to a long secret,\n"
            "for example  VOLBAL_API_TOKEN=$(openssl rand -hex 24) python3 start.py --host {}\n"
            "or leave --host out to serve this machine only.".format(host, host)
        )


def reached(host):
    """The name by which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def bind_error(host, port):
    """The number of the error that listening on `port` of `host` ends with; 0 for none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        if not WINDOWS:  # the port of a server that just ended is free, as Streamlit will find
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, port))
        except OSError as error:
            return error.errno
    return 0


def is_free(host, port):
    error = bind_error(host, port)
    if error in (errno.EADDRNOTAVAIL, socket.EAI_NONAME):
        raise SetupError("--host: {} is no address of this machine.".format(host))
    return not error


def is_volbal(host, port):
    """Does volbal answer on this port of this machine?"""
    connection = http.client.HTTPConnection(reached(host), port, timeout=3)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().getheader(SIGNATURE) is not None
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def choose_port(host, wanted):
    """The first usable port from `wanted` on, and whether volbal already answers there."""
    for port in range(wanted, min(wanted + PORTS_TRIED, 65536)):
        if is_free(host, port):
            return port, False
        if is_volbal(host, port):
            return port, True
        say("Port {} is taken by another program; trying the next one.".format(port))
    raise SetupError("No free port found from {} on. Choose one: start.py --port N".format(wanted))


def open_browser(url):
    """Open the browser; without a desktop there is none, and a text browser would be in the way."""
    signs = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if WINDOWS or sys.platform == "darwin" or any(os.environ.get(sign) for sign in signs):
        webbrowser.open(url)


def is_ready(server, host, port):
    """Wait for `server`: True once it answers, False if it ended or was too slow."""
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        if is_volbal(host, port):
            return True
        time.sleep(0.1)
    return False


def serve(host, port, url, lock, show):
    """Run the app until it ends or Ctrl-C ends it; returns the exit code."""
    say("Starting volbal.")
    options = ["--server.port", port, "--server.address", host, "--server.headless", "true"]
    command = [PYTHON, "-m", "streamlit", "run", "app.py"] + options
    # Only Streamlit's banner is lost with stdout; errors and logs come on stderr. In a session of
    # its own a Ctrl-C reaches the server through stop() alone, and its workers not at all.
    server = start(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        ready = is_ready(server, host, port)
        lock.close()  # from here on a second start finds the app on its port
        if ready:
            say("volbal is ready at {} . Press Ctrl-C here to stop it.".format(url))
            show(url)
        elif server.poll() is None:
            say("volbal has not answered yet; try {} in a while.".format(url))
        code = server.wait()
    except KeyboardInterrupt:
        stop(server)
        say("\nvolbal has stopped.")
        return 0
    say("volbal ended by itself (exit code {}); the lines above say why.".format(code))
    return code if code > 0 else 1


def launch(arguments):
    """Set up, start the app and show it; or show the one that already runs."""
    parser = argparse.ArgumentParser(
        description="Set up and start volbal. `start.py test` runs its checks and tests instead."
    )
    parser.add_argument("--port", type=int, default=PORT, help="port to serve on, else %(default)s")
    parser.add_argument("--host", default=HOST, help="address to serve on, else %(default)s")
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")
    options = parser.parse_args(arguments)
    if not 1 <= options.port <= 65535:
        parser.error("--port: {} is not between 1 and 65535".format(options.port))
    show = (lambda url: None) if options.no_browser else open_browser
    require_token(options.host)
    lock = take_lock()
    prepare(APP)
    port, running = choose_port(options.host, options.port)
    name = reached(options.host)
    url = "http://{}:{}".format("[{}]".format(name) if ":" in name else name, port)
    if not running:
        return serve(options.host, port, url, lock, show)
    say("volbal is already running at {} .".format(url))
    show(url)
    return 0


def test(pytest_arguments):
    """Set up with the test tools, run the tests and every check; 0 only if all are clean.

    The checks run while the tests do, and what they say follows.
    """
    with take_lock():
        prepare(TESTS)
    tests = ["pytest", "-rfEs"] + pytest_arguments  # -rs says what was skipped
    say("--- " + " ".join(tests))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    running = [(tests, start([PYTHON, "-m"] + tests))]
    running += [(check, start([PYTHON, "-m"] + check, **pipes)) for check in CHECKS]
    failed = []
    try:
        for command, process in running:
            said, _ = process.communicate()
            if said is not None:
                say("--- {}\n{}".format(" ".join(command), said.decode("utf-8", "replace").strip()))
            if process.returncode:
                failed.append((process.returncode, command))
    except KeyboardInterrupt:
        for _, process in running:
            stop(process)
        raise
    for code, command in failed:
        say("Failed (exit code {}): {}".format(code, " ".join(command)))
    return failed[0][0] if failed else 0


def main(arguments):
    """Do what the command line asks; returns the exit code."""
    for name in ("SIGTERM", "SIGHUP"):  # `kill` and a closed terminal stop the app like Ctrl-C
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) != signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, signal.default_int_handler)
    try:
        return test(arguments[1:]) if arguments[:1] == ["test"] else launch(arguments)
    except SetupError as problem:
        say("\n{}".format(problem))
    except OSError as error:
        say("\nCould not set up volbal in {}: {}".format(ROOT, error))
    except KeyboardInterrupt:
        say("\nStopped.")
        return 130
    return 1


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
