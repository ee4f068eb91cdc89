// One bit for each cluster of a disk.
// Thread rule: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pyro::devices {

class ClusterMap {
 public:
  explicit ClusterMap(std::size_t clusters) : words_((clusters + 63) / 64), clusters_(clusters) {}

  [[nodiscard]] std::size_t size() const noexcept { return clusters_; }
  [[nodiscard]] bool test(std::size_t cluster) const noexcept {
    return (words_[cluster / 64] >> (cluster % 64) & 1) != 0;
  }
  /// Sets or clears [begin, end).
  void assign(std::size_t begin, std::size_t end, bool value) noexcept {
    for (std::size_t i = begin; i < end;) {
      if (i % 64 == 0 && end - i >= 64) {
        words_[i / 64] = value ? ~std::uint64_t{0} : 0;
        i += 64;
      } else {
        put(i++, value);
      }
    }
  }
  /// Makes [begin, end) as it is in `other`, a map of the same size.
  void copy(const ClusterMap& other, std::size_t begin, std::size_t end) noexcept {
    for (std::size_t i = begin; i < end;) {
      if (i % 64 == 0 && end - i >= 64) {
        words_[i / 64] = other.words_[i / 64];
        i += 64;
      } else {
        put(i, other.test(i));
        ++i;
      }
    }
  }

  /// The bits as numbers, the lowest bit first; those behind the last cluster are zero.
  [[nodiscard]] std::span<const std::uint64_t> words() const noexcept { return words_; }
  /// Takes over words of a map of the same size; false, and nothing changed, if it cannot be one.
  [[nodiscard]] bool set_words(std::vector<std::uint64_t> words) noexcept {
    const std::size_t tail = clusters_ % 64;
    if (words.size() != words_.size() || (tail != 0 && words.back() >> tail != 0)) {
      return false;
    }
    words_ = std::move(words);
    return true;
  }

 private:
  void put(std::size_t cluster, bool value) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << (cluster % 64);
    words_[cluster / 64] = value ? words_[cluster / 64] | bit : words_[cluster / 64] & ~bit;
  }

  std::vector<std::uint64_t> words_;
  std::size_t clusters_;
};

}  // namespace pyro::devices
