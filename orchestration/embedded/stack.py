"""The laptop stack: ClickHouse, S3 and Dagster as detached processes under the state folder."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import secrets
import shutil
import socket
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestration.connections import object_store
from orchestration.embedded import processes
from orchestration.embedded.credentials import plain, with_credentials, write_private
from orchestration.embedded.errors import StackError
from orchestration.embedded.processes import Process
from orchestration.settings import FIRST_DAY_FILE, PROJECT_ROOT, STACK_FILE, Settings

COMPONENTS = ("clickhouse", "s3", "code-server", "dagster-webserver", "dagster-daemon")
STORAGE, DAGSTER = COMPONENTS[:2], COMPONENTS[2:]
HOST = "127.0.0.1"
PASSWORD_FILE = "clickhouse.password"
LOCATION = "millrace"
"""Name of the code location, here as in production's workspace."""
DEFINITIONS = ("--module-name", "orchestration.definitions")
MADE_OF = ("lake", "ingestion", "expectations", "orchestration", "dbt_project/target/manifest.json")
"""What the definitions are loaded from: code, contracts, suites, reports, and what dbt has parsed."""
CODE_SUFFIXES = frozenset({".py", ".yaml", ".yml", ".json"})
RELOAD = """
mutation Reload($location: String!) {
  reloadRepositoryLocation(repositoryLocationName: $location) {
    ... on WorkspaceLocationEntry { locationOrLoadError { ... on PythonError { message causes { message } } } }
    ... on PythonError { message causes { message } }
  }
}
"""
SOCKET_BYTES = 100
"""Length of a path that every system takes for a socket: Linux 107 bytes, macOS 103."""
WORKSPACE_FILE = "workspace.yaml"
START_SECONDS = 120.0
END_SECONDS = 20.0
RELEASE_SECONDS = 5.0
LOG_LINES = 15

Progress = Callable[[str, str], None]
"""Called with a component's name and its state: `starting`, `ready`, `running`, `reloading`, `ending`, `ended`."""


@dataclass(frozen=True)
class ComponentStatus:
    """One component: its process, where it answers and whether it does."""

    name: str
    pid: int | None
    ready: bool
    url: str | None
    log: Path

    @property
    def running(self) -> bool:
        """Say whether its process lives."""
        return self.pid is not None


@dataclass(frozen=True)
class StackStatus:
    """All components, in the order in which they start."""

    components: tuple[ComponentStatus, ...]

    def __getitem__(self, name: str) -> ComponentStatus:
        """Return the component of this name."""
        return next(component for component in self.components if component.name == name)

    @property
    def ready(self) -> bool:
        """Say whether every component answers."""
        return all(component.ready for component in self.components)


@dataclass(frozen=True)
class _Component:
    """How to start a component, and where it answers; `probe` is a path that it serves at its port when it is ready."""

    name: str
    command: tuple[str, ...]
    port: int | None = None
    socket: Path | None = None
    flag: str = ""
    variable: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    probe: str = "/"
    url: str | None = None


def up(
    settings: Settings,
    *,
    components: Sequence[str] = COMPONENTS,
    progress: Progress = lambda name, state: None,
    start_seconds: float = START_SECONDS,
) -> StackStatus:
    """Start what is not running of `components` and wait until all of them answer.

    Raises:
        StackError: for a port in use, a component that dies or does not answer, another `up` at work.
    """
    for name in components:
        if name not in COMPONENTS:
            raise StackError(f"there is no component {name!r}; there are {', '.join(COMPONENTS)}")
    with _alone(settings):
        settings = with_credentials(settings)
        _prepare(settings)
        # Dagster's processes connect to the other two at start. One after the other: the UI and the daemon ask the code
        # server, and both create Dagster's databases where there are none: at once they collide ("table alembic_version
        # already exists").
        for wave in (STORAGE, *((name,) for name in DAGSTER)):
            wanted = [_component(settings, name) for name in wave if name in components]
            started = [_start(settings, component, progress) for component in wanted]
            for component, (process, log_start) in zip(wanted, started, strict=True):
                _wait(settings, component, process, log_start, start_seconds)
                if component.name == "s3":
                    object_store(settings).ensure_bucket()
                progress(component.name, "ready")
    return status(settings)


def down(settings: Settings, *, progress: Progress = lambda name, state: None) -> None:
    """End every component that runs, in reverse order, and wait until it has ended."""
    if not settings.state_dir.is_dir():
        return
    with _alone(settings):
        for name in reversed(COMPONENTS):
            path = _pid_file(settings, name)
            process = processes.load(path)
            if process is not None:
                progress(name, "ending")
                process.end(END_SECONDS)
                if process.alive:
                    raise StackError(f"{name} (pid {process.pid}) does not end: end it by hand")
                progress(name, "ended")
            path.unlink(missing_ok=True)
        (settings.state_dir / STACK_FILE).unlink(missing_ok=True)


def status(settings: Settings) -> StackStatus:
    """Say what runs and what answers now."""
    found = []
    for name in COMPONENTS:
        process = processes.load(_pid_file(settings, name))
        component = _component(settings, name)
        if process is not None and process.port is not None:
            # Where it is, whatever the settings say meanwhile.
            component = replace(component, port=process.port, url=f"http://{HOST}:{process.port}")
        found.append(
            ComponentStatus(
                name=name,
                pid=process.pid if process else None,
                ready=process is not None and _answers(settings, component, 0),
                url=component.url,
                log=_log(settings, name),
            )
        )
    return StackStatus(tuple(found))


def require(settings: Settings, components: Sequence[str] = STORAGE) -> None:
    """Make sure that the stack runs.

    Raises:
        StackError: naming what does not run and how to start it.
    """
    missing = [name for name in components if processes.load(_pid_file(settings, name)) is None]
    if missing:
        raise StackError(
            f"the laptop stack is not running ({', '.join(missing)}): start it with `millrace up`"
        )


def reload(settings: Settings, *, progress: Progress = lambda name, state: None) -> None:
    """Let the code server load its definitions anew where they are newer than what it has loaded.

    As the button of the UI does, and through the UI. Runs under way go on with what they started with.

    Raises:
        StackError: when they do not load, with the reason; when the UI does not answer.
    """
    pid_file = _pid_file(settings, "code-server")
    webserver = processes.load(_pid_file(settings, "dagster-webserver"))
    if (
        webserver is None
        or processes.load(pid_file) is None
        or _last_change(settings) <= pid_file.stat().st_mtime
    ):
        return
    progress("code-server", "reloading")
    # The file's time is that of the last load. Set before it: what changes meanwhile is newer.
    pid_file.touch()
    connection = http.client.HTTPConnection(HOST, webserver.port, timeout=START_SECONDS)
    try:
        body = json.dumps({"query": RELOAD, "variables": {"location": LOCATION}})
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        found = json.load(connection.getresponse())["data"]["reloadRepositoryLocation"]
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        raise StackError(f"the Dagster UI does not load the definitions anew: {error!r}") from None
    finally:
        connection.close()
    failure = found.get("locationOrLoadError") or found
    if "message" in failure:
        reasons = [failure["message"], *(cause["message"] for cause in failure["causes"])]
        raise StackError(f"Dagster cannot load the definitions: {reasons[-1].strip()}")
    progress("code-server", "ready")


def _last_change(settings: Settings) -> float:
    """Return when a file changed last that definitions are made of, in seconds of the system's clock."""
    roots = [PROJECT_ROOT / name for name in MADE_OF]
    first_day = settings.state_dir / FIRST_DAY_FILE
    paths = [path for root in roots for path in ([root] if root.is_file() else root.rglob("*"))]
    made_of = [path for path in paths if path.suffix in CODE_SUFFIXES]
    made_of += [first_day] if first_day.exists() else []
    return max(path.stat().st_mtime for path in made_of)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.state_dir / "stack.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"another command is starting or ending the stack of {settings.state_dir}: wait for it"
            ) from None
        yield


def _prepare(settings: Settings) -> None:
    state = settings.state_dir
    for name in ("lake", "clickhouse", "dagster_home", "logs", "pids", "run"):
        (state / name).mkdir(exist_ok=True, mode=0o700)
    key = state / "pseudonym.key"
    if not key.exists():
        write_private(key, secrets.token_hex(32) + "\n")
    write_private(state / PASSWORD_FILE, plain(settings, "clickhouse_password"))
    write_private(state / STACK_FILE, json.dumps(_shared(settings), indent=2) + "\n")
    shutil.copyfile(Path(__file__).with_name("dagster.yaml"), settings.dagster_home / "dagster.yaml")
    workspace = {
        "load_from": [{"grpc_server": {"socket": str(_socket(settings)), "location_name": LOCATION}}]
    }
    (state / WORKSPACE_FILE).write_text(json.dumps(workspace, indent=2) + "\n")


def _shared(settings: Settings) -> dict[str, str | int]:
    """Return what later commands and Dagster must agree on, by the names of the settings' fields."""
    return {
        "clickhouse_port": settings.clickhouse_port,
        "clickhouse_user": settings.clickhouse_user,
        "clickhouse_password": settings.clickhouse_password.get_secret_value(),
        "s3_port": settings.s3_port,
        "s3_access_key": settings.s3_access_key,
        "s3_secret_key": settings.s3_secret_key.get_secret_value(),
        "s3_bucket": settings.s3_bucket,
        "dagster_port": settings.dagster_port,
    }


def _component(settings: Settings, name: str) -> _Component:
    build = {
        "clickhouse": _clickhouse,
        "s3": _s3,
        "code-server": _code_server,
        "dagster-webserver": _dagster_webserver,
        "dagster-daemon": _dagster_daemon,
    }
    return build[name](settings)


def _clickhouse(settings: Settings) -> _Component:
    state, port = settings.state_dir, settings.clickhouse_port
    command = [sys.executable, "-m", "orchestration.embedded.clickhouse_server"]
    command += ["--path", str(state / "clickhouse"), "--host", HOST, "--port", str(port)]
    command += ["--user", settings.clickhouse_user, "--password-file", str(state / PASSWORD_FILE)]
    return _Component(
        name="clickhouse",
        port=port,
        flag="--clickhouse-port",
        variable="MILLRACE_CLICKHOUSE_PORT",
        command=tuple(command),
        probe="/ping",
        url=f"http://{HOST}:{port}",
    )


def _s3(settings: Settings) -> _Component:
    port = settings.s3_port
    command = [_script("rclone"), "serve", "s3", str(settings.state_dir / "lake"), "--addr", f"{HOST}:{port}"]
    command += ["--config", os.devnull]
    # A file that somebody copies into the folder is seen within a second; the server's own writes at once.
    # With 0, which always looks, 240 puts, gets and lists took 100 s instead of 1.4 s.
    command += ["--dir-cache-time", "1s", "--poll-interval", "0"]
    # Removing an emptied folder races with the next object that is put there.
    command += ["--no-cleanup"]
    # Every user of the machine can read a command line. rclone reads a list here, in CSV: hence the quotes.
    pair = f'"{settings.s3_access_key},{settings.s3_secret_key.get_secret_value()}"'
    return _Component(
        name="s3",
        port=port,
        flag="--s3-port",
        variable="MILLRACE_S3_PORT",
        command=tuple(command),
        environment={"RCLONE_AUTH_KEY": pair},
        url=f"http://{HOST}:{port}",
    )


def _code_server(settings: Settings) -> _Component:
    # gRPC knows no password here: who reaches the socket runs code. It lies in a folder that is closed to others.
    path = _socket(settings)
    return _Component(
        "code-server",
        command=_dagster("code-server", "--socket", str(path), *DEFINITIONS),
        socket=path,
        environment=_dagster_environment(settings),
    )


def _socket(settings: Settings) -> Path:
    return settings.state_dir / "run" / "code-server.sock"


def _workspace(settings: Settings) -> str:
    return str(settings.state_dir / WORKSPACE_FILE)


def _dagster_webserver(settings: Settings) -> _Component:
    port = settings.dagster_port
    command = _dagster("webserver", "--host", HOST, "--port", str(port), "--workspace", _workspace(settings))
    return _Component(
        name="dagster-webserver",
        port=port,
        flag="--dagster-port",
        variable="MILLRACE_DAGSTER_PORT",
        command=command,
        environment=_dagster_environment(settings),
        probe="/server_info",
        url=f"http://{HOST}:{port}",
    )


def _dagster_daemon(settings: Settings) -> _Component:
    command = _dagster("daemon", "--workspace", _workspace(settings))
    return _Component("dagster-daemon", command=command, environment=_dagster_environment(settings))


def _dagster(component: str, *options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "orchestration.embedded.dagster_process", component, *options)


def _dagster_environment(settings: Settings) -> dict[str, str]:
    return {
        "MILLRACE_STATE_DIR": str(settings.state_dir),
        **{f"MILLRACE_{field}".upper(): str(value) for field, value in _shared(settings).items()},
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        # Threads that each get a heap of their own from glibc keep 30 MB in the idle processes.
        "MALLOC_ARENA_MAX": "2",
    }


def _script(name: str) -> str:
    """Return the path of a program that came with a package of this environment."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def _start(settings: Settings, component: _Component, progress: Progress) -> tuple[Process, int]:
    """Start the component unless it runs; return its process and where its log began."""
    log = _log(settings, component.name)
    running = processes.load(_pid_file(settings, component.name))
    if running is not None:
        if running.port != component.port:
            raise StackError(
                f"{component.name} is running on port {running.port}, not {component.port}: "
                "run `millrace down` before changing ports"
            )
        progress(component.name, "running")
        return running, 0
    if component.port is not None and (owner := _owner_of(component.port)) is not None:
        raise StackError(
            f"port {component.port} for {component.name} is in use by {owner}: "
            f"end it, or choose another port with {component.flag} or {component.variable}"
        )
    if not Path(component.command[0]).exists():
        raise StackError(
            f"{component.command[0]} is not installed: install the packages of requirements.lock"
        )
    if component.socket is not None and (size := len(os.fsencode(component.socket))) > SOCKET_BYTES:
        raise StackError(
            f"the path of the socket {component.socket} has {size} bytes, {SOCKET_BYTES} go: "
            "choose a shorter folder with MILLRACE_STATE_DIR"
        )
    progress(component.name, "starting")
    log_start = log.stat().st_size if log.exists() else 0
    process = processes.start(
        component.command,
        log=log,
        folder=PROJECT_ROOT,
        environment={**os.environ, **component.environment},
        port=component.port,
    )
    processes.save(process, _pid_file(settings, component.name))
    return process, log_start


def _owner_of(port: int) -> str | None:
    """Name what uses the port; None where nothing does, or soon nothing does.

    A killed process of many threads holds its port for a moment after it can be seen no more.
    """
    deadline = time.monotonic() + RELEASE_SECONDS
    while not processes.port_is_free(HOST, port):
        owner = processes.listener_of(port)
        if owner is not None or time.monotonic() > deadline:
            return owner or "another program"
        time.sleep(processes.POLL_SECONDS)
    return None


def _wait(
    settings: Settings, component: _Component, process: Process, log_start: int, seconds: float
) -> None:
    deadline = time.monotonic() + seconds
    while not _answers(settings, component, log_start):
        late = time.monotonic() > deadline
        if process.alive and not late:
            time.sleep(processes.POLL_SECONDS)
            continue
        process.end(END_SECONDS)
        _pid_file(settings, component.name).unlink(missing_ok=True)
        what = f"did not answer within {seconds:.0f} s" if late else "ended while it started"
        raise StackError(f"{component.name} {what}; {_log_tail(settings, component.name, log_start)}")


def _answers(settings: Settings, component: _Component, log_start: int) -> bool:
    if component.socket is not None:
        # It is bound when the definitions are loaded; a server that was killed leaves its file behind.
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(str(component.socket))
            return True
        return False
    if component.port is None:
        # The daemon has no port; it says in its log when its loops run.
        log = _log(settings, component.name)
        return log.exists() and b"daemons:" in log.read_bytes()[log_start:]
    connection = http.client.HTTPConnection(HOST, component.port, timeout=5)
    try:
        connection.request("GET", component.probe)
        # rclone refuses an unsigned request, and so shows that it is there.
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _log_tail(settings: Settings, name: str, log_start: int) -> str:
    log = _log(settings, name)
    lines = log.read_bytes()[log_start:].decode(errors="replace").splitlines()[-LOG_LINES:]
    return f"the end of {log}:\n" + "\n".join(lines) if lines else f"{log} says nothing"


def _log(settings: Settings, name: str) -> Path:
    return settings.state_dir / "logs" / f"{name}.log"


def _pid_file(settings: Settings, name: str) -> Path:
    return settings.state_dir / "pids" / f"{name}.json"
