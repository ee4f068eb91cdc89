// A home folder and a folder of fake helper programs, thrown away after each test.
#pragma once

#include "base/build_id.hpp"
#include "base/io.hpp"
#include "client/settings.hpp"
#include "state/environment.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include <doctest/doctest.h>
#include <pyro/pyro.h>
#include <sys/stat.h>

namespace fixture {

namespace fs = std::filesystem;

class TempDir {
 public:
  TempDir() {
    std::string name = (fs::temp_directory_path() / "pyro-unit-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { fs::remove_all(path_); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline void write_file(const std::string& path, const std::string& content) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path) << content;
}

inline std::string read_file(const std::string& path) {
  auto text = pyro::base::read_file(path, 1 << 20);
  return text.ok() ? text.value() : std::string();
}

/// A home and a libexec folder with the fakes of this directory in it.
struct World {
  World() {
    home = root / "home";
    libexec = root / "libexec";
    fs::create_directory(libexec);
    const fs::path fakes = fs::path(__FILE__).parent_path() / "fakes";
    // Copies, because the fakes look beside themselves for what to say.
    fs::copy_file(fakes / "pyro_vm.py", libexec + "/pyro-vm");
    fs::copy_file(fakes / "pyro_image.py", libexec + "/pyro-image");
    write_file(libexec + "/pyro-agent", "");
    ::chmod((libexec + "/pyro-agent").c_str(), 0755);
    write_file(libexec + "/probe_state", "emulating\n");
  }

  /// Puts a complete environment into the store, as pyro-image would. Its files hold their own names.
  void add_environment(const std::string& name, bool with_record = true, bool with_stamp = true) const {
    using namespace pyro::state;
    const auto blob = [this](char digit) {
      const Digest digest = Digest::from_hex(std::string(64, digit)).value();
      write_file(home + "/" + blob_path(digest), std::string("blob ") + digit);
      return BlobRef{digest, 6};
    };
    fs::create_directories(home);
    ::chmod(home.c_str(), 0700);
    Manifest manifest;
    manifest.description = "made by a test";
    manifest.kernel = blob('a');
    manifest.kernel_version = "6.1.0";
    manifest.initramfs = blob('b');
    manifest.root = blob('c');
    const Digest id = Digest::from_hex(std::string(64, 'd')).value();
    write_file(home + "/" + manifest_path(id), manifest.encode());
    NameRecord record;
    record.name = name;
    record.manifest = id;
    record.created_at = 1'700'000'000;
    write_file(home + "/" + (with_record ? name_path(name) : "record"), record.encode());
    Stamp stamp;
    stamp.manifest = stamp_of(home + "/" + manifest_path(id));
    stamp.kernel = stamp_of(home + "/" + blob_path(manifest.kernel.digest));
    stamp.initramfs = stamp_of(home + "/" + blob_path(manifest.initramfs.digest));
    stamp.root = stamp_of(home + "/" + blob_path(manifest.root.digest));
    fs::create_directories(home + "/environments/verified");
    fs::create_directories(home + "/environments/names");
    write_file(home + "/" + (with_stamp ? verified_path(id) : "stamp"), stamp.encode());
    write_file(home + "/ready-build", "record " + name_path(name) + "\n");
    write_file(home + "/ready-verify", "stamp " + verified_path(id) + "\n");
  }

  static pyro::state::FileStamp stamp_of(const std::string& path) {
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    return pyro::state::FileStamp::of(info);
  }

  [[nodiscard]] pyro::client::Settings settings() const {
    pyro::client::Settings out;
    out.home = home;
    out.libexec = libexec;
    out.search_path = "/usr/bin:/bin:/usr/sbin:/sbin";
    return out;
  }

  /// What pyro-image was asked for so far, one "op name" a line.
  [[nodiscard]] std::string requests() const { return read_file(home + "/requests"); }

  TempDir root;
  std::string home;
  std::string libexec;
};

/// A context of the C ABI on a World.
struct Session {
  explicit Session(const World& world, std::uint32_t log_level = PYRO_LOG_DEBUG) {
    pyro_open_options options = PYRO_OPEN_OPTIONS_INIT;
    options.home = world.home.c_str();
    options.libexec = world.libexec.c_str();
    options.log_level = log_level;
    REQUIRE(pyro_open(&options, &context, nullptr) == PYRO_OK);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    pyro_op_destroy(&op);
    pyro_result_destroy(&result);
    pyro_environment_list_destroy(&list);
    pyro_doctor_report_destroy(&report);
    pyro_error_destroy(&error);
    pyro_close(&context);
  }
  [[nodiscard]] std::string message() const { return pyro_error_message(error); }

  pyro_context* context = nullptr;
  pyro_op* op = nullptr;
  pyro_result* result = nullptr;
  pyro_environment_list* list = nullptr;
  pyro_doctor_report* report = nullptr;
  pyro_error* error = nullptr;
};

}  // namespace fixture
