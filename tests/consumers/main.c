/* A C99 program that uses libpyro as others would: versions, a context, an error, a host check. No VM. */
#include <pyro/pyro.h>

#include <stdio.h>
#include <string.h>

static int fail(const char* what, pyro_error* error) {
  fprintf(stderr, "%s: %s\n", what, error != NULL ? pyro_error_message(error) : "unexpected");
  pyro_error_destroy(&error);
  return 1;
}

int main(void) {
  pyro_context* context = NULL;
  pyro_error* error = NULL;
  pyro_result* result = NULL;
  pyro_doctor_report* report = NULL;
  pyro_run_options options = PYRO_RUN_OPTIONS_INIT;
  size_t i;

  if (pyro_version_number() != PYRO_VERSION_NUMBER || strcmp(pyro_version_string(), PYRO_VERSION_STRING) != 0) {
    return fail("version", NULL);
  }
  if (pyro_open(NULL, &context, &error) != PYRO_OK) {
    return fail("pyro_open", error);
  }
  /* No environment: refused with a message, before anything is started. */
  options.command = "true";
  if (pyro_run_in_vm(context, &options, &result, &error) != PYRO_ERROR_INVALID || result != NULL ||
      pyro_error_code(error) != PYRO_ERROR_INVALID || strlen(pyro_error_message(error)) == 0) {
    return fail("pyro_run_in_vm without an environment", error);
  }
  pyro_error_destroy(&error);
  if (pyro_doctor(context, &report, &error) != PYRO_OK) {
    return fail("pyro_doctor", error);
  }
  for (i = 0; i < report->check_count; ++i) {
    printf("%s: %s\n", report->checks[i]->name, report->checks[i]->message);
    /* The helper programs of this very build were found. */
    if (strcmp(report->checks[i]->name, "helpers") == 0 && report->checks[i]->status != PYRO_CHECK_OK) {
      return fail("helpers", NULL);
    }
  }
  pyro_doctor_report_destroy(&report);
  pyro_close(&context);
  printf("libpyro %s\n", pyro_version_string());
  return 0;
}
