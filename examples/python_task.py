"""A task from Python: a VM that stays, commands that share its /workspace, its journal, its end."""
import sys

import libpyro

environment = sys.argv[1] if len(sys.argv) > 1 else "debian:12"
with libpyro.Pyro() as pyro:
    task = pyro.create_task(environment, labels={"example": "python"}, ttl_seconds=60)
    try:
        pyro.exec_task(task.id, "printf 'one\\ntwo\\n' >numbers")
        result = pyro.exec_task(task.id, ["wc", "-l", "numbers"])
        print("exit code", result.exit_code, "output", result.stdout_text.strip())

        # Nobody waits for this one; its output is in the journal, live and later.
        number = pyro.exec_task_detached(task.id, "for i in 1 2 3; do echo tick $i; sleep 0.2; done")
        with pyro.follow_task(task.id, number) as output:
            for event in output:
                if isinstance(event, libpyro.Stdout):
                    print("command", event.command_number, "says", event.data)

        pyro.stop_task(task.id)
        pyro.start_task(task.id)
        print("after a restart:", pyro.exec_task(task.id, "cat numbers").stdout_text.split())
        for command in pyro.logs_task(task.id):
            print("journal:", command.number, command.argv[-1], "->", command.exit_code)
    finally:
        pyro.delete_task(task.id)
