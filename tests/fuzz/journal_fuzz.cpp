// The journal of a task, damaged anywhere.
// Invariants: a reader ends, hands out nothing beyond what it was fed, gives the same frames whatever the pieces it is
// fed in, and finds a whole frame behind any damage; a record that decodes encodes to the same bytes.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "state/journal.hpp"

namespace {

using namespace pyro;
using namespace pyro::state;

constexpr std::uint64_t kTag = 0x5944524f594a4e52;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

template <typename Record>
void check_record(base::ByteView payload) {
  const auto record = Record::decode(payload);
  if (record.ok()) {
    const base::Bytes again = record->encode();
    require(std::equal(again.begin(), again.end(), payload.begin(), payload.end()));
  }
}

std::vector<std::pair<std::uint64_t, base::Bytes>> frames_of(base::ByteView file, std::size_t step) {
  std::vector<std::pair<std::uint64_t, base::Bytes>> frames;
  JournalReader reader(kTag);
  for (std::size_t at = 0; at < file.size(); at += step) {
    reader.feed(file.subspan(at, std::min(step, file.size() - at)));
    while (const auto frame = reader.next()) {
      frames.emplace_back(frame->offset, base::Bytes(frame->payload.begin(), frame->payload.end()));
    }
  }
  require(reader.position() == kJournalHeaderBytes + file.size());
  return frames;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView input(reinterpret_cast<const std::byte*>(data), size);
  check_record<MachineStarted>(input);
  check_record<MachineEnded>(input);
  check_record<CommandStarted>(input);
  check_record<CommandEnded>(input);
  check_record<CommandOutput>(input);
  (void)journal_tag(input);

  // Two whole frames around the input. No payload has the tag in it: only the writer knows it.
  base::Bytes file = journal_frame(kTag, JournalRecordType::output, base::as_bytes("first"));
  file.insert(file.end(), input.begin(), input.end());
  file.resize((file.size() + 7) / 8 * 8);
  const std::uint64_t last = kJournalHeaderBytes + file.size();
  const base::Bytes marker = journal_frame(kTag, JournalRecordType::machine_ended, {});
  file.insert(file.end(), marker.begin(), marker.end());

  const auto frames = frames_of(file, file.size());
  require(frames_of(file, 8 + size % 100) == frames);
  require(frames.size() >= 2 && frames.front().first == kJournalHeaderBytes);
  require(frames.back().first == last && frames.back().second.empty());
  return 0;
}
