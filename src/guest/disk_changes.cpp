#include "guest/disk_changes.hpp"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pyro::guest {

namespace {

// Where the kernel passes before it changes a file system (Linux 6.1, include/trace/events/{jbd2,writeback}.h).
constexpr std::array kTracepointNames = {
    "jbd2_handle_start",      // names, sizes, modes, times, attributes: whatever goes through the journal
    "jbd2_handle_restart",    // a long change goes on in the next transaction
    "writeback_dirty_folio",  // contents, by write() or through memory
};

constexpr std::size_t kMapBytes = 4096;

long bpf(bpf_cmd command, bpf_attr& attributes) noexcept {
  return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

std::uint64_t pointer(const void* value) noexcept {
  return reinterpret_cast<std::uintptr_t>(value);
}

base::Fd make_counter_map() noexcept {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = sizeof(std::uint32_t);
  attributes.value_size = sizeof(std::uint64_t);
  attributes.max_entries = 1;
  attributes.map_flags = BPF_F_MMAPABLE;
  base::Fd map(static_cast<int>(bpf(BPF_MAP_CREATE, attributes)));
  // Only programs write to it from now on.
  bpf_attr frozen{};
  frozen.map_fd = static_cast<std::uint32_t>(map.get());
  return map.valid() && bpf(BPF_MAP_FREEZE, frozen) == 0 ? std::move(map) : base::Fd();
}

// Adds one to the map's only value: the whole program, of six instructions (Linux, Documentation/bpf/instruction-set.rst).
base::Fd load_program(const base::Fd& map) noexcept {
  bpf_insn load_address{};
  load_address.code = BPF_LD | BPF_DW | BPF_IMM;
  load_address.dst_reg = BPF_REG_1;
  load_address.src_reg = BPF_PSEUDO_MAP_VALUE;
  load_address.imm = map.get();
  const bpf_insn offset_in_value{};  // the second half of the instruction before
  bpf_insn load_one{};
  load_one.code = BPF_ALU64 | BPF_MOV | BPF_K;
  load_one.dst_reg = BPF_REG_2;
  load_one.imm = 1;
  bpf_insn add{};
  add.code = BPF_STX | BPF_DW | BPF_ATOMIC;
  add.dst_reg = BPF_REG_1;
  add.src_reg = BPF_REG_2;
  add.imm = BPF_ADD;
  bpf_insn give_zero{};
  give_zero.code = BPF_ALU64 | BPF_MOV | BPF_K;
  give_zero.dst_reg = BPF_REG_0;
  bpf_insn leave{};
  leave.code = BPF_JMP | BPF_EXIT;
  const std::array program = {load_address, offset_in_value, load_one, add, give_zero, leave};

  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
  attributes.insns = pointer(program.data());
  attributes.insn_cnt = program.size();
  attributes.license = pointer("Apache-2.0");
  return base::Fd(static_cast<int>(bpf(BPF_PROG_LOAD, attributes)));
}

base::Fd attach(const base::Fd& program, const char* tracepoint) noexcept {
  bpf_attr attributes{};
  attributes.raw_tracepoint.name = pointer(tracepoint);
  attributes.raw_tracepoint.prog_fd = static_cast<std::uint32_t>(program.get());
  return base::Fd(static_cast<int>(bpf(BPF_RAW_TRACEPOINT_OPEN, attributes)));
}

}  // namespace

std::optional<DiskChanges> DiskChanges::watch() noexcept {
  const base::Fd map = make_counter_map();
  const base::Fd program = map.valid() ? load_program(map) : base::Fd();
  std::array<base::Fd, kTracepoints> links;
  for (std::size_t i = 0; i < links.size(); ++i) {
    links[i] = program.valid() ? attach(program, kTracepointNames[i]) : base::Fd();
    if (!links[i].valid()) {
      return std::nullopt;
    }
  }
  void* const memory = ::mmap(nullptr, kMapBytes, PROT_READ, MAP_SHARED, map.get(), 0);
  if (memory == MAP_FAILED) {
    return std::nullopt;
  }
  return DiskChanges(static_cast<std::atomic<std::uint64_t>*>(memory), std::move(links));
}

DiskChanges::DiskChanges(DiskChanges&& other) noexcept
    : count_(std::exchange(other.count_, nullptr)), links_(std::move(other.links_)) {}

DiskChanges::~DiskChanges() {
  if (count_ != nullptr) {
    ::munmap(count_, kMapBytes);
  }
}

}  // namespace pyro::guest
