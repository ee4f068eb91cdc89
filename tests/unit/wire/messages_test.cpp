#include "wire/messages.hpp"
#include "wire/attach_messages.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace pyro::wire {

namespace {

using base::Bytes;
using base::ByteView;

Hello hello() {
  Hello message;
  message.build_id = "0.1.0-abc";
  return message;
}

Personalise personalise() {
  Personalise message;
  message.entropy.fill(std::byte{0x5a});
  message.realtime_ns = 1'700'000'000'123'456'789;
  message.hostname = "pyro";
  message.machine_id = "0123456789abcdef0123456789abcdef";
  return message;
}

Failed failed() {
  Failed message;
  message.code = PYRO_ERROR_BOOT;
  message.message = "the guest did not start";
  message.console = "Kernel panic";
  return message;
}

Exec exec() {
  Exec message;
  message.argv = {"sh", "-c", "echo 'a\nb' \xff"};
  message.env = {"A=1", "B="};
  message.cwd = "/workspace";
  message.user = "root";
  message.pty = true;
  message.pty_rows = 50;
  message.pty_columns = 132;
  message.timeout_ms = 30'000;
  return message;
}

Exit exit_message() {
  Exit message;
  message.exit_code = 139;
  message.term_signal = 11;
  message.failure = ExecFailure::none;
  message.message = "text";
  message.oom_killed = true;
  message.duration_ms = 1;
  message.cpu_time_ms = 2;
  message.memory_peak_bytes = 3;
  return message;
}

Configure configure() {
  Configure message;
  message.engine = EngineKind::software;
  message.vcpu_count = 2;
  message.mem_mib = 1024;
  message.disk_mib = 2048;
  message.boot_timeout_ms = 60'000;
  message.max_lifetime_ms = 1;
  message.ttl_ms = 2;
  message.vm_id = "abcdefgh2345";
  message.build_id = "0.1.0-abc";
  return message;
}

// decode(encode(m)) encodes to the same bytes, and no other length of them decodes.
template <typename Message>
void check_exact(const Message& message) {
  const Bytes bytes = message.encode();
  const auto decoded = Message::decode(bytes);
  REQUIRE(decoded.ok());
  CHECK(decoded->encode() == bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(Message::decode(ByteView(bytes).first(size)).ok());
  }
  Bytes longer = bytes;
  longer.push_back(std::byte{0});
  const auto trailing = Message::decode(longer);
  REQUIRE_FALSE(trailing.ok());
  CHECK(trailing.error().code == PYRO_ERROR_INTERNAL);
}

// A message that encodes but must not decode.
template <typename Message, typename Change>
void check_refused(Message message, Change change) {
  REQUIRE(Message::decode(message.encode()).ok());
  change(message);
  CHECK_FALSE(Message::decode(message.encode()).ok());
}

}  // namespace

TEST_SUITE("wire") {
  TEST_CASE("messages: each one → round trip; cut at any byte or one byte longer → refused") {
    check_exact(hello());
    check_exact(personalise());
    check_exact(Ready{1234});
    check_exact(failed());
    check_exact(Progress{"boot", "starting the guest"});
    check_exact(Log{PYRO_LOG_WARNING, "the guest broke a device"});
    check_exact(exec());
    check_exact(Credit{kWindowBytes});
    check_exact(Signal{15});
    check_exact(Resize{24, 80});
    check_exact(exit_message());
    check_exact(GuestReset{GuestResetKind::reboot});
    check_exact(configure());
    check_exact(Status{"running", 5000, 1, 600'000, 3'000, 20});
    check_exact(SetTtl{600'000});
    check_exact(Dispatched{7});
    check_exact(Join{7, true, 24, 80});
    check_exact(Joined{true, true});
    check_exact(Joined{});
    check_exact(Watch{1});
    check_exact(Printed{UINT64_MAX});
  }

  TEST_CASE("messages: the fields of a decoded message → those that were encoded") {
    const auto command = Exec::decode(exec().encode());
    REQUIRE(command.ok());
    CHECK(command->argv == exec().argv);
    CHECK(command->env == exec().env);
    CHECK(command->cwd == "/workspace");
    CHECK(command->user == "root");
    CHECK(command->pty);
    CHECK(command->pty_rows == 50);
    CHECK(command->pty_columns == 132);
    CHECK(command->timeout_ms == 30'000);

    const auto end = Exit::decode(exit_message().encode());
    REQUIRE(end.ok());
    CHECK(end->exit_code == 139);
    CHECK(end->term_signal == 11);
    CHECK(end->oom_killed);
    CHECK_FALSE(end->timed_out);
    CHECK(end->memory_peak_bytes == 3);

    const auto config = Configure::decode(configure().encode());
    REQUIRE(config.ok());
    CHECK(config->vcpu_count == 2);
    CHECK(config->disk_mib == 2048);
    CHECK(config->vm_id == "abcdefgh2345");

    const auto identity = Personalise::decode(personalise().encode());
    REQUIRE(identity.ok());
    CHECK(identity->entropy == personalise().entropy);
    CHECK(identity->realtime_ns == personalise().realtime_ns);
  }

  TEST_CASE("hello: versions in the wrong order or an endless name → refused") {
    check_refused(hello(), [](Hello& m) { m.version_min = static_cast<std::uint16_t>(m.version_max + 1); });
    check_refused(hello(), [](Hello& m) { m.build_id.assign(257, 'x'); });
  }

  TEST_CASE("hello: a peer of other versions → the highest common one, or unsupported") {
    Hello peer = hello();
    CHECK(*choose_version(peer) == kVersionMax);
    peer.version_max = kVersionMax + 5;
    CHECK(*choose_version(peer) == kVersionMax);
    peer.version_min = kVersionMax + 1;
    const auto newer = choose_version(peer);
    REQUIRE_FALSE(newer.ok());
    CHECK(newer.error().code == PYRO_ERROR_UNSUPPORTED);
    peer.version_min = peer.version_max = kVersionMin - 1;
    CHECK_FALSE(choose_version(peer).ok());
  }

  TEST_CASE("personalise: fields out of range → refused") {
    check_refused(personalise(), [](Personalise& m) { m.version = kVersionMax + 1; });
    check_refused(personalise(), [](Personalise& m) { m.hostname.assign(65, 'h'); });
    check_refused(personalise(), [](Personalise& m) { m.machine_id.pop_back(); });
    check_refused(personalise(), [](Personalise& m) { m.realtime_ns = -1; });
  }

  TEST_CASE("failed: a code that is no error → refused; endless text → clipped to its end by the sender") {
    check_refused(failed(), [](Failed& m) { m.code = PYRO_OK; });
    check_refused(failed(), [](Failed& m) { m.code = static_cast<pyro_status>(PYRO_ERROR_INTERNAL + 1); });
    Failed chatty = failed();
    chatty.console = std::string(1'000'000, 'a') + "last line";
    const auto decoded = Failed::decode(chatty.encode());
    REQUIRE(decoded.ok());
    CHECK(decoded->console.size() < 64 * 1024);
    CHECK(decoded->console.ends_with("alast line"));
  }

  TEST_CASE("exec: what no command can have → refused") {
    check_refused(exec(), [](Exec& m) { m.argv.clear(); });
    check_refused(exec(), [](Exec& m) { m.argv[1] = std::string("a\0b", 3); });
    check_refused(exec(), [](Exec& m) { m.env[0] = std::string("A=\0", 3); });
    check_refused(exec(), [](Exec& m) { m.cwd = std::string("/\0", 2); });
    check_refused(exec(), [](Exec& m) { m.cwd.assign(5000, '/'); });
    check_refused(exec(), [](Exec& m) { m.user.assign(257, 'u'); });
    check_refused(exec(), [](Exec& m) { m.argv.emplace_back(kMaxArgumentBytes, 'x'); });
  }

  TEST_CASE("exec: as many bytes of arguments as allowed → taken, and the frame fits its cap") {
    Exec message = exec();
    message.env.clear();
    message.argv.assign(1, std::string(kMaxArgumentBytes - 12, 'x'));
    CHECK(message.argument_bytes() == kMaxArgumentBytes);
    CHECK(message.encode().size() <= kMaxControlBytes);
    CHECK(Exec::decode(message.encode()).ok());
    message.argv[0] += 'x';
    CHECK_FALSE(Exec::decode(message.encode()).ok());
  }

  TEST_CASE("exec: very many short arguments → counted as they travel: what is taken fits its frame") {
    Exec message = exec();
    message.cwd.assign(4096, 'd');
    message.user.assign(256, 'u');
    message.env.clear();
    message.argv.assign(300'000, "a");
    CHECK_FALSE(Exec::decode(message.encode()).ok());
    message.argv.resize((kMaxArgumentBytes - 8) / 5);
    CHECK(message.argument_bytes() <= kMaxArgumentBytes);
    CHECK(Exec::decode(message.encode()).ok());
    FrameParser parser;
    parser.feed(message_frame(FrameType::exec, 1, message));
    const auto frame = parser.next();
    REQUIRE(frame.ok());
    CHECK(frame->has_value());
  }

  TEST_CASE("join: no command, half a size; joined: open but not running → refused") {
    check_refused(Join{7, false, 0, 0}, [](Join& join) { join.number = 0; });
    check_refused(Join{7, false, 24, 80}, [](Join& join) { join.rows = 0; });
    check_refused(Joined{true, true}, [](Joined& joined) { joined.runs = false; });
  }

  TEST_CASE("exec: flags that nobody knows → refused") {
    Bytes bytes = exec().encode();
    bytes[bytes.size() - 17] = std::byte{8};  // flags, before two u16, one u64 and an empty file request
    CHECK_FALSE(Exec::decode(bytes).ok());
  }

  TEST_CASE("credit, signal, resize: zero or out of range → refused") {
    check_refused(Credit{1}, [](Credit& m) { m.bytes = 0; });
    check_refused(Credit{1}, [](Credit& m) { m.bytes = kWindowBytes + 1; });
    check_refused(Signal{1}, [](Signal& m) { m.number = 0; });
    check_refused(Signal{64}, [](Signal& m) { m.number = 65; });
    check_refused(Signal{1}, [](Signal& m) { m.number = -1; });
    check_refused(Resize{1, 1}, [](Resize& m) { m.rows = 0; });
    check_refused(Resize{1, 1}, [](Resize& m) { m.columns = 0; });
  }

  TEST_CASE("exit: values that no process ends with → refused") {
    check_refused(exit_message(), [](Exit& m) { m.exit_code = 256; });
    check_refused(exit_message(), [](Exit& m) { m.exit_code = -1; });
    check_refused(exit_message(), [](Exit& m) { m.term_signal = 65; });
    check_refused(exit_message(), [](Exit& m) { m.failure = static_cast<ExecFailure>(1); });
    for (const auto failure :
         {ExecFailure::none, ExecFailure::other, ExecFailure::not_executable, ExecFailure::not_found}) {
      Exit message = exit_message();
      message.failure = failure;
      message.status = failure == ExecFailure::other ? PYRO_ERROR_LIMIT : PYRO_OK;
      CHECK(Exit::decode(message.encode()).ok());
    }
  }

  TEST_CASE("exit: a status that is no error, or where none belongs → refused") {
    Exit other = exit_message();
    other.failure = ExecFailure::other;
    other.status = PYRO_ERROR_LIMIT;
    check_exact(other);
    check_refused(other, [](Exit& m) { m.status = PYRO_OK; });
    check_refused(other, [](Exit& m) { m.status = static_cast<pyro_status>(PYRO_ERROR_INTERNAL + 1); });
    check_refused(exit_message(), [](Exit& m) { m.status = PYRO_ERROR_LIMIT; });
  }

  TEST_CASE("configure: zero sizes, no name, an unknown engine or version → refused") {
    check_refused(configure(), [](Configure& m) { m.vcpu_count = 0; });
    check_refused(configure(), [](Configure& m) { m.mem_mib = 0; });
    check_refused(configure(), [](Configure& m) { m.disk_mib = 0; });
    check_refused(configure(), [](Configure& m) { m.boot_timeout_ms = 0; });
    check_refused(configure(), [](Configure& m) { m.vm_id.clear(); });
    check_refused(configure(), [](Configure& m) { m.ttl_ms = UINT64_MAX; });
    check_refused(SetTtl{}, [](SetTtl& m) { m.ttl_ms = UINT64_MAX; });
    check_refused(configure(), [](Configure& m) { m.engine = static_cast<EngineKind>(3); });
    check_refused(configure(), [](Configure& m) { m.version = kVersionMax + 1; });
  }

  TEST_CASE("attach: a version that this build does not speak, or a longer message → refused") {
    Attach message;
    CHECK(Attach::decode(message.encode())->version == kVersionMax);
    message.version = kVersionMax + 1;
    CHECK_FALSE(Attach::decode(message.encode()).ok());
    base::Bytes longer = Attach{}.encode();
    longer.push_back(std::byte{0});
    CHECK_FALSE(Attach::decode(longer).ok());
  }

  TEST_CASE("guest_reset: an unknown kind → refused") {
    check_refused(GuestReset{}, [](GuestReset& m) { m.kind = static_cast<GuestResetKind>(0); });
    check_refused(GuestReset{}, [](GuestReset& m) { m.kind = static_cast<GuestResetKind>(3); });
  }

  TEST_CASE("messages: each one at its longest → fits a frame that the parser takes") {
    Failed longest;
    longest.message.assign(1'000'000, 'm');
    longest.console.assign(1'000'000, 'c');
    Exit end = exit_message();
    end.message.assign(1'000'000, 'm');
    FrameParser parser;
    parser.feed(message_frame(FrameType::failed, 0, longest));
    parser.feed(message_frame(FrameType::exit, 1, end));
    CHECK(parser.next()->has_value());
    CHECK(parser.next()->has_value());
  }
}

}  // namespace pyro::wire
