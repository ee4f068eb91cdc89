// An operation on files of a task: a command that the guest's agent does itself (wire/file_messages.hpp). What goes in
// comes from a FileSource or write_stdin(), what comes out goes to a FileSink, becomes entries, or events.
// Thread rule: as Op.
#pragma once

#include "client/exec_op.hpp"
#include "client/file_request.hpp"
#include "client/file_result.hpp"
#include "client/file_sink.hpp"
#include "client/file_source.hpp"

#include <memory>

namespace pyro::client {

class FileOp final : public ExecOp {
 public:
  /// Opens what is local. Errors: of make_file_source() and make_file_sink().
  static base::Result<std::unique_ptr<FileOp>> make(ContextPtr context, Poller poller, FileJob job);

  base::Result<std::size_t> write_stdin(base::ByteView bytes) override;
  base::Status close_stdin() override;
  base::Status signal(std::int32_t number) override;

 private:
  FileOp(ContextPtr context, Poller poller, CommandRequest command, FileJob job, std::unique_ptr<FileSource> source,
         std::unique_ptr<FileSink> sink);

  base::Result<std::unique_ptr<VmLink>> connect() override;
  [[nodiscard]] bool is_vm_new() const noexcept override { return job_.request.sets_baseline; }
  base::Status feed() override;
  base::Status deliver(wire::Channel channel, base::Bytes bytes) override;
  base::Status conclude(Event exit) override;
  base::Status fill_input();
  /// Ends the operation with an error that is neither of the connection nor of who is at its other end, whose errors say
  /// that the outcome is unknown.
  base::Status fail(base::Error error);
  base::Result<wire::FileReport> read_report(const OwnedResult& exit) const;
  void tell_progress(std::uint64_t bytes);

  FileJob job_;
  std::unique_ptr<FileSource> source_;
  std::unique_ptr<FileSink> sink_;
  EntryCollector entries_;
  /// Of a download without a sink.
  TarCheck check_;
  /// Of the source, beyond what there was room for.
  base::Bytes pending_;
  bool input_ended_ = false;
  base::Bytes report_;
  std::uint64_t moved_bytes_ = 0;
  std::int64_t told_ms_ = 0;
};

}  // namespace pyro::client
