#include "state/snapshot.hpp"

#include "state/crc32c.hpp"

#include <algorithm>

namespace pyro::state {

namespace {

constexpr std::string_view kSnapshotMagic = "PYROSNAP";
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kSectionHeaderBytes = 16;

std::uint32_t section_crc(std::uint32_t id, std::uint32_t version, base::ByteView payload) {
  base::ByteWriter header;
  header.u32(id);
  header.u32(version);
  header.u32(static_cast<std::uint32_t>(payload.size()));
  return crc32c(payload, crc32c(header.view()));
}

template <typename... Args>
base::Error broken(fmt::format_string<Args...> format, Args&&... args) {
  return base::make_error(PYRO_ERROR_INVALID, "the snapshot is damaged: {}",
                          fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace

base::Status SnapshotWriter::add(std::uint32_t id, std::uint32_t version, base::ByteView payload) {
  if (count_ != 0 && id <= last_id_) {
    return base::make_error(PYRO_ERROR_INTERNAL, "snapshot section {} after section {}", id, last_id_);
  }
  const std::size_t used_bytes = kHeaderBytes + sections_.view().size() + kSectionHeaderBytes;
  if (count_ == kMaxSnapshotSections || used_bytes > kMaxSnapshotBytes ||
      payload.size() > kMaxSnapshotBytes - used_bytes) {
    return base::make_error(PYRO_ERROR_LIMIT, "a snapshot of more than {} MiB or {} sections", kMaxSnapshotBytes >> 20,
                            kMaxSnapshotSections);
  }
  sections_.u32(id);
  sections_.u32(version);
  sections_.u32(static_cast<std::uint32_t>(payload.size()));
  sections_.u32(section_crc(id, version, payload));
  sections_.raw(payload);
  last_id_ = id;
  ++count_;
  return base::success();
}

base::Bytes SnapshotWriter::finish() && {
  base::ByteWriter out;
  out.raw(base::as_bytes(kSnapshotMagic));
  out.u32(kSnapshotFormat);
  out.u32(count_);
  out.raw(sections_.view());
  return std::move(out).take();
}

base::Result<SnapshotReader> SnapshotReader::parse(base::ByteView snapshot) {
  if (snapshot.size() > kMaxSnapshotBytes) {
    return base::make_error(PYRO_ERROR_LIMIT, "a snapshot of {} bytes, at most {} are possible", snapshot.size(),
                            kMaxSnapshotBytes);
  }
  base::ByteReader in(snapshot);
  if (base::as_text(in.raw(kSnapshotMagic.size())) != kSnapshotMagic) {
    return base::make_error(PYRO_ERROR_INVALID, "this is not a snapshot");
  }
  const std::uint32_t format = in.u32();
  const std::uint32_t count = in.u32();
  if (in.failed()) {
    return broken("it ends early");
  }
  if (format != kSnapshotFormat) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "a snapshot of format {}, this version reads format {}", format,
                            kSnapshotFormat);
  }
  if (count > kMaxSnapshotSections) {
    return broken("{} sections", count);
  }
  SnapshotReader reader;
  for (std::uint32_t i = 0; i < count; ++i) {
    Section section;
    section.id = in.u32();
    section.version = in.u32();
    const std::uint32_t length = in.u32();
    const std::uint32_t crc = in.u32();
    section.payload = in.raw(length);
    if (in.failed()) {
      return broken("it ends early");
    }
    if (!reader.sections_.empty() && section.id <= reader.sections_.back().id) {
      return broken("section {} is out of order", section.id);
    }
    if (crc != section_crc(section.id, section.version, section.payload)) {
      return broken("section {} has a wrong checksum", section.id);
    }
    reader.sections_.push_back(section);
  }
  if (!in.finished()) {
    return broken("there is more behind its end");
  }
  return reader;
}

base::Result<base::ByteView> SnapshotReader::section(std::uint32_t id, std::uint32_t version, const char* what) const {
  const auto found = std::lower_bound(sections_.begin(), sections_.end(), id,
                                      [](const Section& section, std::uint32_t wanted) { return section.id < wanted; });
  if (found == sections_.end() || found->id != id) {
    return broken("it has no {}", what);
  }
  if (found->version != version) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "the snapshot's {} has version {}, this version reads {}", what,
                            found->version, version);
  }
  return found->payload;
}

}  // namespace pyro::state
