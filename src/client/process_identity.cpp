#include "client/process_identity.hpp"

#include "base/io.hpp"

#include <cstdlib>

namespace pyro::client {

namespace {

constexpr std::size_t kMaxStatBytes = 4096;
// Fields are counted from 1; the name is the second one.
constexpr int kNameField = 2;
constexpr int kStartField = 22;

}  // namespace

std::int64_t process_start(std::int64_t pid) {
  const auto text = base::read_file(fmt::format("/proc/{}/stat", pid), kMaxStatBytes);
  if (!text.ok()) {
    return 0;
  }
  // The name, in parentheses, may hold anything.
  std::size_t at = text->rfind(')');
  for (int field = kNameField; field < kStartField && at != std::string::npos; ++field) {
    at = text->find(' ', at + 1);
  }
  return at == std::string::npos ? 0 : std::strtoll(text->c_str() + at, nullptr, 10);
}

std::string current_boot_id() {
  auto text = base::read_file("/proc/sys/kernel/random/boot_id", 64);
  if (!text.ok()) {
    return {};
  }
  return text->substr(0, text->find('\n'));
}

}  // namespace pyro::client
