#include "client/file_op.hpp"

#include "base/clock.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace pyro::client {

namespace {

using base::Result;
using base::Status;
using wire::FileVerb;

constexpr std::int64_t kProgressMs = 200;
constexpr std::size_t kMaxMessageBytes = 2048;

const char* name_of(FileVerb verb) noexcept {
  switch (verb) {
    case FileVerb::read:
      return "read";
    case FileVerb::write:
      return "write";
    case FileVerb::list:
      return "list";
    case FileVerb::stat:
      return "stat";
    case FileVerb::make_dir:
      return "mkdir";
    case FileVerb::remove:
      return "remove";
    case FileVerb::upload:
      return "upload";
    case FileVerb::download:
      return "download";
    case FileVerb::diff:
      return "diff";
  }
  return "files";
}

bool gives_entries(FileVerb verb) noexcept {
  return verb == FileVerb::list || verb == FileVerb::stat || verb == FileVerb::diff;
}

CommandRequest make_command(const FileJob& job) {
  CommandRequest command;
  command.exec.argv = {name_of(job.request.verb), job.request.path};
  command.exec.cwd = "/workspace";
  command.exec.user = job.user;
  command.exec.timeout_ms = job.timeout_ms;
  command.exec.file_request = job.request.encode();
  // What is being written or removed comes to an end of its own: its input ends without being complete.
  command.exec.ends_with_client =
      job.request.verb == FileVerb::read || job.request.verb == FileVerb::download || gives_entries(job.request.verb);
  command.streams_stdin = true;
  return command;
}

}  // namespace

Result<std::unique_ptr<FileOp>> FileOp::make(ContextPtr context, Poller poller, FileJob job) {
  PYRO_TRY_ASSIGN(auto source, make_file_source(job));
  PYRO_TRY_ASSIGN(auto sink, make_file_sink(job));
  CommandRequest command = make_command(job);
  return std::unique_ptr<FileOp>(new FileOp(std::move(context), std::move(poller), std::move(command), std::move(job),
                                            std::move(source), std::move(sink)));
}

FileOp::FileOp(ContextPtr context, Poller poller, CommandRequest command, FileJob job,
               std::unique_ptr<FileSource> source, std::unique_ptr<FileSink> sink)
    : ExecOp(std::move(context), std::move(poller), std::move(command), job.task_id, state::VmKind::task, false),
      job_(std::move(job)),
      source_(std::move(source)),
      sink_(std::move(sink)),
      entries_(job_.request),
      check_(job_.request),
      told_ms_(base::monotonic_ms()) {}

Result<std::unique_ptr<VmLink>> FileOp::connect() {
  auto vm = ExecOp::connect();
  if (vm.ok() && *vm) {
    PYRO_TRY(fill_input());
  }
  return vm;
}

Status FileOp::feed() {
  auto filled = fill_input();
  return filled.ok() ? filled : fail(std::move(filled).error());
}

Status FileOp::fill_input() {
  if (job_.streams_input || input_ended_) {
    return base::success();
  }
  while (source_ && input_room() > 0 && (!pending_.empty() || !source_->has_ended())) {
    if (pending_.empty()) {
      PYRO_TRY(source_->fill(pending_, std::min<std::size_t>(input_room(), wire::kMaxDataBytes)));
    }
    const std::size_t now = std::min(input_room(), pending_.size());
    push_input(base::ByteView(pending_).first(now), false);
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(now));
    if (job_.request.verb == FileVerb::upload) {
      tell_progress(now);
    }
  }
  if (pending_.empty() && (!source_ || source_->has_ended())) {
    push_input({}, true);
    input_ended_ = true;
  }
  return base::success();
}

Result<std::size_t> FileOp::write_stdin(base::ByteView bytes) {
  if (!job_.streams_input) {
    return base::make_error(PYRO_ERROR_INVALID, "this operation takes no input: start it with PYRO_STDIN_STREAM");
  }
  if (job_.request.verb == FileVerb::upload) {
    return ExecOp::write_stdin(bytes);
  }
  PYRO_TRY(check_input_open());
  std::size_t taken = 0;
  // Room for the piece that says that it is complete is never given away.
  while (taken < bytes.size() && input_room() > 2 * kPieceHeadBytes) {
    const std::size_t room = std::min(input_room(), wire::kMaxDataBytes) - 2 * kPieceHeadBytes;
    const auto now = bytes.subspan(taken, std::min(bytes.size() - taken, room));
    base::Bytes piece;
    append_piece(piece, now);
    push_input(piece, false);
    taken += now.size();
  }
  if (taken < bytes.size()) {
    want_room();
  }
  PYRO_TRY(flush());
  return taken;
}

Status FileOp::close_stdin() {
  if (!job_.streams_input) {
    return base::make_error(PYRO_ERROR_INVALID, "this operation takes no input: start it with PYRO_STDIN_STREAM");
  }
  if (job_.request.verb == FileVerb::write) {
    PYRO_TRY(check_input_open());
    base::Bytes end;
    append_piece(end, {});
    push_input(end, false);
  }
  return ExecOp::close_stdin();
}

Status FileOp::signal(std::int32_t) {
  return base::make_error(PYRO_ERROR_INVALID, "an operation on files takes no signals: cancel it");
}

Status FileOp::fail(base::Error error) {
  if (error.sys_errno != 0 && !job_.request.sets_baseline) {
    error.message += job_.request.verb == FileVerb::upload
                         ? " (on this host; in the guest is what was sent whole before that)"
                         : " (on this host; in the guest nothing was changed)";
  }
  emit(Event::failure(error));
  return base::success();
}

Status FileOp::deliver(wire::Channel channel, base::Bytes bytes) {
  if (channel == wire::Channel::err) {
    if (report_.size() + bytes.size() > wire::kMaxReportBytes) {
      return base::make_error(PYRO_ERROR_INTERNAL, "the guest's report is too long");
    }
    report_.insert(report_.end(), bytes.begin(), bytes.end());
    return base::success();
  }
  if (job_.request.verb == FileVerb::read && moved_bytes_ + bytes.size() > job_.request.max_bytes) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the guest sent more than was asked for");
  }
  const std::size_t size = bytes.size();
  if (gives_entries(job_.request.verb)) {
    PYRO_TRY(entries_.feed(bytes));
  } else if (sink_) {
    if (auto put = sink_->feed(bytes); !put.ok()) {
      return fail(std::move(put).error());
    }
    tell_progress(size);
  } else {
    if (job_.request.verb == FileVerb::download) {
      PYRO_TRY(check_.feed(bytes));
    }
    moved_bytes_ += size;
    return ExecOp::deliver(channel, std::move(bytes));
  }
  acknowledge(channel, size);
  return base::success();
}

void FileOp::tell_progress(std::uint64_t bytes) {
  moved_bytes_ += bytes;
  const std::int64_t now_ms = base::monotonic_ms();
  if (now_ms - told_ms_ >= kProgressMs) {
    told_ms_ = now_ms;
    emit(Event::progress(name_of(job_.request.verb),
                         fmt::format("{} of {}: {} MiB", name_of(job_.request.verb),
                                     base::printable(job_.request.path, kMaxMessageBytes), moved_bytes_ >> 20),
                         moved_bytes_));
  }
}

Result<wire::FileReport> FileOp::read_report(const OwnedResult& exit) const {
  const std::string what = fmt::format("{} of {}", name_of(job_.request.verb), job_.request.path);
  if (exit.timed_out != 0) {
    return base::make_error(PYRO_ERROR_TIMEOUT, "{} took longer than {} s (timeout_seconds)", what,
                            static_cast<double>(job_.timeout_ms) / 1000.0);
  }
  if (exit.oom_killed != 0) {
    return base::make_error(PYRO_ERROR_LIMIT, "{}: the guest ran out of memory", what);
  }
  if (exit.term_signal != 0) {
    return base::make_error(PYRO_ERROR_STATE, "{} was killed in the guest by signal {}", what, exit.term_signal);
  }
  return wire::FileReport::decode(report_);
}

Status FileOp::conclude(Event exit) {
  PYRO_TRY_ASSIGN(const auto report, read_report(*exit.result));
  if (report.status != PYRO_OK) {
    return fail(base::make_error(report.status, "{}", base::printable(report.message, kMaxMessageBytes)));
  }
  if (sink_) {
    if (auto finished = sink_->finish(); !finished.ok()) {
      return fail(std::move(finished).error());
    }
  } else if (job_.request.verb == FileVerb::download) {
    PYRO_TRY(check_.finish());
  }
  if (gives_entries(job_.request.verb) && !entries_.is_whole()) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the guest's list of files was cut off");
  }
  Event event;
  event.kind = PYRO_EVENT_DONE;
  event.files = entries_.take();
  OwnedFiles& files = *event.files;
  const tree::Counts made = sink_ ? sink_->counts() : tree::Counts{};
  const tree::Counts sent = source_ ? source_->counts() : tree::Counts{};
  files.truncated = report.truncated ? 1 : 0;
  files.file_size_bytes = report.size;
  // What was made here is known better than what the guest says.
  files.entry_count = made.entries != 0 ? made.entries : report.entries;
  files.byte_count = made.entries != 0 ? made.bytes : report.bytes;
  files.skipped_count = report.skipped + made.skipped + sent.skipped;
  files.changed_count = report.changed + sent.changed;
  make_json(files, job_.task_id, job_.request.path, job_.request.verb);
  files.seal(false);
  emit(std::move(event));
  return base::success();
}

}  // namespace pyro::client
