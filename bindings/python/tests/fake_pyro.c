/*
 * A libpyro.so for the tests of the Python package: the C ABI with commands run by the host's own
 * /bin/sh instead of a VM, so that every path of the bindings can be tried in milliseconds.
 *
 * The name of the environment picks what happens: "fake" runs the command, "boot-fails", "lost" and
 * "unknown-outcome" fail so, "missing" does not exist. Options that a test wants to see come back
 * in vm_id and as variables FAKE_* of the command.
 */
#define _GNU_SOURCE
#define PYRO_BUILD
#include "pyro.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES 65536

struct pyro_error {
  pyro_status code;
  char message[512];
  const char* console;
};

struct pyro_context {
  pid_t owner;
  int logged;
  uint32_t log_level;
};

enum stage { STAGE_PROGRESS, STAGE_STARTED, STAGE_RUNNING, STAGE_LAST, STAGE_OVER };

struct pyro_op {
  pid_t owner;
  enum stage stage;
  int is_run, is_doctor, stream, timed_out, waits_for_room;
  int epoll, wake, in, out, err, pid_fd, timer;
  pid_t child;
  int64_t deadline_ms, started_ms;
  uint64_t out_total, err_total;
  volatile int cancelled;
  char name[128];
  char vm_id[64];
  char json[512];
  char buffer[BUFFER_BYTES];
  struct pyro_error error;
  pyro_result result;
  pyro_environment environments[2];
  const pyro_environment* environment_pointers[2];
  pyro_environment_list list;
  struct {
    pyro_check check;
    uint64_t newer_field; /* as if the library were newer than the bindings */
  } checks[2];
  const pyro_check* check_pointers[2];
  pyro_doctor_report report;
};

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static pyro_status fail(pyro_error** error, pyro_status code, const char* message) {
  if (error) {
    *error = calloc(1, sizeof **error);
    (*error)->code = code;
    snprintf((*error)->message, sizeof(*error)->message, "%s", message);
    (*error)->console = "";
  }
  return code;
}

uint32_t pyro_version_number(void) {
  const char* wanted = getenv("FAKE_PYRO_VERSION");
  return wanted ? (uint32_t)atoi(wanted) : PYRO_VERSION_NUMBER;
}
const char* pyro_version_string(void) {
  return PYRO_VERSION_STRING;
}
int32_t pyro_feature(const char* name) {
  return strcmp(name, "pty") == 0;
}
const char* pyro_status_name(pyro_status status) {
  return status == PYRO_OK ? "ok" : "error";
}
pyro_status pyro_error_code(const pyro_error* error) {
  return error ? error->code : PYRO_OK;
}
const char* pyro_error_message(const pyro_error* error) {
  return error->message;
}
const char* pyro_error_console(const pyro_error* error) {
  return error->console;
}
void pyro_error_destroy(pyro_error** error) {
  free(*error);
  *error = NULL;
}

void pyro_open_options_init(pyro_open_options* options, size_t size) {
  memset(options, 0, size);
  options->struct_size = (uint32_t)size;
}
void pyro_run_options_init(pyro_run_options* options, size_t size) {
  memset(options, 0, size);
  options->struct_size = (uint32_t)size;
}
void pyro_env_options_init(pyro_env_options* options, size_t size) {
  memset(options, 0, size);
  options->struct_size = (uint32_t)size;
}

pyro_status pyro_open(const pyro_open_options* options, pyro_context** context, pyro_error** error) {
  if (options->struct_size != sizeof *options)
    return fail(error, PYRO_ERROR_INVALID, "struct_size");
  if (options->home && options->home[0] != '/')
    return fail(error, PYRO_ERROR_INVALID, "home must be absolute");
  *context = calloc(1, sizeof **context);
  (*context)->owner = getpid();
  (*context)->log_level = options->log_level;
  return PYRO_OK;
}
void pyro_close(pyro_context** context) {
  free(*context);
  *context = NULL;
}
pyro_status pyro_log_next(pyro_context* context, pyro_log_record* record) {
  if (context->logged || context->log_level < PYRO_LOG_WARNING)
    return PYRO_END;
  context->logged = 1;
  record->level = PYRO_LOG_WARNING;
  record->time_ns = 1500000000123000000;
  record->room = "client";
  record->message = "100% fake";
  return PYRO_OK;
}

void pyro_result_destroy(pyro_result** result) {
  *result = NULL;
}
void pyro_environment_list_destroy(pyro_environment_list** list) {
  *list = NULL;
}
void pyro_doctor_report_destroy(pyro_doctor_report** report) {
  *report = NULL;
}

/* ---- operations */

static void watch(pyro_op* op, int fd) {
  struct epoll_event event = {.events = EPOLLIN};
  epoll_ctl(op->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Room for input wakes the descriptor until pyro_op_next() is called, and gives no event. */
static void wait_for_room(pyro_op* op, int wanted) {
  struct epoll_event event = {.events = wanted ? EPOLLOUT : 0};
  if (op->in >= 0 && wanted != op->waits_for_room)
    epoll_ctl(op->epoll, EPOLL_CTL_MOD, op->in, &event);
  op->waits_for_room = wanted;
}

static void close_fd(int* fd) {
  if (*fd >= 0)
    close(*fd);
  *fd = -1;
}

static pyro_op* new_op(const char* name) {
  pyro_op* op = calloc(1, sizeof *op);
  uint64_t one = 1;
  op->owner = getpid();
  op->in = op->out = op->err = op->pid_fd = op->timer = -1;
  op->epoll = epoll_create1(EPOLL_CLOEXEC);
  op->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  watch(op, op->wake);
  if (write(op->wake, &one, sizeof one) < 0)
    abort();
  snprintf(op->name, sizeof op->name, "%s", name ? name : "");
  return op;
}

int pyro_op_fd(const pyro_op* op) {
  return op->owner == getpid() ? op->epoll : -1;
}

static pyro_status end_with(pyro_op* op, pyro_event* event, pyro_status code, const char* message) {
  op->stage = STAGE_OVER;
  op->error.code = code;
  op->error.console = code == PYRO_ERROR_BOOT ? "Kernel panic - not syncing" : "";
  snprintf(op->error.message, sizeof op->error.message, "%s", message);
  event->kind = PYRO_EVENT_ERROR;
  event->error = &op->error;
  return PYRO_OK;
}

static void kill_child(pyro_op* op) {
  if (op->child > 0) {
    kill(-op->child, SIGKILL);
    waitpid(op->child, NULL, 0);
  }
  op->child = 0;
}

static pyro_status next_output(pyro_op* op, int* fd, uint32_t kind, uint64_t* total, pyro_event* event) {
  if (*fd < 0)
    return PYRO_AGAIN;
  ssize_t size = read(*fd, op->buffer, BUFFER_BYTES);
  if (size < 0)
    return PYRO_AGAIN;
  if (size == 0) {
    close_fd(fd);
    return PYRO_AGAIN;
  }
  event->kind = kind;
  event->data = op->buffer;
  event->size = (size_t)size;
  *total += (uint64_t)size;
  return PYRO_OK;
}

static pyro_status finish_run(pyro_op* op, pyro_event* event) {
  int status = 0;
  if (waitpid(op->child, &status, 0) < 0)
    abort();
  op->child = 0;
  op->stage = STAGE_OVER;
  op->result = (pyro_result){
      .struct_size = sizeof op->result, .engine = PYRO_ENGINE_SOFTWARE, .vm_id = op->vm_id, .task_id = ""};
  op->result.term_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  op->result.exit_code = op->timed_out ? 124 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  op->result.timed_out = op->timed_out;
  op->result.stdout_total_bytes = op->out_total;
  op->result.stderr_total_bytes = op->err_total;
  op->result.duration_ms = (uint64_t)(now_ms() - op->started_ms);
  event->kind = PYRO_EVENT_EXIT;
  event->result = &op->result;
  return PYRO_OK;
}

static pyro_status finish_other(pyro_op* op, pyro_event* event) {
  op->stage = STAGE_OVER;
  event->kind = PYRO_EVENT_DONE;
  if (op->is_doctor) {
    for (int i = 0; i < 2; i++) {
      op->checks[i].check =
          (pyro_check){sizeof op->checks[i], (uint32_t)i, i ? "qemu" : "kvm", "found", i ? "mend it" : ""};
      op->check_pointers[i] = &op->checks[i].check;
    }
    op->report = (pyro_doctor_report){
        sizeof op->report, PYRO_ENGINE_SOFTWARE, PYRO_KVM_EMULATING, 1, op->check_pointers, 2, "{\"healthy\":true}"};
    event->doctor = &op->report;
    return PYRO_OK;
  }
  for (int i = 0; i < 2; i++) {
    op->environments[i] = (pyro_environment){
        sizeof op->environments[i], !i, i ? "other" : op->name, "for tests", "sha256:00", "6.1", 7, 1500000000};
    op->environment_pointers[i] = &op->environments[i];
  }
  snprintf(op->json, sizeof op->json,
           "{\"environments\":[{\"name\":\"%s\",\"manifest\":{\"format\":1}}],\"freed_bytes\":42}", op->name);
  op->list = (pyro_environment_list){sizeof op->list, 0, op->environment_pointers, 2, op->json};
  event->environments = &op->list;
  return PYRO_OK;
}

static pyro_status step(pyro_op* op, pyro_event* event) {
  uint64_t count;
  if (op->stage == STAGE_OVER)
    return PYRO_END;
  if (op->cancelled) {
    kill_child(op);
    return end_with(op, event, PYRO_ERROR_CANCELLED, "cancelled");
  }
  switch (op->stage) {
    case STAGE_PROGRESS:
      op->stage = op->is_run ? STAGE_STARTED : STAGE_LAST;
      event->kind = PYRO_EVENT_PROGRESS;
      event->stage = op->is_run ? "boot" : "build";
      event->message = "step";
      event->done = 1;
      event->total = 2;
      return PYRO_OK;
    case STAGE_STARTED:
      if (strcmp(op->name, "boot-fails") == 0)
        return end_with(op, event, PYRO_ERROR_BOOT, "the guest did not start");
      if (strcmp(op->name, "lost") == 0)
        return end_with(op, event, PYRO_ERROR_NOT_STARTED, "the VM was lost");
      op->stage = STAGE_RUNNING;
      event->kind = PYRO_EVENT_STARTED;
      event->vm_id = op->vm_id;
      if (read(op->wake, &count, sizeof count) < 0)
        abort();
      return PYRO_OK;
    case STAGE_LAST:
      if (strcmp(op->name, "missing") == 0)
        return end_with(op, event, PYRO_ERROR_NOT_FOUND, "no environment \"missing\"");
      return finish_other(op, event);
    default:
      break;
  }
  if (op->deadline_ms && now_ms() >= op->deadline_ms && !op->timed_out) {
    op->timed_out = 1;
    close_fd(&op->timer);
    kill(-op->child, SIGKILL);
  }
  if (next_output(op, &op->out, PYRO_EVENT_STDOUT, &op->out_total, event) == PYRO_OK)
    return PYRO_OK;
  if (next_output(op, &op->err, PYRO_EVENT_STDERR, &op->err_total, event) == PYRO_OK)
    return PYRO_OK;
  if (op->out >= 0 || op->err >= 0)
    return PYRO_AGAIN;
  if (strcmp(op->name, "unknown-outcome") == 0) {
    kill_child(op);
    return end_with(op, event, PYRO_ERROR_OUTCOME_UNKNOWN, "the VM was lost");
  }
  struct pollfd ended = {op->pid_fd, POLLIN, 0};
  return poll(&ended, 1, 0) == 1 ? finish_run(op, event) : PYRO_AGAIN;
}

pyro_status pyro_op_next(pyro_op* op, int64_t timeout_ms, pyro_event* event, pyro_error** error) {
  if (op->owner != getpid())
    return fail(error, PYRO_ERROR_FORKED, "forked");
  if (event->struct_size != sizeof *event)
    return fail(error, PYRO_ERROR_INVALID, "struct_size");
  if (timeout_ms != 0)
    return fail(error, PYRO_ERROR_INVALID, "the bindings must not wait in here");
  memset(event, 0, sizeof *event);
  event->struct_size = sizeof *event;
  wait_for_room(op, 0);
  return step(op, event);
}

pyro_status pyro_op_write_stdin(pyro_op* op, const void* data, size_t size, size_t* accepted, pyro_error** error) {
  *accepted = 0;
  if (!op->stream)
    return fail(error, PYRO_ERROR_INVALID, "needs PYRO_STDIN_STREAM");
  if (op->in < 0)
    return fail(error, PYRO_ERROR_STATE, "the input is closed");
  ssize_t written = send(op->in, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (written < 0 && errno != EAGAIN)
    return fail(error, PYRO_ERROR_STATE, "the command has ended");
  wait_for_room(op, written < 0 || (size_t)written < size);
  *accepted = written < 0 ? 0 : (size_t)written;
  return PYRO_OK;
}
pyro_status pyro_op_close_stdin(pyro_op* op, pyro_error** error) {
  if (op->in < 0)
    return fail(error, PYRO_ERROR_STATE, "the input is closed");
  close_fd(&op->in);
  return PYRO_OK;
}
pyro_status pyro_op_signal(pyro_op* op, int32_t number, pyro_error** error) {
  if (op->child <= 0)
    return fail(error, PYRO_ERROR_STATE, "no command runs");
  kill(-op->child, number);
  return PYRO_OK;
}
pyro_status pyro_op_resize(pyro_op* op, uint32_t rows, uint32_t columns, pyro_error** error) {
  (void)op;
  (void)rows;
  (void)columns;
  return fail(error, PYRO_ERROR_STATE, "no terminal");
}
pyro_status pyro_op_cancel(pyro_op* op, pyro_error** error) {
  uint64_t one = 1;
  (void)error;
  op->cancelled = 1;
  return write(op->wake, &one, sizeof one) < 0 ? PYRO_ERROR_INTERNAL : PYRO_OK;
}
void pyro_op_destroy(pyro_op** slot) {
  pyro_op* op = *slot;
  if (!op)
    return;
  if (op->owner == getpid())
    kill_child(op);
  int* fds[] = {&op->in, &op->out, &op->err, &op->pid_fd, &op->timer, &op->wake, &op->epoll};
  for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
    close_fd(fds[i]);
  free(op);
  *slot = NULL;
}

/* ---- starting */

static void run_child(const pyro_run_options* options, int in, int out, int err) {
  setpgid(0, 0);
  dup2(in, 0);
  dup2(out, 1);
  dup2(err, 2);
  for (size_t i = 0; i < options->env_count; i++)
    putenv(strdup(options->env[i]));
  char text[64];
  snprintf(text, sizeof text, "%u %u %u", options->vcpu_count, options->mem_mib, options->disk_mib);
  setenv("FAKE_SIZE", text, 1);
  snprintf(text, sizeof text, "%g %g %g", options->timeout_seconds, options->boot_timeout_seconds,
           options->max_lifetime_seconds);
  setenv("FAKE_TIMES", text, 1);
  snprintf(text, sizeof text, "%u %u %ux%u", options->engine, options->pty, options->pty_rows, options->pty_columns);
  setenv("FAKE_MODES", text, 1);
  setenv("FAKE_CWD", options->cwd ? options->cwd : "", 1);
  setenv("FAKE_USER", options->user ? options->user : "", 1);
  char** argv = calloc(options->argc + 4, sizeof *argv);
  char* shell[] = {"/bin/sh", "-c", (char*)options->command, NULL};
  memcpy(argv, options->argc ? (char**)options->argv : shell, (options->argc ? options->argc : 3) * sizeof *argv);
  execvp(argv[0], argv);
  _exit(127);
}

pyro_status pyro_run_in_vm_start(pyro_context* context, const pyro_run_options* options, pyro_op** result,
                                 pyro_error** error) {
  int in[2], out[2], err[2];
  if (context->owner != getpid())
    return fail(error, PYRO_ERROR_FORKED, "forked");
  if (options->struct_size != sizeof *options)
    return fail(error, PYRO_ERROR_INVALID, "struct_size");
  if (!options->command == !options->argv)
    return fail(error, PYRO_ERROR_INVALID, "command or argv, not both");
  if (options->network)
    return fail(error, PYRO_ERROR_UNSUPPORTED, "network is not built yet");
  if (options->vcpu_count > 16)
    return fail(error, PYRO_ERROR_INVALID, "vcpu_count: allowed are 1 to 16");
  if (strcmp(options->environment, "missing") == 0)
    return fail(error, PYRO_ERROR_NOT_FOUND, "no environment \"missing\"");
  pyro_op* op = new_op(options->environment);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
    abort();
  op->is_run = 1;
  op->stream = options->stdin_mode == PYRO_STDIN_STREAM;
  op->started_ms = now_ms();
  if (options->timeout_seconds > 0) {
    int64_t timeout_ms = (int64_t)(options->timeout_seconds * 1000) + 1;
    struct itimerspec when = {.it_value = {timeout_ms / 1000, timeout_ms % 1000 * 1000000}};
    op->deadline_ms = op->started_ms + timeout_ms - 1;
    op->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    timerfd_settime(op->timer, 0, &when, NULL);
    watch(op, op->timer);
  }
  snprintf(op->vm_id, sizeof op->vm_id, "vm-%d", getpid());
  op->child = fork();
  if (op->child == 0)
    run_child(options, in[1], out[1], err[1]);
  setpgid(op->child, op->child);
  close(in[1]);
  close(out[1]);
  close(err[1]);
  op->in = in[0];
  op->out = out[0];
  op->err = err[0];
  op->pid_fd = (int)syscall(SYS_pidfd_open, op->child, 0);
  fcntl(op->out, F_SETFL, O_NONBLOCK);
  fcntl(op->err, F_SETFL, O_NONBLOCK);
  struct epoll_event nothing = {.events = 0};
  epoll_ctl(op->epoll, EPOLL_CTL_ADD, op->in, &nothing);
  watch(op, op->out);
  watch(op, op->err);
  watch(op, op->pid_fd);
  if (!op->stream) {
    /* Small enough for the socket's buffer in every test that uses it. */
    if (options->stdin_size && send(op->in, options->stdin_data, options->stdin_size, MSG_NOSIGNAL) < 0)
      abort();
    close_fd(&op->in);
  }
  *result = op;
  return PYRO_OK;
}

static pyro_status start_other(pyro_context* context, const pyro_env_options* options, pyro_op** op, pyro_error** error,
                               int doctor) {
  if (context->owner != getpid())
    return fail(error, PYRO_ERROR_FORKED, "forked");
  *op = new_op(options && options->name ? options->name : "");
  (*op)->is_doctor = doctor;
  return PYRO_OK;
}

#define ENV_CALL(verb)                                                                                                 \
  pyro_status pyro_env_##verb(pyro_context* c, const pyro_env_options* o, pyro_environment_list** l, pyro_error** e) { \
    (void)c, (void)o, (void)l;                                                                                         \
    return fail(e, PYRO_ERROR_INTERNAL, "the bindings must not call what blocks");                                     \
  }                                                                                                                    \
  pyro_status pyro_env_##verb##_start(pyro_context* c, const pyro_env_options* o, pyro_op** op, pyro_error** e) {      \
    return start_other(c, o, op, e, 0);                                                                                \
  }
ENV_CALL(list)
ENV_CALL(build)
ENV_CALL(inspect)
ENV_CALL(import)
ENV_CALL(export)
ENV_CALL(prune)
ENV_CALL(pull)

pyro_status pyro_doctor_start(pyro_context* context, pyro_op** op, pyro_error** error) {
  return start_other(context, NULL, op, error, 1);
}
pyro_status pyro_doctor(pyro_context* context, pyro_doctor_report** report, pyro_error** error) {
  (void)context;
  (void)report;
  return fail(error, PYRO_ERROR_INTERNAL, "the bindings must not call what blocks");
}
pyro_status pyro_run_in_vm(pyro_context* context, const pyro_run_options* options, pyro_result** result,
                           pyro_error** error) {
  (void)context;
  (void)options;
  (void)result;
  return fail(error, PYRO_ERROR_INTERNAL, "the bindings must not call what blocks");
}

/* Tasks are tested on real VMs: test_vm.py. */
#define CALL(verb, options_type, out_type)                                                                \
  pyro_status pyro_##verb(pyro_context* c, const options_type* o, out_type** l, pyro_error** e) {         \
    (void)c, (void)o, (void)l;                                                                            \
    return fail(e, PYRO_ERROR_INTERNAL, "the bindings must not call what blocks");                        \
  }                                                                                                       \
  pyro_status pyro_##verb##_start(pyro_context* c, const options_type* o, pyro_op** op, pyro_error** e) { \
    (void)c, (void)o, (void)op;                                                                           \
    return fail(e, PYRO_ERROR_UNSUPPORTED, "the fake has no tasks");                                      \
  }
CALL(task_create, pyro_task_options, pyro_vm_list)
CALL(task_exec, pyro_exec_options, pyro_result)
CALL(task_attach, pyro_attach_options, pyro_result)
CALL(task_status, pyro_task_query, pyro_vm_list)
CALL(task_list, pyro_task_query, pyro_vm_list)
CALL(task_logs, pyro_logs_options, pyro_command_list)
CALL(task_stop, pyro_task_query, pyro_vm_list)
CALL(task_start, pyro_task_query, pyro_vm_list)
CALL(task_set_ttl, pyro_task_query, pyro_vm_list)
CALL(task_delete, pyro_task_query, pyro_vm_list)
CALL(vm_create, pyro_task_options, pyro_vm_list)
CALL(vm_start, pyro_task_query, pyro_vm_list)
CALL(vm_exec, pyro_exec_options, pyro_result)
CALL(vm_status, pyro_task_query, pyro_vm_list)
CALL(vm_list_all, pyro_task_query, pyro_vm_list)
CALL(vm_stop, pyro_task_query, pyro_vm_list)
CALL(vm_delete, pyro_task_query, pyro_vm_list)
CALL(file_read, pyro_file_options, pyro_file_result)
CALL(file_write, pyro_file_options, pyro_file_result)
CALL(file_list, pyro_file_options, pyro_file_result)
CALL(file_stat, pyro_file_options, pyro_file_result)
CALL(file_make_dir, pyro_file_options, pyro_file_result)
CALL(file_remove, pyro_file_options, pyro_file_result)
CALL(file_upload, pyro_file_options, pyro_file_result)
CALL(file_download, pyro_file_options, pyro_file_result)
CALL(file_diff, pyro_file_options, pyro_file_result)
CALL(file_export, pyro_file_options, pyro_file_result)

pyro_status pyro_reap_expired(pyro_context* context, pyro_vm_list** list, pyro_error** error) {
  (void)context, (void)list;
  return fail(error, PYRO_ERROR_INTERNAL, "the bindings must not call what blocks");
}
pyro_status pyro_reap_expired_start(pyro_context* context, pyro_op** op, pyro_error** error) {
  (void)context, (void)op;
  return fail(error, PYRO_ERROR_UNSUPPORTED, "the fake has no tasks");
}
pyro_status pyro_registry_rebuild(pyro_context* context, pyro_vm_list** list, pyro_error** error) {
  (void)context, (void)list;
  return fail(error, PYRO_ERROR_INTERNAL, "the bindings must not call what blocks");
}
pyro_status pyro_registry_rebuild_start(pyro_context* context, pyro_op** op, pyro_error** error) {
  (void)context, (void)op;
  return fail(error, PYRO_ERROR_UNSUPPORTED, "the fake has no tasks");
}
void pyro_vm_list_destroy(pyro_vm_list** list) {
  (void)list;
}
void pyro_command_list_destroy(pyro_command_list** list) {
  (void)list;
}
void pyro_file_result_destroy(pyro_file_result** result) {
  (void)result;
}
void pyro_file_options_init(pyro_file_options* options, size_t size) {
  memset(options, 0, size);
  options->struct_size = (uint32_t)size;
}
void pyro_task_options_init(pyro_task_options* options, size_t size) {
  memset(options, 0, size);
  options->struct_size = (uint32_t)size;
}
void pyro_task_query_init(pyro_task_query* query, size_t size) {
  memset(query, 0, size);
  query->struct_size = (uint32_t)size;
}
void pyro_exec_options_init(pyro_exec_options* options, size_t size) {
  memset(options, 0, size);
  options->struct_size = (uint32_t)size;
}
void pyro_attach_options_init(pyro_attach_options* options, size_t size) {
  memset(options, 0, size);
  options->struct_size = (uint32_t)size;
}
void pyro_logs_options_init(pyro_logs_options* options, size_t size) {
  memset(options, 0, size);
  options->struct_size = (uint32_t)size;
}
