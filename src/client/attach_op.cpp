#include "client/attach_op.hpp"

#include "base/clock.hpp"
#include "client/command_end.hpp"
#include "client/vm_index.hpp"
#include "client/vm_info.hpp"
#include "wire/attach_messages.hpp"

#include <algorithm>

#include <fcntl.h>

namespace pyro::client {

using state::JournalRecordType;
using wire::FrameType;

namespace {

// A supervisor answers at once; a machine that swaps is slow, not broken.
constexpr std::int64_t kJoinMs = 60'000;
// How much of a file is looked at between two chances to cancel: about a millisecond's worth.
constexpr std::uint64_t kLookBytes = 1024 * 1024;

state::CommandEnded ended_of(const wire::Exit& exit) {
  state::CommandEnded ended;
  ended.exit_code = exit.exit_code;
  ended.term_signal = exit.term_signal;
  ended.timed_out = exit.timed_out;
  ended.oom_killed = exit.oom_killed;
  ended.status = exit.status;
  ended.message = exit.message;
  ended.duration_ms = exit.duration_ms;
  ended.cpu_time_ms = exit.cpu_time_ms;
  ended.memory_peak_bytes = exit.memory_peak_bytes;
  return ended;
}

bool was_not_found(const state::CommandEnded& ended) {
  return ended.exit_code == static_cast<int>(wire::ExecFailure::not_found) ||
         ended.exit_code == static_cast<int>(wire::ExecFailure::not_executable);
}

}  // namespace

base::Status AttachOp::step() {
  if (phase_ == Phase::looking) {
    PYRO_TRY(look());
  }
  if (phase_ == Phase::measuring) {
    PYRO_TRY(measure());
  }
  if (phase_ == Phase::connecting) {
    PYRO_TRY(connect());
  }
  if (phase_ == Phase::joining || phase_ == Phase::live) {
    PYRO_TRY(converse());
  }
  if (phase_ == Phase::concluding) {
    PYRO_TRY(conclude());
  }
  if (has_ended() || phase_ == Phase::connecting || phase_ == Phase::joining) {
    return base::success();
  }
  if (phase_ != Phase::live && phase_ != Phase::ending) {
    return come_back();
  }
  if (unread_) {
    PYRO_TRY_ASSIGN(const bool all, emit_output());
    unread_ = !all;
  }
  if (unread_ || (phase_ == Phase::ending && has_events())) {
    return come_back();
  }
  if (std::exchange(awake_, false)) {
    PYRO_TRY(poller().set_deadline(0));
  }
  if (phase_ == Phase::ending) {
    finish();
    return base::success();
  }
  if (!std::exchange(watching_, true)) {
    queue_.push_control(wire::message_frame(FrameType::watch, kCommandStream, wire::Watch{printed_}));
  }
  return flush();
}

base::Status AttachOp::come_back() {
  awake_ = true;
  return poller().set_deadline(base::monotonic_ms());
}

void AttachOp::stop() noexcept {
  if (vm_) {
    vm_->shut_down();
  }
  [[maybe_unused]] const auto disarmed = poller().set_deadline(0);
}

// ---- the journal

base::Status AttachOp::open() {
  PYRO_TRY_ASSIGN(folder_, VmFolder::open(settings().home, request_.task_id));
  PYRO_TRY_ASSIGN(const auto record, folder_->record());
  PYRO_TRY(check_kind(record, state::VmKind::task));
  PYRO_TRY_ASSIGN(const auto run, folder_->run());
  engine_ = run ? static_cast<pyro_engine>(run->engine) : PYRO_ENGINE_AUTO;
  auto file = folder_->open_file(state::kVmCommandsFile, O_RDONLY);
  if (!file.ok()) {
    return file.error().sys_errno == ENOENT ? base::success() : std::move(file).error();
  }
  PYRO_TRY_ASSIGN(commands_, JournalFile::open(std::move(file).value()));
  PYRO_TRY_ASSIGN(commands_end_, commands_->size());
  const auto place = context().index->place_of_command(request_.task_id, commands_->tag(), request_.command_number);
  if (place && *place > commands_->position()) {
    commands_->go_to(*place);
  }
  return base::success();
}

base::Status AttachOp::look() {
  if (!folder_) {
    PYRO_TRY(open());
  }
  if (commands_) {
    PYRO_TRY_ASSIGN(const bool all, read_commands());
    if (!all) {
      return base::success();
    }
  }
  if (!started_) {
    return base::make_error(PYRO_ERROR_NOT_FOUND, "task {} has no command {}: pyro task logs {} lists them",
                            request_.task_id, request_.command_number, request_.task_id);
  }
  PYRO_TRY_ASSIGN(base::Fd file, folder_->open_file(state::kVmOutputFile, O_RDONLY));
  PYRO_TRY_ASSIGN(output_, JournalFile::open(std::move(file)));
  PYRO_TRY_ASSIGN(output_end_, output_->size());
  phase_ = Phase::measuring;
  return base::success();
}

base::Result<bool> AttachOp::read_commands() {
  return commands_->read_share(commands_end_, kLookBytes, [this](const state::JournalReader::Frame& frame) {
    if (frame.type == JournalRecordType::command_started) {
      auto started = state::CommandStarted::decode(frame.payload);
      if (started.ok() && started->number == request_.command_number) {
        started_ = std::move(*started);
      }
    } else if (frame.type == JournalRecordType::command_ended) {
      auto ended = state::CommandEnded::decode(frame.payload);
      if (ended.ok() && ended->number == request_.command_number) {
        ended_ = std::move(*ended);
      }
    } else if (started_ && !ended_) {
      // Its VM ended, or another one was started, without a word about it.
      ended_.emplace();
      ended_->status = PYRO_ERROR_OUTCOME_UNKNOWN;
      ended_->message = "its VM was lost while it ran: what it did is unknown";
    }
    return true;
  });
}

base::Status AttachOp::measure() {
  if (request_.tail_bytes != UINT64_MAX) {
    places_.push_back({output_->position(), measured_bytes_});
    PYRO_TRY_ASSIGN(const bool all,
                    output_->read_share(output_end_, kLookBytes, [this](const state::JournalReader::Frame& frame) {
                      const auto piece = state::CommandOutput::decode(frame.payload);
                      const bool counts = piece.ok() && piece->number == request_.command_number;
                      measured_bytes_ += counts ? piece->data.size() : 0;
                      return true;
                    }));
    while (places_.size() > 1 && measured_bytes_ - places_[1].printed_before >= request_.tail_bytes) {
      places_.pop_front();
    }
    if (!all) {
      return base::success();
    }
    const std::uint64_t tail_bytes = std::min(measured_bytes_, request_.tail_bytes);
    skip_bytes_ = measured_bytes_ - tail_bytes - places_.front().printed_before;
    output_->go_to(places_.front().position);
    places_.clear();
  }
  if (ended_) {
    begin(false);
    return start_ending();
  }
  output_end_ = UINT64_MAX;
  attach_.emplace(*folder_, poller());
  phase_ = Phase::connecting;
  return base::success();
}

base::Result<bool> AttachOp::emit_output() {
  PYRO_TRY_ASSIGN(const std::uint64_t size, output_->size());
  std::size_t emitted = 0;
  return output_->read_share(
      std::min(size, output_end_), kLookBytes, [this, &emitted](const state::JournalReader::Frame& frame) {
        auto piece = state::CommandOutput::decode(frame.payload);
        if (!piece.ok() || piece->number != request_.command_number) {
          return true;
        }
        std::uint64_t& total = totals_[piece->channel == 1 ? 0 : 1];
        if (total != 0 && piece->offset > total) {
          context().log.add(PYRO_LOG_WARNING, "task {}, command {}: the journal lacks {} bytes of what it printed",
                            request_.task_id, request_.command_number, piece->offset - total);
        }
        total = std::max(total, piece->offset + piece->data.size());
        const auto old = static_cast<std::size_t>(std::min<std::uint64_t>(skip_bytes_, piece->data.size()));
        skip_bytes_ -= old;
        if (old == piece->data.size()) {
          return true;
        }
        piece->data.erase(piece->data.begin(), piece->data.begin() + static_cast<std::ptrdiff_t>(old));
        emitted += piece->data.size();
        emit(output_event(std::move(*piece)));
        return emitted < kEventShareBytes;
      });
}

// ---- the supervisor

base::Status AttachOp::connect() {
  auto vm = attach_->poll();
  if (!vm.ok() && vm.error().code == PYRO_ERROR_STATE) {
    return conclude_from_journal("its VM does not run");
  }
  PYRO_TRY_ASSIGN(vm_, std::move(vm));
  if (!vm_) {
    return base::success();
  }
  wire::Join join;
  join.number = request_.command_number;
  join.takes_input = request_.takes_input;
  join.rows = started_->pty ? request_.rows : std::uint16_t{0};
  join.columns = started_->pty ? request_.columns : std::uint16_t{0};
  wire::FrameQueue first;
  first.push_control(wire::message_frame(FrameType::join, kCommandStream, join));
  PYRO_TRY(vm_->flush(first));
  phase_ = Phase::joining;
  join_deadline_ms_ = base::monotonic_ms() + kJoinMs;
  return poller().set_deadline(join_deadline_ms_);
}

base::Status AttachOp::converse() {
  if (const auto heard = hear(); !heard.ok()) {
    // What a decoder refuses is a supervisor that cannot be believed.
    return heard.error().code == PYRO_ERROR_INTERNAL ? conclude_from_journal(heard.error().message) : heard;
  }
  if (phase_ != Phase::joining && phase_ != Phase::live) {
    return base::success();
  }
  if (vm_->is_over()) {
    return conclude_from_journal("its supervisor pyro-vm closed the connection");
  }
  // Once it has joined, silence is that of the command.
  if (phase_ == Phase::joining && base::monotonic_ms() >= join_deadline_ms_) {
    return conclude_from_journal("its supervisor pyro-vm does not answer");
  }
  return base::success();
}

base::Status AttachOp::hear() {
  PYRO_TRY(flush());
  frames_.clear();
  auto received = vm_->receive(frames_);
  for (const wire::Frame& frame : frames_) {
    PYRO_TRY(take(frame));
    if (has_ended() || phase_ == Phase::concluding || phase_ == Phase::ending) {
      return base::success();
    }
  }
  return received;
}

base::Status AttachOp::take(const wire::Frame& frame) {
  if (!std::exchange(greeted_, true)) {
    return check_hello(frame);
  }
  if (frame.type == FrameType::failed) {
    PYRO_TRY_ASSIGN(const auto failed, wire::Failed::decode(frame.payload));
    loss_ = Event::failure(base::make_error(failed.code, "vm {}: {}", request_.task_id, failed.message), failed.console)
                .error;
    if (phase_ == Phase::joining) {
      begin(false);
    }
    return start_ending();
  }
  PYRO_TRY_ASSIGN(const bool taken,
                  take_news(frame, request_.task_id, context().log, [this](Event event) { emit(std::move(event)); }));
  if (taken) {
    return base::success();
  }
  switch (frame.type) {
    case FrameType::joined:
      return take_joined(frame);
    case FrameType::printed: {
      PYRO_TRY_ASSIGN(const auto printed, wire::Printed::decode(frame.payload));
      if (!std::exchange(watching_, false) || printed.total_bytes <= printed_) {
        return base::make_error(PYRO_ERROR_INTERNAL, "pyro-vm told of output without being asked");
      }
      printed_ = printed.total_bytes;
      unread_ = true;
      return base::success();
    }
    case FrameType::credit:
      return take_credit(frame);
    case FrameType::exit:
      return take_exit(frame);
    case FrameType::stopped:
      return conclude_from_journal("its VM was stopped");
    default:
      return base::make_error(PYRO_ERROR_INTERNAL, "pyro-vm sent a frame of type {}, which nobody who attaches expects",
                              static_cast<unsigned>(frame.type));
  }
}

base::Status AttachOp::take_joined(const wire::Frame& frame) {
  PYRO_TRY_ASSIGN(const auto joined, wire::Joined::decode(frame.payload));
  if (phase_ != Phase::joining) {
    return base::make_error(PYRO_ERROR_INTERNAL, "pyro-vm answered twice");
  }
  if (!joined.runs) {
    return conclude_from_journal("its supervisor pyro-vm does not know it");
  }
  phase_ = Phase::live;
  begin(joined.input_open);
  return poller().set_deadline(0);
}

base::Status AttachOp::take_credit(const wire::Frame& frame) {
  PYRO_TRY(input_.take_credit(frame));
  if (input_.take_wish_for_room()) {
    interrupt();
  }
  return base::success();
}

base::Status AttachOp::take_exit(const wire::Frame& frame) {
  PYRO_TRY_ASSIGN(const auto exit, wire::Exit::decode(frame.payload));
  if (phase_ != Phase::live) {
    return base::make_error(PYRO_ERROR_INTERNAL, "pyro-vm told of an end without an answer before it");
  }
  ended_ = ended_of(exit);
  return start_ending();
}

base::Status AttachOp::conclude_from_journal(const std::string& otherwise) {
  if (phase_ != Phase::live) {
    begin(false);
  }
  otherwise_ = otherwise;
  vm_.reset();
  // Its record is written before its end is told to anybody.
  PYRO_TRY_ASSIGN(commands_end_, commands_->size());
  phase_ = Phase::concluding;
  return base::success();
}

base::Error AttachOp::lost(const std::string& what) const {
  return base::make_error(PYRO_ERROR_OUTCOME_UNKNOWN, "task {}, command {}: {}: what the command did is unknown",
                          request_.task_id, request_.command_number, what);
}

base::Status AttachOp::conclude() {
  PYRO_TRY_ASSIGN(const bool all, read_commands());
  if (!all) {
    return base::success();
  }
  if (!ended_) {
    loss_ = Event::failure(lost(otherwise_)).error;
  }
  return start_ending();
}

base::Status AttachOp::start_ending() {
  PYRO_TRY_ASSIGN(output_end_, output_->size());
  unread_ = true;
  phase_ = Phase::ending;
  return poller().set_deadline(0);
}

// ---- what the caller hears

void AttachOp::begin(bool input_open) {
  if (!input_open) {
    input_.close();
  }
  Event event;
  event.kind = PYRO_EVENT_STARTED;
  event.vm_id = request_.task_id;
  event.command_number = request_.command_number;
  event.pty = started_->pty;
  event.stdin_open = request_.takes_input && input_open;
  emit(std::move(event));
}

void AttachOp::finish() {
  Event event;
  event.kind = PYRO_EVENT_ERROR;
  if (loss_) {
    event.error = std::move(loss_);
    emit(std::move(event));
  } else if (ended_->status != PYRO_OK) {
    emit(Event::failure(base::make_error(ended_->status, "task {}, command {}: {}", request_.task_id,
                                         request_.command_number, ended_->message)));
  } else {
    emit_result();
  }
}

void AttachOp::emit_result() {
  if (was_not_found(*ended_) && !ended_->message.empty()) {
    Event line = stderr_line(ended_->message);
    totals_[1] += line.data.size();
    emit(std::move(line));
  }
  Event event;
  event.kind = PYRO_EVENT_EXIT;
  event.result = std::make_unique<OwnedResult>();
  OwnedResult& result = *event.result;
  fill_end(result, *ended_);
  result.engine = static_cast<std::uint32_t>(engine_);
  result.start_kind = PYRO_START_RUNNING;
  result.stdout_total_bytes = std::max(totals_[0], ended_->stdout_total_bytes);
  result.stderr_total_bytes = std::max(totals_[1], ended_->stderr_total_bytes);
  result.vm_id_text = request_.task_id;
  result.task_id_text = request_.task_id;
  result.command_number = request_.command_number;
  result.seal(false);
  emit(std::move(event));
}

// ---- what the caller does

base::Status AttachOp::flush() {
  // Nothing of the caller's goes out before the supervisor knows what it is about.
  if (!vm_ || phase_ != Phase::live || vm_->is_over()) {
    return base::success();
  }
  const auto flushed = vm_->flush(queue_);
  return flushed.ok() ? base::success() : lost(flushed.error().message);
}

base::Status AttachOp::check_running() const {
  if (has_ended() || phase_ == Phase::concluding || phase_ == Phase::ending) {
    return base::make_error(PYRO_ERROR_STATE, "the command has ended");
  }
  return base::success();
}

base::Status AttachOp::check_input_open() const {
  if (!request_.takes_input) {
    return base::make_error(PYRO_ERROR_INVALID, "attached without input: use PYRO_STDIN_STREAM");
  }
  PYRO_TRY(check_running());
  if (input_.is_closed()) {
    return base::make_error(PYRO_ERROR_STATE, "the command's input was closed before");
  }
  return base::success();
}

base::Result<std::size_t> AttachOp::write_stdin(base::ByteView bytes) {
  PYRO_TRY(check_input_open());
  const std::size_t taken = input_.write(bytes);
  PYRO_TRY(flush());
  return taken;
}

base::Status AttachOp::close_stdin() {
  PYRO_TRY(check_input_open());
  input_.push({}, true);
  return flush();
}

base::Status AttachOp::signal(std::int32_t number) {
  PYRO_TRY(check_signal(number));
  PYRO_TRY(check_running());
  queue_.push_control(wire::message_frame(FrameType::signal, kCommandStream, wire::Signal{number}));
  return flush();
}

base::Status AttachOp::resize(std::uint32_t rows, std::uint32_t columns) {
  PYRO_TRY_ASSIGN(const wire::Resize message, make_resize(rows, columns));
  if (started_ && !started_->pty) {
    return base::make_error(PYRO_ERROR_INVALID, "the command has no terminal");
  }
  PYRO_TRY(check_running());
  queue_.push_control(wire::message_frame(FrameType::resize, kCommandStream, message));
  return flush();
}

}  // namespace pyro::client
