#include "state/output_retention.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

namespace pyro::state {

namespace {

constexpr std::uint64_t kPage = OutputRetention::kPageBytes;
using Ranges = std::vector<OutputRetention::Range>;

OutputRetention::Limits pages(std::uint64_t command, std::uint64_t task, std::size_t extents = 4096) {
  return {command * kPage, task * kPage, extents};
}

}  // namespace

TEST_SUITE("state") {
  TEST_CASE("output retention: within the limits → nothing is freed") {
    OutputRetention retention(pages(8, 16));
    CHECK(retention.appended(1, kPage, 8 * kPage).empty());
    CHECK(retention.appended(2, 9 * kPage, 8 * kPage).empty());
    CHECK(retention.kept_bytes() == 16 * kPage);
  }

  TEST_CASE("output retention: one command prints on and on → its own oldest goes, others stay") {
    OutputRetention retention(pages(8, 100));
    CHECK(retention.appended(1, kPage, 4 * kPage).empty());
    CHECK(retention.appended(2, 5 * kPage, 8 * kPage).empty());
    const Ranges freed = retention.appended(2, 13 * kPage, kPage);
    REQUIRE(freed.size() == 1);
    CHECK(freed[0].begin == 5 * kPage);
    CHECK(freed[0].end <= 13 * kPage);
    CHECK(retention.kept_bytes() == 4 * kPage + 7 * kPage);
  }

  TEST_CASE("output retention: many commands → the task's oldest goes first, the file's first page stays") {
    OutputRetention retention(pages(8, 16));
    Ranges freed;
    for (std::uint64_t number = 1; number <= 40; ++number) {
      const Ranges now = retention.appended(number, 100 + number * kPage, kPage);
      freed.insert(freed.end(), now.begin(), now.end());
      CHECK(retention.kept_bytes() <= 16 * kPage);
    }
    REQUIRE_FALSE(freed.empty());
    CHECK(freed.front().begin == 2 * kPage);
    for (std::size_t i = 1; i < freed.size(); ++i) {
      CHECK(freed[i].begin == freed[i - 1].end);
    }
    CHECK(freed.back().end >= (40 - 16) * kPage);
  }

  TEST_CASE("output retention: commands that print by turns → bounded in memory, freed by bytes, oldest first") {
    OutputRetention retention(pages(1000, 100, 64));
    retention.adopt(kPage, 50 * kPage);
    std::uint64_t end = 0;
    for (std::uint64_t i = 0; i < 10'000; ++i) {
      for (const auto& range : retention.appended(1 + i % 2, 50 * kPage + i * 100, 100)) {
        CHECK(range.begin >= end);
        end = range.end;
      }
      CHECK(retention.kept_bytes() <= 100 * kPage);
      // Many small pieces are no reason to give up what is within the share.
      CHECK(retention.kept_bytes() >= std::min(85 * kPage, 49 * kPage + i * 100));
    }
    CHECK(end > 100 * kPage);
  }

  TEST_CASE("output retention: one command for ever → all of its pages are freed but for its share") {
    OutputRetention retention(pages(16, 1000));
    std::uint64_t freed = 0;
    std::uint64_t offset = kPage + 32;
    for (int i = 0; i < 5'000; ++i) {
      for (const auto& range : retention.appended(1, offset, 1000)) {
        freed += range.end - range.begin;
      }
      offset += 1000;
    }
    CHECK(offset - freed <= 20 * kPage);
  }

  TEST_CASE("output retention: what an earlier writer left → counts, and goes first") {
    OutputRetention retention(pages(8, 16));
    retention.adopt(32 + kPage, 32 + 13 * kPage);
    CHECK(retention.kept_bytes() == 12 * kPage);
    const Ranges freed = retention.appended(1, 32 + 13 * kPage, 5 * kPage);
    REQUIRE(freed.size() == 1);
    CHECK(freed[0].begin == 2 * kPage);
    CHECK(freed[0].end > freed[0].begin);
    CHECK(retention.kept_bytes() <= 16 * kPage);
  }

  TEST_CASE("output retention: any sequence of appends → limits hold, ranges are whole pages that were appended") {
    std::mt19937 random(1);
    for (int round = 0; round < 50; ++round) {
      OutputRetention retention(pages(8, 24, 32));
      std::uint64_t offset = 32;
      for (int i = 0; i < 500; ++i) {
        const std::uint64_t size = 1 + random() % 33'000;
        const Ranges freed = retention.appended(random() % 4, offset, size);
        offset += size;
        CHECK(retention.kept_bytes() <= 24 * kPage);
        for (const auto& range : freed) {
          CHECK(range.begin < range.end);
          CHECK(range.begin % kPage == 0);
          CHECK(range.end % kPage == 0);
          CHECK(range.begin >= kPage);
          CHECK(range.end <= offset);
        }
      }
    }
  }
}

}  // namespace pyro::state
