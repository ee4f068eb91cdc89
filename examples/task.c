/*
 * A task from C: a VM that stays, two commands that share its /workspace, its journal, its end.
 *
 *   cc task.c $(pkg-config --cflags --libs pyro) && ./a.out [ENVIRONMENT]
 */
#include <pyro/pyro.h>

#include <inttypes.h>
#include <stdio.h>

static int fail(pyro_error** error) {
  fprintf(stderr, "%s\n", pyro_error_message(*error));
  pyro_error_destroy(error);
  return 1;
}

/* Runs a shell line in the task and shows what it prints. */
static int exec_line(pyro_context* pyro, const char* task_id, const char* line) {
  pyro_error* error = NULL;
  pyro_exec_options options = PYRO_EXEC_OPTIONS_INIT;
  options.task_id = task_id;
  options.command = line;
  pyro_result* result = NULL;
  if (pyro_task_exec(pyro, &options, &result, &error) != PYRO_OK) {
    return fail(&error);
  }
  printf("command %" PRIu64 " exited with %" PRId32 ": %s", result->command_number, result->exit_code,
         result->stdout_data);
  if (result->stdout_size == 0) {
    printf("\n");
  }
  pyro_result_destroy(&result);
  return 0;
}

static int show_journal(pyro_context* pyro, const char* task_id) {
  pyro_error* error = NULL;
  pyro_logs_options options = PYRO_LOGS_OPTIONS_INIT;
  options.task_id = task_id;
  pyro_command_list* commands = NULL;
  if (pyro_task_logs(pyro, &options, &commands, &error) != PYRO_OK) {
    return fail(&error);
  }
  for (size_t i = 0; i < commands->count; ++i) {
    const pyro_command* command = commands->items[i];
    printf("journal: %" PRIu64 " %s, %zu bytes of output\n", command->number, command->argv[command->argc - 1],
           command->stdout_size);
  }
  pyro_command_list_destroy(&commands);
  return 0;
}

int main(int argc, char** argv) {
  pyro_error* error = NULL;
  pyro_context* pyro = NULL;
  if (pyro_open(NULL, &pyro, &error) != PYRO_OK) {
    return fail(&error);
  }

  pyro_task_options options = PYRO_TASK_OPTIONS_INIT;
  options.environment = argc > 1 ? argv[1] : "debian:12";
  pyro_vm_list* task = NULL;
  if (pyro_task_create(pyro, &options, &task, &error) != PYRO_OK) {
    pyro_close(&pyro);
    return fail(&error);
  }
  const char* id = task->items[0]->id;
  printf("task %s runs\n", id);

  int failed =
      exec_line(pyro, id, "echo hello >greeting") || exec_line(pyro, id, "cat greeting") || show_journal(pyro, id);

  pyro_task_query query = PYRO_TASK_QUERY_INIT;
  query.task_id = id;
  pyro_vm_list* deleted = NULL;
  if (pyro_task_delete(pyro, &query, &deleted, &error) != PYRO_OK) {
    failed = fail(&error);
  }
  pyro_vm_list_destroy(&deleted);
  pyro_vm_list_destroy(&task);
  pyro_close(&pyro);
  return failed;
}
