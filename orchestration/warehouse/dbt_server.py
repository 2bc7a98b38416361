"""A process that has imported dbt and read the project once, of which every invocation of dbt is a fork.

dbt keeps global state, and importing it with the project takes longer than most of what it is asked: a fork has both
for nothing, and leaves nothing behind for the next. Whatever runs threads must not fork, so the process that is forked
is one of its own, which does nothing else. It ends with the process that started it, and an invocation ends with the
process that waits for it.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lake.errors import MillraceError

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

POLL_SECONDS = 0.5
LENT_VARIABLE = "MILLRACE_DBT_SERVER"
REQUEST_BYTES = 1 << 20
HEAD_BYTES = 16
KILLED = -signal.SIGKILL

_lock = threading.Lock()
_known: list[_Address] = []
"""The server of this process: its own, that of the process it is a fork of, or one that it is lent."""


class DbtServerError(MillraceError):
    """The process that is to be forked does not start; the message says why."""


def warm_up(parsed: Path | None = None) -> None:
    """Let the process that is to be forked begin to import dbt and to read the project; it takes seconds.

    Forks of this process use it too.
    """
    with _server().connect() as connection:
        if parsed is not None and parsed.exists():
            _send(connection, {"read": str(parsed)}, [])


def lend() -> None:
    """Start the server now, for the processes that this one starts: they use it as their own."""
    os.environ[LENT_VARIABLE] = str(_server().folder)


class DbtProcess:
    """One invocation of dbt, with what is needed of `subprocess.Popen`."""

    def __init__(self, args: Sequence[str], connection: socket.socket, stdout: BinaryIO) -> None:
        """Wait until it has been forked."""
        self.args = list(args)
        self.stdout = stdout
        """What it prints, its standard error too."""
        self.returncode: int | None = None
        self._connection = connection
        self._answers = connection.makefile("rb")
        self.pid = self._answer("pid")

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; return its exit code, negative for a signal.

        Raises:
            TimeoutError: when it has not ended after `timeout` seconds.
        """
        if self.returncode is None:
            self._connection.settimeout(timeout)
            self.returncode = self._answer("exit")
            self._answers.close()
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def _answer(self, name: str) -> int:
        line = self._answers.readline()
        return int(json.loads(line)[name]) if line else KILLED


def start(args: Sequence[str], env: Mapping[str, str], cwd: Path, parsed: Path | None) -> DbtProcess:
    """Start dbt.

    Args:
        args: of the command line, without the program.
        env: its whole environment.
        cwd: the folder it runs in.
        parsed: the parsed project, as `dbt parse` leaves it in partial_parse.msgpack, which dbt then takes as it is; None
            lets dbt parse.

    Raises:
        DbtServerError: when it does not start.
    """
    request = {"args": list(args), "env": dict(env), "cwd": str(cwd), "parsed": parsed and str(parsed)}
    connection = _server().connect()
    reading, writing = os.pipe()
    try:
        _send(connection, request, [writing])
    finally:
        os.close(writing)
    return DbtProcess(["dbt", *args], connection, os.fdopen(reading, "rb"))


def _send(connection: socket.socket, request: Mapping[str, Any], fds: Sequence[int]) -> None:
    data = json.dumps(request).encode()
    head = f"{len(data):<{HEAD_BYTES}}".encode()
    if fds:
        socket.send_fds(connection, [head], fds)
    else:
        connection.sendall(head)
    connection.sendall(data)


class _Address:
    """A server by its folder, as another process may have lent it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self.folder / "socket"))
        except OSError as error:
            connection.close()
            raise DbtServerError(f"dbt cannot be started: {self._ended}") from error
        return connection

    @property
    def _ended(self) -> str:
        return "the process that imports it has ended"

    @property
    def is_running(self) -> bool:
        try:
            self.connect().close()
        except DbtServerError:
            return False
        return True


class _Started(_Address):
    """A running server, seen from the process that started it, and from its forks."""

    def __init__(self) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="millrace-dbt-")))
        self.owner = os.getpid()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(self.folder / "socket"))
            listener.listen()
            watched, self.alive = os.pipe()
            os.set_inheritable(watched, True)
            os.set_inheritable(listener.fileno(), True)
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(listener.fileno()), str(watched), str(self.folder)],
                pass_fds=(listener.fileno(), watched),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            os.close(watched)
        atexit.register(self.end)

    @property
    def _ended(self) -> str:
        return f"the process that imports it has ended with {self.process.poll()}"

    @property
    def is_running(self) -> bool:
        """Whether it can be asked; a fork asks the socket, as only the owner may wait for it."""
        return self.process.poll() is None if self.owner == os.getpid() else super().is_running

    def end(self) -> None:
        if self.process.returncode is None and self.owner == os.getpid():
            os.close(self.alive)
            self.process.wait()


def _server() -> _Address:
    """The server that this process has started, or is lent, or starts now."""
    with _lock:
        if not _known or not _known[-1].is_running:
            lent = os.environ.get(LENT_VARIABLE)
            address = _Address(Path(lent)) if lent else None
            _known[:] = [address if address is not None and address.is_running else _Started()]
        return _known[-1]


class _Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Forks for every request; it reads the request itself, to have read the project before."""

    max_children = 1000

    def __init__(self, listener: int, alive: int) -> None:
        super().__init__("", _Invocation, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=listener)
        self.alive = alive
        self.request: dict[str, Any] = {}
        self.output = -1
        self._parsed: tuple[tuple[str, int], Manifest] | None = None

    def process_request(self, request: Any, client_address: Any) -> None:
        head, fds, _, _ = socket.recv_fds(request, HEAD_BYTES, 1)
        data = b""
        while head and len(data) < int(head) and (more := request.recv(REQUEST_BYTES)):
            data += more
        if not fds:
            # Nothing to do, but to have read the project when the first request comes.
            if data:
                self.manifest(json.loads(data)["read"])
            self.shutdown_request(request)
            return
        self.request, self.output = json.loads(data), fds[0]
        if self.request["parsed"]:
            self.manifest(self.request["parsed"])
        super().process_request(request, client_address)
        os.close(self.output)

    def manifest(self, path: str) -> Manifest:
        """The parsed project, read again only when it has been parsed again."""
        version = (path, Path(path).stat().st_mtime_ns)
        if self._parsed is None or self._parsed[0] != version:
            self._parsed = version, _read_parsed(path)
            gc.collect()
            gc.freeze()
        return self._parsed[1]

    def service_actions(self) -> None:
        super().service_actions()
        if select.select([self.alive], [], [], 0)[0]:
            # Not `shutdown`: it waits for the loop that this is called from.
            self._BaseServer__shutdown_request = True


class _Invocation(socketserver.BaseRequestHandler):
    """What a fork does: be dbt, and say how it ended."""

    server: _Server

    def handle(self) -> None:
        self.server.socket.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._say(pid=os.getpid())
        threading.Thread(target=self._end_with_client, daemon=True).start()
        for stream in (sys.stdout, sys.stderr):
            os.dup2(self.server.output, stream.fileno())
        os.close(self.server.output)
        wanted = self.server.request
        os.environ.clear()
        os.environ.update(wanted["env"])
        os.chdir(wanted["cwd"])
        code = _be_dbt(wanted["args"], self.server.manifest(wanted["parsed"]) if wanted["parsed"] else None)
        sys.stdout.flush()
        sys.stderr.flush()
        for stream in (sys.stdout, sys.stderr):
            os.close(stream.fileno())
        # A fork leaves without them, among them multiprocessing's, which frees the semaphores of dbt.
        atexit._run_exitfuncs()
        self._say(exit=code)

    def _say(self, **answer: int) -> None:
        self.request.sendall(json.dumps(answer).encode() + b"\n")

    def _end_with_client(self) -> None:
        if not self.request.recv(1):
            os._exit(1)


def _be_dbt(args: list[str], manifest: Manifest | None) -> int:
    """As dbt's own command line, with a project that is parsed already; return the exit code."""
    from dbt.artifacts.schemas.run import RunExecutionResult  # noqa: PLC0415
    from dbt.cli.main import dbtRunner  # noqa: PLC0415  a second that only the server pays

    done = dbtRunner(manifest).invoke(args)
    if done.exception is not None:
        print(done.exception)
        return 2
    if manifest is not None and isinstance(done.result, RunExecutionResult):
        done.result.write(str(Path(os.environ["DBT_TARGET_PATH"], "run_results.json")))
    return 0 if done.success else 1


def _read_parsed(path: str) -> Manifest:
    from dbt.contracts.graph.manifest import Manifest  # noqa: PLC0415  a second that only the server pays
    from dbt.parser.manifest import extended_mashumuro_decoder  # noqa: PLC0415

    manifest = Manifest.from_msgpack(Path(path).read_bytes(), decoder=extended_mashumuro_decoder)
    manifest.build_parent_and_child_maps()  # type: ignore[no-untyped-call]
    manifest.build_flat_graph()  # type: ignore[no-untyped-call]
    _compile_ahead(manifest)
    return manifest


def _compile_ahead(manifest: Manifest) -> None:
    """Compile what every invocation would compile for itself: macros, and how nodes and configurations are written.

    None of it depends on what is asked: the caches go by the text of a macro, and by class.
    """
    from dbt.adapters.clickhouse.credentials import ClickHouseCredentials  # noqa: PLC0415
    from dbt.contracts import project  # noqa: PLC0415
    from dbt_common.clients.jinja import template_cache  # noqa: PLC0415

    for macro in manifest.macros.values():
        template_cache.get_node_template(macro)
    for kind in {type(node): node for node in manifest.nodes.values()}.values():
        kind.to_dict(omit_none=True)
    for contract in (
        project.Configuration,
        project.Project,
        project.ProfileConfig,
        project.ProjectFlags,
        project.PackageConfig,
        ClickHouseCredentials,
    ):
        contract.json_schema()


def main() -> None:
    """Serve until the process that started this one has ended."""
    import dbt.adapters.clickhouse  # noqa: PLC0415
    import dbt.cli.main  # noqa: F401, PLC0415

    listener, alive, folder = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with _Server(int(listener), int(alive)) as server:
        gc.freeze()
        server.serve_forever(POLL_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
