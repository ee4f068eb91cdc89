// Starting a VM that outlives its client, as an operation: a new task, or one that was stopped. The VM exists from the
// moment its record is written, which is last, behind the seed if it has one: a creation that ends before leaves nothing
// but a folder without one.
// Thread rule: as Op.
#pragma once

#include "client/op.hpp"
#include "client/vm_folder.hpp"
#include "client/vm_info.hpp"
#include "client/vm_start.hpp"

#include <memory>
#include <optional>

namespace pyro::client {

class StartVmOp final : public Op {
 public:
  /// A new VM: `record` as it is to be; id, digest and time of creation are filled in here.
  static std::unique_ptr<StartVmOp> create(ContextPtr context, Poller poller, state::VmRecord record);
  /// The same, and what is in `seed` (a directory, or a tar file) is in its workspace from the start. Errors: NOT_FOUND,
  /// INVALID.
  static base::Result<std::unique_ptr<StartVmOp>> create_seeded(ContextPtr context, Poller poller,
                                                                state::VmRecord record, std::string seed);
  /// One of this kind that is there.
  static std::unique_ptr<StartVmOp> start(ContextPtr context, Poller poller, std::string id, state::VmKind kind);
  ~StartVmOp() override;

 private:
  StartVmOp(ContextPtr context, Poller poller, std::string id, bool is_new)
      : Op(std::move(context), std::move(poller)), id_(std::move(id)), is_new_(is_new) {}

  base::Status step() override;
  void stop() noexcept override;

  base::Status prepare();
  base::Result<KeptVmFiles> keep(const std::string& digest, pyro_engine engine, const base::Fd& scratch);
  base::Result<base::Fd> open_disk(const base::Fd& scratch);
  base::Status drive_vm();
  base::Status take(wire::Frame& frame);
  base::Status take_hello(const wire::Frame& frame);
  base::Status begin_upload();
  base::Status drive_upload();
  base::Status finish();
  base::Status tell();
  [[nodiscard]] base::Error lost(const std::string& what) const;

  std::string id_;
  bool is_new_;
  /// Its disk is made by this start.
  bool is_record_new_ = true;
  state::VmKind kind_ = state::VmKind::task;
  state::VmRecord record_;
  state::VmRun run_;
  std::optional<VmFolder> folder_;
  FileLock lock_;
  std::optional<VmStart> start_;
  std::unique_ptr<VmLink> vm_;
  wire::FrameQueue queue_;
  std::vector<wire::Frame> frames_;
  std::int64_t deadline_ms_ = 0;
  bool greeted_ = false;
  bool done_ = false;
  /// Empty: none.
  std::string seed_;
  bool is_seed_tar_ = false;
  std::unique_ptr<Op> upload_;
  Watch upload_watch_;
};

/// Deletes VMs that have outlived their time, and left-overs; gives the deleted ones. What cannot be looked at or
/// removed stays, and is said in the log.
std::vector<VmInfo> reap_expired_vms(Context& context);
/// The same, at most once a minute over all processes of a home folder: for who creates one, or lists them.
void reap_expired_vms_now_and_then(Context& context);

}  // namespace pyro::client
