#include "supervisor/session.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace pyro;
using supervisor::Session;
using wire::Channel;
using wire::Frame;
using wire::FrameType;

namespace {

Frame parse(const base::Bytes& bytes) {
  wire::FrameParser parser;
  parser.feed(bytes);
  auto frame = parser.next();
  REQUIRE(frame.ok());
  REQUIRE(frame->has_value());
  return **frame;
}

struct Fixture {
  std::vector<Frame> client;
  std::vector<Frame> agent;
  Session session{7,
                  3,
                  exec(),
                  {[this](base::Bytes bytes) { client.push_back(parse(bytes)); },
                   [this](base::Bytes bytes) { client.push_back(parse(bytes)); },
                   [this](base::Bytes bytes) { agent.push_back(parse(bytes)); },
                   [this](base::Bytes bytes) { agent.push_back(parse(bytes)); }}};

  static wire::Exec exec() {
    wire::Exec exec;
    exec.argv = {"true"};
    exec.cwd = "/";
    exec.timeout_ms = 1000;
    return exec;
  }
  void from_agent(const base::Bytes& bytes) { REQUIRE(session.handle_agent(parse(bytes)).ok()); }
  void from_client(const base::Bytes& bytes) { REQUIRE(session.handle_client(parse(bytes)).ok()); }
  void end_output() {
    from_agent(wire::data_frame(3, Channel::out, {}, true));
    from_agent(wire::data_frame(3, Channel::err, {}, true));
  }
};

}  // namespace

TEST_CASE("session: client is ahead of the guest → input and signals follow the command's start") {
  Fixture f;
  f.from_client(wire::data_frame(7, Channel::in, base::as_bytes("input"), true));
  f.from_client(wire::message_frame(FrameType::signal, 7, wire::Signal{15}));
  CHECK(f.agent.empty());
  f.session.dispatch();
  REQUIRE(f.agent.size() == 2);
  CHECK(f.agent[0].type == FrameType::exec);
  CHECK(f.agent[0].stream == 3);
  CHECK(f.agent[1].type == FrameType::data);
  CHECK(f.agent[1].ends_channel());
  f.from_agent(wire::bare_frame(FrameType::started, 3));
  REQUIRE(f.agent.size() == 3);
  CHECK(f.agent[2].type == FrameType::signal);
  CHECK(f.client.back().type == FrameType::started);
  CHECK(f.client.back().stream == 7);
}

TEST_CASE("session: command ends → output, then the exit as the agent gave it") {
  Fixture f;
  f.session.dispatch();
  f.from_agent(wire::bare_frame(FrameType::started, 3));
  f.from_agent(wire::data_frame(3, Channel::out, base::as_bytes("hi"), false));
  f.end_output();
  wire::Exit exit;
  exit.exit_code = 77;
  f.from_agent(wire::message_frame(FrameType::exit, 3, exit));
  CHECK(f.session.finished());
  REQUIRE(f.client.back().type == FrameType::exit);
  auto told = wire::Exit::decode(f.client.back().payload);
  REQUIRE(told.ok());
  CHECK(told->exit_code == 77);
  CHECK_FALSE(told->timed_out);
}

TEST_CASE("session: an agent claims a timeout → not believed") {
  Fixture f;
  f.session.dispatch();
  f.from_agent(wire::bare_frame(FrameType::started, 3));
  f.end_output();
  wire::Exit exit;
  exit.timed_out = true;
  f.from_agent(wire::message_frame(FrameType::exit, 3, exit));
  CHECK_FALSE(wire::Exit::decode(f.client.back().payload)->timed_out);
}

TEST_CASE("session: time is over → kill goes out, the exit becomes 124") {
  Fixture f;
  f.session.dispatch();
  f.from_agent(wire::bare_frame(FrameType::started, 3));
  f.session.time_out();
  CHECK(f.agent.back().type == FrameType::kill);
  f.end_output();
  wire::Exit exit;
  exit.exit_code = 137;
  exit.term_signal = 9;
  f.from_agent(wire::message_frame(FrameType::exit, 3, exit));
  auto told = wire::Exit::decode(f.client.back().payload);
  REQUIRE(told.ok());
  CHECK(told->timed_out);
  CHECK(told->exit_code == 124);
  CHECK(told->term_signal == 9);
}

TEST_CASE("session: the command ended in time, its exit comes late → no timeout; it took longer → one") {
  wire::Exec exec;
  exec.argv = {"true"};
  exec.timeout_ms = 1000;
  wire::Exit exit;
  exit.exit_code = 7;
  bool timed_out = false;
  SUBCASE("in time") {
    exit.duration_ms = 900;
  }
  SUBCASE("too long") {
    exit.duration_ms = 1000;
    timed_out = true;
  }
  std::vector<base::Bytes> client;
  const auto drop = [](base::Bytes) {};
  supervisor::Session session(7, 3, exec,
                              {drop, [&](base::Bytes bytes) { client.push_back(std::move(bytes)); }, drop, drop});
  const auto from_agent = [&](const base::Bytes& bytes) {
    wire::FrameParser parser;
    parser.feed(bytes);
    REQUIRE(session.handle_agent(**parser.next()).ok());
  };
  session.dispatch();
  from_agent(wire::bare_frame(FrameType::started, 3));
  session.time_out();
  from_agent(wire::data_frame(3, Channel::out, {}, true));
  from_agent(wire::data_frame(3, Channel::err, {}, true));
  from_agent(wire::message_frame(FrameType::exit, 3, exit));
  wire::FrameParser parser;
  parser.feed(client.back());
  const auto told = wire::Exit::decode((*parser.next())->payload);
  REQUIRE(told.ok());
  CHECK(told->timed_out == timed_out);
  CHECK(told->exit_code == (timed_out ? 124 : 7));
}

TEST_CASE("session: the guest ignores the kill → the client gets its result all the same") {
  Fixture f;
  f.session.dispatch();
  f.from_agent(wire::bare_frame(FrameType::started, 3));
  f.from_agent(wire::data_frame(3, Channel::out, base::as_bytes("partial"), false));
  f.session.time_out();
  f.session.give_up();
  CHECK(f.session.finished());
  auto told = wire::Exit::decode(f.client.back().payload);
  REQUIRE(told.ok());
  CHECK(told->timed_out);
  CHECK(told->exit_code == 124);
}

TEST_CASE("session: given up while the client does not read → what the guest still says is ignored, not an error") {
  Fixture f;
  f.session.dispatch();
  f.from_agent(wire::bare_frame(FrameType::started, 3));
  const std::string block(wire::kWindowBytes / 16, 'x');
  for (int i = 0; i < 20; ++i) {
    f.from_agent(wire::data_frame(3, Channel::out, base::as_bytes(block), false));
  }
  f.session.time_out();
  f.session.give_up();
  CHECK_FALSE(f.session.finished());
  // The guest was only slow: it obeys now.
  f.from_agent(wire::data_frame(3, Channel::out, base::as_bytes("late"), false));
  f.from_agent(wire::credit_frame(3, Channel::in, 1));
  f.end_output();
  wire::Exit exit;
  exit.exit_code = 137;
  exit.term_signal = 9;
  f.from_agent(wire::message_frame(FrameType::exit, 3, exit));
  CHECK_FALSE(f.session.finished());
  f.from_client(wire::credit_frame(7, Channel::out, wire::kWindowBytes));
  CHECK(f.session.finished());
  std::size_t received = 0;
  for (const auto& frame : f.client) {
    received += frame.type == FrameType::data ? frame.payload.size() : 0;
  }
  CHECK(received == 20 * block.size());
  REQUIRE(f.client.back().type == FrameType::exit);
  CHECK(wire::Exit::decode(f.client.back().payload)->exit_code == 124);
}

TEST_CASE("session: more than enough before the start → every kill, the last size, a bounded number of signals") {
  Fixture f;
  f.session.dispatch();
  for (std::uint16_t i = 1; i <= 100; ++i) {
    f.from_client(wire::message_frame(FrameType::resize, 7, wire::Resize{i, i}));
  }
  for (std::size_t i = 0; i < wire::kMaxEarlySignals; ++i) {
    f.from_client(wire::message_frame(FrameType::signal, 7, wire::Signal{10}));
  }
  f.from_client(wire::bare_frame(FrameType::kill, 7));
  const auto more = f.session.handle_client(parse(wire::message_frame(FrameType::signal, 7, wire::Signal{10})));
  REQUIRE_FALSE(more.ok());
  CHECK(more.error().code == PYRO_ERROR_LIMIT);
  f.agent.clear();
  f.from_agent(wire::bare_frame(FrameType::started, 3));
  REQUIRE(f.agent.size() == 1 + wire::kMaxEarlySignals + 1);
  CHECK(wire::Resize::decode(f.agent.front().payload)->rows == 100);
  CHECK(f.agent.back().type == FrameType::kill);
  CHECK(f.agent.back().stream == 3);
}

TEST_CASE("session: who joins before the start sends signals → the room of the command's own client is its own") {
  Fixture f;
  f.session.dispatch();
  f.session.join(1);
  f.session.join(2);
  const auto signal = parse(wire::message_frame(FrameType::signal, 9, wire::Signal{12}));
  for (std::size_t i = 0; i < wire::kMaxEarlySignals; ++i) {
    REQUIRE(f.session.handle_joined(1 + i % 2, signal).ok());
  }
  CHECK(f.session.handle_joined(1, signal).error().code == PYRO_ERROR_LIMIT);
  for (std::size_t i = 0; i < wire::kMaxEarlySignals; ++i) {
    f.from_client(wire::message_frame(FrameType::signal, 7, wire::Signal{10}));
  }
  f.agent.clear();
  f.from_agent(wire::bare_frame(FrameType::started, 3));
  CHECK(f.agent.size() == 2 * wire::kMaxEarlySignals);
}

TEST_CASE("session: the guest says why it cannot start the command → printable words, and a status it may claim") {
  const auto told = [](pyro_status claimed) {
    Fixture f;
    f.session.dispatch();
    f.end_output();
    wire::Exit exit;
    exit.exit_code = 125;
    exit.failure = wire::ExecFailure::other;
    exit.status = claimed;
    exit.message = "cannot\x1b[2J start\x07 \xff" + std::string(5000, 'x');
    f.from_agent(wire::message_frame(FrameType::exit, 3, exit));
    auto decoded = wire::Exit::decode(f.client.back().payload);
    REQUIRE(decoded.ok());
    CHECK(decoded->message.starts_with("cannot start  ?xxx"));
    CHECK(decoded->message.size() <= 1024);
    return decoded->status;
  };
  CHECK(told(PYRO_ERROR_LIMIT) == PYRO_ERROR_LIMIT);
  CHECK(told(PYRO_ERROR_ENVIRONMENT) == PYRO_ERROR_ENVIRONMENT);
  CHECK(told(PYRO_ERROR_NOT_FOUND) == PYRO_ERROR_INVALID);
  CHECK(told(PYRO_ERROR_NOT_STARTED) == PYRO_ERROR_INVALID);
}

TEST_CASE("session: a started command could not be started, says the guest → it broke the protocol") {
  Fixture f;
  f.session.dispatch();
  f.from_agent(wire::bare_frame(FrameType::started, 3));
  f.end_output();
  wire::Exit exit;
  exit.exit_code = 127;
  exit.failure = wire::ExecFailure::not_found;
  CHECK_FALSE(f.session.handle_agent(parse(wire::message_frame(FrameType::exit, 3, exit))).ok());
}

TEST_CASE("session: the client does not read → the exit waits behind the output") {
  Fixture f;
  f.session.dispatch();
  f.from_agent(wire::bare_frame(FrameType::started, 3));
  const std::string block(wire::kWindowBytes / 16, 'x');
  for (int i = 0; i < 17; ++i) {
    f.from_agent(wire::data_frame(3, Channel::out, base::as_bytes(block), false));
  }
  f.end_output();
  f.from_agent(wire::message_frame(FrameType::exit, 3, wire::Exit{}));
  CHECK_FALSE(f.session.finished());
  f.from_client(wire::credit_frame(7, Channel::out, wire::kWindowBytes / 4));
  CHECK(f.session.finished());
  CHECK(f.client.back().type == FrameType::exit);
}

TEST_CASE("session: frames that make no sense → an error, not an effect") {
  Fixture f;
  CHECK_FALSE(f.session.handle_agent(parse(wire::bare_frame(FrameType::started, 3))).ok());
  f.session.dispatch();
  f.from_agent(wire::bare_frame(FrameType::started, 3));
  CHECK_FALSE(f.session.handle_agent(parse(wire::bare_frame(FrameType::started, 3))).ok());
  CHECK_FALSE(f.session.handle_agent(parse(wire::data_frame(3, Channel::in, {}, false))).ok());
  CHECK_FALSE(f.session.handle_client(parse(wire::data_frame(7, Channel::out, {}, false))).ok());
  CHECK_FALSE(f.session.handle_client(parse(wire::bare_frame(FrameType::started, 7))).ok());
  CHECK_FALSE(f.session.handle_client(parse(wire::credit_frame(7, Channel::out, 1))).ok());
}

TEST_CASE(
    "session: the client of an operation on files goes → what only it has a use for is killed, the rest ends its "
    "input") {
  for (const bool ends_with_client : {true, false}) {
    std::vector<Frame> agent;
    wire::Exec exec = Fixture::exec();
    exec.file_request.resize(10);
    exec.ends_with_client = ends_with_client;
    Session session(7, 3, exec,
                    {[](const base::Bytes&) {}, [](const base::Bytes&) {},
                     [&agent](const base::Bytes& bytes) { agent.push_back(parse(bytes)); },
                     [&agent](const base::Bytes& bytes) { agent.push_back(parse(bytes)); }});
    session.dispatch();
    REQUIRE(session.handle_agent(parse(wire::bare_frame(FrameType::started, 3))).ok());
    session.detach();
    CHECK(agent[1].type == (ends_with_client ? FrameType::kill : FrameType::data));
    CHECK(agent.back().type == FrameType::data);
    CHECK(agent.back().ends_channel());
  }
}
TEST_CASE("session: its client goes → a pipe's input ends, a terminal's and a kept one's does not") {
  for (int kind = 0; kind < 3; ++kind) {
    CAPTURE(kind);
    wire::Exec exec = Fixture::exec();
    exec.pty = kind == 1;
    exec.keeps_stdin = kind == 2;
    std::vector<Frame> agent;
    const auto keep = [&agent](base::Bytes bytes) { agent.push_back(parse(bytes)); };
    Session session(7, 3, exec, {[](base::Bytes) {}, [](base::Bytes) {}, keep, keep});
    session.dispatch();
    REQUIRE(session.handle_agent(parse(wire::bare_frame(FrameType::started, 3))).ok());
    session.detach();
    CHECK(session.input_open() == (kind != 0));
    CHECK((agent.back().type == FrameType::data && agent.back().ends_channel()) == (kind == 0));
  }
}

TEST_CASE("session: somebody has joined → input of both, in its order; it ends when the last one has gone") {
  Fixture f;
  f.session.dispatch();
  f.from_agent(wire::bare_frame(FrameType::started, 3));
  f.session.join(1);
  f.from_client(wire::data_frame(7, Channel::in, base::as_bytes("a"), false));
  REQUIRE(f.session.handle_joined(1, parse(wire::data_frame(9, Channel::in, base::as_bytes("b"), false))).ok());
  CHECK(base::as_text(f.agent[1].payload) == "a");
  CHECK(base::as_text(f.agent[2].payload) == "b");
  f.session.detach();
  CHECK(f.session.input_open());
  REQUIRE(f.session.handle_joined(1, parse(wire::message_frame(FrameType::signal, 9, wire::Signal{2}))).ok());
  CHECK(f.agent.back().type == FrameType::signal);
  CHECK(f.agent.back().stream == 3);
  f.session.leave(1);
  CHECK_FALSE(f.session.input_open());
  CHECK(f.agent.back().ends_channel());
}
