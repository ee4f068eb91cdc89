// Everything about VMs that outlive their client that neither starts one nor runs a command in one, as operations: what
// it does, which there are, stopping, a new TTL, deleting.
// Thread rule: as Op.
#pragma once

#include "client/op.hpp"
#include "client/vm_control.hpp"
#include "client/vm_info.hpp"
#include "client/vm_removal.hpp"

#include <optional>
#include <string>

namespace pyro::client {

/// An operation about one VM, up to the conversation with its supervisor, if it runs.
class VmOp : public Op {
 protected:
  VmOp(ContextPtr context, Poller poller, std::string id, state::VmKind kind)
      : Op(std::move(context), std::move(poller)), id_(std::move(id)), kind_(kind) {}

  base::Status open();
  /// Emits DONE with what there is of the VM now, and what its supervisor said.
  base::Status tell(std::optional<wire::Status> live = std::nullopt);
  /// The same once the supervisor has answered control_'s status request, or has ended.
  base::Status tell_answer();
  void stop() noexcept override;

  std::string id_;
  state::VmKind kind_;
  std::optional<VmFolder> folder_;
  std::optional<VmControl> control_;
};

class StatusOp final : public VmOp {
 public:
  StatusOp(ContextPtr context, Poller poller, std::string id, state::VmKind kind)
      : VmOp(std::move(context), std::move(poller), std::move(id), kind) {}

 private:
  base::Status step() override;
};

class StopVmOp final : public VmOp {
 public:
  StopVmOp(ContextPtr context, Poller poller, std::string id, state::VmKind kind)
      : VmOp(std::move(context), std::move(poller), std::move(id), kind) {}

 private:
  base::Status step() override;
  bool over_ = false;
  std::int64_t gone_deadline_ms_ = 0;
};

class SetTtlOp final : public VmOp {
 public:
  SetTtlOp(ContextPtr context, Poller poller, std::string id, std::uint64_t ttl_ms)
      : VmOp(std::move(context), std::move(poller), std::move(id), state::VmKind::task), ttl_ms_(ttl_ms) {}

 private:
  base::Status step() override;
  std::uint64_t ttl_ms_;
};

class DeleteVmOp final : public VmOp {
 public:
  DeleteVmOp(ContextPtr context, Poller poller, std::string id, state::VmKind kind)
      : VmOp(std::move(context), std::move(poller), std::move(id), kind) {}

 private:
  base::Status step() override;
  void stop() noexcept override;
  base::Status tell_deleted();

  std::optional<VmRemoval> removal_;
  /// What is told of it in the end.
  std::optional<VmInfo> info_;
};

/// A VM that is only made.
class CreateVmOp final : public Op {
 public:
  CreateVmOp(ContextPtr context, Poller poller, state::VmRecord record)
      : Op(std::move(context), std::move(poller)), record_(std::move(record)) {}

 private:
  base::Status step() override;
  void stop() noexcept override {}

  state::VmRecord record_;
};

struct ListRequest {
  state::VmKind kind = state::VmKind::task;
  state::Labels labels;
  /// 0: all.
  std::uint32_t state_mask = 0;
};

class ListVmsOp final : public Op {
 public:
  ListVmsOp(ContextPtr context, Poller poller, ListRequest request)
      : Op(std::move(context), std::move(poller)), request_(std::move(request)) {}

 private:
  base::Status step() override;
  void stop() noexcept override {}
  ListRequest request_;
};

/// The order of lists.
void sort_newest_first(std::vector<VmInfo>& infos);

class ReapOp final : public Op {
 public:
  ReapOp(ContextPtr context, Poller poller) : Op(std::move(context), std::move(poller)) {}

 private:
  base::Status step() override;
  void stop() noexcept override {}
};

}  // namespace pyro::client
