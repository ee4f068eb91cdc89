// seccomp_generator OUTPUT: compiles the table of jail/seccomp_rules.cpp into BPF programs and writes them
// as C++ source. Runs at build time and links libseccomp, so that pyro-vm need not.
#include "base/fd.hpp"
#include "base/io.hpp"
#include "jail/seccomp_rules.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <string>

#include <linux/filter.h>
#include <seccomp.h>
#include <unistd.h>

namespace pyro::jail {
namespace {

#ifdef PYRO_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// For debugging a table: what is missing fails, and the kernel's log says what it was.
#ifdef PYRO_SECCOMP_ERRNO
const std::uint32_t kDenied = SCMP_ACT_ERRNO(EPERM);
#else
const std::uint32_t kDenied = SCMP_ACT_KILL_PROCESS;
#endif

constexpr std::size_t kMaxProgramBytes = 4096 * sizeof(sock_filter);

struct Kind {
  ThreadKind kind;
  const char* name;
};
constexpr std::array<Kind, 4> kKinds = {{{ThreadKind::main, "main"},
                                         {ThreadKind::vcpu, "vcpu"},
                                         {ThreadKind::block, "block"},
                                         {ThreadKind::supervisor, "supervisor"}}};

// One filter under construction.
class Filter {
 public:
  Filter() : context_(::seccomp_init(kDenied)) {}
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;
  ~Filter() { ::seccomp_release(context_); }

  base::Status prepare() {
    // A 32-bit or x32 call ends the process, too. Level 2: a search tree instead of a list.
    if (context_ == nullptr || ::seccomp_attr_set(context_, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0 ||
        ::seccomp_attr_set(context_, SCMP_FLTATR_CTL_OPTIMIZE, 2) != 0) {
      return base::make_error(PYRO_ERROR_INTERNAL, "libseccomp cannot make a filter");
    }
    return base::success();
  }

  base::Status allow(const SyscallRule& rule) {
    const int number = ::seccomp_syscall_resolve_name(rule.syscall);
    std::vector<scmp_arg_cmp> arguments;
    for (const ArgumentRule& argument : rule.arguments) {
      arguments.push_back({argument.argument, SCMP_CMP_MASKED_EQ, argument.mask, argument.value});
    }
    // Exactly as written: nothing may be dropped or simplified for an architecture that cannot express it.
    const int failed = number < 0
                           ? -EINVAL
                           : ::seccomp_rule_add_exact_array(context_, SCMP_ACT_ALLOW, number,
                                                            static_cast<unsigned>(arguments.size()), arguments.data());
    // Two rows may say the same once the wider one is there.
    if (failed != 0 && failed != -EEXIST) {
      return base::errno_error(-failed, fmt::format("cannot allow {}", rule.syscall));
    }
    return base::success();
  }

  base::Result<std::vector<sock_filter>> program() {
    PYRO_TRY_ASSIGN(const base::Fd file, base::make_memfd("filter"));
    if (const int failed = ::seccomp_export_bpf(context_, file.get()); failed != 0) {
      return base::errno_error(-failed, "cannot compile a filter");
    }
    ::lseek(file.get(), 0, SEEK_SET);
    PYRO_TRY_ASSIGN(const std::string bytes, base::read_all(file.get(), kMaxProgramBytes, "a filter"));
    std::vector<sock_filter> instructions(bytes.size() / sizeof(sock_filter));
    std::memcpy(instructions.data(), bytes.data(), instructions.size() * sizeof(sock_filter));
    return instructions;
  }

 private:
  scmp_filter_ctx context_;
};

base::Result<std::vector<sock_filter>> compile(ThreadKind kind) {
  Filter filter;
  PYRO_TRY(filter.prepare());
  for (const SyscallRule& rule : syscall_rules(kSanitized)) {
    if ((rule.kinds & (1U << static_cast<unsigned>(kind))) != 0) {
      PYRO_TRY(filter.allow(rule));
    }
  }
  return filter.program();
}

base::Result<std::string> generate() {
  std::string source =
      "// Generated from jail/seccomp_rules.cpp. Do not edit.\n"
      "#include \"jail/seccomp.hpp\"\n\n#include <linux/filter.h>\n\nnamespace pyro::jail {\n\nnamespace {\n";
  std::string choice;
  for (const auto& [kind, name] : kKinds) {
    PYRO_TRY_ASSIGN(const auto program, compile(kind));
    fmt::format_to(std::back_inserter(source), "\nconstexpr sock_filter k_{}[] = {{\n", name);
    for (const sock_filter& line : program) {
      fmt::format_to(std::back_inserter(source), "    {{{:#04x}, {}, {}, {:#x}}},\n", line.code, line.jt, line.jf,
                     line.k);
    }
    source += "};\n";
    fmt::format_to(std::back_inserter(choice), "    case ThreadKind::{0}:\n      return k_{0};\n", name);
  }
  source += "\n}  // namespace\n\nstd::span<const sock_filter> filter_program(ThreadKind kind) noexcept {\n";
  source += "  switch (kind) {\n" + choice + "  }\n  return {};\n}\n\n}  // namespace pyro::jail\n";
  return source;
}

}  // namespace
}  // namespace pyro::jail

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: seccomp_generator OUTPUT\n");
    return 2;
  }
  const auto source = pyro::jail::generate();
  const auto done =
      source.ok() ? pyro::base::write_file_atomically(argv[1], *source, 0644) : pyro::base::Status(source.error());
  if (!done.ok()) {
    std::fprintf(stderr, "seccomp_generator: %s\n", done.error().message.c_str());
    return 1;
  }
  return 0;
}
