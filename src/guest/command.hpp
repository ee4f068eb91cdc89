// One command: its process, its streams and their credit, from exec to exit.
//
// The exit message goes out when the main process has ended and what it had written is sent. Processes that
// it left behind may hold the pipes open: they are not waited for.
// Thread rule: one thread.
#pragma once

#include "guest/disk_sync.hpp"
#include "guest/event_loop.hpp"
#include "guest/input_queue.hpp"
#include "guest/launch.hpp"
#include "guest/link.hpp"
#include "guest/pty.hpp"

#include <array>
#include <memory>
#include <optional>

namespace pyro::guest {

class Command {
 public:
  /// Starts `exec` on `stream`, in a cgroup of its own. An error means that nothing was started. With `disk_sync` the
  /// exit message waits until what was written is on the disk.
  static base::Result<std::unique_ptr<Command>> start(EventLoop& loop, Link& link, std::uint32_t stream,
                                                      CommandCgroup cgroup, wire::Exec exec,
                                                      const InnerNamespace& inner, DiskSync* disk_sync);

  /// A frame of its stream. An error means that the host broke the protocol.
  base::Status on_frame(wire::Frame& frame);
  /// To be called after every round of the loop: moves on what may move.
  void update();
  /// An output rests: call update() again after so many milliseconds.
  [[nodiscard]] std::optional<int> rest_ms() const;
  /// The exit message is queued: nothing is left to do but to destroy this.
  [[nodiscard]] bool finished() const noexcept { return finished_; }
  [[nodiscard]] const std::string& cgroup_name() const noexcept { return cgroup_.name(); }

 private:
  struct Output {
    wire::Channel channel{};
    base::Fd fd;
    std::unique_ptr<Watch> watch;
    wire::SendCredit credit;
    /// Not to be read before this: a small piece was just sent, and more may come. Once it has ended: not to be told
    /// before this (see command.cpp).
    std::int64_t rest_until_ns = 0;
    /// Since the main process has ended: how much of what is in the pipe is still to be sent.
    std::optional<std::size_t> left_bytes;
    bool pipe_is_large = false;
    bool ended = false;
    bool end_told = false;
  };

  Command(EventLoop& loop, Link& link, std::uint32_t stream, CommandCgroup cgroup, bool pty, DiskSync* disk_sync)
      : loop_(loop), link_(link), stream_(stream), cgroup_(std::move(cgroup)), pty_(pty), disk_sync_(disk_sync) {}

  base::Result<Stdio> make_streams(const wire::Exec& exec);
  void watch_all();
  void write_input();
  /// Until the pipe or terminal takes no more.
  void write_queued_input();
  void close_input();
  void grant_input(std::uint32_t bytes);
  void read_output(Output& output);
  [[nodiscard]] std::size_t readable_now(const Output& output) const;
  void end_output(Output& output);
  void tell_end(Output& output);
  void on_report();
  void on_end();
  void signal(int number) const;
  [[nodiscard]] bool is_on_disk() const noexcept {
    return disk_sync_ == nullptr || (sync_number_ && disk_sync_->is_done(*sync_number_));
  }
  void send_exit();

  EventLoop& loop_;
  Link& link_;
  const std::uint32_t stream_;
  CommandCgroup cgroup_;
  const bool pty_;
  DiskSync* const disk_sync_;
  /// Since the main process has ended: what disk_sync_ was asked for.
  std::optional<std::uint64_t> sync_number_;
  Launched launched_;
  LaunchFailure failure_;
  std::unique_ptr<Watch> report_watch_;
  std::unique_ptr<Watch> end_watch_;
  InputQueue input_;
  base::Fd input_fd_;
  std::unique_ptr<Watch> input_watch_;
  bool input_pipe_is_large_ = false;
  bool input_end_queued_ = false;
  std::array<Output, 2> outputs_;
  std::int64_t started_ns_ = 0;
  /// The report is not waited for before this (see command.cpp); 0: it is, or it is there.
  std::int64_t report_rest_until_ns_ = 0;
  std::int64_t duration_ns_ = 0;
  /// How the main process ended, as waitpid() tells.
  std::optional<int> wait_status_;
  CgroupUsage usage_;
  bool reported_ = false;
  bool finished_ = false;
};

}  // namespace pyro::guest
