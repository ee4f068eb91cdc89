// Making a task whose workspace has something in it: creates it, uploads the seed, and removes it again if that fails.
// Each step is an operation of its own.
// Thread rule: as Op.
#pragma once

#include "client/op.hpp"
#include "state/vm_record.hpp"

#include <memory>
#include <string>

namespace pyro::client {

class SeededCreateOp final : public Op {
 public:
  /// Errors: NOT_FOUND, INVALID (the seed is no directory and no file).
  static base::Result<std::unique_ptr<SeededCreateOp>> make(ContextPtr context, Poller poller, state::VmRecord record,
                                                            std::string seed);
  ~SeededCreateOp() override;

 private:
  enum class Stage { creating, seeding, removing };

  SeededCreateOp(ContextPtr context, Poller poller, std::string seed, bool is_tar)
      : Op(std::move(context), std::move(poller)), seed_(std::move(seed)), is_tar_(is_tar) {}

  base::Status step() override;
  void stop() noexcept override {}
  base::Status run(std::unique_ptr<Op> inner);
  base::Status finish_stage(Event last);
  base::Result<std::unique_ptr<Op>> make_removal();

  std::string seed_;
  bool is_tar_;
  Stage stage_ = Stage::creating;
  std::unique_ptr<Op> inner_;
  Watch inner_watch_;
  /// Since it exists, until all is done.
  std::string task_id_;
  Event created_;
  Event failure_;
};

}  // namespace pyro::client
