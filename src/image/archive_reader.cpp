#include "image/archive_reader.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>

namespace pyro::image {

namespace {

constexpr std::size_t kBlockBytes = 256 * 1024;

/// All of libarchive's filters that are code in this process: others would start programs.
void support_filters(archive* reader) {
  archive_read_support_filter_gzip(reader);
  archive_read_support_filter_bzip2(reader);
  archive_read_support_filter_xz(reader);
  archive_read_support_filter_lzma(reader);
  archive_read_support_filter_zstd(reader);
  archive_read_support_filter_lz4(reader);
}

ArchivePtr new_reader() {
  ArchivePtr reader(archive_read_new());
  if (reader) {
    support_filters(reader.get());
  }
  return reader;
}

base::Error out_of_memory() {
  return base::make_error(PYRO_ERROR_LIMIT, "out of memory while reading an archive");
}

}  // namespace

void ArchiveFree::operator()(archive* reader) const noexcept {
  archive_read_free(reader);
}

std::string failure_text(archive* reader) {
  const char* text = archive_error_string(reader);
  return text != nullptr ? text : "unknown failure";
}

base::Result<ArchivePtr> open_tar(int fd, const std::string& what) {
  ArchivePtr reader = new_reader();
  if (!reader) {
    return out_of_memory();
  }
  archive_read_support_format_tar(reader.get());
  if (archive_read_open_fd(reader.get(), fd, kBlockBytes) != ARCHIVE_OK) {
    return base::make_error(PYRO_ERROR_INVALID, "{} is not a tar archive: {}", what, failure_text(reader.get()));
  }
  return reader;
}

base::Result<archive_entry*> next_entry(archive* reader, const std::string& what) {
  archive_entry* entry = nullptr;
  const int status = archive_read_next_header(reader, &entry);
  if (status == ARCHIVE_EOF) {
    return static_cast<archive_entry*>(nullptr);
  }
  // A warning is about names that are not in the current locale; the entry is good.
  if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
    return base::make_error(PYRO_ERROR_INVALID, "{} is broken: {}", what, failure_text(reader));
  }
  return entry;
}

base::Result<base::Bytes> read_entry(archive* reader, std::size_t max_bytes, const std::string& what) {
  base::Bytes out;
  std::vector<std::byte> buffer(kBlockBytes);
  while (true) {
    const la_ssize_t got = archive_read_data(reader, buffer.data(), buffer.size());
    if (got < 0) {
      return base::make_error(PYRO_ERROR_INVALID, "{} is broken: {}", what, failure_text(reader));
    }
    if (got == 0) {
      return out;
    }
    if (out.size() + static_cast<std::size_t>(got) > max_bytes) {
      return base::make_error(PYRO_ERROR_LIMIT, "{} is larger than the {} bytes it may have", what, max_bytes);
    }
    out.insert(out.end(), buffer.begin(), buffer.begin() + got);
  }
}

base::Result<base::Bytes> decompress(base::ByteView compressed, std::size_t max_bytes, const std::string& what) {
  ArchivePtr reader = new_reader();
  if (!reader) {
    return out_of_memory();
  }
  archive_read_support_format_raw(reader.get());
  if (archive_read_open_memory(reader.get(), compressed.data(), compressed.size()) != ARCHIVE_OK) {
    return base::make_error(PYRO_ERROR_INVALID, "{} cannot be decompressed: {}", what, failure_text(reader.get()));
  }
  PYRO_TRY_ASSIGN(archive_entry * entry, next_entry(reader.get(), what));
  if (entry == nullptr) {
    return base::Bytes();
  }
  return read_entry(reader.get(), max_bytes, what);
}

struct DebReader::Feed {
  ArchivePtr outer;
  std::vector<std::byte> buffer = std::vector<std::byte>(kBlockBytes);

  static la_ssize_t read(archive* inner, void* context, const void** bytes) {
    auto* feed = static_cast<Feed*>(context);
    *bytes = feed->buffer.data();
    const la_ssize_t got = archive_read_data(feed->outer.get(), feed->buffer.data(), feed->buffer.size());
    if (got < 0) {
      archive_set_error(inner, archive_errno(feed->outer.get()), "%s", failure_text(feed->outer.get()).c_str());
    }
    return got;
  }
};

base::Result<DebReader> DebReader::open(const std::string& path) {
  DebReader deb;
  deb.feed_ = std::make_shared<Feed>();
  deb.feed_->outer.reset(archive_read_new());
  archive* outer = deb.feed_->outer.get();
  if (outer == nullptr) {
    return out_of_memory();
  }
  archive_read_support_format_ar(outer);
  if (archive_read_open_filename(outer, path.c_str(), kBlockBytes) != ARCHIVE_OK) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "{} is not a Debian package: {}", path, failure_text(outer));
  }
  while (true) {
    PYRO_TRY_ASSIGN(archive_entry * entry, next_entry(outer, path));
    if (entry == nullptr) {
      return base::make_error(PYRO_ERROR_ENVIRONMENT, "{} is not a Debian package: it has no data.tar", path);
    }
    if (relative_name(entry).starts_with("data.tar")) {
      break;
    }
  }
  deb.inner_ = new_reader();
  if (!deb.inner_) {
    return out_of_memory();
  }
  archive_read_support_format_tar(deb.inner_.get());
  if (archive_read_open(deb.inner_.get(), deb.feed_.get(), nullptr, Feed::read, nullptr) != ARCHIVE_OK) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "{} is broken: {}", path, failure_text(deb.inner_.get()));
  }
  return deb;
}

std::string relative_name(archive_entry* entry) {
  const char* raw = archive_entry_pathname(entry);
  std::string name = raw != nullptr ? raw : "";
  while (name.starts_with("./") || name.starts_with("/")) {
    name.erase(0, name.front() == '/' ? 1 : 2);
  }
  return name == "." ? std::string() : name;
}

}  // namespace pyro::image
