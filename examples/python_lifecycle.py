"""The life cycle of a VM, step by step, from Python: made, started, used once, gone."""
import sys

import libpyro

environment = sys.argv[1] if len(sys.argv) > 1 else "debian:12"
with libpyro.Pyro() as pyro:
    vm = pyro.create_vm(environment, ttl_seconds=60)
    print("made:", vm.state)
    print("started:", pyro.start_vm(vm.id).state)
    result = pyro.exec_vm(vm.id, "uname -s")
    print("exit code", result.exit_code, "output", result.stdout_text.strip())
    print("still there:", any(one.id == vm.id for one in pyro.list_vms()))
