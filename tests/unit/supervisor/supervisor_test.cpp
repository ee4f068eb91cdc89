// The supervisor between a client and an agent that the tests play, with a machine that is none.
#include "supervisor/supervisor.hpp"

#include "base/build_id.hpp"
#include "base/io.hpp"
#include "jail/fd_passing.hpp"
#include "journal_files.hpp"
#include "wire/attach_messages.hpp"
#include "wire/file_messages.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <boost/asio/post.hpp>

using namespace pyro;
using wire::Channel;
using wire::Frame;
using wire::FrameType;

namespace {

constexpr int kPatienceMs = 10'000;

/// One end of a link, played by the test.
class Peer {
 public:
  explicit Peer(base::Fd socket) : socket_(std::move(socket)) {}

  void send(const base::Bytes& frame) { REQUIRE(base::write_all(socket_.get(), frame, "the link").ok()); }
  [[nodiscard]] int fd() const { return socket_.get(); }
  void close() { socket_.reset(); }

  /// The next frame; nothing at end of file or if none comes.
  std::optional<Frame> next() {
    while (true) {
      auto frame = parser_.next();
      REQUIRE(frame.ok());
      if (frame->has_value()) {
        return std::move(**frame);
      }
      pollfd ready{socket_.get(), POLLIN, 0};
      std::array<std::byte, 65536> buffer;
      const ssize_t got = ::poll(&ready, 1, kPatienceMs) == 1 ? ::read(socket_.get(), buffer.data(), buffer.size()) : 0;
      if (got <= 0) {
        return std::nullopt;
      }
      parser_.feed(base::ByteView(buffer).first(static_cast<std::size_t>(got)));
    }
  }
  /// The next frame of this type; others before it are counted and dropped.
  Frame wait_for(FrameType type) {
    while (auto frame = next()) {
      if (frame->type == type) {
        return std::move(*frame);
      }
      data_bytes += frame->type == FrameType::data ? frame->payload.size() : 0;
    }
    FAIL("no frame of type ", static_cast<int>(type));
    return {};
  }

  std::size_t data_bytes = 0;

 private:
  base::Fd socket_;
  wire::FrameParser parser_;
};

/// What the test holds of a machine.
struct MachineHandle {
  machine::Machine::EndHandler on_end;
  base::Fd agent_socket;
  std::atomic<bool> destroyed = false;
};

class FakeMachine final : public machine::Machine {
 public:
  explicit FakeMachine(MachineHandle& handle) : handle_(handle) {}
  ~FakeMachine() override { handle_.destroyed = true; }
  base::Status start(EndHandler on_end) override {
    handle_.on_end = std::move(on_end);
    return base::success();
  }
  base::Status confine() override { return base::success(); }
  base::Fd take_agent_socket() override { return std::move(handle_.agent_socket); }
  [[nodiscard]] std::string console_tail() const override { return "console"; }
  [[nodiscard]] std::int64_t cpu_time_ms() const override { return 0; }
  void check_liveness(std::function<void(machine::Liveness)>) override {}

 private:
  MachineHandle& handle_;
};

base::FdPair socket_pair() {
  auto pair = base::make_socket_pair();
  REQUIRE(pair.ok());
  return std::move(*pair);
}

class World {
 public:
  explicit World(supervisor::Deadlines deadlines = {}) : World(socket_pair(), socket_pair(), deadlines) {}
  ~World() {
    client.close();
    const bool ended = ends();
    // A VM that is kept would go on for ever after a test that has failed.
    io_.stop();
    thread_.join();
    CHECK(ended);
  }

  bool ends(int within_ms = kPatienceMs) {
    return ended_.wait_for(std::chrono::milliseconds(within_ms)) == std::future_status::ready;
  }
  /// Runs on the supervisor's thread, to its end.
  void on_its_thread(const std::function<void()>& action) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      action();
      done.set_value();
    });
    done.get_future().wait();
  }
  bool frees_machine() const {
    for (int ms = 0; ms < kPatienceMs && !machine.destroyed; ++ms) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return machine.destroyed;
  }
  void end_machine() { machine.on_end({machine::MachineEnd::Kind::engine_died, "the fake ended"}); }

  void configure(bool outlives_client = false) {
    wire::Configure message;
    message.mem_mib = 256;
    message.disk_mib = 64;
    message.boot_timeout_ms = kPatienceMs;
    message.vm_id = "test";
    message.build_id = base::build_id();
    const base::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
    const base::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    REQUIRE(process.valid());
    std::vector<int> fds(static_cast<std::size_t>(wire::ConfigureFd::count), null.get());
    base::Fd listener;
    if (outlives_client) {
      message.outlives_client = true;
      message.ttl_ms = ttl_ms;
      message.max_lifetime_ms = max_lifetime_ms;
      listener = listen();
      fds.insert(fds.end(), {listener.get(), commands_file.get(), output_file.get(), lock_file.get()});
    }
    fds[static_cast<std::size_t>(wire::ConfigureFd::client)] = process.get();
    fds[static_cast<std::size_t>(wire::ConfigureFd::slot)] = slot_file.get();
    const auto frame = wire::message_frame(FrameType::configure, 0, message);
    REQUIRE(jail::send_with_fds(client.fd(), frame, fds).ok());
  }
  /// The agent's side of the start.
  void make_ready() {
    agent.send(wire::message_frame(FrameType::hello, 0, wire::Hello{}));
    agent.wait_for(FrameType::personalise);
    agent.send(wire::message_frame(FrameType::ready, 0, wire::Ready{}));
  }
  /// A VM that goes on without its client, ready.
  void configure_outliving() {
    configure(true);
    make_ready();
    client.wait_for(FrameType::ready);
    client.send(wire::bare_frame(FrameType::keep));
  }
  /// Another client, as it comes.
  [[nodiscard]] Peer connect() const {
    Peer peer(base::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    REQUIRE(::connect(peer.fd(), reinterpret_cast<const sockaddr*>(&address_), address_size_) == 0);
    CHECK(wire::Hello::decode(peer.wait_for(FrameType::hello).payload)->build_id == base::build_id());
    return peer;
  }
  [[nodiscard]] bool refuses_connections() const {
    const base::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address_), address_size_) != 0 &&
           errno == ECONNREFUSED;
  }
  [[nodiscard]] Peer attach() const {
    Peer peer = connect();
    peer.send(wire::message_frame(FrameType::attach, 0, wire::Attach{}));
    return peer;
  }
  /// A command of a client's, up to its start; gives the agent's stream.
  std::uint32_t start_command_of(Peer& peer, std::uint32_t client_stream = 1) {
    wire::Exec exec;
    exec.argv = {"true"};
    peer.send(wire::message_frame(FrameType::exec, client_stream, exec));
    const std::uint32_t started = agent.wait_for(FrameType::exec).stream;
    agent.send(wire::bare_frame(FrameType::started, started));
    peer.wait_for(FrameType::started);
    return started;
  }
  /// Up to a command that waits for the agent's answer.
  void run_command(std::uint64_t timeout_ms = 0) {
    configure();
    wire::Exec exec;
    exec.argv = {"true"};
    exec.timeout_ms = timeout_ms;
    client.send(wire::message_frame(FrameType::exec, 1, exec));
    make_ready();
    stream = agent.wait_for(FrameType::exec).stream;
  }
  void start_command(std::uint64_t timeout_ms = 0) {
    run_command(timeout_ms);
    agent.send(wire::bare_frame(FrameType::started, stream));
    client.wait_for(FrameType::started);
  }
  /// Returns when the first window of it is on its way to the client.
  void print(std::size_t bytes) {
    const base::Bytes block(16 * 1024, std::byte{'x'});
    for (std::size_t sent = 0; sent < bytes; sent += block.size()) {
      agent.send(wire::data_frame(stream, Channel::out, block, false));
    }
    for (std::size_t granted = 0; bytes >= wire::kWindowBytes && granted < wire::kWindowBytes;) {
      granted += wire::Credit::decode(agent.wait_for(FrameType::credit).payload)->bytes;
    }
  }
  [[nodiscard]] base::Bytes exit_frames() const { return exit_frames(stream); }
  [[nodiscard]] static base::Bytes exit_frames(std::uint32_t of) {
    base::Bytes bytes = wire::data_frame(of, Channel::out, {}, true);
    for (const auto& frame :
         {wire::data_frame(of, Channel::err, {}, true), wire::message_frame(FrameType::exit, of, wire::Exit{})}) {
      bytes.insert(bytes.end(), frame.begin(), frame.end());
    }
    return bytes;
  }
  /// Takes in and grants whatever comes until a command's exit.
  static base::Result<wire::Exit> read_to_exit(Peer& peer, std::uint32_t client_stream) {
    while (auto frame = peer.next()) {
      if (frame->type == FrameType::data && !frame->payload.empty()) {
        peer.data_bytes += frame->payload.size();
        const auto size = static_cast<std::uint32_t>(frame->payload.size());
        // The last of it may find the process gone already.
        (void)base::write_all(peer.fd(), wire::credit_frame(frame->stream, Channel::out, size), "the link").ok();
      }
      REQUIRE(frame->type != FrameType::failed);
      if (frame->type == FrameType::exit && frame->stream == client_stream) {
        return wire::Exit::decode(frame->payload);
      }
    }
    return base::make_error(PYRO_ERROR_INTERNAL, "no exit");
  }
  wire::Failed failure() {
    auto failed = wire::Failed::decode(client.wait_for(FrameType::failed).payload);
    REQUIRE(failed.ok());
    return *failed;
  }

  Peer client;
  Peer agent;
  MachineHandle machine;
  std::uint32_t stream = 0;
  /// Of a VM that outlives its client.
  std::uint64_t ttl_ms = 0;
  std::uint64_t max_lifetime_ms = 0;
  base::Fd commands_file = make_file("commands");
  base::Fd output_file = make_file("output");
  base::Fd lock_file = make_file("lock");
  base::Fd slot_file = make_file("slot");

 private:
  World(base::FdPair clients, base::FdPair agents, supervisor::Deadlines deadlines)
      : client(std::move(clients.first)), agent(std::move(agents.first)) {
    machine.agent_socket = std::move(agents.second);
    std::packaged_task<void()> task([this, deadlines, socket = clients.second.release()] {
      const auto make = [this](boost::asio::io_context&, machine::MachineConfig) {
        return std::make_unique<FakeMachine>(machine);
      };
      supervisor::Supervisor(io_, base::Fd(socket), base::success(), make, deadlines).run();
    });
    ended_ = task.get_future();
    thread_ = std::thread(std::move(task));
  }

  // At an address of the kernel's choice (unix(7), autobind).
  base::Fd listen() {
    base::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    address_.sun_family = AF_UNIX;
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof(sa_family_t)) == 0);
    address_size_ = sizeof(address_);
    REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address_), &address_size_) == 0);
    REQUIRE(::listen(socket.get(), 16) == 0);
    return socket;
  }

  sockaddr_un address_{};
  socklen_t address_size_ = 0;
  boost::asio::io_context io_{1};
  std::future<void> ended_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("supervisor: a command runs → started, output, exit; the client goes → the process ends") {
  World world;
  world.start_command();
  world.print(16 * 1024);
  world.agent.send(world.exit_frames());
  CHECK(wire::Exit::decode(world.client.wait_for(FrameType::exit).payload)->exit_code == 0);
  CHECK(world.client.data_bytes == 16 * 1024);
  world.client.close();
  CHECK(world.ends());
  CHECK(world.machine.destroyed);
}

TEST_CASE("supervisor: nobody configures it → it ends by itself") {
  supervisor::Deadlines deadlines;
  deadlines.configure_ms = 30;
  World world(deadlines);
  CHECK(world.ends());
}

TEST_CASE("supervisor: configured → the deadline for that is over") {
  supervisor::Deadlines deadlines;
  deadlines.configure_ms = 50;
  World world(deadlines);
  world.configure();
  CHECK_FALSE(world.ends(150));
}

TEST_CASE("supervisor: another start has the VM's lock or slot by now → refused, and nothing is recorded") {
  for (const bool is_slot : {false, true}) {
    World world;
    const base::Fd& file = is_slot ? world.slot_file : world.lock_file;
    // As the other start's supervisor holds it.
    const base::Fd other(::open(fmt::format("/proc/self/fd/{}", file.get()).c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(other.valid());
    struct flock shared {};
    shared.l_type = F_RDLCK;
    REQUIRE(::fcntl(other.get(), F_OFD_SETLK, &shared) == 0);
    world.configure(true);
    CHECK(world.failure().code == PYRO_ERROR_NOT_STARTED);
    CHECK(world.ends());
    CHECK_FALSE(world.machine.on_end);
    CHECK(content(world.commands_file).empty());
  }
}

TEST_CASE("supervisor: the client breaks the protocol while output waits → it is told all the same") {
  World world;
  world.start_command();
  // More than the socket takes.
  world.print(wire::kWindowBytes + wire::kWindowBytes / 2);
  world.on_its_thread([] {});
  world.client.send(base::Bytes(64, std::byte{0xff}));
  const auto failed = world.failure();
  CHECK(failed.code == PYRO_ERROR_INTERNAL);
  CHECK(failed.message.find("malformed") != std::string::npos);
  CHECK(world.client.data_bytes == wire::kWindowBytes);
}

TEST_CASE("supervisor: the VM fails while the reader rests → the VM is freed at once, the last words wait") {
  World world;
  world.start_command();
  world.print(wire::kWindowBytes + wire::kWindowBytes / 2);
  world.on_its_thread([&] { world.end_machine(); });
  CHECK(world.frees_machine());
  CHECK_FALSE(world.ends(50));
  const auto failed = world.failure();
  CHECK(failed.code == PYRO_ERROR_OUTCOME_UNKNOWN);
  CHECK(failed.message.find("the fake ended") != std::string::npos);
  CHECK(failed.console == "console");
}

TEST_CASE("supervisor: last words that nobody takes in → not for ever") {
  supervisor::Deadlines deadlines;
  deadlines.farewell_ms = 50;
  World world(deadlines);
  world.start_command();
  world.print(wire::kWindowBytes + wire::kWindowBytes / 2);
  world.on_its_thread([&] { world.end_machine(); });
  CHECK(world.ends());
}

TEST_CASE("supervisor: the VM ends with the exit still in the agent's socket → the command's result, no loss") {
  World world;
  world.start_command();
  world.on_its_thread([&] {
    world.agent.send(world.exit_frames());
    world.end_machine();
  });
  const auto exit = wire::Exit::decode(world.client.wait_for(FrameType::exit).payload);
  REQUIRE(exit.ok());
  CHECK(exit->exit_code == 0);
}

TEST_CASE("supervisor: the VM ends while a finished command's output waits for its reader → all of it, then the exit") {
  World world;
  world.start_command();
  world.print(2 * wire::kWindowBytes);
  world.agent.send(world.exit_frames());
  world.on_its_thread([&] { world.end_machine(); });
  CHECK(world.frees_machine());
  CHECK(world.read_to_exit(world.client, 1)->exit_code == 0);
  CHECK(world.client.data_bytes == 2 * wire::kWindowBytes);
  // Only then, for whoever still listens.
  CHECK(world.failure().code == PYRO_ERROR_NOT_STARTED);
}

TEST_CASE("supervisor: the reader of a finished command rests for longer than last words wait → it gets everything") {
  supervisor::Deadlines deadlines;
  deadlines.farewell_ms = 50;
  World world(deadlines);
  world.start_command();
  world.print(2 * wire::kWindowBytes);
  world.agent.send(world.exit_frames());
  world.on_its_thread([&] { world.end_machine(); });
  CHECK_FALSE(world.ends(200));
  CHECK(world.read_to_exit(world.client, 1)->exit_code == 0);
  CHECK(world.client.data_bytes == 2 * wire::kWindowBytes);
}

TEST_CASE("supervisor: the VM ends before the command was started → safe to run again") {
  World world;
  world.configure();
  world.make_ready();
  world.client.wait_for(FrameType::ready);
  world.on_its_thread([&] { world.end_machine(); });
  CHECK(world.failure().code == PYRO_ERROR_NOT_STARTED);
}

TEST_CASE("supervisor: the agent cannot use the root image → ENVIRONMENT, in printable words; else → BOOT") {
  pyro_status claimed = PYRO_ERROR_ENVIRONMENT;
  pyro_status told = PYRO_ERROR_ENVIRONMENT;
  SUBCASE("a reason that is no environment's") {
    claimed = PYRO_ERROR_NOT_STARTED;
    told = PYRO_ERROR_BOOT;
  }
  World world;
  world.configure();
  wire::Failed failed;
  failed.code = claimed;
  failed.message = "root\x1b[2J\x07 \xff image";
  world.agent.send(wire::message_frame(FrameType::failed, 0, failed));
  const auto failure = world.failure();
  CHECK(failure.code == told);
  CHECK(failure.message.ends_with("root  ? image"));
}

TEST_CASE("supervisor: the command starts after its deadline → killed once, and ended as soon as without it") {
  supervisor::Deadlines deadlines;
  deadlines.start_grace_ms = 1;
  deadlines.kill_grace_ms = 100;
  World world(deadlines);
  world.run_command(100);
  world.agent.wait_for(FrameType::kill);
  world.agent.send(wire::bare_frame(FrameType::started, world.stream));
  const auto exit = wire::Exit::decode(world.client.wait_for(FrameType::exit).payload);
  REQUIRE(exit.ok());
  CHECK(exit->timed_out);
  CHECK(exit->exit_code == 124);
  // No second deadline, no second kill.
  world.client.close();
  while (const auto frame = world.agent.next()) {
    CHECK(frame->type != FrameType::kill);
  }
}

TEST_CASE("supervisor: signals without end for a guest that does not read → the VM is lost, not the host's memory") {
  World world;
  world.start_command();
  const auto signal = wire::message_frame(FrameType::signal, 1, wire::Signal{10});
  base::Bytes many;
  for (int i = 0; i < 4096; ++i) {
    many.insert(many.end(), signal.begin(), signal.end());
  }
  // 8 MiB of them, or as many as it takes.
  for (int i = 0; i < 128; ++i) {
    if (!base::write_all(world.client.fd(), many, "the link").ok()) {
      break;
    }
  }
  const auto failed = world.failure();
  CHECK(failed.code == PYRO_ERROR_OUTCOME_UNKNOWN);
  CHECK(failed.message.find("does not read") != std::string::npos);
}

// ---- a VM that outlives its client

TEST_CASE("supervisor: the client of a VM that outlives it goes → the VM serves others") {
  World world;
  world.configure_outliving();
  world.client.close();
  CHECK_FALSE(world.ends(100));
  Peer other = world.attach();
  const std::uint32_t stream = world.start_command_of(other);
  world.agent.send(World::exit_frames(stream));
  CHECK(wire::Exit::decode(other.wait_for(FrameType::exit).payload)->exit_code == 0);
  other.send(wire::bare_frame(FrameType::stop));
  world.agent.wait_for(FrameType::power_off);
  world.on_its_thread([&] { world.end_machine(); });
  other.wait_for(FrameType::stopped);
  CHECK(world.ends());
}

TEST_CASE("supervisor: the client goes before the VM is ready → it ends all the same") {
  World world;
  world.configure(true);
  world.client.close();
  CHECK(world.ends());
}

TEST_CASE("supervisor: commands of two clients with one stream number → each hears of its own") {
  World world;
  world.configure_outliving();
  Peer other = world.attach();
  const std::uint32_t first = world.start_command_of(world.client, 5);
  const std::uint32_t second = world.start_command_of(other, 5);
  CHECK(first != second);
  world.agent.send(wire::data_frame(second, Channel::out, base::as_bytes("two"), false));
  world.agent.send(World::exit_frames(second));
  other.wait_for(FrameType::exit);
  CHECK(other.data_bytes == 3);
  world.client.send(wire::message_frame(FrameType::signal, 5, wire::Signal{15}));
  CHECK(world.agent.wait_for(FrameType::signal).stream == first);
  world.agent.send(World::exit_frames(first));
  world.client.wait_for(FrameType::exit);
  CHECK(world.client.data_bytes == 0);
  world.on_its_thread([&] { world.end_machine(); });
}

TEST_CASE("supervisor: a client goes while its command runs → it runs on, with its input ended and its output taken") {
  World world;
  world.configure_outliving();
  Peer other = world.attach();
  const std::uint32_t stream = world.start_command_of(other);
  other.close();
  const Frame input = world.agent.wait_for(FrameType::data);
  CHECK(input.stream == stream);
  CHECK(input.ends_channel());
  // Far more than any window: nobody holds it up.
  const base::Bytes block(16 * 1024, std::byte{'x'});
  std::size_t credit = wire::kWindowBytes;
  for (std::size_t sent = 0; sent < 4 * wire::kWindowBytes; sent += block.size()) {
    while (credit < block.size()) {
      credit += wire::Credit::decode(world.agent.wait_for(FrameType::credit).payload)->bytes;
    }
    world.agent.send(wire::data_frame(stream, Channel::out, block, false));
    credit -= block.size();
  }
  world.agent.send(World::exit_frames(stream));
  // Its place is free again.
  Peer third = world.attach();
  std::uint32_t running = 1;
  for (int ms = 0; ms < kPatienceMs && running != 0; ++ms) {
    third.send(wire::bare_frame(FrameType::status_request));
    const auto status = wire::Status::decode(third.wait_for(FrameType::status).payload);
    CHECK(status->state == "running");
    running = status->running_commands;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(running == 0);
  world.on_its_thread([&] { world.end_machine(); });
}

TEST_CASE("supervisor: one client breaks the protocol → it is told and let go, the others stay") {
  World world;
  world.configure_outliving();
  Peer other = world.connect();
  SUBCASE("with no attach") {
    other.send(wire::bare_frame(FrameType::stop));
  }
  SUBCASE("with a command before attach") {
    wire::Exec exec;
    exec.argv = {"true"};
    other.send(wire::message_frame(FrameType::exec, 1, exec));
  }
  SUBCASE("with configure") {
    other.send(wire::message_frame(FrameType::configure, 0, wire::Configure{}));
  }
  SUBCASE("with an agent's frame, twice") {
    other.send(wire::message_frame(FrameType::attach, 0, wire::Attach{}));
    other.send(wire::message_frame(FrameType::ready, 0, wire::Ready{}));
    // It may have been let go already.
    (void)base::write_all(other.fd(), wire::message_frame(FrameType::ready, 0, wire::Ready{}), "the link").ok();
  }
  SUBCASE("with nonsense") {
    other.send(base::Bytes(64, std::byte{0xff}));
  }
  CHECK(wire::Failed::decode(other.wait_for(FrameType::failed).payload)->code == PYRO_ERROR_INTERNAL);
  CHECK_FALSE(other.next().has_value());
  const std::uint32_t stream = world.start_command_of(world.client);
  world.agent.send(World::exit_frames(stream));
  world.client.wait_for(FrameType::exit);
  world.on_its_thread([&] { world.end_machine(); });
}

TEST_CASE("supervisor: the VM is lost → every client hears what that means for its own command") {
  World world;
  world.configure_outliving();
  Peer idle = world.attach();
  Peer busy = world.attach();
  world.start_command_of(busy);
  idle.send(wire::bare_frame(FrameType::status_request));
  idle.wait_for(FrameType::status);
  world.on_its_thread([&] { world.end_machine(); });
  CHECK(wire::Failed::decode(busy.wait_for(FrameType::failed).payload)->code == PYRO_ERROR_OUTCOME_UNKNOWN);
  CHECK(wire::Failed::decode(idle.wait_for(FrameType::failed).payload)->code == PYRO_ERROR_NOT_STARTED);
  CHECK(world.failure().code == PYRO_ERROR_NOT_STARTED);
  CHECK(world.ends());
}

TEST_CASE("supervisor: stopped while a command runs → its client hears that the outcome is unknown, others: stopped") {
  World world;
  world.configure_outliving();
  Peer busy = world.attach();
  world.start_command_of(busy);
  world.client.send(wire::bare_frame(FrameType::stop));
  world.agent.wait_for(FrameType::power_off);
  // Too late for another one.
  wire::Exec exec;
  exec.argv = {"true"};
  busy.send(wire::message_frame(FrameType::exec, 2, exec));
  const Frame refusal = busy.wait_for(FrameType::exit);
  CHECK(refusal.stream == 2);
  CHECK(wire::Exit::decode(refusal.payload)->status == PYRO_ERROR_NOT_STARTED);
  world.on_its_thread([&] { world.end_machine(); });
  CHECK(wire::Failed::decode(busy.wait_for(FrameType::failed).payload)->code == PYRO_ERROR_OUTCOME_UNKNOWN);
  world.client.wait_for(FrameType::stopped);
  CHECK(world.ends());
}

TEST_CASE("supervisor: a guest that does not power off → ended after the deadline") {
  supervisor::Deadlines deadlines;
  deadlines.stop_ms = 50;
  World world(deadlines);
  world.configure_outliving();
  world.client.send(wire::bare_frame(FrameType::stop));
  world.client.wait_for(FrameType::stopped);
  CHECK(world.ends());
  CHECK(world.machine.destroyed);
}

TEST_CASE("supervisor: a command that came with configure, whose client goes → it runs on, and ends with the VM") {
  World world;
  world.configure(true);
  wire::Exec exec;
  exec.argv = {"true"};
  world.client.send(wire::message_frame(FrameType::exec, 1, exec));
  world.make_ready();
  CHECK(world.agent.wait_for(FrameType::exec).stream != 0);
  world.client.wait_for(FrameType::ready);
  world.client.send(wire::bare_frame(FrameType::keep));
  world.client.close();
  CHECK_FALSE(world.ends(50));
  world.on_its_thread([&] { world.end_machine(); });
  CHECK(world.ends());
}

TEST_CASE("supervisor: the VM is lost, one command has output to hand over, the next waits → each hears its own") {
  World world;
  world.configure_outliving();
  world.stream = world.start_command_of(world.client, 1);
  world.print(2 * wire::kWindowBytes);
  world.agent.send(world.exit_frames());
  // Nobody reads: the word that this one is on its way cannot leave.
  wire::Exec exec;
  exec.argv = {"true"};
  world.client.send(wire::message_frame(FrameType::exec, 2, exec));
  world.on_its_thread([] {});
  world.on_its_thread([&] { world.end_machine(); });
  CHECK(World::read_to_exit(world.client, 2)->status == PYRO_ERROR_NOT_STARTED);
  CHECK(World::read_to_exit(world.client, 1)->exit_code == 0);
  CHECK(world.client.data_bytes == 2 * wire::kWindowBytes);
}

TEST_CASE(
    "supervisor: a command of a VM with a journal → its start, output and end are in it before the client hears") {
  World world;
  world.configure_outliving();
  wire::Exec exec;
  exec.argv = {"echo", "hello"};
  world.client.send(wire::message_frame(FrameType::exec, 3, exec));
  const Frame dispatched = world.client.wait_for(FrameType::dispatched);
  CHECK(dispatched.stream == 3);
  CHECK(wire::Dispatched::decode(dispatched.payload)->number == 1);
  CHECK(records<state::CommandStarted>(world.commands_file, state::JournalRecordType::command_started).at(0).argv ==
        exec.argv);
  const std::uint32_t stream = world.agent.wait_for(FrameType::exec).stream;
  world.agent.send(wire::bare_frame(FrameType::started, stream));
  world.agent.send(wire::data_frame(stream, Channel::out, base::as_bytes("hello\n"), false));
  world.client.wait_for(FrameType::data);
  const auto output = records<state::CommandOutput>(world.output_file, state::JournalRecordType::output);
  REQUIRE(output.size() == 1);
  CHECK(base::as_text(output[0].data) == "hello\n");
  world.agent.send(World::exit_frames(stream));
  world.client.wait_for(FrameType::exit);
  const auto ends = records<state::CommandEnded>(world.commands_file, state::JournalRecordType::command_ended);
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].stdout_total_bytes == 6);
  world.client.send(wire::bare_frame(FrameType::stop));
  world.agent.wait_for(FrameType::power_off);
  world.on_its_thread([&] { world.end_machine(); });
  CHECK(world.ends());
  const auto machine = records<state::MachineEnded>(world.commands_file, state::JournalRecordType::machine_ended);
  REQUIRE(machine.size() == 1);
  CHECK(machine[0].status == PYRO_OK);
  CHECK(machine[0].reason == "a client stopped it");
}

TEST_CASE("supervisor: the VM is lost while a command runs → the journal says so of both") {
  World world;
  world.configure_outliving();
  world.start_command_of(world.client);
  world.on_its_thread([&] { world.end_machine(); });
  world.client.close();
  CHECK(world.ends());
  const auto ends = records<state::CommandEnded>(world.commands_file, state::JournalRecordType::command_ended);
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].status == PYRO_ERROR_OUTCOME_UNKNOWN);
  const auto machine = records<state::MachineEnded>(world.commands_file, state::JournalRecordType::machine_ended);
  REQUIRE(machine.size() == 1);
  CHECK(machine[0].status == PYRO_ERROR_OUTCOME_UNKNOWN);
}

TEST_CASE("supervisor: nobody uses a VM for its TTL → it is asked to power off; a client or a command keeps it") {
  World world;
  world.ttl_ms = 50;
  world.configure_outliving();
  Peer other = world.attach();
  const std::uint32_t stream = world.start_command_of(other);
  world.client.close();
  other.close();
  CHECK(world.agent.wait_for(FrameType::data).ends_channel());
  CHECK_FALSE(world.ends(200));
  world.agent.send(World::exit_frames(stream));
  world.agent.wait_for(FrameType::power_off);
  world.on_its_thread([&] { world.end_machine(); });
  CHECK(world.ends());
  const auto machine = records<state::MachineEnded>(world.commands_file, state::JournalRecordType::machine_ended);
  REQUIRE(machine.size() == 1);
  CHECK(machine[0].reason.starts_with("expired"));
}

TEST_CASE("supervisor: a VM's lifetime is over → it is asked to power off, whoever uses it") {
  World world;
  world.max_lifetime_ms = 1000;
  world.configure_outliving();
  Peer other = world.attach();
  world.start_command_of(other);
  world.agent.wait_for(FrameType::power_off);
  world.on_its_thread([&] { world.end_machine(); });
  CHECK(world.ends());
  const auto machine = records<state::MachineEnded>(world.commands_file, state::JournalRecordType::machine_ended);
  REQUIRE(machine.size() == 1);
  CHECK(machine[0].reason.starts_with("expired: the VM reached its maximum lifetime"));
}

TEST_CASE("supervisor: many commands with very long arguments at once → all of them start, one after the other") {
  constexpr std::uint32_t kCommands = 8;
  World world;
  world.configure_outliving();
  wire::Exec exec;
  exec.argv = {"true", std::string(wire::kMaxArgumentBytes - 4096, 'x')};
  std::thread sender([&] {
    for (std::uint32_t stream = 1; stream <= kCommands; ++stream) {
      (void)base::write_all(world.client.fd(), wire::message_frame(FrameType::exec, stream, exec), "the link").ok();
    }
  });
  for (std::uint32_t i = 0; i < kCommands; ++i) {
    const std::uint32_t stream = world.agent.wait_for(FrameType::exec).stream;
    world.agent.send(wire::bare_frame(FrameType::started, stream));
    world.agent.send(World::exit_frames(stream));
  }
  sender.join();
  for (std::uint32_t i = 0; i < kCommands; ++i) {
    CHECK(wire::Exit::decode(world.client.wait_for(FrameType::exit).payload)->exit_code == 0);
  }
  world.on_its_thread([&] { world.end_machine(); });
}

TEST_CASE("supervisor: the journal has no room → a new command is refused, the VM goes on") {
  World world;
  world.configure_outliving();
  {
    const FileSizeLimit full(content(world.commands_file).size());
    wire::Exec exec;
    exec.argv = {"true"};
    world.client.send(wire::message_frame(FrameType::exec, 1, exec));
    CHECK(wire::Exit::decode(world.client.wait_for(FrameType::exit).payload)->status == PYRO_ERROR_LIMIT);
  }
  const std::uint32_t stream = world.start_command_of(world.client, 2);
  world.agent.send(World::exit_frames(stream));
  CHECK(wire::Exit::decode(world.client.wait_for(FrameType::exit).payload)->exit_code == 0);
  world.on_its_thread([&] { world.end_machine(); });
}

TEST_CASE("supervisor: the first client goes before it said that the VM is to be kept → the VM ends, others or not") {
  World world;
  world.configure(true);
  world.make_ready();
  world.client.wait_for(FrameType::ready);
  const Peer other = world.attach();
  world.client.close();
  CHECK(world.ends());
  CHECK(world.machine.destroyed);
  CHECK(records<state::MachineEnded>(world.commands_file, state::JournalRecordType::machine_ended).size() == 1);
}

TEST_CASE("supervisor: another client says keep, or goes while the first one decides → nothing of it counts") {
  World world;
  world.configure(true);
  world.make_ready();
  world.client.wait_for(FrameType::ready);
  Peer other = world.attach();
  other.send(wire::bare_frame(FrameType::keep));
  CHECK(wire::Failed::decode(other.wait_for(FrameType::failed).payload)->code == PYRO_ERROR_INTERNAL);
  { const Peer third = world.attach(); }
  CHECK_FALSE(world.ends(50));
  world.client.close();
  CHECK(world.ends());
}

TEST_CASE("supervisor: a client discards the VM → it is gone at once, and the journal says why") {
  World world;
  world.configure_outliving();
  Peer other = world.attach();
  world.start_command_of(other);
  world.client.send(wire::bare_frame(FrameType::discard));
  CHECK(world.ends());
  const auto ends = records<state::CommandEnded>(world.commands_file, state::JournalRecordType::command_ended);
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].status == PYRO_ERROR_OUTCOME_UNKNOWN);
}

TEST_CASE(
    "supervisor: discarded while an exit is on its way to another client → that one gets it; who rests, not for ever") {
  supervisor::Deadlines deadlines;
  World world(deadlines);
  world.configure_outliving();
  Peer other = world.attach();
  world.stream = world.start_command_of(other);
  // More than a socket takes: the exit stays behind it.
  world.print(wire::kWindowBytes);
  world.agent.send(world.exit_frames());
  world.on_its_thread([] {});
  world.client.send(wire::bare_frame(FrameType::discard));
  CHECK(world.frees_machine());
  CHECK(world.refuses_connections());
  SUBCASE("it reads") {
    CHECK(wire::Exit::decode(other.wait_for(FrameType::exit).payload)->exit_code == 0);
    CHECK(other.data_bytes == wire::kWindowBytes);
    CHECK(world.ends(static_cast<int>(deadlines.last_words_ms) / 2));
  }
  SUBCASE("it has gone") {
    other.close();
    CHECK(world.ends(static_cast<int>(deadlines.last_words_ms) / 2));
  }
  SUBCASE("it rests") {}
  CHECK(world.ends());
}

TEST_CASE("supervisor: a client asks and asks and never reads → let go, the others and the command go on") {
  World world;
  world.configure_outliving();
  Peer reader = world.attach();
  const std::uint32_t stream = world.start_command_of(reader);
  Peer sleeper = world.attach();
  sleeper.send(wire::message_frame(FrameType::join, 1, wire::Join{1, true, 0, 0}));
  base::Bytes questions;
  while (questions.size() < 256 * 1024) {
    const auto question = wire::bare_frame(FrameType::status_request);
    questions.insert(questions.end(), question.begin(), question.end());
  }
  // Their answers are many times what the supervisor keeps for it.
  bool is_let_go = false;
  for (int i = 0; i < 64 && !is_let_go; ++i) {
    is_let_go = !base::write_all(sleeper.fd(), questions, "the link").ok();
  }
  CHECK(is_let_go);
  world.agent.send(wire::data_frame(stream, Channel::out, base::as_bytes("12345"), false));
  world.agent.send(World::exit_frames(stream));
  CHECK(World::read_to_exit(reader, 1).ok());
  CHECK(reader.data_bytes == 5);
  reader.send(wire::bare_frame(FrameType::discard));
}

TEST_CASE("supervisor: the client of an operation on files goes → killed, given up, and the VM is unused again") {
  supervisor::Deadlines deadlines;
  deadlines.kill_grace_with_disk_ms = 30;
  World world(deadlines);
  world.ttl_ms = 50;
  world.configure_outliving();
  wire::Exec exec;
  exec.argv = {"write", "/workspace/file"};
  wire::FileRequest request;
  request.verb = wire::FileVerb::write;
  request.path = "/workspace/file";
  exec.file_request = request.encode();
  {
    Peer other = world.attach();
    other.send(wire::message_frame(FrameType::exec, 1, exec));
    const std::uint32_t stream = world.agent.wait_for(FrameType::exec).stream;
    world.agent.send(wire::bare_frame(FrameType::started, stream));
    other.wait_for(FrameType::started);
    world.client.close();
  }
  CHECK(world.agent.wait_for(FrameType::data).ends_channel());
  // The guest says nothing more of it.
  world.agent.wait_for(FrameType::kill);
  world.agent.wait_for(FrameType::power_off);
  world.on_its_thread([&] { world.end_machine(); });
  CHECK(world.ends());
}

TEST_CASE("supervisor: a client joins a command → input, news of what is printed, and its exit; one at a time") {
  World world;
  world.configure_outliving();
  Peer first = world.attach();
  const std::uint32_t stream = world.start_command_of(first);
  Peer second = world.attach();
  second.send(wire::message_frame(FrameType::join, 9, wire::Join{1, true, 0, 0}));
  const auto joined = wire::Joined::decode(second.wait_for(FrameType::joined).payload);
  REQUIRE(joined.ok());
  CHECK((joined->runs && joined->input_open));
  second.send(wire::data_frame(9, Channel::in, base::as_bytes("hello"), false));
  CHECK(base::as_text(world.agent.wait_for(FrameType::data).payload) == "hello");
  second.send(wire::message_frame(FrameType::watch, 9, wire::Watch{0}));
  world.agent.send(wire::data_frame(stream, Channel::out, base::as_bytes("12345"), false));
  CHECK(wire::Printed::decode(second.wait_for(FrameType::printed).payload)->total_bytes == 5);
  second.send(wire::message_frame(FrameType::watch, 9, wire::Watch{5}));
  world.agent.send(world.exit_frames(stream));
  CHECK(second.next()->type == FrameType::exit);
  CHECK(World::read_to_exit(first, 1).ok());
  first.send(wire::bare_frame(FrameType::discard));
}

TEST_CASE("supervisor: a client joins what is not there, or has ended → it is told so") {
  World world;
  world.configure_outliving();
  Peer client = world.attach();
  const std::uint32_t stream = world.start_command_of(client);
  world.agent.send(world.exit_frames(stream));
  CHECK(World::read_to_exit(client, 1).ok());
  for (const std::uint64_t number : {std::uint64_t{1}, std::uint64_t{2}}) {
    client.send(wire::message_frame(FrameType::join, 2, wire::Join{number, false, 0, 0}));
    CHECK_FALSE(wire::Joined::decode(client.wait_for(FrameType::joined).payload)->runs);
  }
  client.send(wire::bare_frame(FrameType::discard));
}

TEST_CASE("supervisor: the first client goes while another may write → the input ends with that one") {
  World world;
  world.configure_outliving();
  Peer first = world.attach();
  world.start_command_of(first);
  Peer second = world.attach();
  second.send(wire::message_frame(FrameType::join, 1, wire::Join{1, true, 0, 0}));
  second.wait_for(FrameType::joined);
  first.close();
  second.send(wire::data_frame(1, Channel::in, base::as_bytes("x"), false));
  CHECK_FALSE(world.agent.wait_for(FrameType::data).ends_channel());
  second.close();
  CHECK(world.agent.wait_for(FrameType::data).ends_channel());
  world.client.send(wire::bare_frame(FrameType::discard));
}

TEST_CASE("supervisor: the first client does not read while another is attached → let go, the command goes on") {
  supervisor::Deadlines deadlines;
  deadlines.reader_patience_ms = 30;
  World world(deadlines);
  world.configure_outliving();
  Peer first = world.attach();
  world.stream = world.start_command_of(first);
  const base::Bytes block(16 * 1024, std::byte{'x'});
  for (std::size_t sent = 0; sent < 2 * wire::kWindowBytes; sent += block.size()) {
    world.agent.send(wire::data_frame(world.stream, Channel::out, block, false));
  }
  Peer second = world.attach();
  second.send(wire::message_frame(FrameType::join, 1, wire::Join{1, false, 0, 0}));
  second.wait_for(FrameType::joined);
  const auto failed = wire::Failed::decode(first.wait_for(FrameType::failed).payload);
  REQUIRE(failed.ok());
  CHECK(failed->code == PYRO_ERROR_LIMIT);
  world.agent.send(world.exit_frames());
  second.wait_for(FrameType::exit);
  second.send(wire::bare_frame(FrameType::discard));
}

TEST_CASE("supervisor: the VM is lost while a client is attached → it is told that the outcome is unknown") {
  World world;
  world.configure_outliving();
  Peer first = world.attach();
  world.start_command_of(first);
  first.close();
  Peer second = world.attach();
  second.send(wire::message_frame(FrameType::join, 1, wire::Join{1, false, 0, 0}));
  second.wait_for(FrameType::joined);
  world.on_its_thread([&world] { world.end_machine(); });
  CHECK(wire::Failed::decode(second.wait_for(FrameType::failed).payload)->code == PYRO_ERROR_OUTCOME_UNKNOWN);
}
