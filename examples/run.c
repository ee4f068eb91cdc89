/* Runs commands in microVMs from C99: one that is waited for, and one driven event by event. */
#include <pyro/pyro.h>

#include <stdio.h>

/* Says what failed and ends the error. */
static int fail(pyro_status status, pyro_error** error) {
  fprintf(stderr, "%s: %s\n%s", pyro_status_name(status), pyro_error_message(*error), pyro_error_console(*error));
  pyro_error_destroy(error);
  return 1;
}

static int run_and_wait(pyro_context* context) {
  static const char* const argv[] = {"git", "--version"};
  pyro_run_options options = PYRO_RUN_OPTIONS_INIT;
  pyro_result* result = NULL;
  pyro_error* error = NULL;
  options.environment = "debian:12";
  options.argv = argv;
  options.argc = sizeof argv / sizeof argv[0];

  pyro_status status = pyro_run_in_vm(context, &options, &result, &error);
  if (status != PYRO_OK) {
    return fail(status, &error);
  }
  printf("exit code %d, output %s", result->exit_code, result->stdout_data);
  pyro_result_destroy(&result);
  return 0;
}

/* An event loop would wait for pyro_op_fd() and then call pyro_op_next() with a timeout of 0. */
static int run_and_watch(pyro_context* context) {
  pyro_run_options options = PYRO_RUN_OPTIONS_INIT;
  pyro_event event = PYRO_EVENT_INIT;
  pyro_op* op = NULL;
  pyro_error* error = NULL;
  int failed = 0;
  options.environment = "debian:12";
  options.command = "echo hello from $(uname -sr); exit 3";

  pyro_status status = pyro_run_in_vm_start(context, &options, &op, &error);
  if (status != PYRO_OK) {
    return fail(status, &error);
  }
  while ((status = pyro_op_next(op, -1, &event, &error)) == PYRO_OK) {
    switch (event.kind) {
      case PYRO_EVENT_STDOUT:
        fwrite(event.data, 1, event.size, stdout);
        break;
      case PYRO_EVENT_STDERR:
        fwrite(event.data, 1, event.size, stderr);
        break;
      case PYRO_EVENT_EXIT:
        printf("exit code %d\n", event.result->exit_code);
        break;
      case PYRO_EVENT_ERROR: /* borrowed from the operation: nothing to destroy */
        fprintf(stderr, "%s\n", pyro_error_message(event.error));
        failed = 1;
        break;
      default:
        break;
    }
  }
  if (status != PYRO_END) {
    failed = fail(status, &error);
  }
  pyro_op_destroy(&op);
  return failed;
}

int main(void) {
  pyro_context* context = NULL;
  pyro_error* error = NULL;
  pyro_status status = pyro_open(NULL, &context, &error);
  if (status != PYRO_OK) {
    return fail(status, &error);
  }
  const int failed = run_and_wait(context) || run_and_watch(context);
  pyro_close(&context);
  return failed;
}
