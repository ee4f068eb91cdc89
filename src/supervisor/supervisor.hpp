// Supervisor: the life of one microVM, from a client's configure message to its end.
//
// It starts idle, with nothing but one socket. Configure brings everything it will ever own. It ends
// when its client is gone (socket or process), when the VM ends, or when a deadline passes; ending
// means that the process exits, and everything that it owns dies with it.
//
// A VM that outlives its client goes on once that says so: clients come through a listening socket and go as they
// like, and each sees its own commands. A command whose client goes runs on. Such a VM ends when a client says stop, or
// when nobody has used it for its TTL; what its commands did is in its journal.
// Thread rule: one thread, the one that runs the io_context.
#pragma once

#include "machine/machine.hpp"
#include "supervisor/client_set.hpp"
#include "supervisor/expiry.hpp"
#include "supervisor/link.hpp"
#include "supervisor/session.hpp"
#include "supervisor/task_journal.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pyro::supervisor {

/// Deadlines that no client chooses.
struct Deadlines {
  /// Idle until a client configures it: one that forgot it must not leave a process behind.
  std::uint64_t configure_ms = 60'000;
  /// The timeout counts from the command's start. A guest in which it never gets to start (a fork bomb of
  /// another command's, for one) has this much longer.
  std::uint64_t start_grace_ms = 10'000;
  /// A guest obeys a kill within milliseconds; one that has not after this is not going to.
  std::uint64_t kill_grace_ms = 1500;
  /// The same where a command's end waits until what it wrote is on the disk.
  std::uint64_t kill_grace_with_disk_ms = 10'000;
  /// How long a client has for taking in the last message before the process exits. The VM is gone by then, so
  /// waiting for a reader who rests costs little; one that is gone ends the process at once.
  std::uint64_t farewell_ms = 600'000;
  /// How long a client that does not take in what its command prints may make that wait while others are attached to
  /// the command.
  std::uint64_t reader_patience_ms = 10'000;
  /// A guest that is asked to power off ends its commands and writes out its disk; one that has not after this is cut.
  std::uint64_t stop_ms = 30'000;
};

using MachineFactory =
    std::function<std::unique_ptr<machine::Machine>(boost::asio::io_context&, machine::MachineConfig)>;

class Supervisor {
 public:
  /// `client` is the control socket; `confined` how the early stage of the jail went: a client is told of an
  /// error there instead of getting a VM.
  Supervisor(boost::asio::io_context& io, base::Fd client, base::Status confined,
             MachineFactory make_machine = machine::make_machine, Deadlines deadlines = {});
  ~Supervisor();

  /// Serves until the VM's end. Returns when the process is to exit.
  void run();

 private:
  // delivering: the VM is gone, but clients are still told what became of it and of their commands.
  enum class State { idle, booting, personalising, running, stopping, delivering, ending };

  struct Command {
    std::unique_ptr<Session> session;
    std::unique_ptr<boost::asio::steady_timer> timer;
    /// Whose it is; that client may have gone.
    ClientId client = 0;
    std::uint32_t client_stream = 0;
    /// In the journal; 0: not recorded.
    std::uint64_t number = 0;
    bool end_recorded = false;
    /// Both streams together; recorded.
    std::uint64_t printed_bytes = 0;
    /// Runs while others are attached.
    std::unique_ptr<boost::asio::steady_timer> reader_timer = {};
  };
  /// By agent stream.
  using Commands = std::map<std::uint32_t, Command>;

  /// A client's stream that is attached to a command which somebody else started.
  struct Attachment {
    ClientId client = 0;
    std::uint32_t client_stream = 0;
    std::uint32_t agent_stream = 0;
    bool takes_input = false;
    /// It wants to know when more than this is printed.
    std::optional<std::uint64_t> watches = {};
  };
  /// By the number under which the command's session knows it.
  using Attachments = std::map<SharedInput::Source, Attachment>;

  /// How a VM ended, in the words for whoever has a command running, or has none.
  struct Loss {
    pyro_status code = PYRO_ERROR_INTERNAL;
    std::string message;
  };

  /// What a client has commands of.
  struct CommandStates {
    bool waiting = false;  // for the guest
    bool running = false;
    bool exited = false;  // with output or the exit still to be told
  };

  [[nodiscard]] CommandStates command_states(ClientId client) const;
  [[nodiscard]] bool is_starting() const noexcept {
    return state_ == State::idle || state_ == State::booting || state_ == State::personalising;
  }
  /// The VM has no use without its first client. One that outlives it is kept from when that says so: before, nobody
  /// else could know of it.
  [[nodiscard]] bool depends_on(ClientId client) const noexcept { return client == kFirstClient && !kept_; }
  [[nodiscard]] bool is_over() const noexcept { return state_ == State::delivering || state_ == State::ending; }

  // What clients say (supervisor_clients.cpp).
  void handle_client(ClientId client, wire::Frame frame);
  void handle_client_end(ClientId client, const std::string& why);
  void greet(ClientId client);
  base::Status handle_link_frame(ClientId client, const wire::Frame& frame);
  base::Status handle_command_frame(ClientId client, const wire::Frame& frame);
  void send_status(ClientId client);
  base::Status open_session(ClientId client, const wire::Frame& frame);
  /// This command is not run; the client and its other commands stay.
  void refuse_command(ClientId client, std::uint32_t client_stream, const base::Error& error);
  Commands::iterator find_command(ClientId client, std::uint32_t client_stream);
  /// The client cannot be served any longer; the VM goes on.
  void refuse(ClientId client, const base::Error& error);
  /// It has gone: its commands go on without it, those that wait for their start do not.
  void forget_client(ClientId client);

  // Clients that attach to commands (supervisor_attach.cpp).
  base::Status join_command(ClientId client, const wire::Frame& frame);
  Attachments::iterator find_attachment(ClientId client, std::uint32_t client_stream);
  base::Status handle_attachment_frame(Attachments::iterator found, const wire::Frame& frame);
  /// A command has printed something: tells who waits for that.
  void tell_printed(std::uint32_t agent_stream);
  /// A command has ended, and that is recorded: the last that those attached to it hear.
  void tell_attached_exit(std::uint32_t agent_stream, const wire::Exit& exit);
  void forget_attachments(ClientId client);
  [[nodiscard]] bool has_attachments(std::uint32_t agent_stream) const;
  /// Lets go a client that keeps its command from going on while others are attached.
  void watch_reader(std::uint32_t agent_stream, std::size_t held_before, std::uint64_t printed_before);

  base::Status configure(const wire::Frame& frame);
  base::Status start_machine(const wire::Configure& config, std::vector<base::Fd> fds);
  void start_deadlines(const wire::Configure& config);
  void watch_client_process(base::Fd pidfd);

  void handle_agent(wire::Frame frame);
  base::Status handle_agent_link(const wire::Frame& frame);
  base::Status personalise(const wire::Frame& frame);
  void become_ready(const wire::Ready& ready);

  /// The guest gets the command now, or when it has taken in the ones before.
  void dispatch(std::uint32_t agent_stream);
  void dispatch_waiting();
  void announce(std::uint32_t agent_stream);
  /// Ends the command `ms` from now; replaces the deadline it had.
  void end_command_after(Command& command, std::uint32_t agent_stream, std::uint64_t ms);
  void end_command_in(Command& command, std::uint32_t agent_stream, std::uint64_t ms);
  void forget_if_finished(std::uint32_t agent_stream);

  void schedule_ping();
  void check_pong();
  void start_deadline(boost::asio::steady_timer& timer, std::uint64_t ms, std::function<void()> then);

  /// Asks the guest to power off; `reason` goes into the journal.
  void stop(const std::string& reason);
  /// Notes whether somebody needs the VM now, and waits for the next time to be over.
  void watch_idleness();
  void wait_for_expiry();
  void expire();
  void record_command_end(Command& command, const wire::Exit& exit, pyro_status status = PYRO_OK);
  /// The last words of the journal; only the first call counts.
  void record_end(pyro_status status, const std::string& reason);
  void handle_machine_end(const machine::MachineEnd& end);
  /// The VM cannot go on: tells each client, in words fit for what it was doing, and ends. Commands that have
  /// ended deliver first.
  void lose_vm(const std::string& what);
  /// If the guest leaves too much of what clients send it unread. True: it is lost.
  bool lose_vm_if_behind();
  /// The VM has ended: each client gets its last words, by what it has commands of. In state delivering those whose
  /// commands have ended first get what these printed.
  void say_farewell(State next, const std::function<Loss(const CommandStates&)>& loss_of);
  void say_farewell_to(ClientId client, const Loss& loss);
  /// The VM is gone: its commands that never went to the guest are told so, each for itself.
  void refuse_waiting(ClientId client, const Loss& loss);
  /// A client has all it is going to get.
  void finish_client(ClientId client);
  /// Ends the VM and frees what it cost, as soon as the callback that runs has returned.
  void release_machine();
  /// lose_vm(), with the same words for all.
  void fail(pyro_status code, const std::string& message);
  void end();

  boost::asio::io_context& io_;
  base::Status confined_;
  const MachineFactory make_machine_;
  const Deadlines deadlines_;
  State state_ = State::idle;
  ClientSet clients_;
  std::unique_ptr<Link> agent_;
  std::unique_ptr<machine::Machine> machine_;
  std::optional<boost::asio::posix::stream_descriptor> client_process_;
  boost::asio::steady_timer boot_timer_;
  boost::asio::steady_timer ping_timer_;
  boost::asio::steady_timer end_timer_;
  boost::asio::steady_timer expiry_timer_;
  Commands commands_;
  std::uint32_t next_agent_stream_ = 1;
  Attachments attachments_;
  SharedInput::Source next_attachment_ = 1;
  std::string vm_id_;
  std::uint64_t boot_timeout_ms_ = 0;
  std::int64_t configured_ms_ = 0;
  std::int64_t last_pong_ms_ = 0;
  std::int64_t cpu_at_last_pong_ms_ = 0;
  /// Clients whose first frame was in order.
  std::set<ClientId> attached_;
  /// Those whose last frame is queued: no longer listened to.
  std::set<ClientId> told_;
  base::Fd listener_;
  bool outlives_client_ = false;
  bool kept_ = false;
  std::optional<TaskJournal> journal_;
  bool end_recorded_ = false;
  std::string stop_reason_;
  Expiry expiry_;
  /// Commands that the guest has no room for yet, in their order.
  std::deque<std::uint32_t> waiting_to_dispatch_;
  /// In state delivering: clients whose commands have ended and who have yet to take in what these printed.
  std::map<ClientId, Loss> delivering_;
  std::string console_;
};

}  // namespace pyro::supervisor
