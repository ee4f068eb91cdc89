#include "state/vm_record.hpp"

#include <string>

#include <doctest/doctest.h>

using namespace pyro;

namespace {

state::VmRecord sample() {
  state::VmRecord record;
  record.id = "k7dq2mxw4zpa";
  record.environment = "debian:12";
  record.digest = "sha256:abc";
  record.engine = 2;
  record.vcpu_count = 2;
  record.mem_mib = 1024;
  record.disk_mib = 2048;
  record.boot_timeout_ms = 60'000;
  record.max_lifetime_ms = 0;
  record.ttl_ms = 600'000;
  record.retention_ms = 604'800'000;
  record.created_ns = 1'790'000'000'000'000'000;
  record.labels = {{"agent", "seven"}, {"run", "Ünïcode \"quoted\""}};
  return record;
}

}  // namespace

TEST_CASE("vm record: encoded and decoded → the same") {
  const auto record = state::VmRecord::decode(sample().encode());
  REQUIRE(record.ok());
  CHECK(*record == sample());
  state::VmRun run{"2b1f-boot", PYRO_ENGINE_KVM, 17, 4711, 99, true, 5};
  CHECK(*state::VmRun::decode(run.encode()) == run);
}

TEST_CASE("vm record: cut off anywhere → refused, never half a record") {
  const std::string text = sample().encode();
  // The last byte is the newline.
  for (std::size_t size = 0; size + 1 < text.size(); ++size) {
    CHECK_FALSE(state::VmRecord::decode(text.substr(0, size)).ok());
  }
}

TEST_CASE("vm record: of a newer format → unsupported, whatever else is in it") {
  const auto record = state::VmRecord::decode(R"({"format": 2, "shape": "new"})");
  REQUIRE_FALSE(record.ok());
  CHECK(record.error().code == PYRO_ERROR_UNSUPPORTED);
}

TEST_CASE("vm record: members that are missing, unknown or out of range → refused") {
  const std::string text = sample().encode();
  const auto with = [&text](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return changed;
  };
  REQUIRE(state::VmRecord::decode(text).ok());
  CHECK_FALSE(state::VmRecord::decode(with("\"vcpu_count\":2,", "")).ok());
  CHECK_FALSE(state::VmRecord::decode(with("{", "{\"more\":1,")).ok());
  CHECK_FALSE(state::VmRecord::decode(with("\"engine\":2", "\"engine\":3")).ok());
  CHECK_FALSE(state::VmRecord::decode(with("\"kind\":\"task\"", "\"kind\":\"pet\"")).ok());
  CHECK_FALSE(state::VmRecord::decode(with("k7dq2mxw4zpa", "../../../etc")).ok());
  CHECK_FALSE(state::VmRecord::decode(with("\"ttl_ms\":600000", "\"ttl_ms\":-1")).ok());
}

TEST_CASE("vm id: twelve of a-z and 2-7 → an id; everything else, paths above all → refused with an example") {
  CHECK(state::check_vm_id("abcdefgh2345").ok());
  for (const char* wrong : {"", "abcdefgh234", "abcdefgh23456", "ABCDEFGH2345", "abcdefgh2340", "../abcdefghi",
                            "abcdefgh/234", "............", "abcdefgh234\n"}) {
    CAPTURE(wrong);
    const auto checked = state::check_vm_id(wrong);
    REQUIRE_FALSE(checked.ok());
    CHECK(checked.error().code == PYRO_ERROR_INVALID);
  }
}

TEST_CASE("label: NAME=VALUE → both; no name, a strange one, or a value that is no text → refused") {
  CHECK(state::parse_label("a.b/c-d_1=x=y")->second == "x=y");
  CHECK(state::parse_label("empty=")->second.empty());
  for (const std::string& wrong :
       {std::string("novalue"), std::string("=x"), std::string("sp ace=x"), std::string(64, 'n') + "=x",
        "n=" + std::string(256, 'v'), std::string("n=\xff"), std::string("n=a\nb")}) {
    CAPTURE(wrong);
    CHECK_FALSE(state::parse_label(wrong).ok());
  }
}
