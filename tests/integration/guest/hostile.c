/*
 * hostile MODE [ARGUMENT]: what a guest with root may do to the machine it runs in. Static, so that any
 * environment runs it; sent in over standard input by tests/integration/test_hostile_guest.py.
 *
 *   end HOW        ends the whole guest, not just the commands' namespace: halt (all CPUs in cli; hlt),
 *                  power-off, reboot, triple-fault, panic; console (stops the agent, takes the console from its
 *                  driver, does what "all" does, and powers off)
 *   flood KIB      writes that many KiB to the serial port
 *   ports          writes and reads every I/O port but those that end the guest, in all widths
 *   registers ID   takes the virtio device with this ID from its driver; random accesses to its registers
 *   rings ID       the same, with queues that break the rules one way after the other
 *   all ID         both, queues first
 *
 * All but end print "survived" and a count when they are through; end console does so on the serial console.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char* what) {
  fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
  exit(3);
}

static void write_text(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
    die(path);
  }
  close(fd);
}

/* The namespace's own is read-only; root mounts another. */
static void mount_sysfs(void) {
  mkdir("/tmp/hostile-sys", 0700);
  if (mount("sysfs", "/tmp/hostile-sys", "sysfs", 0, NULL) != 0) {
    die("mounting sysfs");
  }
}

/* xorshift64: the same in every run. */
static uint64_t seed = 0x9e3779b97f4a7c15;
static uint64_t chance(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

/* ---- end HOW: a command is in a namespace of its own, which is all that its reboot(2) ends. So the kernel is told
 * to run this program as the handler of core dumps, which makes it a process of the first namespace. */

static void abuse_console(void);

static void end_from_inside(const char* how) {
  if (strcmp(how, "console") == 0) {
    abuse_console();
    reboot(RB_POWER_OFF);
  } else if (strcmp(how, "panic") == 0) {
    write_text("/proc/sysrq-trigger", "c");
  } else if (strcmp(how, "halt") == 0) {
    reboot(RB_HALT_SYSTEM);
  } else if (strcmp(how, "power-off") == 0) {
    reboot(RB_POWER_OFF);
  } else if (strcmp(how, "triple-fault") == 0) {
    mkdir("/tmp", 0700);
    mount_sysfs();
    write_text("/tmp/hostile-sys/kernel/reboot/type", "triple");
    reboot(RB_AUTOBOOT);
  } else {
    reboot(RB_AUTOBOOT);
  }
}

static void end_guest(const char* how) {
  char self[PATH_MAX];
  char pattern[PATH_MAX + 64];
  ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
  pid_t child;
  if (length < 0) {
    die("/proc/self/exe");
  }
  self[length] = '\0';
  /* %P: the dumping process, as the first namespace counts. */
  snprintf(pattern, sizeof(pattern), "|/proc/%%P/root%s inside %s", self, how);
  write_text("/proc/sys/kernel/core_pattern", pattern);
  child = fork();
  if (child == 0) {
    abort();
  }
  waitpid(child, NULL, 0);
  sleep(999);
}

/* ---- ports */

/* Sleep control, sleep status and reset of libpyro's monitor; PCI and 8042 reset, which QEMU has. */
static int is_power_port(unsigned port, unsigned width) {
  return (port + width > 0x600 && port <= 0x60f) || (port + width > 0xcf8 && port <= 0xcff) ||
         (port + width > 0x60 && port <= 0x64) || port == 0x92;
}

static void abuse_ports(void) {
  unsigned round;
  unsigned port;
  unsigned long accesses = 0;
  if (iopl(3) != 0) {
    die("iopl");
  }
  for (round = 0; round < 3; ++round) {
    const unsigned width = 1U << round;
    /* Exits are dear: all low ports, and every 61st of the others. */
    for (port = 0; port + width <= 0x10000; port += port < 0x800 ? 1 : 61) {
      if (is_power_port(port, width)) {
        continue;
      }
      if (width == 1) {
        inb((unsigned short)port);
        outb((unsigned char)chance(), (unsigned short)port);
      } else if (width == 2) {
        inw((unsigned short)port);
        outw((unsigned short)chance(), (unsigned short)port);
      } else {
        inl((unsigned short)port);
        outl((unsigned)chance(), (unsigned short)port);
      }
      accesses += 2;
    }
  }
  /* Strings: one instruction, thousands of units. */
  {
    static uint32_t block[4096];
    outsb(0x3f8 + 7, block, sizeof(block));
    outsl(0x3f8, block, 4096);
    insl(0x3f8, block, 4096);
    insw(0x5fe, block, 4096);
    accesses += 4;
  }
  printf("survived %lu\n", accesses);
}

static void flood(int kib) {
  static char line[1024];
  unsigned long bytes;
  memset(line, 'x', sizeof(line));
  if (iopl(3) != 0) {
    die("iopl");
  }
  for (bytes = 0; bytes < (unsigned long)kib << 10; bytes += sizeof(line)) {
    outsb(0x3f8, line, sizeof(line));
  }
  printf("survived %lu\n", bytes);
}

/* ---- a virtio-mmio device without its driver */

enum {
  kMagic = 0x000,
  kDeviceId = 0x008,
  kDeviceFeatures = 0x010,
  kDeviceFeaturesSel = 0x014,
  kDriverFeatures = 0x020,
  kDriverFeaturesSel = 0x024,
  kQueueSel = 0x030,
  kQueueNumMax = 0x034,
  kQueueNum = 0x038,
  kQueueReady = 0x044,
  kQueueNotify = 0x050,
  kInterruptStatus = 0x060,
  kInterruptAck = 0x064,
  kStatus = 0x070,
  kQueueDescLow = 0x080,
  kQueueAvailLow = 0x090,
  kQueueUsedLow = 0x0a0,
  kConfigGeneration = 0x0fc,
  kConfig = 0x100,
  kAcknowledge = 1,
  kDriver = 2,
  kDriverOk = 4,
  kFeaturesOk = 8,
};

static volatile uint8_t* registers;

static uint32_t get(unsigned offset) {
  return *(volatile uint32_t*)(registers + offset);
}
static void set(unsigned offset, uint32_t value) {
  *(volatile uint32_t*)(registers + offset) = value;
}
static void set_wide(unsigned offset, uint64_t value) {
  set(offset, (uint32_t)value);
  set(offset + 4, (uint32_t)(value >> 32));
}

/* Address of a platform device's registers. */
static uint64_t registers_of(const char* platform_device) {
  char line[256];
  uint64_t found = 0;
  FILE* file = fopen("/proc/iomem", "re");
  if (file == NULL) {
    die("/proc/iomem");
  }
  while (fgets(line, sizeof(line), file) != NULL) {
    unsigned long long from;
    unsigned long long to;
    if (strstr(line, platform_device) != NULL && sscanf(line, " %llx-%llx", &from, &to) == 2) {
      found = from;
    }
  }
  fclose(file);
  return found;
}

static void take_device(unsigned id) {
  static const char kDriverFolder[] = "/tmp/hostile-sys/bus/platform/drivers/virtio-mmio/";
  glob_t found;
  size_t i;
  int memory;
  char wanted[16];
  snprintf(wanted, sizeof(wanted), "0x%04x", id);
  mount_sysfs();
  if (glob("/tmp/hostile-sys/bus/platform/drivers/virtio-mmio/*/virtio*/device", 0, NULL, &found) != 0) {
    errno = ENODEV;
    die(kDriverFolder);
  }
  for (i = 0; i < found.gl_pathc; ++i) {
    char text[16] = "";
    char name[64] = "";
    uint64_t gpa;
    FILE* file = fopen(found.gl_pathv[i], "re");
    if (file == NULL || fgets(text, sizeof(text), file) == NULL) {
      die(found.gl_pathv[i]);
    }
    fclose(file);
    if (strncmp(text, wanted, 6) != 0 || sscanf(found.gl_pathv[i] + sizeof(kDriverFolder) - 1, "%63[^/]", name) != 1) {
      continue;
    }
    gpa = registers_of(name);
    write_text("/tmp/hostile-sys/bus/platform/drivers/virtio-mmio/unbind", name);
    memory = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
    if (memory < 0 && mknod("/tmp/hostile-mem", S_IFCHR | 0600, makedev(1, 1)) == 0) {
      memory = open("/tmp/hostile-mem", O_RDWR | O_SYNC | O_CLOEXEC);
    }
    if (memory < 0) {
      die("/dev/mem");
    }
    registers = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, memory, (off_t)(gpa & ~0xfffULL));
    if (registers == MAP_FAILED) {
      die("mmap of the registers");
    }
    registers += gpa & 0xfff;
    if (get(kMagic) != 0x74726976 || get(kDeviceId) != id) {
      errno = ENXIO;
      die("the registers are not a virtio device's");
    }
    return;
  }
  errno = ENODEV;
  die("no such device");
}

static void abuse_registers(unsigned long accesses) {
  unsigned long i;
  for (i = 0; i < accesses; ++i) {
    const uint64_t value = (chance() & 3) ? chance() & 0xff : chance();
    /* Mostly where something is. */
    const unsigned offset = (unsigned)(chance() % ((chance() & 7) ? 0x140 : 0x1000 - 8));
    volatile uint8_t* where = registers + offset;
    switch (chance() % 8) {
      case 0:
        *where = (uint8_t)value;
        break;
      case 1:
        *(volatile uint16_t*)where = (uint16_t)value;
        break;
      case 2:
        *(volatile uint32_t*)where = (uint32_t)value;
        break;
      case 3:
        *(volatile uint64_t*)where = value;
        break;
      case 4:
        (void)*where;
        break;
      case 5:
        (void)*(volatile uint16_t*)where;
        break;
      case 6:
        (void)*(volatile uint32_t*)where;
        break;
      default:
        (void)*(volatile uint64_t*)where;
        break;
    }
  }
  /* And the way a driver writes, with values that are not. */
  for (i = 0; i < accesses; ++i) {
    set((unsigned)(chance() % 0x100 & ~3U), (chance() & 1) ? (uint32_t)(chance() % 16) : (uint32_t)chance());
  }
  set(kStatus, 0);
  printf("survived %lu\n", 2 * accesses);
}

/* ---- rings */

struct descriptor {
  uint64_t gpa;
  uint32_t length;
  uint16_t flags;
  uint16_t next;
};
enum { kNext = 1, kWrite = 2, kIndirect = 4, kRing = 16 };

struct pages {
  struct descriptor table[kRing];
  uint8_t pad1[4096 - kRing * sizeof(struct descriptor)];
  uint16_t available[2 + kRing + 1];
  uint8_t pad2[4096 - 2 * (2 + kRing + 1)];
  uint8_t used[4096];
  struct descriptor indirect[256];
  uint8_t buffer[4096];
};

static uint64_t gpa_of(const void* address) {
  uint64_t entry = 0;
  int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (map < 0 || pread(map, &entry, 8, (off_t)((uintptr_t)address / 4096 * 8)) != 8 || !(entry >> 63)) {
    die("/proc/self/pagemap");
  }
  close(map);
  return (entry & ((1ULL << 55) - 1)) * 4096 + (uintptr_t)address % 4096;
}

static struct pages* make_pages(void) {
  struct pages* made =
      mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_LOCKED, -1, 0);
  if (made == MAP_FAILED) {
    die("mmap");
  }
  return made;
}

static void start_device(void) {
  set(kStatus, 0);
  set(kStatus, kAcknowledge | kDriver);
  /* All that it offers. */
  for (unsigned word = 0; word < 2; ++word) {
    set(kDeviceFeaturesSel, word);
    set(kDriverFeaturesSel, word);
    set(kDriverFeatures, get(kDeviceFeatures));
  }
  set(kStatus, kAcknowledge | kDriver | kFeaturesOk);
}

static void set_queue(unsigned queue, uint32_t size, uint64_t table, uint64_t available, uint64_t used) {
  set(kQueueSel, queue);
  set(kQueueNum, size);
  set_wide(kQueueDescLow, table);
  set_wide(kQueueAvailLow, available);
  set_wide(kQueueUsedLow, used);
  set(kQueueReady, 1);
}

/* One way to break the rules, from a driver that is otherwise right. */
static void break_a_rule(unsigned way, unsigned queue, struct pages* p) {
  const uint64_t edge = ~0ULL - 15;
  uint64_t table = gpa_of(p->table);
  uint64_t available = gpa_of(p->available);
  uint64_t used = gpa_of(p->used);
  uint32_t size = kRing;
  unsigned i;
  memset(p, 0, sizeof(*p));
  for (i = 0; i < kRing; ++i) {
    p->table[i] =
        (struct descriptor){gpa_of(p->buffer), 512, (uint16_t)((i & 1) ? kWrite : kNext), (uint16_t)((i + 1) % kRing)};
    p->available[2 + i] = (uint16_t)i;
  }
  p->available[1] = 1;
  switch (way) {
    case 0:
      for (i = 0; i < kRing; ++i) {
        p->table[i].flags = kNext | (i & 1 ? kWrite : 0);
      }
      break; /* a loop */
    case 1:
      p->table[0].next = 0;
      break;
    case 2:
      p->table[0].next = 0xffff;
      break;
    case 3:
      p->table[0].length = 0xffffffff;
      break;
    case 4:
      p->table[0].gpa = edge;
      break;
    case 5:
      p->table[0] = (struct descriptor){0xd0000000, 4096, kWrite, 0};
      break; /* registers as memory */
    case 6:
      p->available[1] = 0x8000;
      break; /* a jump */
    case 7:
      p->available[2] = 0xfffe;
      break;
    case 8:
      p->table[0].flags = kWrite | kNext;
      p->table[1].flags = 0;
      break; /* wrong order */
    case 9:
      p->table[0].length = 0;
      break;
    case 10: /* tables in tables */
      p->table[0] = (struct descriptor){gpa_of(p->indirect), sizeof(p->indirect), kIndirect, 0};
      for (i = 0; i < 256; ++i) {
        p->indirect[i] = (struct descriptor){gpa_of(p->indirect), sizeof(p->indirect), kIndirect | kNext, (uint16_t)i};
      }
      break;
    case 11: /* a loop in a table */
      p->table[0] = (struct descriptor){gpa_of(p->indirect), sizeof(p->indirect), kIndirect, 0};
      for (i = 0; i < 256; ++i) {
        p->indirect[i] = (struct descriptor){gpa_of(p->buffer), 4096, kNext | kWrite, (uint16_t)((i + 1) % 256)};
      }
      break;
    case 12:
      p->table[0] = (struct descriptor){gpa_of(p->indirect), 17, kIndirect, 0};
      break;
    case 13:
      p->table[0] = (struct descriptor){gpa_of(p->indirect), 0xfffffff0, kIndirect, 0};
      break;
    case 14:
      table = edge;
      break;
    case 15:
      available = edge & ~1ULL;
      break;
    case 16:
      used = edge;
      break;
    case 17:
      table = 0xd0000000;
      available = 0xd0001000;
      used = 0xd0002000;
      break;
    case 18:
      table += 1;
      available += 1;
      used += 1;
      break;
    case 19:
      size = 3;
      break;
    case 20:
      size = 0;
      break;
    case 21:
      size = 0xffff;
      break;
    case 22:
      used = table;
      available = table;
      break; /* all of it in one place */
    case 23:
      table = (1ULL << 52) - 4096;
      break;
    case 24:
      memset(p->buffer, 0xff, sizeof(p->buffer));
      break; /* a request of ones */
    default: /* anything */
      for (i = 0; i < kRing; ++i) {
        p->table[i] = (struct descriptor){(chance() & 1) ? gpa_of(p->buffer) : chance(), (uint32_t)chance(),
                                          (uint16_t)chance(), (uint16_t)(chance() % (2 * kRing))};
        p->available[2 + i] = (uint16_t)(chance() % (2 * kRing));
      }
      for (i = 0; i < sizeof(p->buffer); ++i) {
        p->buffer[i] = (uint8_t)chance();
      }
      p->available[1] = (uint16_t)(chance() % (2 * kRing));
  }
  start_device();
  set_queue(queue, size, table, available, used);
  set(kStatus, kAcknowledge | kDriver | kFeaturesOk | kDriverOk);
  set(kQueueNotify, queue);
  set(kQueueNotify, (uint32_t)chance()); /* a queue that is not there */
  (void)get(kInterruptStatus);
  set(kInterruptAck, 3);
  (void)get(kStatus);
}

/* Bit n of `spared`: not queue n. */
static void abuse_rings(unsigned spared) {
  struct pages* p = make_pages();
  unsigned long rounds = 0;
  for (unsigned way = 0; way < 60; ++way) {
    for (unsigned queue = 0; queue < 6; ++queue) {
      set(kQueueSel, queue);
      if (get(kQueueNumMax) != 0 && !(spared >> queue & 1)) {
        break_a_rule(way, queue, p);
        ++rounds;
      }
    }
  }
  set(kStatus, 0);
  printf("survived %lu\n", rounds);
}

/* Twice as many each, and each is an exit. */
enum { kManyAccesses = 20000, kFewAccesses = 5000 };

static void abuse_device(unsigned id) {
  take_device(id);
  abuse_rings(0);
  abuse_registers(kFewAccesses);
}

/* The agent restarts the guest as soon as its port is gone, unless something holds it. */
static void abuse_console(void) {
  const int console = open("/dev/console", O_WRONLY | O_CLOEXEC);
  if (console < 0 || dup2(console, STDOUT_FILENO) < 0 || dup2(console, STDERR_FILENO) < 0) {
    return;
  }
  if (ptrace(PTRACE_SEIZE, 1, NULL, NULL) != 0 || ptrace(PTRACE_INTERRUPT, 1, NULL, NULL) != 0 ||
      waitpid(1, NULL, __WALL) != 1) {
    die("stopping the agent");
  }
  mkdir("/tmp", 0700);
  take_device(3);
  /* What the queues to the host carry is taken for the agent's words and ends the VM: these two come last. */
  abuse_rings(1U << 1 | 1U << 5);
  abuse_registers(kFewAccesses);
  fflush(stdout);
  abuse_rings(0);
  fflush(stdout);
}

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "inside") == 0) {
    end_from_inside(argv[2]);
    return 1;
  }
  if (argc == 3 && strcmp(argv[1], "end") == 0) {
    end_guest(argv[2]);
  } else if (argc == 3 && strcmp(argv[1], "flood") == 0) {
    flood(atoi(argv[2]));
  } else if (argc == 2 && strcmp(argv[1], "ports") == 0) {
    abuse_ports();
  } else if (argc == 3 && strcmp(argv[1], "registers") == 0) {
    take_device((unsigned)atoi(argv[2]));
    abuse_registers(kManyAccesses);
  } else if (argc == 3 && strcmp(argv[1], "rings") == 0) {
    take_device((unsigned)atoi(argv[2]));
    abuse_rings(0);
  } else if (argc == 3 && strcmp(argv[1], "all") == 0) {
    abuse_device((unsigned)atoi(argv[2]));
  } else {
    fprintf(stderr, "usage: hostile end HOW | flood KIB | ports | registers ID | rings ID | all ID\n");
    return 2;
  }
  return 0;
}
