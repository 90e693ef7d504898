"""start.py as a person meets it: run as a program in a copy of the project.

The copies install tiny wheels made here, so nothing is downloaded. One of them lends the copy the
packages of the Python that runs the tests, so that start.py starts the real app.
"""

import contextlib
import http.client
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
TIME_LIMIT = 600
NO_SUCH_SERVER = "http://127.0.0.1:9/simple"
CHECK = """import os, sys
print("ran", os.path.basename(os.path.dirname(__file__)), *sys.argv[1:])
sys.exit(int(os.environ.get("EXIT_OF_" + os.path.basename(os.path.dirname(__file__)), "0")))
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these tests send POSIX signals")


def write_wheel(folder: Path, name: str, files: dict[str, str]) -> None:
    """A wheel `name` 1.0 with these files, made of nothing but the standard library."""
    info = f"{name}-1.0.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in (files | {f"{info}/RECORD": record}).items():
            wheel.writestr(path, text)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `checks` (small ruff, mypy and pytest) and `borrowed` (our own packages)."""
    folder = tmp_path_factory.mktemp("wheels")
    checks = ("ruff", "mypy", "pytest")
    starts = {f"{module}/__main__.py": CHECK for module in checks}
    write_wheel(folder, "checks", starts | {f"{module}/__init__.py": "" for module in checks})
    write_wheel(folder, "needed", {"needed/__init__.py": ""})
    borrowed = {"borrowed.pth": sysconfig.get_paths()["purelib"] + "\n", "borrowed/__init__.py": ""}
    write_wheel(folder, "borrowed", borrowed)
    return folder


def environment(wheels: Path | None, **more: str) -> dict[str, str]:
    """Settings under which pip finds packages in `wheels` only, or, with None, nowhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "STREAMLIT_"))}
    source = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    if wheels is None:
        source = {"PIP_INDEX_URL": NO_SUCH_SERVER, "PIP_RETRIES": "1"}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", **source, **more}


def make_project(folder: Path) -> Path:
    """A project with nothing but start.py and the `checks` to install."""
    folder.mkdir()
    shutil.copy(ROOT / "start.py", folder)
    (folder / "requirements.txt").write_text("")
    (folder / "requirements-test.txt").write_text("-r requirements.txt\nchecks==1.0\n")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose .venv has been made, with nothing in it yet; copy it."""
    project = make_project(tmp_path_factory.mktemp("made") / "project")
    start = load(project)
    start.VENV.mkdir()
    start.make_venv()
    return project


@pytest.fixture
def empty(made: Path, tmp_path: Path) -> Path:
    """A copy of it: what a set-up leaves that failed to install anything."""
    return Path(shutil.copytree(made, tmp_path / "empty", symlinks=True))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """A project that is set up already; tests leave it as it is."""
    project = make_project(tmp_path_factory.mktemp("prepared") / "project")
    done = run(project, "test", env=environment(wheels))
    assert done.returncode == 0, done.stdout
    return project


def load(project: Path) -> ModuleType:
    """start.py of a project as a module."""
    spec = importlib.util.spec_from_file_location("start", project / "start.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(
    project: Path, *arguments: str, env: dict[str, str], python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "start.py", *arguments],
        cwd=project,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )


# The Python that runs start.py


@pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 10), (3, 15), (4, 0)])
def test_a_python_that_cannot_run_volbal_is_named_with_what_to_get(
    version: tuple[int, int],
) -> None:
    problem = load(ROOT).python_problem(version)
    assert "this is Python {}.{}.".format(*version) in problem
    assert "3.11, 3.12, 3.13 or 3.14" in problem
    assert "python.org/downloads" in problem


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13), (3, 14)])
def test_supported_pythons_are_no_problem(version: tuple[int, int]) -> None:
    assert load(ROOT).python_problem(version) is None


def find_python(version: str) -> str:
    """A Python of this version that is installed here, or a skipped test."""
    candidates = [shutil.which(f"python{version}")]
    candidates += map(str, Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    for candidate in filter(None, candidates):
        probe = "import sys; print('%d.%d' % sys.version_info[:2])"
        said = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, check=False)
        if said.stdout.strip() == version:
            return candidate
    pytest.skip(f"no Python {version} is installed here")


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8", "3.10"])
def test_an_old_python_says_so_in_place_of_a_syntax_error(project: Path, version: str) -> None:
    done = run(project, env=environment(None), python=find_python(version))
    assert done.returncode == 1
    assert f"this is Python {version}." in done.stdout
    assert "Error" not in done.stdout
    assert not (project / ".venv").exists()


def test_a_python_without_ensurepip_says_what_to_install_and_leaves_nothing_half_made(
    project: Path, wheels: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['ensurepip'] = None\n")
    lacking = run(project, "test", env=environment(wheels, PYTHONPATH=str(tmp_path)))
    assert lacking.returncode == 1
    assert "sudo apt install python{}.{}-venv".format(*sys.version_info[:2]) in lacking.stdout
    assert "Traceback" not in lacking.stdout
    left = [path.name for path in (project / ".venv").iterdir()]
    assert left == ["volbal.lock"]  # as before a first start


# Set-up and its repair


def test_without_network_it_says_so_and_the_next_start_recovers(
    project: Path, wheels: Path
) -> None:
    offline = run(project, "test", env=environment(None))
    assert offline.returncode == 1
    assert "Is this computer online?" in offline.stdout
    assert "Traceback" not in offline.stdout
    online = run(project, "test", env=environment(wheels))
    assert online.returncode == 0
    assert "ran pytest" in online.stdout
    assert "Making it anew" not in online.stdout


def test_a_package_that_cannot_be_installed_is_named(empty: Path, wheels: Path) -> None:
    (empty / "requirements-test.txt").write_text("checks==2.0\n")
    done = run(empty, "test", env=environment(wheels))
    assert done.returncode == 1
    assert "checks==2.0" in done.stdout
    assert "online" not in done.stdout


def test_nothing_is_installed_again_until_the_requirements_change(
    empty: Path, wheels: Path
) -> None:
    assert "Installing" in run(empty, "test", env=environment(wheels)).stdout
    # Nothing can be downloaded now, so this passes only if nothing is asked for.
    second = run(empty, "test", env=environment(None))
    assert second.returncode == 0
    assert "Installing" not in second.stdout
    (empty / "requirements.txt").write_text("borrowed==1.0\n")
    changed = run(empty, "test", env=environment(wheels))
    assert changed.returncode == 0
    assert "Installing requirements-test.txt" in changed.stdout
    assert "Making" not in changed.stdout


def test_an_environment_moved_with_its_project_is_not_used(prepared: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(prepared, tmp_path / "elsewhere", symlinks=True))
    assert load(prepared).venv_fault() is None
    assert load(moved).venv_fault() == "it was made in another folder"


def test_a_set_up_killed_during_installation_is_made_anew(empty: Path, wheels: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        process = subprocess.Popen(
            [sys.executable, "start.py", "test"],
            cwd=empty,
            env=environment(None, PIP_INDEX_URL=index),
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        silent.settimeout(TIME_LIMIT)
        connection, _ = silent.accept()  # pip has begun to ask for packages
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        connection.close()
    done = run(empty, "test", env=environment(wheels))
    assert done.returncode == 0
    assert "its set-up was interrupted. Making it anew." in done.stdout


def test_interrupting_the_set_up_leaves_no_pip_behind(empty: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        process = subprocess.Popen(
            [sys.executable, "start.py", "test"],
            cwd=empty,
            env=environment(None, PIP_INDEX_URL=index),
            stdout=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(TIME_LIMIT)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=TIME_LIMIT)
        connection.settimeout(5)
        while connection.recv(4096):  # ends only when pip is gone, else times out
            pass
        connection.close()
    assert process.returncode == 130
    assert said.endswith("Stopped.\n")


def test_an_environment_that_lost_a_package_its_pip_or_its_python_is_made_anew(
    empty: Path, wheels: Path
) -> None:
    (empty / "requirements.txt").write_text("needed==1.0\n")
    run(empty, "test", env=environment(wheels))
    start = load(empty)
    assert start.venv_fault() is None
    (packages,) = (empty / ".venv").glob("lib/python*/site-packages")
    shutil.rmtree(packages / "needed")
    assert start.venv_fault() == "needed is missing from it"
    shutil.rmtree(packages / "pip" / "_internal")
    assert start.venv_fault() == "its Python or its pip is damaged"
    start.PYTHON.unlink()
    start.PYTHON.symlink_to(empty / "removed" / "python")
    assert start.venv_fault() == "it has no Python that runs"
    done = run(empty, "test", env=environment(wheels))
    assert done.returncode == 0
    assert "it has no Python that runs. Making it anew." in done.stdout
    assert (packages / "needed").is_dir()


def test_what_volbal_needs_is_found_under_its_own_names() -> None:
    """Import names differ from package names; this very environment must not count as damaged."""
    start = load(ROOT)
    names = [line.split("==")[0] for line in (ROOT / "requirements.txt").read_text().split()]
    code, lines = start.run([sys.executable, "-c", start.PROBE, *names])
    assert (code, lines[-1]) == (0, "whole")
    code, lines = start.run([sys.executable, "-c", start.PROBE, *names, "no-such-package"])
    assert lines[-1] == "no-such-package"


def test_an_environment_of_another_python_is_not_used(project: Path, wheels: Path) -> None:
    other = "3.12" if sys.version_info[:2] != (3, 12) else "3.11"
    this = "{}.{}".format(*sys.version_info[:2])
    assert run(project, "test", env=environment(wheels), python=find_python(other)).returncode == 0
    assert load(project).venv_fault() == f"it was made by Python {other}, this is Python {this}"


def test_a_second_start_waits_for_the_first_one(project: Path, wheels: Path) -> None:
    lock = load(project).take_lock()
    process = subprocess.Popen(
        [sys.executable, "start.py", "test"],
        cwd=project,
        env=environment(wheels),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "waiting for it" in process.stdout.readline()
    assert not (project / ".venv" / "pyvenv.cfg").exists()
    lock.close()
    said, _ = process.communicate(timeout=TIME_LIMIT)
    assert process.returncode == 0
    assert "Making .venv with Python" in said


# The test command


def test_every_check_runs_and_pytest_gets_the_extra_arguments(prepared: Path, wheels: Path) -> None:
    done = run(prepared, "test", "-k", "two words", env=environment(wheels))
    ran = [line for line in done.stdout.splitlines() if line.startswith("ran ")]
    assert ran == [
        "ran pytest -rfEs -k two words",
        "ran ruff check .",
        "ran ruff format --check .",
        "ran mypy --strict volbal",
    ]


def test_a_failed_check_fails_the_command_and_is_named_last(prepared: Path, wheels: Path) -> None:
    done = run(prepared, "test", env=environment(wheels, EXIT_OF_mypy="3", EXIT_OF_pytest="5"))
    assert done.returncode == 5
    assert done.stdout.splitlines()[-2:] == [
        "Failed (exit code 5): pytest -rfEs",
        "Failed (exit code 3): mypy --strict volbal",
    ]


@pytest.mark.parametrize(("required", "outcome"), [("0", "1 skipped"), ("1", "1 error")])
def test_without_a_browser_its_tests_are_skipped_aloud_or_fail_where_it_is_required(
    tmp_path: Path, required: str, outcome: str
) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_page.py").write_text("def test_page(chromium_path): pass\n")
    settings = {"VOLBAL_CHROMIUM": "no-such-browser", "VOLBAL_REQUIRE_BROWSER": required}
    env = environment(None, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", **settings)  # they load slowly
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in done.stdout
    assert (
        "Browser tests were not run: VOLBAL_CHROMIUM=no-such-browser is no program" in done.stdout
    )


# The app


@pytest.fixture(scope="module")
def app_project(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole project, with the packages of the Python that runs this test."""
    folder = tmp_path_factory.mktemp("app") / "project"
    project = Path(shutil.copytree(made, folder, symlinks=True))
    for name in ("volbal", "pages", "data", ".streamlit"):
        junk = shutil.ignore_patterns("__pycache__", "volbal*.duckdb*")
        shutil.copytree(ROOT / name, project / name, ignore=junk)
    shutil.copy(ROOT / "app.py", project)
    (project / "requirements.txt").write_text("borrowed==1.0\n")
    return project


@contextlib.contextmanager
def started(
    project: Path, env: dict[str, str], port: int
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """start.py with the app ready, and what it said until then."""
    process = subprocess.Popen(
        [sys.executable, "start.py", "--port", str(port)],
        cwd=project,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    timer = threading.Timer(TIME_LIMIT, process.kill)
    timer.start()
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if "ready at" in line:
                break
        yield process, said
    finally:
        timer.cancel()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIME_LIMIT)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def status(port: int, path: str, **headers: str) -> tuple[int, str]:
    """HTTP status and body of a GET, with these headers in place of the usual ones."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    body = response.read().decode("utf-8", "replace")
    connection.close()
    return response.status, body


@pytest.fixture(scope="module")
def running(app_project: Path, wheels: Path) -> Iterator[int]:
    """The port of the real app, started by start.py."""
    port = free_port()
    with started(app_project, environment(wheels, BROWSER="true"), port):
        yield port


def test_the_app_answers_on_both_health_paths(running: int) -> None:
    assert status(running, "/healthz") == (200, '{"status":"ok"}')
    assert status(running, "/v1/healthz") == (200, '{"status":"ok","version":"v1"}')


def test_the_screens_are_served_at_the_root(running: int) -> None:
    code, body = status(running, "/")
    assert code == 200
    assert "<!doctype html>" in body.lower()


PATHS = ["/healthz", "/v1/healthz", "/", "/_stcore/health", "/_stcore/stream"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "192.168.1.5:8501", ""])
def test_a_foreign_host_name_is_refused_everywhere(running: int, path: str, host: str) -> None:
    assert status(running, path, Host=host)[0] == 403


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:1", "null"])
def test_a_page_from_elsewhere_is_refused_everywhere(running: int, path: str, origin: str) -> None:
    assert status(running, path, Origin=origin)[0] == 403


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_every_name_of_this_machine_is_welcome_with_its_own_origin(running: int, name: str) -> None:
    host = f"{name}:{running}"
    assert status(running, "/healthz", Host=host, Origin=f"http://{host}")[0] == 200


def test_only_this_machine_can_connect(running: int) -> None:
    listening = Path("/proc/net/tcp")
    if not listening.exists():
        pytest.skip("/proc/net/tcp is Linux only")
    # Local address and state 0A (listening); 0100007F is 127.0.0.1 in network order.
    lines = [line.split() for line in listening.read_text().splitlines()[1:]]
    on_port = [line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{running:04X}")]
    assert on_port == [f"0100007F:{running:04X}"]


def test_a_second_start_opens_the_browser_on_the_running_app(
    running: int, app_project: Path, wheels: Path, tmp_path: Path
) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> "{opened}"\n')
    browser.chmod(0o755)
    env = environment(wheels, BROWSER=f"{browser} %s")
    done = run(app_project, "--port", str(running), env=env)
    assert done.returncode == 0
    assert f"already running at http://127.0.0.1:{running} " in done.stdout
    assert opened.read_text() == f"http://127.0.0.1:{running}\n"


def test_a_port_of_another_program_is_left_alone_and_ctrl_c_stops_cleanly(
    app_project: Path, wheels: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = int(other.getsockname()[1])
        with started(app_project, environment(wheels, BROWSER="true"), taken) as (process, said):
            assert f"Port {taken} is taken by another program" in said
            url = re.search(r"ready at http://127\.0\.0\.1:(\d+) ", said)
            assert url is not None
            port = int(url.group(1))
            assert port > taken
            assert status(port, "/healthz")[0] == 200
            process.send_signal(signal.SIGINT)
            asked = time.monotonic()
            rest, _ = process.communicate(timeout=TIME_LIMIT)
    start = load(app_project)
    assert time.monotonic() - asked < start.STOP_SECONDS  # the app ended by itself, unforced
    assert process.returncode == 0
    assert rest.strip().endswith("volbal has stopped.")
    assert "Traceback" not in rest
    assert start.is_free("127.0.0.1", port)


def test_two_first_starts_at_once_make_one_environment_and_one_server(
    app_project: Path, wheels: Path
) -> None:
    shutil.rmtree(app_project / ".venv", ignore_errors=True)
    port = free_port()
    env = environment(wheels, BROWSER="true")
    with contextlib.ExitStack() as stack:
        racers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "start.py", "--port", str(port)],
                    cwd=app_project,
                    env=env,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(2)
        ]
        deadline = time.monotonic() + TIME_LIMIT
        while all(racer.poll() is None for racer in racers) and time.monotonic() < deadline:
            time.sleep(0.1)
        for racer in racers:
            racer.send_signal(signal.SIGINT)
        said = sorted(racer.communicate(timeout=TIME_LIMIT)[0] for racer in racers)
    assert sum("Installing" in words for words in said) == 1
    assert sum("is ready at" in words for words in said) == 1
    assert sum("already running" in words for words in said) == 1


def test_an_app_that_dies_at_the_start_passes_its_exit_code_on(
    app_project: Path, wheels: Path
) -> None:
    source = (app_project / "app.py").read_text()
    (app_project / "app.py").write_text("raise RuntimeError('broken here')\n" + source)
    try:
        done = run(app_project, "--port", str(free_port()), env=environment(wheels))
    finally:
        (app_project / "app.py").write_text(source)
    assert done.returncode == 1
    assert "broken here" in done.stdout
    assert "volbal ended by itself (exit code 1)" in done.stdout


@pytest.mark.parametrize("port", ["0", "65536", "many"])
def test_a_port_that_is_none_is_refused_with_the_allowed_range(project: Path, port: str) -> None:
    done = run(project, "--port", port, env=environment(None))
    assert done.returncode == 2
    assert "--port" in done.stdout
    assert port in done.stdout
    assert not (project / ".venv").exists()
