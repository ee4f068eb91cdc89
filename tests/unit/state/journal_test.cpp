#include "state/journal.hpp"

#include <doctest/doctest.h>

namespace pyro::state {

namespace {

constexpr std::uint64_t kTag = 0x0123456789abcdef;

base::Bytes joined(std::initializer_list<base::Bytes> parts) {
  base::Bytes all;
  for (const base::Bytes& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

base::Bytes frame_of(std::string_view text, JournalRecordType type = JournalRecordType::output) {
  return journal_frame(kTag, type, base::as_bytes(text));
}

std::vector<std::string> texts_of(JournalReader& reader) {
  std::vector<std::string> found;
  while (const auto frame = reader.next()) {
    found.emplace_back(base::as_text(frame->payload));
  }
  return found;
}

std::vector<std::string> texts_of(base::ByteView bytes) {
  JournalReader reader(kTag);
  reader.feed(bytes);
  return texts_of(reader);
}

using Texts = std::vector<std::string>;

CommandStarted sample_start() {
  CommandStarted record;
  record.number = 7;
  record.time_ns = -1;
  record.set_command({"sh", "-c", "echo \xff; exit 3", ""}, {"TOKEN=secret", "EMPTY=", "odd"});
  record.cwd = "/workspace";
  record.user = "root";
  record.pty = true;
  return record;
}

CommandEnded sample_end() {
  CommandEnded record;
  record.number = 7;
  record.time_ns = 1;
  record.exit_code = 137;
  record.term_signal = 9;
  record.oom_killed = true;
  record.status = PYRO_ERROR_OUTCOME_UNKNOWN;
  record.message = "gone";
  record.duration_ms = 1;
  record.cpu_time_ms = 2;
  record.memory_peak_bytes = 3;
  record.stdout_total_bytes = 4;
  record.stderr_total_bytes = 5;
  return record;
}

template <typename Record>
void check_record(const Record& record) {
  const base::Bytes bytes = record.encode();
  const auto decoded = Record::decode(bytes);
  REQUIRE(decoded.ok());
  CHECK(*decoded == record);
}

template <typename Record>
void check_cut_or_extended(const Record& record) {
  base::Bytes bytes = record.encode();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(Record::decode(base::ByteView(bytes).first(size)).ok());
  }
  bytes.push_back(std::byte{0});
  CHECK_FALSE(Record::decode(bytes).ok());
}

}  // namespace

TEST_SUITE("state") {
  TEST_CASE("journal: every kind of record → decodes to what was encoded") {
    check_record(MachineStarted{5, "abc", PYRO_ENGINE_KVM});
    check_record(MachineEnded{6, PYRO_ERROR_INTERNAL, "killed"});
    check_record(sample_start());
    check_record(sample_end());
    check_record(CommandOutput{7, 9, 2, 1'000'000, base::Bytes(100, std::byte{0xfe})});
    check_record(CommandOutput{7, 9, 1, 0, {}});
  }

  TEST_CASE("journal: a record that is cut off or longer → refused") {
    check_cut_or_extended(MachineStarted{5, "abc", PYRO_ENGINE_KVM});
    check_cut_or_extended(MachineEnded{6, PYRO_ERROR_INTERNAL, "killed"});
    check_cut_or_extended(sample_start());
    check_cut_or_extended(sample_end());
  }

  TEST_CASE("journal: output of no channel, or past the end of numbers → refused") {
    CommandOutput record{1, 2, 3, 0, {}};
    CHECK_FALSE(CommandOutput::decode(record.encode()).ok());
    record.channel = 0;
    CHECK_FALSE(CommandOutput::decode(record.encode()).ok());
    record = {1, 2, 1, UINT64_MAX, base::Bytes(1)};
    CHECK_FALSE(CommandOutput::decode(record.encode()).ok());
  }

  TEST_CASE("journal: a command's environment → recorded by name only") {
    const CommandStarted record = sample_start();
    CHECK(record.env_names == Texts{"TOKEN", "EMPTY", "odd"});
    CHECK(base::as_text(record.encode()).find("secret") == std::string_view::npos);
    CHECK_FALSE(record.argv_truncated);
  }

  TEST_CASE("journal: arguments beyond the cap → cut, said so, and still a frame") {
    CommandStarted record;
    record.set_command({"cat", std::string(2 * kMaxRecordedArgumentBytes, 'x'), "never"},
                       {std::string(kMaxRecordedArgumentBytes, 'N') + "=1"});
    CHECK(record.argv_truncated);
    CHECK(record.argv.size() == 2);
    CHECK(record.env_names.empty());
    CHECK(record.encode().size() < kMaxRecordedArgumentBytes + 100);
    record.set_command(std::vector<std::string>(100'000), {});
    CHECK(record.argv_truncated);
    CHECK(record.encode().size() < kMaxJournalPayloadBytes);
    record.set_command({"true"}, {});
    CHECK_FALSE(record.argv_truncated);
  }

  TEST_CASE("journal header: written → its tag is read; anything else → refused") {
    base::Bytes header = journal_header(kTag);
    REQUIRE(header.size() == kJournalHeaderBytes);
    CHECK(*journal_tag(header) == kTag);
    for (std::size_t size = 0; size < header.size(); ++size) {
      CHECK(journal_tag(base::ByteView(header).first(size)).error().code == PYRO_ERROR_INVALID);
    }
    header[8] = std::byte{2};
    CHECK(journal_tag(header).error().code == PYRO_ERROR_UNSUPPORTED);
  }

  TEST_CASE("journal: fed in pieces of any size → the same frames, at their offsets") {
    const base::Bytes file = joined({frame_of("one"), frame_of(""), frame_of(std::string(1000, 'x'))});
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{24}, std::size_t{500}}) {
      JournalReader reader(kTag);
      Texts found;
      std::vector<std::uint64_t> offsets;
      for (std::size_t at = 0; at < file.size(); at += step) {
        reader.feed(base::ByteView(file).subspan(at, std::min(step, file.size() - at)));
        while (const auto frame = reader.next()) {
          found.emplace_back(base::as_text(frame->payload));
          offsets.push_back(frame->offset);
        }
      }
      CHECK(found == Texts{"one", "", std::string(1000, 'x')});
      CHECK(offsets == std::vector<std::uint64_t>{32, 64, 88});
      CHECK(reader.skipped_bytes() == 0);
      CHECK(reader.position() == kJournalHeaderBytes + file.size());
    }
  }

  TEST_CASE("journal: a frame cut off anywhere, and more after it → only that one is lost") {
    const base::Bytes cut = frame_of(std::string(300, 'c'));
    for (std::size_t size = 0; size < cut.size(); size += 8) {
      base::Bytes torn(cut.begin(), cut.begin() + static_cast<std::ptrdiff_t>(size));
      CHECK(texts_of(joined({frame_of("before"), torn, frame_of("after")})) == Texts{"before", "after"});
    }
  }

  TEST_CASE("journal: a frame that is not whole yet → comes when it is") {
    const base::Bytes frame = frame_of(std::string(100, 'w'));
    JournalReader reader(kTag);
    reader.feed(base::ByteView(frame).first(60));
    CHECK_FALSE(reader.next().has_value());
    reader.feed(base::ByteView(frame).subspan(60));
    CHECK(texts_of(reader) == Texts{std::string(100, 'w')});
  }

  TEST_CASE("journal: any bit of a frame flipped → that frame is lost, not its neighbours") {
    const base::Bytes frame = frame_of("middle");
    for (std::size_t bit = 0; bit < 8 * (kJournalFrameHeaderBytes + 6); ++bit) {
      base::Bytes broken = frame;
      broken[bit / 8] ^= std::byte{1} << (bit % 8);
      CHECK(texts_of(joined({frame_of("before"), broken, frame_of("after")})) == Texts{"before", "after"});
    }
  }

  TEST_CASE("journal: a hole → stepped over, whether it is fed or skipped") {
    const base::Bytes first = frame_of("first");
    const base::Bytes last = frame_of("last");
    CHECK(texts_of(joined({first, base::Bytes(8192), last})) == Texts{"first", "last"});
    JournalReader reader(kTag);
    reader.feed(first);
    CHECK(texts_of(reader) == Texts{"first"});
    reader.skip_to(8192);
    reader.feed(last);
    const auto frame = reader.next();
    REQUIRE(frame.has_value());
    CHECK(frame->offset == 8192);
  }

  TEST_CASE("journal: output that looks like a frame of another file → stays output") {
    const base::Bytes forged = journal_frame(kTag + 1, JournalRecordType::command_ended, sample_end().encode());
    const base::Bytes holder = journal_frame(kTag, JournalRecordType::output, forged);
    // Its header is freed: what it held lies bare.
    base::Bytes bare = holder;
    std::fill_n(bare.begin(), kJournalFrameHeaderBytes, std::byte{0});
    CHECK(texts_of(joined({bare, frame_of("after")})) == Texts{"after"});
  }
}

}  // namespace pyro::state
