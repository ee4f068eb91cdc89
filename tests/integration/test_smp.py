"""Guests with several vCPUs, at work on all of them."""
import unittest

from support import VmTest, run

COUNTS = (1, 2, 4)
BUILD = r"""
set -e
nproc
for i in 1 2 3 4 5 6; do
  printf '#include <stdio.h>\nint part_%d(void) { return printf("%d") - 1 + %d; }\n' $i $i $i >part_$i.c
done
cat >main.c <<'END'
int part_1(void), part_2(void), part_3(void), part_4(void), part_5(void), part_6(void);
int main(void) { return part_1() + part_2() + part_3() + part_4() + part_5() + part_6(); }
END
cat >Makefile <<'END'
program: main.o part_1.o part_2.o part_3.o part_4.o part_5.o part_6.o
	$(CC) -o $@ $^
END
make -s -j "$(nproc)" program
./program || echo " $?"
grep -c ^processor /proc/cpuinfo
"""


class Smp(VmTest):
    def test_parallel_builds(self):
        for count in COUNTS:
            with self.subTest(vcpu_count=count):
                done = run("debian:12-build", "sh", "-c", BUILD,
                           options=("--vcpu-count", str(count), "--timeout", "200", "--boot-timeout", "150"))
                self.assertEqual((done.returncode, done.stdout), (0, f"{count}\n123456 21\n{count}\n".encode()), done)


if __name__ == "__main__":
    unittest.main()
