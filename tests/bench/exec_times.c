/*
 * exec_times TASK_ID TRIPS COMMANDS: what a host program sees of a task's speed, without an interpreter in between.
 *
 * Prints, one number of milliseconds a line: TRIPS round trips of one byte through `cat`, then COMMANDS times what
 * running `true` took from call to result.
 */
#include <pyro/pyro.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void check(pyro_status status, pyro_error* error) {
  if (status != PYRO_OK) {
    fprintf(stderr, "exec_times: %s\n", pyro_error_message(error));
    exit(1);
  }
}

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void wait_for(pyro_op* op, pyro_event_kind kind) {
  pyro_error* error = NULL;
  pyro_event event = PYRO_EVENT_INIT;
  do {
    check(pyro_op_next(op, -1, &event, &error), error);
    if (event.kind == PYRO_EVENT_EXIT && kind != PYRO_EVENT_EXIT) {
      fprintf(stderr, "exec_times: the command ended\n");
      exit(1);
    }
  } while (event.kind != kind);
}

static void print_round_trips(pyro_context* pyro, const char* task_id, long count) {
  pyro_error* error = NULL;
  pyro_exec_options options = PYRO_EXEC_OPTIONS_INIT;
  options.task_id = task_id;
  options.command = "exec cat";
  options.stdin_mode = PYRO_STDIN_STREAM;
  options.timeout_seconds = PYRO_NO_TIMEOUT;
  pyro_op* op = NULL;
  check(pyro_task_exec_start(pyro, &options, &op, &error), error);
  wait_for(op, PYRO_EVENT_STARTED);
  for (long i = 0; i < count; ++i) {
    const double begin = now_ms();
    size_t accepted = 0;
    check(pyro_op_write_stdin(op, "x", 1, &accepted, &error), error);
    wait_for(op, PYRO_EVENT_STDOUT);
    printf("%.4f\n", now_ms() - begin);
  }
  check(pyro_op_close_stdin(op, &error), error);
  wait_for(op, PYRO_EVENT_EXIT);
  pyro_op_destroy(&op);
}

static void print_commands(pyro_context* pyro, const char* task_id, long count) {
  const char* const argv[] = {"true"};
  pyro_exec_options options = PYRO_EXEC_OPTIONS_INIT;
  options.task_id = task_id;
  options.argv = argv;
  options.argc = 1;
  for (long i = 0; i < count; ++i) {
    pyro_error* error = NULL;
    pyro_result* result = NULL;
    const double begin = now_ms();
    check(pyro_task_exec(pyro, &options, &result, &error), error);
    printf("%.4f\n", now_ms() - begin);
    pyro_result_destroy(&result);
  }
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: exec_times TASK_ID TRIPS COMMANDS\n");
    return 2;
  }
  pyro_error* error = NULL;
  pyro_context* pyro = NULL;
  check(pyro_open(NULL, &pyro, &error), error);
  print_round_trips(pyro, argv[1], strtol(argv[2], NULL, 10));
  print_commands(pyro, argv[1], strtol(argv[3], NULL, 10));
  pyro_close(&pyro);
  return 0;
}
