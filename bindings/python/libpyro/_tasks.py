"""What `Pyro` does with tasks: VMs that stay, with a /workspace of their own."""
from __future__ import annotations

from typing import Any, Callable, Mapping, Optional, Sequence, Tuple, TypeVar, Union, cast

from ._bindings import PYRO_NO_TIMEOUT, Engine, LogsMode, StdinMode
from ._context import Context
from ._operation import Operation
from ._options import (
    Command,
    ExecOptions,
    Text,
    Variables,
    attach_options,
    logs_options,
    seconds,
    task_options,
    task_query,
)
from ._types import CommandRecord, Done, Progress, Result, Task

T = TypeVar("T")
ProgressCallback = Optional[Callable[[Progress], None]]

MIB = 1024 * 1024


class Tasks:
    """The part of Pyro that is about tasks. Any process of the same user and home folder finds a task by its id.

    Every method may raise PyroError; NotFoundError if there is no such task, StateError if it is not in a
    state that allows the call: the message says which it is in and what to do.
    """

    _context: Context

    def create_task(
        self,
        environment: str,
        *,
        labels: Optional[Mapping[str, str]] = None,
        vcpu_count: int = 1,
        mem_mib: int = 1024,
        disk_mib: int = 2048,
        boot_timeout_seconds: float = 60,
        ttl_seconds: Optional[float] = 600,
        max_lifetime_seconds: float = 0,
        retention_seconds: Optional[float] = 7 * 24 * 3600,
        network: bool = False,
        engine: Union[str, Engine] = "auto",
        seed: Optional[Text] = None,
        progress: ProgressCallback = None,
    ) -> Task:
        """Makes a task and starts its VM; it runs when this returns, and goes on when this process ends.

        environment, vcpu_count, mem_mib, boot_timeout_seconds, network, engine: as run_in_vm().
        labels: names and values to find it by.
        disk_mib: the task's disk: everything that commands write, and all that they may.
        ttl_seconds: how long it goes on with no client connected and no command running; then it is stopped.
            None: for ever.
        max_lifetime_seconds: how long its VM may run from a start on; 0: no limit.
        retention_seconds: how long it is kept once it is stopped or has failed; then it is deleted. None: for ever.
        seed: a directory of this host whose content is copied into /workspace, or an uncompressed tar file: as
            upload() does. diff_task() compares with it.
        progress is called with each Progress, such as the steps of building the environment.
        """
        options = task_options(
            environment,
            labels,
            vcpu_count=vcpu_count,
            mem_mib=mem_mib,
            disk_mib=disk_mib,
            boot_timeout_seconds=boot_timeout_seconds,
            ttl_seconds=ttl_seconds,
            max_lifetime_seconds=max_lifetime_seconds,
            retention_seconds=retention_seconds,
            network=network,
            engine=engine,
            seed=seed,
        )
        return self._wait(self._start(self._context.library.pyro_task_create_start, options, _task), progress)

    def start_exec_task(
        self,
        task_id: str,
        command: Command,
        *,
        timeout_seconds: Optional[float] = 30,
        cwd: Optional[Text] = None,
        env: Optional[Variables] = None,
        user: Optional[str] = None,
        stdin: Union[bytes, str, None, StdinMode] = None,
        output_limit_bytes: Optional[int] = MIB,
        pty: bool = False,
        pty_rows: int = 24,
        pty_columns: int = 80,
    ) -> Operation[Result]:
        """exec_task() as an operation, as start_run_in_vm() is; in addition stdin=STREAM. Several may run at once.
        Closing it, or the end of this process, lets the command go on; its input is closed then, unless it has a
        terminal or somebody who is attached may write to it."""
        return self._exec(
            self._context.library.pyro_task_exec_start,
            task_id,
            command,
            lambda last: cast(Result, last),
            detach=False,
            timeout_seconds=timeout_seconds,
            cwd=cwd,
            env=env,
            user=user,
            stdin=stdin,
            output_limit_bytes=output_limit_bytes,
            pty=pty,
            pty_rows=pty_rows,
            pty_columns=pty_columns,
        )

    def exec_task(
        self,
        task_id: str,
        command: Command,
        *,
        timeout_seconds: Optional[float] = 30,
        cwd: Optional[Text] = None,
        env: Optional[Variables] = None,
        user: Optional[str] = None,
        stdin: Union[bytes, str, None] = None,
        output_limit_bytes: Optional[int] = MIB,
        pty: bool = False,
        pty_rows: int = 24,
        pty_columns: int = 80,
    ) -> Result:
        """Runs a command in a running task and waits for its end. Arguments as run_in_vm()."""
        return self._wait(
            self.start_exec_task(
                task_id,
                command,
                timeout_seconds=timeout_seconds,
                cwd=cwd,
                env=env,
                user=user,
                stdin=stdin,
                output_limit_bytes=output_limit_bytes,
                pty=pty,
                pty_rows=pty_rows,
                pty_columns=pty_columns,
            )
        )

    def exec_task_detached(
        self,
        task_id: str,
        command: Command,
        *,
        timeout_seconds: Optional[float] = 30,
        cwd: Optional[Text] = None,
        env: Optional[Variables] = None,
        user: Optional[str] = None,
        pty: bool = False,
        pty_rows: int = 24,
        pty_columns: int = 80,
        keep_stdin: bool = False,
    ) -> int:
        """Starts a command that nobody waits for, and gives its number for logs_task(), follow_task() and attach_task().

        keep_stdin: its input stays open for who attaches; with a terminal (pty) that is always so.
        """
        return self._wait(
            self._exec(
                self._context.library.pyro_task_exec_start,
                task_id,
                command,
                lambda last: done(last).commands[0].number,
                detach=True,
                timeout_seconds=timeout_seconds,
                cwd=cwd,
                env=env,
                user=user,
                stdin=None,
                output_limit_bytes=MIB,
                pty=pty,
                pty_rows=pty_rows,
                pty_columns=pty_columns,
                keep_stdin=keep_stdin,
            )
        )

    def start_attach_task(
        self,
        task_id: str,
        command_number: int,
        *,
        stdin: Optional[StdinMode] = None,
        tail_bytes: Optional[int] = 64 * 1024,
        pty_rows: Optional[int] = None,
        pty_columns: Optional[int] = None,
        output_limit_bytes: Optional[int] = MIB,
    ) -> Operation[Result]:
        """Attaches to a command that somebody started in a task: Started, what it printed before, what it prints, Exit.
        Nothing is lost or told twice. Any number may be attached, and all are equal. Closing the operation detaches.

        stdin: STREAM takes part in the command's input; None leaves it alone.
        tail_bytes: how much of what it printed before, both streams together, from 1 on; None: all that is kept.
        pty_rows, pty_columns: size that the command's terminal gets; then the program in it is asked to redraw.
        """
        options = attach_options(
            task_id,
            command_number,
            stdin=stdin,
            tail_bytes=tail_bytes,
            pty_rows=pty_rows,
            pty_columns=pty_columns,
        )
        start = self._context.library.pyro_task_attach_start
        return self._start(start, options, lambda last: cast(Result, last), output_limit_bytes)

    def attach_task(
        self,
        task_id: str,
        command_number: int,
        *,
        tail_bytes: Optional[int] = 64 * 1024,
        output_limit_bytes: Optional[int] = MIB,
    ) -> Result:
        """Waits for the end of a command that somebody started in a task; one that has ended is told of as well."""
        return self._wait(
            self.start_attach_task(
                task_id, command_number, tail_bytes=tail_bytes, output_limit_bytes=output_limit_bytes
            )
        )

    def status_task(self, task_id: str) -> Task:
        """What it does now, with all that is known of it."""
        return self._by_id(self._context.library.pyro_task_status_start, task_id)

    def list_tasks(self, *, labels: Optional[Mapping[str, str]] = None, states: Sequence[str] = ()) -> Tuple[Task, ...]:
        """All tasks, newest first. labels: only those that have all of these. states: only those in one of them."""
        query = task_query(labels=labels, states=states)
        return self._wait(self._start(self._context.library.pyro_task_list_start, query, _tasks))

    def logs_task(
        self,
        task_id: str,
        command_number: Optional[int] = None,
        *,
        command_limit: Optional[int] = 1000,
        output_limit_bytes: Optional[int] = MIB,
    ) -> Tuple[CommandRecord, ...]:
        """Its commands by number, with the last part of what they printed, while they run or long after.

        command_number: only that one. command_limit: how many, the newest; None: all.
        output_limit_bytes: of each stream of each command; None: all that is kept.
        """
        options = logs_options(
            task_id,
            command_number,
            LogsMode.LIST,
            command_limit=command_limit,
            output_limit_bytes=output_limit_bytes,
        )
        return self._wait(self._start(self._context.library.pyro_task_logs_start, options, _commands))

    def follow_task(
        self, task_id: str, command_number: Optional[int] = None
    ) -> Operation[Tuple[CommandRecord, ...]]:
        """What its commands printed and still print, as an operation: (Stdout | Stderr)*, Done, until the command
        asked for has ended or the task does not run."""
        options = logs_options(task_id, command_number, LogsMode.FOLLOW)
        return self._start(self._context.library.pyro_task_logs_start, options, _commands)

    def stop_task(self, task_id: str) -> Task:
        """Powers its VM off: commands that run are ended, its memory is freed, its disk and journal stay."""
        return self._by_id(self._context.library.pyro_task_stop_start, task_id)

    def start_task(self, task_id: str, *, progress: ProgressCallback = None) -> Task:
        """Starts a VM for it again, on its disk. One that runs stays as it is."""
        return self._by_id(self._context.library.pyro_task_start_start, task_id, progress)

    def set_task_ttl(self, task_id: str, ttl_seconds: Optional[float]) -> Task:
        """Changes how long it goes on unused, for now and for later starts; the time begins anew. None: for ever."""
        query = task_query(task_id, ttl_seconds=seconds("ttl_seconds", ttl_seconds, PYRO_NO_TIMEOUT))
        return self._wait(self._start(self._context.library.pyro_task_set_ttl_start, query, _task))

    def delete_task(self, task_id: str) -> bool:
        """Kills its VM and removes its disk and journal. False: there was none."""
        query = task_query(task_id)
        deleted = self._wait(self._start(self._context.library.pyro_task_delete_start, query, _tasks))
        return bool(deleted)

    def reap_expired(self) -> Tuple[Task, ...]:
        """Deletes what has outlived its retention; gives the deleted ones. create_task() does it as well."""
        with self._context.borrow() as context:
            start = self._context.library.pyro_reap_expired_start
            operation = self._operation(lambda op, error: start(context, op, error), _tasks)
        return self._wait(operation)

    def rebuild_registry(self) -> Tuple[Task, ...]:
        """Makes the index that lists are answered from again, from the folders of the tasks; gives all tasks and VMs."""
        with self._context.borrow() as context:
            start = self._context.library.pyro_registry_rebuild_start
            operation = self._operation(lambda op, error: start(context, op, error), _tasks)
        return self._wait(operation)

    # -- VMs, step by step

    def create_vm(
        self,
        environment: str,
        *,
        labels: Optional[Mapping[str, str]] = None,
        vcpu_count: int = 1,
        mem_mib: int = 1024,
        disk_mib: int = 2048,
        boot_timeout_seconds: float = 60,
        ttl_seconds: Optional[float] = 600,
        max_lifetime_seconds: float = 0,
        retention_seconds: Optional[float] = 7 * 24 * 3600,
        network: bool = False,
        engine: Union[str, Engine] = "auto",
    ) -> Task:
        """Makes a VM, without starting it; arguments as create_task(). exec_vm() removes it, and so does whoever reaps
        after its TTL or maximum lifetime. Tasks and VMs are two sets: neither's calls find the other's."""
        options = task_options(
            environment,
            labels,
            vcpu_count=vcpu_count,
            mem_mib=mem_mib,
            disk_mib=disk_mib,
            boot_timeout_seconds=boot_timeout_seconds,
            ttl_seconds=ttl_seconds,
            max_lifetime_seconds=max_lifetime_seconds,
            retention_seconds=retention_seconds,
            network=network,
            engine=engine,
        )
        return self._wait(self._start(self._context.library.pyro_vm_create_start, options, _task))

    def start_vm(self, vm_id: str, *, progress: ProgressCallback = None) -> Task:
        """Starts one; it runs when this returns."""
        return self._by_id(self._context.library.pyro_vm_start_start, vm_id, progress)

    def start_exec_vm(
        self,
        vm_id: str,
        command: Command,
        *,
        timeout_seconds: Optional[float] = 30,
        cwd: Optional[Text] = None,
        env: Optional[Variables] = None,
        user: Optional[str] = None,
        stdin: Union[bytes, str, None, StdinMode] = None,
        output_limit_bytes: Optional[int] = MIB,
        pty: bool = False,
        pty_rows: int = 24,
        pty_columns: int = 80,
    ) -> Operation[Result]:
        """exec_vm() as an operation."""
        return self._exec(
            self._context.library.pyro_vm_exec_start,
            vm_id,
            command,
            lambda last: cast(Result, last),
            detach=False,
            timeout_seconds=timeout_seconds,
            cwd=cwd,
            env=env,
            user=user,
            stdin=stdin,
            output_limit_bytes=output_limit_bytes,
            pty=pty,
            pty_rows=pty_rows,
            pty_columns=pty_columns,
        )

    def exec_vm(
        self,
        vm_id: str,
        command: Command,
        *,
        timeout_seconds: Optional[float] = 30,
        cwd: Optional[Text] = None,
        env: Optional[Variables] = None,
        user: Optional[str] = None,
        stdin: Union[bytes, str, None] = None,
        output_limit_bytes: Optional[int] = MIB,
        pty: bool = False,
        pty_rows: int = 24,
        pty_columns: int = 80,
    ) -> Result:
        """Runs one command in a running VM, and removes the VM when that has ended. Arguments as run_in_vm()."""
        return self._wait(
            self.start_exec_vm(
                vm_id,
                command,
                timeout_seconds=timeout_seconds,
                cwd=cwd,
                env=env,
                user=user,
                stdin=stdin,
                output_limit_bytes=output_limit_bytes,
                pty=pty,
                pty_rows=pty_rows,
                pty_columns=pty_columns,
            )
        )

    def status_vm(self, vm_id: str) -> Task:
        """What it does now."""
        return self._by_id(self._context.library.pyro_vm_status_start, vm_id)

    def list_vms(self, *, labels: Optional[Mapping[str, str]] = None, states: Sequence[str] = ()) -> Tuple[Task, ...]:
        """All VMs, newest first; as list_tasks()."""
        query = task_query(labels=labels, states=states)
        return self._wait(self._start(self._context.library.pyro_vm_list_all_start, query, _tasks))

    def stop_vm(self, vm_id: str) -> Task:
        """Powers it off; its disk stays until it is deleted."""
        return self._by_id(self._context.library.pyro_vm_stop_start, vm_id)

    def delete_vm(self, vm_id: str) -> bool:
        """Kills it and removes its files. False: there was none."""
        return bool(self._wait(self._start(self._context.library.pyro_vm_delete_start, task_query(vm_id), _tasks)))

    # -- inside

    def _exec(
        self,
        function: Callable[..., int],
        identifier: str,
        command: Command,
        finish: Callable[[Union[Result, Done]], T],
        **what: Any,
    ) -> Operation[T]:
        options = ExecOptions(identifier, command, **what)
        return self._start(function, options.struct, finish, options.output_limit_bytes)

    def _by_id(self, function: Callable[..., int], task_id: str, progress: ProgressCallback = None) -> Task:
        return self._wait(self._start(function, task_query(task_id), _task), progress)

    def _start(
        self,
        function: Callable[[Any, Any, Any, Any], int],
        options: Any,
        finish: Callable[[Union[Result, Done]], T],
        output_limit_bytes: Optional[int] = None,
    ) -> Operation[T]:
        raise NotImplementedError

    def _operation(
        self,
        start: Callable[[Any, Any], int],
        finish: Callable[[Union[Result, Done]], T],
        output_limit_bytes: Optional[int] = None,
    ) -> Operation[T]:
        raise NotImplementedError

    @staticmethod
    def _wait(operation: Operation[T], progress: ProgressCallback = None) -> T:
        with operation:
            return operation.wait(progress)


def done(last: Union[Result, Done]) -> Done:
    return cast(Done, last)


def _task(last: Union[Result, Done]) -> Task:
    return done(last).tasks[0]


def _tasks(last: Union[Result, Done]) -> Tuple[Task, ...]:
    return done(last).tasks


def _commands(last: Union[Result, Done]) -> Tuple[CommandRecord, ...]:
    return done(last).commands
