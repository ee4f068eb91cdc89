"""What `Pyro` does with files of a task, without a command."""
from __future__ import annotations

import ctypes
from typing import Any, Callable, Optional, TypeVar, Union

from ._bindings import PYRO_NO_TIMEOUT, StdinMode, pyro_file_options
from ._context import Context
from ._operation import Operation
from ._options import UINT64_MAX, Text, encode, encode_optional, in_range, input_bytes, seconds
from ._types import Done, FileContent, FileInfo, FileList, Progress, Result, Stdout, Transfer

T = TypeVar("T")
ProgressCallback = Optional[Callable[[Progress], None]]
Content = Union[bytes, bytearray, memoryview, str]

MIB = 1024 * 1024
GIB = 1024 * MIB


class Files:
    """The part of Pyro that is about files of running tasks.

    Paths are text, bytes or path-like; a relative one counts from /workspace. All are resolved in the guest, as a
    command there would see them. user: name or number in the guest who does it; None: root. timeout_seconds: how long
    it may take in the guest, then OperationTimeoutError; None: no limit. Every method may raise PyroError:
    NotFoundError, ExistsError or StateError for the path or the task, LimitError for a limit or a full disk.
    """

    _context: Context

    def read_file(
        self,
        task_id: str,
        path: Text,
        *,
        offset: int = 0,
        max_bytes: Optional[int] = MIB,
        user: Optional[str] = None,
        timeout_seconds: Optional[float] = 60,
    ) -> FileContent:
        """The content of a regular file, from `offset` on. More than max_bytes (None: all) is cut off, and truncated."""
        operation = self.start_read_file(
            task_id, path, offset=offset, max_bytes=max_bytes, user=user, timeout_seconds=timeout_seconds
        )
        parts = []
        end = Done()
        with operation:
            for event in operation:
                if isinstance(event, Stdout):
                    parts.append(event.data)
                elif isinstance(event, Done):
                    end = event
        return FileContent(b"".join(parts), end.truncated, end.file_size_bytes)

    def start_read_file(
        self,
        task_id: str,
        path: Text,
        *,
        offset: int = 0,
        max_bytes: Optional[int] = None,
        user: Optional[str] = None,
        timeout_seconds: Optional[float] = 60,
    ) -> Operation[Done]:
        """read_file() as an operation: Started, Stdout*, Done."""
        options = _options(
            task_id,
            path,
            user,
            timeout_seconds,
            offset=in_range("offset", offset, UINT64_MAX) if offset else 0,
            max_bytes=UINT64_MAX if max_bytes is None else in_range("max_bytes", max_bytes, UINT64_MAX),
        )
        return self._start(self._context.library.pyro_file_read_start, options, _done)

    def write_file(
        self,
        task_id: str,
        path: Text,
        data: Content,
        *,
        mode: Optional[int] = None,
        parents: bool = False,
        exclusive: bool = False,
        user: Optional[str] = None,
        timeout_seconds: Optional[float] = 60,
    ) -> None:
        """Puts a file at `path`, in place of one that is there: at once and whole, or not at all.

        data: text is written as UTF-8. mode: permission bits; None: those of the file that is replaced, else 0o644.
        parents: make missing directories on the way. exclusive: only if there is none, else ExistsError.
        """
        content = input_bytes(data)
        # A buffer of its own keeps NUL bytes.
        buffer = (ctypes.c_char * max(len(content), 1)).from_buffer_copy(bytes(content) or b"\0")
        options = _options(
            task_id,
            path,
            user,
            timeout_seconds,
            mode=_mode(mode),
            parents=1 if parents else 0,
            exclusive=1 if exclusive else 0,
            data=ctypes.cast(buffer, ctypes.c_void_p),
            data_size=len(content),
        )
        self._wait(self._start(self._context.library.pyro_file_write_start, options, _done))

    def start_write_file(
        self,
        task_id: str,
        path: Text,
        *,
        mode: Optional[int] = None,
        parents: bool = False,
        exclusive: bool = False,
        user: Optional[str] = None,
        timeout_seconds: Optional[float] = 60,
    ) -> Operation[None]:
        """write_file() as an operation that takes the content by write_stdin(). The file is there when
        close_stdin() was called and wait() has returned, and not at all if the operation ends before."""
        options = _options(
            task_id,
            path,
            user,
            timeout_seconds,
            mode=_mode(mode),
            parents=1 if parents else 0,
            exclusive=1 if exclusive else 0,
            stdin_mode=StdinMode.STREAM,
        )
        return self._start(self._context.library.pyro_file_write_start, options, lambda last: None)

    def list_files(
        self,
        task_id: str,
        path: Text = "/workspace",
        *,
        recursive: bool = False,
        max_entries: int = 1000,
        user: Optional[str] = None,
        timeout_seconds: Optional[float] = 60,
    ) -> FileList:
        """What is in a directory, in the byte order of the names; recursive: with everything below."""
        options = _options(
            task_id,
            path,
            user,
            timeout_seconds,
            recursive=1 if recursive else 0,
            max_entries=in_range("max_entries", max_entries, UINT64_MAX),
        )
        return self._wait(self._start(self._context.library.pyro_file_list_start, options, _file_list))

    def stat_file(
        self,
        task_id: str,
        path: Text,
        *,
        user: Optional[str] = None,
        timeout_seconds: Optional[float] = 60,
    ) -> FileInfo:
        """One path. A symbolic link is told as one, not as what it leads to."""
        options = _options(task_id, path, user, timeout_seconds)
        return self._wait(self._start(self._context.library.pyro_file_stat_start, options, _file))

    def make_dir(
        self,
        task_id: str,
        path: Text,
        *,
        parents: bool = False,
        mode: Optional[int] = None,
        user: Optional[str] = None,
        timeout_seconds: Optional[float] = 60,
    ) -> None:
        """Makes a directory. parents: also those on the way, and one that is there is fine. mode: None: 0o755."""
        options = _options(
            task_id, path, user, timeout_seconds, parents=1 if parents else 0, mode=_mode(mode)
        )
        self._wait(self._start(self._context.library.pyro_file_make_dir_start, options, _done))

    def remove_file(
        self,
        task_id: str,
        path: Text,
        *,
        recursive: bool = False,
        user: Optional[str] = None,
        timeout_seconds: Optional[float] = 60,
    ) -> None:
        """Removes a file, a symbolic link or an empty directory; recursive: a directory with everything in it."""
        options = _options(task_id, path, user, timeout_seconds, recursive=1 if recursive else 0)
        self._wait(self._start(self._context.library.pyro_file_remove_start, options, _done))

    def upload(
        self,
        task_id: str,
        local_path: Text,
        path: Text,
        *,
        tar: bool = False,
        parents: bool = False,
        max_bytes: int = 16 * GIB,
        max_entries: int = 1_000_000,
        max_path_bytes: int = 4095,
        user: Optional[str] = None,
        timeout_seconds: Optional[float] = None,
        progress: ProgressCallback = None,
    ) -> Transfer:
        """Copies into the guest: a directory's content into the directory `path`, or a file, which becomes `path` or
        goes into it if it is a directory. Symbolic links are copied, never followed.

        tar: local_path is an uncompressed tar file, whose content goes into the directory `path`.
        max_bytes, max_entries, max_path_bytes: more is a LimitError. progress is called with each Progress.
        """
        options = _tree_options(
            task_id, path, local_path, user, timeout_seconds, tar, parents, max_bytes, max_entries, max_path_bytes
        )
        return self._wait(self._start(self._context.library.pyro_file_upload_start, options, _transfer), progress)

    def start_upload(
        self,
        task_id: str,
        path: Text,
        *,
        parents: bool = False,
        max_bytes: int = 16 * GIB,
        max_entries: int = 1_000_000,
        max_path_bytes: int = 4095,
        user: Optional[str] = None,
        timeout_seconds: Optional[float] = None,
    ) -> Operation[Transfer]:
        """upload() of a tar stream that is given by write_stdin(), up to close_stdin()."""
        options = _tree_options(
            task_id, path, None, user, timeout_seconds, False, parents, max_bytes, max_entries, max_path_bytes
        )
        options.stdin_mode = StdinMode.STREAM
        return self._start(self._context.library.pyro_file_upload_start, options, _transfer)

    def download(
        self,
        task_id: str,
        path: Text,
        local_path: Text,
        *,
        tar: bool = False,
        max_bytes: int = 16 * GIB,
        max_entries: int = 1_000_000,
        max_path_bytes: int = 4095,
        user: Optional[str] = None,
        timeout_seconds: Optional[float] = None,
        progress: ProgressCallback = None,
    ) -> Transfer:
        """Copies out of the guest, the other way round. Nothing is written outside local_path, whatever the guest
        sends; symbolic links are made as they are, so do not follow those that you do not trust.

        tar: local_path becomes a tar file. The limits as in upload().
        """
        options = _tree_options(
            task_id, path, local_path, user, timeout_seconds, tar, False, max_bytes, max_entries, max_path_bytes
        )
        return self._wait(self._start(self._context.library.pyro_file_download_start, options, _transfer), progress)

    def start_download(
        self,
        task_id: str,
        path: Text,
        *,
        max_bytes: int = 16 * GIB,
        max_entries: int = 1_000_000,
        max_path_bytes: int = 4095,
        user: Optional[str] = None,
        timeout_seconds: Optional[float] = None,
    ) -> Operation[Transfer]:
        """download() as a tar stream, in Stdout events. It comes from the guest: do not extract it carelessly."""
        options = _tree_options(
            task_id, path, None, user, timeout_seconds, False, False, max_bytes, max_entries, max_path_bytes
        )
        return self._start(self._context.library.pyro_file_download_start, options, _transfer)

    def diff_task(
        self, task_id: str, *, max_entries: int = 1000, timeout_seconds: Optional[float] = 60
    ) -> FileList:
        """What was added, changed and removed in /workspace since the task was made."""
        options = _options(
            task_id, None, None, timeout_seconds, max_entries=in_range("max_entries", max_entries, UINT64_MAX)
        )
        return self._wait(self._start(self._context.library.pyro_file_diff_start, options, _file_list))

    def export_task(
        self,
        task_id: str,
        local_path: Text,
        *,
        max_bytes: int = 16 * GIB,
        max_entries: int = 1_000_000,
        user: Optional[str] = None,
        timeout_seconds: Optional[float] = None,
        progress: ProgressCallback = None,
    ) -> Transfer:
        """The whole /workspace as one tar file, in a reproducible order."""
        options = _tree_options(
            task_id, None, local_path, user, timeout_seconds, False, False, max_bytes, max_entries, 4095
        )
        return self._wait(self._start(self._context.library.pyro_file_export_start, options, _transfer), progress)

    # -- inside

    def _start(
        self,
        function: Callable[[Any, Any, Any, Any], int],
        options: Any,
        finish: Callable[[Union[Result, Done]], T],
        output_limit_bytes: Optional[int] = None,
    ) -> Operation[T]:
        raise NotImplementedError

    @staticmethod
    def _wait(operation: Operation[T], progress: ProgressCallback = None) -> T:
        with operation:
            return operation.wait(progress)


def _options(
    task_id: str, path: Optional[Text], user: Optional[str], timeout_seconds: Optional[float], **fields: Any
) -> pyro_file_options:
    """A pyro_file_options; its strings live as long as it does."""
    return pyro_file_options(
        struct_size=ctypes.sizeof(pyro_file_options),
        task_id=encode("task_id", task_id),
        path=None if path is None else encode("path", path),
        user=encode_optional("user", user),
        timeout_seconds=seconds("timeout_seconds", timeout_seconds, PYRO_NO_TIMEOUT),
        **fields,
    )


def _tree_options(
    task_id: str,
    path: Optional[Text],
    local_path: Optional[Text],
    user: Optional[str],
    timeout_seconds: Optional[float],
    tar: bool,
    parents: bool,
    max_bytes: int,
    max_entries: int,
    max_path_bytes: int,
) -> pyro_file_options:
    return _options(
        task_id,
        path,
        user,
        timeout_seconds,
        local_path=encode_optional("local_path", local_path),
        tar=1 if tar else 0,
        parents=1 if parents else 0,
        max_bytes=in_range("max_bytes", max_bytes, UINT64_MAX),
        max_entries=in_range("max_entries", max_entries, UINT64_MAX),
        max_path_bytes=in_range("max_path_bytes", max_path_bytes),
    )


def _mode(mode: Optional[int]) -> int:
    return 0 if mode is None else in_range("mode", mode)


def _done(last: Union[Result, Done]) -> Done:
    assert isinstance(last, Done)
    return last


def _file_list(last: Union[Result, Done]) -> FileList:
    end = _done(last)
    return FileList(end.files, end.truncated)


def _file(last: Union[Result, Done]) -> FileInfo:
    return _done(last).files[0]


def _transfer(last: Union[Result, Done]) -> Transfer:
    transfer = _done(last).transfer
    assert transfer is not None
    return transfer
