// Options of calls about files: defaults, ranges, and what is refused before anything is done.
#include "client/file_request.hpp"

#include <cstdint>
#include <string>

#include <doctest/doctest.h>

using namespace pyro::client;

namespace {

pyro_file_options valid() {
  pyro_file_options options = PYRO_FILE_OPTIONS_INIT;
  options.task_id = "k7dq2mxw4zpa";
  options.path = "notes.txt";
  return options;
}

pyro_status status_of(const pyro_file_options& options, FileCall call, bool is_blocking = true) {
  const auto job = make_file_job(options, call, is_blocking);
  return job.ok() ? PYRO_OK : job.error().code;
}

std::string message_of(const pyro_file_options& options, FileCall call) {
  const auto job = make_file_job(options, call, true);
  return job.ok() ? "" : job.error().message;
}

}  // namespace

TEST_CASE("file options: nothing set but the required → the defaults of the contract") {
  const auto read = make_file_job(valid(), FileCall::read, true);
  REQUIRE(read.ok());
  CHECK(read->request.verb == pyro::wire::FileVerb::read);
  CHECK(read->request.path == "notes.txt");
  CHECK(read->request.max_bytes == 1 << 20);
  CHECK(read->timeout_ms == 60'000);
  CHECK(read->user == "root");
  CHECK(make_file_job(valid(), FileCall::read, false)->request.max_bytes == UINT64_MAX);
  CHECK(make_file_job(valid(), FileCall::list, true)->request.max_entries == 1000);
  CHECK(make_file_job(valid(), FileCall::write, true)->request.mode == pyro::wire::FileRequest::kDefaultMode);
  const auto download = make_file_job(valid(), FileCall::download, false);
  REQUIRE(download.ok());
  CHECK(download->request.max_bytes == std::uint64_t{16} << 30);
  CHECK(download->request.max_entries == 1'000'000);
  CHECK(download->timeout_ms == 0);
}

TEST_CASE("file options: no task, no path, a path that is too long → INVALID") {
  auto options = valid();
  options.task_id = nullptr;
  CHECK(status_of(options, FileCall::stat) == PYRO_ERROR_INVALID);
  options.task_id = "../../etc";
  CHECK(status_of(options, FileCall::stat) == PYRO_ERROR_INVALID);
  options = valid();
  options.path = nullptr;
  CHECK(status_of(options, FileCall::stat) == PYRO_ERROR_INVALID);
  options.path = "";
  CHECK(status_of(options, FileCall::stat) == PYRO_ERROR_INVALID);
  const std::string most(4095, 'p');
  options.path = most.c_str();
  CHECK(status_of(options, FileCall::stat) == PYRO_OK);
  const std::string more(4096, 'p');
  options.path = more.c_str();
  CHECK(message_of(options, FileCall::stat) == "path has 4096 bytes: 1 to 4095 are possible");
}

TEST_CASE("file options: out of range → INVALID, with the range in the message") {
  auto options = valid();
  options.mode = 01000;
  CHECK(message_of(options, FileCall::write) == "mode is 01000: 01 to 0777 are possible");
  options = valid();
  options.recursive = 2;
  CHECK(status_of(options, FileCall::list) == PYRO_ERROR_INVALID);
  options = valid();
  options.max_entries = 1'000'001;
  CHECK(message_of(options, FileCall::list) == "max_entries is 1000001: 1 to 1000000 are possible");
  options.local_path = "/tmp/x";
  CHECK(status_of(options, FileCall::download) == PYRO_OK);
  options.max_entries = 100'000'001;
  CHECK(status_of(options, FileCall::download) == PYRO_ERROR_INVALID);
  options = valid();
  options.local_path = "/tmp/x";
  options.max_path_bytes = 4096;
  CHECK(status_of(options, FileCall::upload) == PYRO_ERROR_INVALID);
  options.max_path_bytes = 0;
  options.max_bytes = (std::uint64_t{1} << 60) + 1;
  CHECK(status_of(options, FileCall::upload) == PYRO_ERROR_INVALID);
  options = valid();
  options.timeout_seconds = -3;
  CHECK(status_of(options, FileCall::read) == PYRO_ERROR_INVALID);
  options.timeout_seconds = PYRO_NO_TIMEOUT;
  CHECK(status_of(options, FileCall::read) == PYRO_OK);
  options = valid();
  options.user = "";
  CHECK(status_of(options, FileCall::read) == PYRO_ERROR_INVALID);
  options.user = "nobody";
  CHECK(status_of(options, FileCall::diff) == PYRO_ERROR_INVALID);
}

TEST_CASE("file options: content given twice, or by nobody → INVALID") {
  auto options = valid();
  options.data_size = 1;
  CHECK(status_of(options, FileCall::write) == PYRO_ERROR_INVALID);
  options.data = "x";
  CHECK(make_file_job(options, FileCall::write, true)->data == "x");
  options.stdin_mode = PYRO_STDIN_STREAM;
  CHECK(status_of(options, FileCall::write, false) == PYRO_ERROR_INVALID);
  options = valid();
  options.stdin_mode = PYRO_STDIN_STREAM;
  CHECK(status_of(options, FileCall::write, false) == PYRO_OK);
  CHECK(status_of(options, FileCall::write, true) == PYRO_ERROR_INVALID);
  CHECK(status_of(options, FileCall::upload, false) == PYRO_OK);
  options.local_path = "/tmp/x";
  CHECK(status_of(options, FileCall::upload, false) == PYRO_ERROR_INVALID);
  options = valid();
  CHECK(status_of(options, FileCall::upload, false) == PYRO_ERROR_INVALID);
  CHECK(status_of(options, FileCall::download, true) == PYRO_ERROR_INVALID);
  options.local_path = "";
  CHECK(status_of(options, FileCall::download, false) == PYRO_ERROR_INVALID);
}

TEST_CASE("file options: export → a download of /workspace as a tar") {
  auto options = valid();
  options.path = nullptr;
  options.local_path = "/tmp/x.tar";
  const auto job = make_file_job(options, FileCall::export_workspace, true);
  REQUIRE(job.ok());
  CHECK(job->request.verb == pyro::wire::FileVerb::download);
  CHECK(job->request.path == "/workspace");
  CHECK(job->is_tar);
}
