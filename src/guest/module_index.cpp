#include "guest/module_index.hpp"

#include <algorithm>

namespace pyro::guest {

namespace {

std::string_view next_line(std::string_view& text) {
  const auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  while (true) {
    const auto start = text.find_first_not_of(" \t\r");
    if (start == std::string_view::npos) {
      return out;
    }
    text.remove_prefix(start);
    const auto word = text.substr(0, text.find_first_of(" \t\r"));
    out.emplace_back(word);
    text.remove_prefix(word.size());
  }
}

// Linux, include/linux/module_signature.h: <module> <signature> <struct module_signature> <marker>
constexpr std::string_view kSignatureMarker = "~Module signature appended~\n";
constexpr std::size_t kSignatureInfoBytes = 12;  // its last four are the signature's size, big-endian

}  // namespace

base::Result<ModuleIndex> ModuleIndex::parse(std::string_view text) {
  ModuleIndex index;
  while (!text.empty()) {
    const auto line = next_line(text);
    if (words(line).empty()) {
      continue;
    }
    const auto equals = line.find('=');
    const auto colon = line.find(':');
    if (equals == std::string_view::npos || colon == std::string_view::npos || equals == 0 || colon <= equals + 1 ||
        line.find('/') != std::string_view::npos) {
      return base::make_error(PYRO_ERROR_BOOT,
                              "modules.dep in the initramfs has a line of unknown form: \"{}\"; build the environment "
                              "again",
                              line.substr(0, 100));
    }
    Module module;
    module.file = line.substr(equals + 1, colon - equals - 1);
    module.dependencies = words(line.substr(colon + 1));
    index.modules_.insert_or_assign(std::string(line.substr(0, equals)), std::move(module));
  }
  return index;
}

std::vector<std::string> ModuleIndex::load_order(std::string_view module) {
  std::vector<std::string> out;
  collect(module, out);
  return out;
}

std::size_t size_without_signature(base::ByteView module) noexcept {
  constexpr std::size_t trailer_bytes = kSignatureInfoBytes + kSignatureMarker.size();
  if (module.size() < trailer_bytes || !base::as_text(module).ends_with(kSignatureMarker)) {
    return module.size();
  }
  std::size_t signature_bytes = 0;
  for (const std::byte digit : module.subspan(module.size() - kSignatureMarker.size() - 4, 4)) {
    signature_bytes = signature_bytes << 8 | static_cast<std::size_t>(digit);
  }
  const std::size_t rest = module.size() - trailer_bytes;
  return signature_bytes < rest ? rest - signature_bytes : module.size();
}

// Marks before it descends, so that a cycle ends.
void ModuleIndex::collect(std::string_view module, std::vector<std::string>& out) {
  const auto found = modules_.find(module);
  if (found == modules_.end() || found->second.given) {
    return;
  }
  found->second.given = true;
  for (const auto& dependency : found->second.dependencies) {
    collect(dependency, out);
  }
  out.push_back(found->second.file);
}

}  // namespace pyro::guest
