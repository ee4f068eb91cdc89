// What the tests of this room share: a folder that goes, and streams made by hand.
#pragma once

#include "base/io.hpp"
#include "tree/tar.hpp"
#include "tree/tar_format.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace pyro::tree {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "pyro-tree-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }

  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] base::Fd open() const { return base::Fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }
  void write(const std::string& name, const std::string& content) const {
    REQUIRE(base::write_file_atomically(*this / name, content, 0644).ok());
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    auto content = base::read_file(*this / name, 1 << 20);
    return content.ok() ? *content : "(cannot be read)";
  }
  [[nodiscard]] bool has(const std::string& name) const {
    return std::filesystem::exists(std::filesystem::symlink_status(*this / name));
  }
  /// Names in it, with everything below.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path_)) {
      out.push_back(entry.path().string().substr(path_.size() + 1));
    }
    std::sort(out.begin(), out.end());
    return out;
  }

 private:
  std::string path_;
};

inline TarEntry make_entry(EntryType type, std::string path, std::string link = {}) {
  TarEntry entry;
  entry.type = type;
  entry.path = std::move(path);
  entry.link = std::move(link);
  entry.mode = type == EntryType::directory ? 0755 : 0644;
  entry.mtime = 1'700'000'000;
  return entry;
}

/// The block's header checksum, after something in it was changed.
inline void fix_checksum(base::Bytes& block) {
  const auto put = [&block](std::string_view text) {
    std::copy_n(base::as_bytes(text).begin(), text.size(), block.begin() + kTarChecksum.offset);
  };
  put("        ");
  unsigned sum = 0;
  for (std::size_t i = 0; i < kTarBlockBytes; ++i) {
    sum += static_cast<unsigned>(block[i]);
  }
  put(fmt::format("{:06o}", sum));
  block[kTarChecksum.offset + 6] = std::byte{0};
}

/// A stream under construction.
class Stream {
 public:
  Stream& add(TarEntry entry, const std::string& content = {}) {
    entry.size = content.size();
    append(tar_header(entry));
    const auto bytes = base::as_bytes(content);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    bytes_.resize(bytes_.size() + tar_padding(content.size()));
    return *this;
  }
  Stream& file(const std::string& path, const std::string& content) {
    return add(make_entry(EntryType::file, path), content);
  }
  Stream& append(const base::Bytes& bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  [[nodiscard]] base::Bytes end() const {
    base::Bytes out = bytes_;
    out.resize(out.size() + kTarEndBytes);
    return out;
  }

 private:
  base::Bytes bytes_;
};

}  // namespace pyro::tree
