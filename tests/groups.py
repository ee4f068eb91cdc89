"""groups.py BUILD: after a run of ctest, fails if all tests of a group (label) were skipped.

The one exception is the group kvm where neither an accelerated KVM nor root is there; then that is said.
ctest has written BUILD/tests.xml.
"""
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as xml

HERE = os.path.dirname(os.path.abspath(__file__))


def labels(build):
    """The labels of each test."""
    shown = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], stdout=subprocess.PIPE, check=True)
    found = {}
    for test in json.loads(shown.stdout)["tests"]:
        for entry in test.get("properties", []):
            if entry["name"] == "LABELS":
                found[test["name"]] = entry["value"]
    return found


def by_group(results, labels_of):
    """For each label, of each of its tests: was it skipped?"""
    groups = {}
    for name, skipped in results.items():
        for label in labels_of.get(name, []):
            groups.setdefault(label, []).append(skipped)
    return groups


def no_kvm(build):
    """Why tests of the group kvm cannot run here; nothing if they can."""
    check = subprocess.run([sys.executable, os.path.join(HERE, "kvm-host/run"), "--build", build, "--check"],
                           stdout=subprocess.PIPE, text=True, check=False)
    return check.stdout.strip() if check.returncode == 77 else ""


def main():
    """Gives the exit code."""
    build = os.path.abspath(sys.argv[1])
    try:
        tree = xml.parse(os.path.join(build, "tests.xml"))
    except FileNotFoundError:
        return 0  # ctest only listed tests
    results = {case.get("name"): case.find("skipped") is not None for case in tree.iter("testcase")}
    code = 0
    for group, skips in sorted(by_group(results, labels(build)).items()):
        excuse = no_kvm(build) if group == "kvm" and any(skips) else ""
        if excuse:
            print(f"groups: {sum(skips)} of {len(skips)} tests of the group kvm were skipped ({excuse})")
        elif all(skips):
            print(f"groups: no test of the group {group} has run: that is a failure")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
