"""`Pyro`: a place to run VMs from."""
from __future__ import annotations

import ctypes
from types import TracebackType
from typing import Any, Callable, Optional, Tuple, Type, TypeVar, Union, cast

from ._bindings import Engine, LogLevel, StdinMode
from ._context import Caps, Context
from ._files import Files
from ._library import load
from ._operation import Operation
from ._options import Command, RunOptions, Text, Variables, env_options
from ._tasks import Tasks, done
from ._types import DoctorReport, Done, Environment, Progress, PruneReport, Result

T = TypeVar("T")
ProgressCallback = Optional[Callable[[Progress], None]]

MIB = 1024 * 1024


class Pyro(Tasks, Files):
    """Settings and a home folder. Costs no process, no thread and no VM.

    home: where state is kept. Default: $PYRO_HOME, else $XDG_DATA_HOME/pyro, else ~/.local/share/pyro.
    libexec: folder of the helper programs. Default: $PYRO_LIBEXEC, else found from the library.
    log_level: "off", "error", "warning", "info" or "debug": what the library reports to the logger
        "libpyro". Default: what that logger lets through now.
    cgroup: a delegated cgroup below which each VM gets one of its own, with an equal share of CPU. Default: $PYRO_CGROUP.

    Use it in a `with`, or call close(). Any thread may call any method; after fork() the child needs
    a new one. Operations that are under way when it is closed go on. Every method may raise PyroError.
    """

    def __init__(
        self,
        home: Optional[Text] = None,
        libexec: Optional[Text] = None,
        log_level: Union[str, LogLevel, None] = None,
        *,
        max_vms: Optional[int] = 0,
        max_mem_mib: Optional[int] = 0,
        disk_reserve_mib: Optional[int] = 0,
        mem_overcommit: float = 0,
        cgroup: Optional[Text] = None,
    ) -> None:
        caps = Caps(max_vms, max_mem_mib, disk_reserve_mib, mem_overcommit)
        self._context = Context(load(), home, libexec, log_level, caps, cgroup)

    def close(self) -> None:
        """May be called more than once."""
        self._context.close()

    def __enter__(self) -> Pyro:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    # -- run a command

    def start_run_in_vm(
        self,
        environment: str,
        command: Command,
        *,
        vcpu_count: int = 1,
        mem_mib: int = 1024,
        disk_mib: int = 2048,
        timeout_seconds: Optional[float] = 30,
        boot_timeout_seconds: float = 60,
        max_lifetime_seconds: float = 0,
        cwd: Optional[Text] = None,
        env: Optional[Variables] = None,
        user: Optional[str] = None,
        stdin: Union[bytes, str, None, StdinMode] = None,
        network: bool = False,
        engine: Union[str, Engine] = "auto",
        output_limit_bytes: Optional[int] = MIB,
        pty: bool = False,
        pty_rows: int = 24,
        pty_columns: int = 80,
    ) -> Operation[Result]:
        """Starts one command in one new VM and gives the running operation: iterate over its events,
        Progress*, Started, (Stdout | Stderr)*, Exit, or have wait() collect them into a Result.

        Arguments as run_in_vm(); in addition stdin=STREAM, for Operation.write_stdin().
        Closing the operation destroys the VM; so does the end of this process, however it ends.
        """
        options = RunOptions(
            environment,
            command,
            vcpu_count=vcpu_count,
            mem_mib=mem_mib,
            disk_mib=disk_mib,
            timeout_seconds=timeout_seconds,
            boot_timeout_seconds=boot_timeout_seconds,
            max_lifetime_seconds=max_lifetime_seconds,
            cwd=cwd,
            env=env,
            user=user,
            stdin=stdin,
            network=network,
            engine=engine,
            output_limit_bytes=output_limit_bytes,
            pty=pty,
            pty_rows=pty_rows,
            pty_columns=pty_columns,
        )
        return self._start(
            self._context.library.pyro_run_in_vm_start,
            options.struct,
            lambda last: cast(Result, last),
            options.output_limit_bytes,
        )

    def run_in_vm(
        self,
        environment: str,
        command: Command,
        *,
        vcpu_count: int = 1,
        mem_mib: int = 1024,
        disk_mib: int = 2048,
        timeout_seconds: Optional[float] = 30,
        boot_timeout_seconds: float = 60,
        max_lifetime_seconds: float = 0,
        cwd: Optional[Text] = None,
        env: Optional[Variables] = None,
        user: Optional[str] = None,
        stdin: Union[bytes, str, None] = None,
        network: bool = False,
        engine: Union[str, Engine] = "auto",
        output_limit_bytes: Optional[int] = MIB,
        pty: bool = False,
        pty_rows: int = 24,
        pty_columns: int = 80,
    ) -> Result:
        """Runs one command in one new VM and waits for its end. An environment of the catalogue that
        is not there yet is built first. An exception, Ctrl-C included, destroys the VM.

        environment: name of the environment, such as "debian:12".
        command: text is run as /bin/sh -c; a sequence is a program and its arguments, executed as is.
        vcpu_count: 1 to 16. mem_mib: memory of the guest, 128 to 65536.
        disk_mib: what the command can write anywhere, 64 to 1048576.
        timeout_seconds: how long the command may run, from its start in the guest; None: no limit.
            A command that takes longer is killed: exit_code 124, timed_out.
        boot_timeout_seconds: how long the VM may take to start.
        max_lifetime_seconds: how long the VM may live in all; 0: no limit.
        cwd: working directory in the guest; None: /workspace.
        env: variables, on top of the environment's own.
        user: name or number in the guest; None: root.
        stdin: the command's whole input; text is sent as UTF-8. None: empty.
        network: not built yet: UnsupportedError.
        engine: "auto" (the best that this host has), "kvm" or "software".
        output_limit_bytes: how much of each stream the result keeps; the rest is counted and dropped.
            None: all.
        pty: run on a terminal of pty_rows x pty_columns; all output comes as stdout.
        """
        with self.start_run_in_vm(
            environment,
            command,
            vcpu_count=vcpu_count,
            mem_mib=mem_mib,
            disk_mib=disk_mib,
            timeout_seconds=timeout_seconds,
            boot_timeout_seconds=boot_timeout_seconds,
            max_lifetime_seconds=max_lifetime_seconds,
            cwd=cwd,
            env=env,
            user=user,
            stdin=stdin,
            network=network,
            engine=engine,
            output_limit_bytes=output_limit_bytes,
            pty=pty,
            pty_rows=pty_rows,
            pty_columns=pty_columns,
        ) as operation:
            return operation.wait()

    async def run_in_vm_async(
        self,
        environment: str,
        command: Command,
        *,
        vcpu_count: int = 1,
        mem_mib: int = 1024,
        disk_mib: int = 2048,
        timeout_seconds: Optional[float] = 30,
        boot_timeout_seconds: float = 60,
        max_lifetime_seconds: float = 0,
        cwd: Optional[Text] = None,
        env: Optional[Variables] = None,
        user: Optional[str] = None,
        stdin: Union[bytes, str, None] = None,
        network: bool = False,
        engine: Union[str, Engine] = "auto",
        output_limit_bytes: Optional[int] = MIB,
        pty: bool = False,
        pty_rows: int = 24,
        pty_columns: int = 80,
    ) -> Result:
        """run_in_vm() for asyncio, without threads. Cancelling the task destroys the VM."""
        async with self.start_run_in_vm(
            environment,
            command,
            vcpu_count=vcpu_count,
            mem_mib=mem_mib,
            disk_mib=disk_mib,
            timeout_seconds=timeout_seconds,
            boot_timeout_seconds=boot_timeout_seconds,
            max_lifetime_seconds=max_lifetime_seconds,
            cwd=cwd,
            env=env,
            user=user,
            stdin=stdin,
            network=network,
            engine=engine,
            output_limit_bytes=output_limit_bytes,
            pty=pty,
            pty_rows=pty_rows,
            pty_columns=pty_columns,
        ) as operation:
            return await operation.wait_async()

    # -- environments

    def list_environments(self) -> Tuple[Environment, ...]:
        """All environments: those that are here and those of the catalogue."""
        library = self._context.library
        return self._wait(self._start(library.pyro_env_list_start, env_options(), lambda last: done(last).environments))

    def build_environment(self, name: str, *, force: bool = False, progress: ProgressCallback = None) -> Environment:
        """Builds an environment of the catalogue, unless it is there (force: even then).

        progress is called with each Progress. Any number of processes may build at once: one does,
        the others wait for it. Ctrl-C stops the build.
        """
        return self._wait(self.start_build_environment(name, force=force), progress)

    def start_build_environment(self, name: str, *, force: bool = False) -> Operation[Environment]:
        """build_environment() as an operation."""
        return self._start(self._context.library.pyro_env_build_start, env_options(name, force=force), _environment)

    def inspect_environment(self, name: str, *, verify: bool = False) -> Environment:
        """One environment with its manifest. verify: read every file and compare its digest."""
        options = env_options(name, verify=verify)
        return self._wait(self._start(self._context.library.pyro_env_inspect_start, options, _environment))

    def import_environment(self, name: str, path: Text, *, progress: ProgressCallback = None) -> Environment:
        """Registers a root filesystem of yours (directory or tarball), or a bundle that
        export_environment() wrote, under a name. Raises ExistsError if the name is taken."""
        return self._wait(self.start_import_environment(name, path), progress)

    def start_import_environment(self, name: str, path: Text) -> Operation[Environment]:
        """import_environment() as an operation."""
        return self._start(self._context.library.pyro_env_import_start, env_options(name, path), _environment)

    def export_environment(self, name: str, path: Text, *, progress: ProgressCallback = None) -> None:
        """Writes an environment (kernel, initramfs, image, manifest) to one file. Raises ExistsError
        if there is one."""
        self._wait(self.start_export_environment(name, path), progress)

    def start_export_environment(self, name: str, path: Text) -> Operation[None]:
        """export_environment() as an operation."""
        return self._start(self._context.library.pyro_env_export_start, env_options(name, path), lambda last: None)

    def pull_environment(self, name: str, *, progress: ProgressCallback = None) -> Environment:
        """Fetches an environment from a registry. Not built yet: UnsupportedError."""
        return self._wait(
            self._start(self._context.library.pyro_env_pull_start, env_options(name), _environment), progress
        )

    def prune_environments(self, name: Optional[str] = None, *, all: bool = False) -> PruneReport:
        """Removes what nothing needs: left-overs of interrupted builds and files of no environment.
        all: also the environments themselves. name: only that environment."""
        options = env_options(name, everything=all)
        return self._wait(self._start(self._context.library.pyro_env_prune_start, options, _pruned))

    # -- host check

    def doctor(self) -> DoctorReport:
        """Checks what this host can do, and why engine="auto" picks what it picks. Runs no command. A
        host that can do little is a report, not an error."""
        with self._context.borrow() as context:
            start = self._context.library.pyro_doctor_start
            operation = self._operation(lambda op, error: start(context, op, error), _report)
        return self._wait(operation)

    # -- inside

    def _start(
        self,
        function: Callable[[Any, Any, Any, Any], int],
        options: Any,
        finish: Callable[[Union[Result, Done]], T],
        output_limit_bytes: Optional[int] = None,
    ) -> Operation[T]:
        with self._context.borrow() as context:
            return self._operation(
                lambda op, error: function(context, ctypes.byref(options), op, error), finish, output_limit_bytes
            )

    def _operation(
        self,
        start: Callable[[Any, Any], int],
        finish: Callable[[Union[Result, Done]], T],
        output_limit_bytes: Optional[int] = None,
    ) -> Operation[T]:
        try:
            return Operation(self._context.library, start, finish, self._context.drain_log, output_limit_bytes)
        finally:
            self._context.drain_log()


def _environment(last: Union[Result, Done]) -> Environment:
    return done(last).environments[0]


def _pruned(last: Union[Result, Done]) -> PruneReport:
    end = done(last)
    return PruneReport(end.environments, int(end.details.get("freed_bytes", 0)))


def _report(last: Union[Result, Done]) -> DoctorReport:
    return cast(DoctorReport, done(last).report)
