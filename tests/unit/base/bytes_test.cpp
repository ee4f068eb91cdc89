#include "base/bytes.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace pyro::base {

namespace {

Bytes sample() {
  ByteWriter out;
  out.u8(0x12);
  out.u16(0x3456);
  out.u32(0x789abcde);
  out.u64(0x0102030405060708);
  out.i32(-2);
  out.text("h\xc3\xa9llo");
  out.texts({"a", "", "ccc"});
  return std::move(out).take();
}

// Reads what sample() wrote; the reader tells whether that worked.
void read_sample(ByteReader& in) {
  in.u8();
  in.u16();
  in.u32();
  in.u64();
  in.i32();
  in.text();
  in.texts();
}

}  // namespace

TEST_SUITE("base") {
  TEST_CASE("bytes: numbers and texts written → read back the same, and nothing is left") {
    const Bytes bytes = sample();
    ByteReader in(bytes);
    CHECK(in.u8() == 0x12);
    CHECK(in.u16() == 0x3456);
    CHECK(in.u32() == 0x789abcde);
    CHECK(in.u64() == 0x0102030405060708);
    CHECK(in.i32() == -2);
    CHECK(in.text() == "h\xc3\xa9llo");
    CHECK(in.texts() == std::vector<std::string>{"a", "", "ccc"});
    CHECK(in.finished());
    CHECK(in.remaining() == 0);
  }

  TEST_CASE("bytes: numbers are little-endian") {
    ByteWriter out;
    out.u32(0x01020304);
    const Bytes expected{std::byte{4}, std::byte{3}, std::byte{2}, std::byte{1}};
    CHECK(std::move(out).take() == expected);
  }

  TEST_CASE("bytes: input cut at any byte → failed, never finished") {
    const Bytes bytes = sample();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      ByteReader in(ByteView(bytes).first(size));
      read_sample(in);
      CHECK(in.failed());
      CHECK_FALSE(in.finished());
    }
  }

  TEST_CASE("bytes: one byte too many → not failed, but not finished") {
    Bytes bytes = sample();
    bytes.push_back(std::byte{0});
    ByteReader in(bytes);
    read_sample(in);
    CHECK_FALSE(in.failed());
    CHECK_FALSE(in.finished());
    CHECK(in.remaining() == 1);
  }

  TEST_CASE("bytes: after a short read → every further read gives nothing") {
    const Bytes bytes{std::byte{1}, std::byte{2}, std::byte{3}};
    ByteReader in(bytes);
    CHECK(in.u32() == 0);
    CHECK(in.failed());
    CHECK(in.u8() == 0);
    CHECK(in.raw(1).empty());
    CHECK(in.text().empty());
    CHECK(in.texts().empty());
    CHECK(in.remaining() == 0);
  }

  TEST_CASE("bytes: a count of texts that the input cannot hold → failed without allocating it") {
    ByteWriter out;
    out.u32(0xffffffff);
    out.u32(0);
    const Bytes bytes = std::move(out).take();
    ByteReader in(bytes);
    CHECK(in.texts().empty());
    CHECK(in.failed());
  }

  TEST_CASE("bytes: a length beyond the input → failed") {
    ByteWriter out;
    out.u32(5);
    out.raw(as_bytes("four"));
    const Bytes bytes = std::move(out).take();
    ByteReader in(bytes);
    CHECK(in.text().empty());
    CHECK(in.failed());
  }
}

}  // namespace pyro::base
