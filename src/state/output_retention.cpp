#include "state/output_retention.hpp"

#include <algorithm>

namespace pyro::state {

namespace {

// Whoever is over its limit gives up this much more, so that not every append frees a page.
constexpr std::uint64_t kSlack = 8;

constexpr std::uint64_t page_down(std::uint64_t offset) noexcept {
  return offset / OutputRetention::kPageBytes * OutputRetention::kPageBytes;
}

constexpr std::uint64_t page_up(std::uint64_t offset) noexcept {
  return page_down(offset + OutputRetention::kPageBytes - 1);
}

}  // namespace

void OutputRetention::adopt(std::uint64_t begin, std::uint64_t end) {
  freed_until_ = page_up(begin);
  if (begin < end) {
    add(0, begin, end);
  }
}

std::vector<OutputRetention::Range> OutputRetention::appended(std::uint64_t number, std::uint64_t offset,
                                                              std::uint64_t size) {
  std::vector<Range> freed;
  if (size == 0) {
    return freed;
  }
  if (extents_.empty() && freed_until_ == 0) {
    freed_until_ = page_up(offset);  // the header before it stays
  }
  add(number, offset, offset + size);
  if (per_command_[number] > limits_.command_bytes) {
    trim_command(number, freed);
  }
  while (extents_.size() > limits_.extents) {
    merge_oldest();
  }
  if (kept_bytes_ > limits_.task_bytes) {
    trim_task(freed);
  }
  return freed;
}

void OutputRetention::add(std::uint64_t number, std::uint64_t begin, std::uint64_t end) {
  if (!extents_.empty() && extents_.back().number == number && extents_.back().end == begin) {
    extents_.back().end = end;
  } else {
    extents_.push_back({number, begin, end});
  }
  kept_bytes_ += end - begin;
  per_command_[number] += end - begin;
}

void OutputRetention::cut(Extent& extent, std::uint64_t bytes) {
  const std::uint64_t size = std::min(bytes, extent.size());
  extent.begin += size;
  kept_bytes_ -= size;
  uncount(extent.number, size);
}

void OutputRetention::uncount(std::uint64_t number, std::uint64_t size) {
  const auto kept = per_command_.find(number);
  kept->second -= size;
  if (kept->second == 0) {
    per_command_.erase(kept);
  }
}

void OutputRetention::trim_command(std::uint64_t number, std::vector<Range>& freed) {
  const std::uint64_t goal = limits_.command_bytes - limits_.command_bytes / kSlack;
  for (Extent& extent : extents_) {
    const auto kept = per_command_.find(number);
    if (kept == per_command_.end() || kept->second <= goal) {
      break;
    }
    if (extent.number == number) {
      const std::uint64_t begin = extent.begin;
      // Whole pages, so that the next cut begins where this one ends.
      cut(extent, page_up(begin + kept->second - goal) - begin);
      // A page that a neighbour has a part of stays until the task as a whole gives it up.
      if (page_up(begin) < page_down(extent.begin)) {
        freed.push_back({page_up(begin), page_down(extent.begin)});
      }
    }
  }
  std::erase_if(extents_, [](const Extent& extent) { return extent.begin == extent.end; });
}

// They stay, as what nobody's share counts; what was freed between them counts once more, and goes all the sooner.
void OutputRetention::merge_oldest() {
  const Extent first = extents_.front();
  extents_.pop_front();
  Extent& second = extents_.front();
  uncount(first.number, first.size());
  uncount(second.number, second.size());
  kept_bytes_ += second.begin - first.end;
  second.begin = first.begin;
  second.number = 0;
  per_command_[0] += second.size();
}

void OutputRetention::trim_task(std::vector<Range>& freed) {
  const std::uint64_t goal = limits_.task_bytes - limits_.task_bytes / kSlack;
  std::uint64_t end = 0;
  while (!extents_.empty() && kept_bytes_ > goal) {
    Extent& oldest = extents_.front();
    cut(oldest, kept_bytes_ - goal);
    end = oldest.begin;
    if (oldest.begin == oldest.end) {
      extents_.pop_front();
    }
  }
  // All before it, with what commands left of their pages.
  if (end = page_down(end); end > freed_until_) {
    freed.push_back({freed_until_, end});
    freed_until_ = end;
  }
}

}  // namespace pyro::state
