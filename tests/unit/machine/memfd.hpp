#pragma once

#include "base/fd.hpp"
#include "base/io.hpp"

#include <string_view>

#include <doctest/doctest.h>

namespace pyro::test {

/// A file in memory that holds `content`.
inline base::Fd memfd_with(std::string_view content) {
  auto fd = base::make_memfd("test");
  REQUIRE(fd.ok());
  REQUIRE(base::write_all(fd->get(), base::as_bytes(content), "test").ok());
  return std::move(*fd);
}

}  // namespace pyro::test
