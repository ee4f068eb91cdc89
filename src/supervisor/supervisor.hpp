// Supervisor: the life of one microVM, from a client's configure message to its end.
//
// It starts idle, with nothing but one socket. Configure brings everything it will ever own. It ends
// when its client is gone (socket or process), when the VM ends, or when a deadline passes; ending
// means that the process exits, and everything that it owns dies with it.
// Thread rule: one thread, the one that runs the io_context.
#pragma once

#include "machine/machine.hpp"
#include "supervisor/link.hpp"
#include "supervisor/session.hpp"

#include <map>
#include <memory>
#include <optional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pyro::supervisor {

class Supervisor {
 public:
  /// `client` is the control socket.
  Supervisor(boost::asio::io_context& io, base::Fd client);
  ~Supervisor();

  /// Serves until the VM's end. Returns when the process is to exit.
  void run();

 private:
  enum class State { idle, booting, personalising, running, ending };

  struct Command {
    std::unique_ptr<Session> session;
    std::unique_ptr<boost::asio::steady_timer> timer;
  };

  void handle_client(wire::Frame frame);
  void handle_client_end(const std::string& why);
  base::Status handle_link_frame(const wire::Frame& frame);
  base::Status configure(const wire::Frame& frame);
  base::Status start_machine(const wire::Configure& config, std::vector<base::Fd> fds);
  void watch_client_process(base::Fd pidfd);

  void handle_agent(wire::Frame frame);
  base::Status handle_agent_link(const wire::Frame& frame);
  base::Status personalise(const wire::Frame& frame);
  void become_ready(const wire::Ready& ready);

  base::Status open_session(const wire::Frame& frame);
  void dispatch(std::uint32_t client_stream);
  /// Ends the command `ms` from now; replaces the deadline it had.
  void end_command_after(Command& command, std::uint32_t client_stream, std::uint64_t ms);
  void forget_if_finished(std::uint32_t client_stream);

  void schedule_ping();
  void check_pong();
  void start_deadline(boost::asio::steady_timer& timer, std::uint64_t ms, std::function<void()> then);

  void handle_machine_end(const machine::MachineEnd& end);
  /// The VM cannot go on: tells the client, in words fit for what it was doing, and ends.
  void lose_vm(const std::string& what);
  void fail(pyro_status code, const std::string& message);
  void end();

  boost::asio::io_context& io_;
  State state_ = State::idle;
  Link client_;
  std::unique_ptr<Link> agent_;
  std::unique_ptr<machine::Machine> machine_;
  std::optional<boost::asio::posix::stream_descriptor> client_process_;
  boost::asio::steady_timer boot_timer_;
  boost::asio::steady_timer lifetime_timer_;
  boost::asio::steady_timer ping_timer_;
  boost::asio::steady_timer end_timer_;
  std::map<std::uint32_t, Command> commands_;  // by client stream
  std::uint32_t next_agent_stream_ = 1;
  std::string vm_id_;
  std::uint64_t boot_timeout_ms_ = 0;
  std::int64_t configured_ms_ = 0;
  std::int64_t last_pong_ms_ = 0;
  std::int64_t cpu_at_last_pong_ms_ = 0;
  bool dispatched_any_ = false;
};

}  // namespace pyro::supervisor
